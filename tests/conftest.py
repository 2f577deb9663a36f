"""What many tests need: a small workspace of its own, and the real data folder where there is one."""

import os
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from fuxi_plugins.core.workspace import CACHE_VARIABLE, Workspace

ROOT = Path(__file__).resolve().parents[1]

# Examples have no time limit: on a machine with other work, any of them may take long.
settings.register_profile("fuxibench", deadline=None)
settings.load_profile("fuxibench")


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the slow tests too")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="slow: asked for with --slow"))


@pytest.fixture
def real_data():
    """The folder of small real datasets, which the project may not carry."""
    folder = Path(os.environ.get("FUXIBENCH_TEST_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data here: {folder} does not exist (set FUXIBENCH_TEST_DATA)")
    return folder


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    """A workspace with a tiny learnable dataset ``tiny`` and experiments of seconds."""
    return make_workspace(tmp_path, monkeypatch)


def make_workspace(folder: Path, monkeypatch) -> Workspace:
    configs = folder / "benchmark_configs"
    write(configs / "dataset_config" / "tiny.yaml", TINY_DATASET.format(folder=folder / "csv"))
    write(configs / "model_config" / "tiny.yaml", TINY_EXPERIMENTS)
    write(configs / "suites" / "tiny_suite.yaml", TINY_SUITE)
    for seed, split in enumerate(("train", "valid", "test")):
        write_tiny_csv(folder / "csv" / f"{split}.csv", rows=(600, 300, 300)[seed], seed=seed)
    monkeypatch.setenv(CACHE_VARIABLE, str(folder / "cache"))
    return Workspace.locate(configs=configs, results=folder / "results")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


def write_tiny_csv(path: Path, rows: int, seed: int) -> Path:
    """A user's taste for a shop and the price decide the label; ``shops`` is a history of shops."""
    random = np.random.default_rng(seed)
    user, shop = random.integers(0, 12, rows), random.integers(0, 8, rows)
    price = random.normal(size=rows).round(3)
    logit = 1.5 * ((user + shop) % 3 - 1) - price
    label = (random.random(rows) < 1 / (1 + np.exp(-logit))).astype(int)
    lengths = random.integers(0, 4, rows)
    lines = ["label,user,shop,price,shops"]
    for row in range(rows):
        history = "^".join(f"s{value}" for value in random.integers(0, 8, lengths[row]))
        lines.append(f"{label[row]},{user[row]},s{shop[row]},{price[row]},{history}")
    return write(path, "\n".join(lines) + "\n")


TINY_DATASET = """\
    tiny:
        title: A tiny dataset
        data_root: {folder}
        train_data: train.csv
        valid_data: valid.csv
        test_data: test.csv
        min_categr_count: 1
        group_id: group
        feature_cols:
        - {{name: user, type: categorical, dtype: int}}
        - {{name: shop, type: categorical, dtype: str}}
        - {{name: price, type: numeric, dtype: float, normalizer: StandardScaler}}
        - {{name: shops, type: sequence, dtype: str, splitter: ^, max_len: 3, share_embedding: shop,
            feature_encoder: layers.MaskedAveragePooling()}}
        - {{name: group, type: meta, dtype: int, preprocess: copy_from(user), remap: false}}
        feature_sources: {{user: [user, shops], item: [shop]}}
        label_col: {{name: label, dtype: float}}
"""

TINY_EXPERIMENTS = """\
    Base:
        dataset_id: tiny
        batch_size: 100
        epochs: 2
        metrics: [AUC, logloss, gAUC]
        learning_rate: 1e-2
    LR_tiny:
        model: LR
    DNN_tiny:
        model: DNN
        embedding_dim: 4
        hidden_units: [16]
"""

TINY_SUITE = """\
    title: Two models on tiny data
    experiments: [LR_tiny, DNN_tiny]
    seeds: [1, 2]
"""

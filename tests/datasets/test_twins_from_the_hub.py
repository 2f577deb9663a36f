"""The real benchmarks' own configs, fed by their twins through a hub: fetched, verified, prepared, trained."""

import hashlib
import io
import os
import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.sources.acquire import raw_folder
from fuxi_plugins.datasets.store import read_columns
from fuxi_plugins.records.files import read_record
from tests.conftest import ROOT
from tests.datasets.hub_server import Hub
from tests.datasets.test_twins import SMALL, small_spec

REAL = {
    "criteo_x1_twin": ("criteo_x1", "criteo.yaml"),
    "avazu_x4_twin": ("avazu_x4_001", "avazu.yaml"),
    "kuaivideo_x1_twin": ("kuaivideo_x1", "kuaivideo.yaml"),
    "taobaoad_x1_twin": ("taobaoad_x1", "taobaoad.yaml"),
}
MODELS = {
    "RankElastor": "{num_tokens: 2, token_dim: 4, num_blocks: 1, tokenizer_hidden_units: [8]}",
    "RankMixer": "{num_tokens: 2, token_dim: 4, num_blocks: 1}",
    "DCNv2": "{parallel_dnn_hidden_units: [8]}",
    "DNN": "{hidden_units: [8]}",
}


@pytest.fixture(params=[*SMALL, *(pytest.param(f"{name} at 200,000 rows", marks=pytest.mark.slow) for name in SMALL)])
def fetched(request, tmp_path):
    """(the real dataset's spec with the md5s of its twin, a workspace that has fetched it, the twin prepared)"""
    twin_name, _, large = request.param.partition(" ")
    name, file = REAL[twin_name]
    twins = Workspace(ROOT / "benchmark_configs", tmp_path / "results", tmp_path / "twins")
    twin = load_dataset_spec(twins.configs, twin_name) if large else small_spec(twin_name)
    folder = raw_folder(twin, twins)
    real = load_dataset_spec(ROOT / "benchmark_configs", name)
    text = (ROOT / "benchmark_configs" / "dataset_config" / file).read_text()
    text = re.sub(r"^ *published_(rows|positive_rate): .*\n", "", text, flags=re.MULTILINE)  # which are refused else
    content = io.BytesIO()
    archive = real.source.hub.partition("/")[2]
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        for path, md5 in real.files.items():
            packed.write(folder / path, f"{archive}/{path}")
            text = text.replace(md5, hashlib.md5((folder / path).read_bytes()).hexdigest()) if md5 else text
    workspace = Workspace(tmp_path / "configs", tmp_path / "results", tmp_path / "cache")
    (workspace.configs / "dataset_config").mkdir(parents=True)
    (workspace.configs / "dataset_config" / file).write_text(text)
    hub = Hub({f"/datasets/{real.source.hub}/resolve/main/{archive}.zip": content.getvalue()})
    with hub.serving() as endpoint:
        fuxibench(workspace, "data", "fetch", name, HF_ENDPOINT=endpoint)
    return load_dataset_spec(workspace.configs, name), workspace, prepare_dataset(twin, twins)


def fuxibench(workspace, *arguments, **environment):
    folders = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    done = subprocess.run(
        [sys.executable, "-m", "fuxi_plugins", *folders, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "FUXIBENCH_CACHE": str(workspace.cache), "HF_HUB_DISABLE_XET": "1",
             "NO_PROXY": "127.0.0.1", **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rows_are_the_twins_and_four_models_train_on_them(fetched):
    spec, workspace, twin = fetched
    real = prepare_dataset(spec, workspace)
    assert real.card.rows == twin.card.rows
    for split in ("train", "valid", "test"):
        ours, theirs = (read_columns(one.split_folder(split)) for one in (real, twin))
        assert ours.keys() == theirs.keys()
        for column in ours:
            np.testing.assert_array_equal(ours[column], theirs[column], err_msg=column)
    metrics = ["AUC", "logloss", *(["gAUC"] if spec.group_id else [])]
    experiments = {
        f"{model}_fetched": f"{{model: {model}, dataset_id: {spec.dataset_id}, epochs: 1, batch_size: 500, "
        f"embedding_dim: 4, metrics: [{', '.join(metrics)}], monitor: AUC, {settings[1:]}"
        for model, settings in MODELS.items()
    }
    for kind in ("model_config", "suites"):
        (workspace.configs / kind).mkdir()
    text = "\n".join(f"{name}: {content}" for name, content in experiments.items())
    (workspace.configs / "model_config" / "fetched.yaml").write_text(text)
    (workspace.configs / "suites" / "fetched.yaml").write_text(
        f"title: Fetched\nexperiments: [{', '.join(experiments)}]\nseeds: [1]\n"
    )
    fuxibench(workspace, "run", "fetched")
    for name in experiments:
        record = read_record(workspace.run_folder(spec.dataset_id, name, 1) / "record.json")
        assert record.finished
        assert sorted(record.metrics["test"]) == sorted(metrics)
        assert record.data.rows == twin.card.rows

"""A workspace with the results of many made-up models, to see how reports and the site grow."""

from pathlib import Path

import numpy as np

from fuxi_plugins.core.yaml_files import yaml_text
from fuxi_plugins.records.parts import Epoch
from tests.analysis.make import card, record


def write_workspace(folder: Path, models: int, datasets: int, seeds: int) -> None:
    """Configs and records below ``folder``: each model on each dataset, with a curve of eight epochs.

    Args:
        folder: a new folder; it gets ``results`` and ``benchmark_configs``.
    """
    random = np.random.default_rng(0)
    history = [
        Epoch(epoch=e, step=e, train_loss=0.5, learning_rate=1e-3, valid={"AUC": 0.7 + e / 1000, "logloss": 0.5},
              seconds=1.0, evaluation_seconds=0.1)
        for e in range(1, 9)
    ]  # fmt: skip
    names = [f"Model{m:03}" for m in range(models)]
    for dataset in (f"set{d}" for d in range(datasets)):
        _write_configs(folder / "benchmark_configs", dataset, names, seeds)
        data = card(published_as=dataset.title(), title=f"Made up, {dataset}")
        for place, name in enumerate(names):
            for seed in range(seeds):
                value = 0.7 + 0.1 * place / models + 0.002 * float(random.normal())
                made = record(
                    name, seed, value, dataset=dataset, experiment=f"{name}_{dataset}", data=data, history=history
                )
                path = folder / "results" / "runs" / dataset / made.experiment / f"seed-{seed}" / "record.json"
                path.parent.mkdir(parents=True)
                path.write_text(made.model_dump_json())


def _write_configs(configs: Path, dataset: str, names: list[str], seeds: int) -> None:
    """The dataset, one experiment for each name, and the suite of all of them."""
    training = {"optimizer": "adam", "loss": "binary_crossentropy", "metrics": ["AUC", "logloss"], "monitor": "AUC"}
    base = {"dataset_id": dataset, "learning_rate": 1e-3, "batch_size": 512, "epochs": 8, **training}
    experiments = {f"{name}_{dataset}": {"model": "LR", "display_name": name} for name in names}
    columns = [{"name": "item", "type": "categorical", "dtype": "str"}]
    label = {"name": "click", "dtype": "float"}
    data = {"title": f"Made up, {dataset}", "data_root": "data", "train_data": "train.csv", "valid_data": "valid.csv",
            "test_data": "test.csv", "feature_cols": columns, "label_col": label}  # fmt: skip
    suite = {"title": f"Board of {dataset}", "experiments": list(experiments), "seeds": list(range(seeds))}
    for kind, name, entries in (
        ("dataset_config", dataset, {dataset: data}),
        ("model_config", dataset, {"Base": base, **experiments}),
        ("suites", f"{dataset}_board", suite),
    ):
        path = configs / kind / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml_text(entries))

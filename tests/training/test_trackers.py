"""Who watches a run is told what the record says."""

import json
import sys
import types

import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.training import trackers
from tests.analysis.make import record
from tests.training.test_runner import make_job, run


def test_a_run_writes_its_evaluations_as_json_lines(workspace, tmp_path):
    job = make_job(workspace, tmp_path)
    history = run(job).history
    lines = (job.run_folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [entry.model_dump() for entry in history]
    assert len(lines) == 2


class Told(list):
    """A service's module that notes what it is told."""

    def as_module(self, monkeypatch, name):
        def note(function):
            return lambda *arguments, **named: self.append((function, arguments, named)) or self

        functions = ("init", "start_run", "log_params", "log_metrics")
        module = types.SimpleNamespace(**{function: note(function) for function in functions})
        self.log = note("log")
        monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.parametrize(("name", "function"), [("wandb", "log"), ("mlflow", "log_metrics")])
def test_a_service_is_told_each_evaluation_at_its_step(tmp_path, monkeypatch, name, function):
    told = Told()
    told.as_module(monkeypatch, name)
    model = types.SimpleNamespace(history=record().history)
    (tracker,) = trackers.connect([name], "DNN seed 1", {"model": {"width": 3}, "training": {}}, tmp_path)
    tracker(model, 1)
    assert told[-1] == (function, ({"train/loss": 0.5, "train/learning_rate": 1e-3},), {"step": 1})
    assert "width" in str(told[0]) + str(told[1])


def test_a_service_that_is_not_installed_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserError, match="pip install wandb"):
        trackers.connect(["wandb"], "x", {}, tmp_path)


def test_tensorboard_gets_its_event_files(tmp_path):
    pytest.importorskip("tensorboard", reason="an extra")
    model = types.SimpleNamespace(history=record().history)
    (tracker,) = trackers.connect(["tensorboard"], "x", {}, tmp_path)
    tracker(model, 1)
    assert list((tmp_path / "tensorboard").glob("events*"))

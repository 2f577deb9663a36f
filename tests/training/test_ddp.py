"""A run shared by two processes: the same batches, losses and scores as one process has, and one record."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from fuxi_plugins.cli.main import main
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.execution.limits import Limits
from fuxi_plugins.execution.local import run_jobs
from fuxi_plugins.experiments.catalogue import load_experiment_configs
from fuxi_plugins.experiments.experiment import resolve
from fuxi_plugins.models.lr import LR
from fuxi_plugins.records.files import read_record
from fuxi_plugins.training.job import Job
from tests.conftest import ROOT, write
from tests.execution.test_local import until
from tests.training.test_runner import make_job, run


class Seen:
    def __init__(self):
        self.states = []

    def started(self, job): ...

    def progressed(self, job, state):
        self.states.append(state)

    def ended(self, job, record): ...


def run_together(job, processes=2, seconds=300, listener=None):
    """Through the runner, as a suite would."""
    (record,) = run_jobs(
        [replace(job, processes=processes)],
        before={job.run_folder: None},
        slots=[-1],
        limits=Limits(timeout_seconds=seconds),
        listener=listener or Seen(),
    )
    return record


def predictions(job):
    with h5py.File(job.run_folder / "predictions.h5") as file:
        return file["y_pred"][:]


# 600 rows in batches of 119: five of uneven halves and a last one of five rows. The regulariser must count once.
CHANGES = {"batch_size": 119, "embedding_regularizer": 1e-2, "epochs": 3}


@pytest.mark.parametrize("step", ["fast", pytest.param("fuxictr", marks=pytest.mark.slow)])
def test_two_processes_learn_what_one_does(workspace, tmp_path, step):
    changes = {**CHANGES, "train_step": step}
    alone, shared = (make_job(workspace, tmp_path / name, changes=changes) for name in ("alone", "shared"))
    expected, listener = run(alone), Seen()
    record = run_together(shared, listener=listener)
    assert record.finished, record.traceback
    assert record == read_record(shared.run_folder / "record.json")
    assert record.machine.processes == 2
    assert any("2 processes" in line for line in record.deviations)
    assert [e.train_loss for e in record.history] == pytest.approx([e.train_loss for e in expected.history], rel=1e-5)
    np.testing.assert_allclose(predictions(shared), predictions(alone), rtol=1e-5, atol=1e-6)
    assert record.metrics["test"] == pytest.approx(expected.metrics["test"], rel=1e-5)
    assert record.best_epoch == expected.best_epoch
    assert not any(record.sanity_checks.values())
    assert len((shared.run_folder / "metrics.jsonl").read_text().splitlines()) == len(record.history)
    assert listener.states[-1]["phase"] == "test"


@pytest.mark.slow
def test_the_criteo_twin_gives_the_same_auc_within_noise(workspace, tmp_path):
    """With dropout and batch normalisation, which see the parts of a batch, so nothing is equal to the last digit."""
    spec = load_dataset_spec(ROOT / "benchmark_configs", "criteo_x1_twin")
    spec = spec.model_copy(update={"build_args": {"seed": 2026, "rows": [40_000, 10_000, 10_000]}})
    data = prepare_dataset(spec, workspace)
    config = load_experiment_configs(ROOT / "benchmark_configs")["DNN_criteo_x1_twin"]
    experiment = resolve(config.varied({"net_dropout": 0.2, "batch_norm": True}))
    scores = {"alone": [], "shared": []}
    for seed in (1, 2):
        for name, processes in (("alone", 1), ("shared", 2)):
            folder = tmp_path / f"{name}-{seed}"
            job = Job(experiment, data, seed, -1, 1, folder / "run", folder / "checkpoint")
            record = run_together(job, processes=processes)
            assert record.finished, record.traceback
            scores[name].append(record.metrics["test"]["AUC"])
    alone, shared = (np.array(values) for values in scores.values())
    print(scores)
    assert abs(alone - shared).max() < 0.01  # a sampling error of 10,000 rows is about 0.006
    assert alone.min() > 0.6


# Models of an installed package that fail in the second process alone.
MODELS = """\
    import os
    import signal
    import time

    from fuxi_plugins.models.lr import LR

    SECOND = os.environ.get("RANK") == "1"


    class Raises(LR):
        def forward(self, inputs):
            if SECOND:
                raise RuntimeError("only the second cannot")
            return super().forward(inputs)


    class Dies(LR):
        def forward(self, inputs):
            if SECOND:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().forward(inputs)


    class Hangs(LR):
        def forward(self, inputs):
            if SECOND:
                time.sleep(600)
            return super().forward(inputs)


    class RunsOut(LR):
        def forward(self, inputs):
            if SECOND and self.parts == 1:
                raise MemoryError("no more")
            return super().forward(inputs)
"""


@pytest.fixture
def package(workspace, tmp_path, monkeypatch):
    folder = tmp_path / "site"
    names = ("Raises", "Dies", "Hangs", "RunsOut")
    write(folder / "one_fails.py", MODELS)
    about = folder / "one_fails-1.0.dist-info"
    write(about / "METADATA", "Metadata-Version: 2.1\nName: one_fails\nVersion: 1.0\n")
    write(about / "entry_points.txt", "\n".join(["[fuxi_plugins.models]", *(f"{n} = one_fails:{n}" for n in names)]))
    text = "Base: {dataset_id: tiny, batch_size: 100, epochs: 1}\n" + "".join(
        f"{n}_tiny: {{model: {n}}}\n" for n in names
    )
    write(workspace.configs / "model_config" / "one_fails.yaml", text)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{ROOT}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("Raises", "RuntimeError: only the second cannot"),
        ("Dies", "the process was ended by SIGKILL"),
        ("Hangs", "timed out after 45 s"),
    ],
)
def test_a_process_that_fails_ends_the_run_with_its_own_reason(workspace, package, tmp_path, model, reason):
    job = make_job(workspace, tmp_path / model, experiment=f"{model}_tiny")
    record = run_together(job, seconds=45 if model == "Hangs" else 300)
    assert (record.status, record.reason) == ("failed", reason)
    if model == "Raises":
        assert "in forward" in record.traceback
    until(lambda: not members(job), seconds=30)


@pytest.mark.slow
def test_memory_that_runs_out_in_one_process_is_tried_once_in_smaller_batches(workspace, package, tmp_path):
    record = run_together(make_job(workspace, tmp_path / "memory", experiment="RunsOut_tiny"))
    assert record.finished, record.traceback
    assert any("4 parts" in line for line in record.deviations)
    assert any("2 processes" in line for line in record.deviations)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_the_processes_of_a_run_end_with_its_runner(workspace, package, tmp_path, how):
    arguments = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    command = subprocess.Popen(
        [sys.executable, "-m", "fuxi_plugins", *arguments, "run", "Hangs_tiny", "--processes", "2", "--jobs", "1"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    job = replace(make_job(workspace, tmp_path), checkpoint_folder=workspace.checkpoint_folder("tiny", "Hangs_tiny", 1))
    until(lambda: command.poll() is not None or len(members(job)) == 2)
    command.send_signal(how)
    output = command.communicate(timeout=60)[0]
    assert command.returncode == (-how if how == signal.SIGKILL else 130), output
    until(lambda: not members(job), seconds=30)
    assert not list(workspace.results.rglob("record.json"))


def members(job) -> list[int]:
    """The processes that share the run of this job."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if f"fuxi_plugins.training.distributed.worker\0{job.checkpoint_folder}" in path.read_text():
                found.append(int(path.parent.name))
    return found


def test_a_model_with_a_step_of_its_own_is_refused_before_anything_starts(workspace, monkeypatch):
    monkeypatch.setattr(LR, "compute_loss", lambda self, *arguments: 2 * super(LR, self).compute_loss(*arguments))
    places = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    result = CliRunner().invoke(main, [*places, "run", "LR_tiny", "--processes", "2"])
    assert result.exit_code == 2
    assert "cannot be run by several processes" in result.stderr
    assert not list(workspace.results.rglob("record.json"))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--probe", "rank"], "--nproc-per-run cannot be combined with --probe"),
        (["--checkpoint-steps", "5"], "a run by several processes keeps checkpoints only with sharding"),
    ],
)
def test_what_several_processes_cannot_do_is_refused(workspace, option, message):
    places = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    result = CliRunner().invoke(main, [*places, "run", "LR_tiny", "--processes", "2", *option])
    assert result.exit_code == 2
    assert message in result.stderr

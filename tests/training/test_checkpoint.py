"""A run that is killed and continued ends as one that never was, to the last bit."""

import logging
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch

from fuxi_plugins.models import registry
from fuxi_plugins.models.dnn import DNN
from fuxi_plugins.training import assembly
from fuxi_plugins.training.checkpoint import STATE_FILE, Checkpointer
from fuxi_plugins.training.provenance import utc_now
from fuxi_plugins.training.runner import carry_out, continued_by
from tests.conftest import ROOT, write
from tests.training.test_runner import make_job, outcome, run

# Dropout draws from torch's random state, BatchNorm keeps buffers, early stopping and the learning rate have memory.
EXPERIMENTS = """
Dropout_tiny:
    model: DNN
    embedding_dim: 4
    hidden_units: [16]
    net_dropout: 0.3
    batch_norm: true
    epochs: 4
    embedding_regularizer: 1e-4
Wavering_tiny:
    model: DeepFM
    embedding_dim: 4
    hidden_units: [16]
    learning_rate: 0.3
    epochs: 8
    early_stop_patience: 2
Drawing_tiny:
    model: Drawing
    embedding_dim: 4
    hidden_units: [16]
    epochs: 4
Exponential_tiny:
    model: DNN
    embedding_dim: 4
    hidden_units: [16]
    net_dropout: 0.3
    batch_norm: true
    epochs: 4
    weight_average: ema(0.9)
Mean_tiny:
    model: DNN
    embedding_dim: 4
    hidden_units: [16]
    net_dropout: 0.3
    batch_norm: true
    epochs: 4
    weight_average: swa(2)
Eval_tiny:
    model: DCNv2
    embedding_dim: 4
    optimizer: rmsprop
    parallel_dnn_hidden_units: [8]
    net_dropout: 0.1
    eval_steps: 4
    epochs: 3
    early_stop_patience: 9
"""


@pytest.fixture
def jobs(workspace, tmp_path, monkeypatch):
    monkeypatch.setitem(registry._registered, "Drawing", f"{__name__}:Drawing")
    path = workspace.configs / "model_config" / "tiny.yaml"
    path.write_text(path.read_text() + EXPERIMENTS.replace("rmsprop", "RMSprop"))

    def make(name, folder):
        return make_job(workspace, tmp_path / folder, experiment=f"{name}_tiny")

    return make


class Drawing(DNN):
    """A model that draws from numpy's random state in each step."""

    def forward(self, inputs):
        predicted = super().forward(inputs)
        if self.training:
            predicted["y_pred"] = predicted["y_pred"] * (1 - 0.2 * float(np.random.random()))
        return predicted


class Killed(BaseException):
    """Stands for ``kill -9``: nothing may catch it."""


def until_step(steps):
    """A report that kills the run in the middle of the given training step."""
    seen = 0

    def report(news):
        nonlocal seen
        seen += "step" in news
        if seen == steps and "step" in news:
            raise Killed

    return report


def predictions(job):
    with h5py.File(job.run_folder / "predictions.h5") as file:
        return file["y_pred"][:]


@pytest.mark.parametrize(
    ("name", "every"),
    [("Dropout", 4), ("Dropout", None), ("Wavering", 4), ("Eval", 4), ("Drawing", 4),
     ("Exponential", 4), ("Exponential", None), ("Mean", 4), ("Mean", None)],
)  # fmt: skip
def test_a_run_killed_again_and_again_ends_as_if_it_never_was(jobs, name, every, caplog, monkeypatch):
    monkeypatch.setattr(
        "fuxi_plugins.training.checkpoint.COST", 1e9
    )  # every epoch is worth a checkpoint, however short
    caplog.set_level(logging.INFO)
    undisturbed = jobs(name, "undisturbed")
    expected = run(undisturbed)
    job = replace(jobs(name, "disturbed"), checkpoint_steps=every)
    for steps in (8, 9, 1, 5):
        with pytest.raises(Killed):
            run(job, until_step(steps))
        assert not (job.run_folder / "record.json").exists()
    record = run(job)
    assert "continuing in epoch" in caplog.text
    assert "starting anew" not in caplog.text
    assert outcome(record) == outcome(expected)
    assert [(entry.step, entry.learning_rate) for entry in record.history] == [
        (entry.step, entry.learning_rate) for entry in expected.history
    ]
    np.testing.assert_array_equal(predictions(job), predictions(undisturbed))
    assert not list(job.checkpoint_folder.glob("*.*"))  # nothing is left to continue


def killed_run(jobs, folder, name="Dropout"):
    job = replace(jobs(name, folder), checkpoint_steps=2)
    with pytest.raises(Killed):
        run(job, until_step(11))
    assert (job.checkpoint_folder / STATE_FILE).exists()
    return job


def continues(job, caplog) -> bool:
    """Whether a new process would go on from the job's checkpoint; if not, the log says why."""
    caplog.clear()
    continued = Checkpointer(job.checkpoint_folder, continued_by(job))._state is not None
    assert ("starting anew" in caplog.text) != continued
    return continued


def edited(job, **changes):
    """Changes what the job's checkpoint holds."""
    path = job.checkpoint_folder / STATE_FILE
    torch.save({**torch.load(path, weights_only=True), **changes}, path)


def test_a_resumed_run_counts_the_seconds_of_earlier_processes(jobs):
    job = killed_run(jobs, "seconds")
    edited(job, seconds=1000.0, trained=400.0)
    with pytest.raises(Killed):
        run(job, until_step(5))
    state = torch.load(job.checkpoint_folder / STATE_FILE, weights_only=True)
    assert 1000 < state["seconds"] < 1100
    started = time.perf_counter()
    record = carry_out(job, lambda news: None, started=utc_now(), clock_start=started)
    assert 1000 < record.seconds.total < 1100 + time.perf_counter() - started
    assert 400 < record.seconds.train < 500


def test_writing_checkpoints_is_no_training(jobs, monkeypatch):
    save = torch.save
    monkeypatch.setattr(torch, "save", lambda *given, **more: time.sleep(0.2) or save(*given, **more))
    record = run(replace(jobs("Dropout", "slow_disk"), checkpoint_steps=2))
    assert record.seconds.train < 1.0  # a dozen checkpoints took more


def test_checkpoints_keep_the_latest_best_weights_alone(jobs):
    job = killed_run(jobs, "best", "Eval")
    assert len(list(job.checkpoint_folder.glob("best-*.model"))) == 1


DAMAGES = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:1000]),
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(len(path.read_bytes()))),
    "other content": lambda path: torch.save({"identity": 1}, path),
    "a list": lambda path: torch.save([1, 2], path),
    "best weights gone": lambda path: next(path.parent.glob("best-*.model")).unlink(),
}


def test_a_damaged_checkpoint_is_said_and_the_run_starts_anew(jobs, caplog):
    job = killed_run(jobs, "damaged")
    state = job.checkpoint_folder / STATE_FILE
    whole = state.read_bytes()
    assert continues(job, caplog)
    for name, damage in DAMAGES.items():
        state.write_bytes(whole)
        damage(state)
        assert not continues(job, caplog), name
    state.write_bytes(whole[:1000])
    assert outcome(run(job)) == outcome(run(jobs("Dropout", "undisturbed")))


class Malice:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_a_checkpoint_cannot_carry_code(jobs, caplog, tmp_path):
    job = jobs("Dropout", "malicious")
    target = tmp_path / "executed"
    job.checkpoint_folder.mkdir(parents=True)
    torch.save({"identity": Malice(f"touch {target}")}, job.checkpoint_folder / STATE_FILE)
    assert not continues(job, caplog)
    model = assembly.build_model(job.experiment, job.data, gpu=-1, checkpoint_folder=tmp_path)
    torch.save(Malice(f"touch {target}"), model.checkpoint)
    with pytest.raises(pickle.UnpicklingError):
        model.load_weights(model.checkpoint)
    assert not target.exists()


def test_another_runs_checkpoint_is_not_continued(jobs, caplog):
    job = killed_run(jobs, "other")
    for change in ({"seed": 2}, {"micro_batches": 2}, {"threads": 2}):
        assert not continues(replace(job, **change), caplog)
        assert "is of another run" in caplog.text


def test_weights_are_saved_whole_or_not_at_all(jobs, tmp_path, monkeypatch):
    job = jobs("Dropout", "saving")
    model = assembly.build_model(job.experiment, job.data, gpu=-1, checkpoint_folder=tmp_path)
    model.save_weights(model.checkpoint)
    before = (tmp_path / "tiny" / "best.model").read_bytes()

    def dies(state, path):
        path.write_bytes(b"half of it")
        raise OSError("the power is gone")

    monkeypatch.setattr(torch, "save", dies)
    with pytest.raises(OSError):
        model.save_weights(model.checkpoint)
    assert (tmp_path / "tiny" / "best.model").read_bytes() == before


def test_checkpoints_of_short_epochs_cost_a_small_share_of_the_time(jobs, monkeypatch):
    saved = []
    monkeypatch.setattr("fuxi_plugins.training.checkpoint.COST", 1e-9)  # none is affordable after the first
    monkeypatch.setattr(Checkpointer, "_save", lambda self, model, epoch, batch: saved.append(epoch) or slow(self))

    def slow(checkpointer):
        checkpointer._last_cost = 1.0

    run(jobs("Dropout", "cheap"))
    assert saved == [1]


KILLED_WORKER = """\
    import os, signal, sys
    from fuxi_plugins.training import checkpoint
    save = checkpoint.Checkpointer._save
    def save_and_die(self, model, epoch, batch):
        save(self, model, epoch, batch)
        if (epoch, batch) == (1, 3):
            os.kill(os.getpid(), signal.SIGKILL)
    checkpoint.Checkpointer._save = save_and_die
    from fuxi_plugins.training.worker import main
    sys.exit(main())
"""


def test_a_worker_killed_by_sigkill_is_continued_by_another_process(jobs, tmp_path, caplog):
    expected = run(jobs("Dropout", "undisturbed"))
    job = replace(jobs("Dropout", "killed"), checkpoint_steps=3)
    job.run_folder.mkdir(parents=True)

    worker = subprocess.Popen(
        [sys.executable, str(write(tmp_path / "killed.py", KILLED_WORKER))],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        start_new_session=True,
    )  # fmt: skip
    worker.stdin.write(job.to_json() + "\n")
    worker.stdin.flush()
    log = worker.stderr.read()
    assert worker.wait() == -signal.SIGKILL, log
    with caplog.at_level(logging.INFO):
        record = run(job)
    assert "continuing in epoch 2 after 3 batches" in caplog.text
    assert outcome(record) == outcome(expected)

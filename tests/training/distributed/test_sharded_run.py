"""Whole runs with sharded tables: as one process, interrupted, and continued by another number of processes."""

import os
from dataclasses import replace

import h5py
import numpy as np
import pytest

from fuxi_plugins.records.files import read_record
from tests.training.distributed.forked import in_processes
from tests.training.test_runner import make_job, run

CHANGES = {
    "embedding_regularizer": 1e-2,
    "epochs": 4,
    "batch_size": 119,  # 600 rows: batches of uneven halves, and a last one of five rows
    "eval_steps": 4,
    "early_stop_patience": 20,
    "net_dropout": 0.2,
    "sharding": "row_wise",
}


def shared(job, processes, folder, **changes):
    """The record of a run by some processes."""
    run_one = replace(job, processes=processes, **changes)
    in_processes(processes, folder, lambda: run(run_one) and None)
    return read_record(job.run_folder / "record.json")


def predictions(job):
    with h5py.File(job.run_folder / "predictions.h5") as file:
        return file["y_pred"][:]


def jobs(workspace, tmp_path, *names, **changes):
    return [make_job(workspace, tmp_path / name, changes={**CHANGES, **changes}) for name in names]


@pytest.mark.parametrize("changes", [{}, {"sharding": "table_wise", "sparse_embeddings": True}], ids=str)
def test_two_processes_learn_what_one_does(workspace, tmp_path, changes):
    alone, together = jobs(workspace, tmp_path, "alone", "together", net_dropout=0, **changes)
    expected, record = run(alone), shared(together, 2, tmp_path)
    assert record.parameters == expected.parameters
    assert [e.train_loss for e in record.history] == pytest.approx([e.train_loss for e in expected.history], rel=1e-5)
    np.testing.assert_allclose(predictions(together), predictions(alone), rtol=1e-5, atol=1e-6)
    assert record.metrics["test"] == pytest.approx(expected.metrics["test"], rel=1e-5)
    assert record.best_epoch == expected.best_epoch
    assert not any(record.sanity_checks.values())
    assert any(line.startswith("sharding=") for line in record.deviations)
    assert any("2 processes" in line for line in record.deviations)
    assert not list(together.checkpoint_folder.rglob("*-*")), "checkpoints of a finished run are of no use"


def interrupted(job, processes, folder, after):
    """A run that ends after so many training steps, as a power cut would end it: nothing is tidied up."""

    def train():
        steps = 0

        def report(news):
            nonlocal steps
            steps += "step" in news
            if steps > after:
                os._exit(7)

        run(replace(job, processes=processes, checkpoint_steps=2), report)

    with pytest.raises(AssertionError, match="ended with 7"):
        in_processes(processes, folder, train)


@pytest.mark.parametrize("sparse", [False, True])
def test_an_interrupted_run_goes_on_to_the_same_bits(workspace, tmp_path, sparse):
    changes = {"sparse_embeddings": sparse, "weight_average": None if sparse else "ema(0.9)", "sharding": "auto"}
    whole, broken = jobs(workspace, tmp_path, "whole", "broken", **changes)
    expected = shared(whole, 2, tmp_path)
    for after in (3, 9):
        interrupted(broken, 2, tmp_path, after)
        assert list(broken.checkpoint_folder.glob("state-*"))
    record = shared(broken, 2, tmp_path, checkpoint_steps=2)
    assert [(e.train_loss, e.valid) for e in record.history] == [(e.train_loss, e.valid) for e in expected.history]
    np.testing.assert_array_equal(predictions(broken), predictions(whole))


@pytest.mark.parametrize(("before", "after"), [(2, 3), pytest.param(4, 2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("sharding", ["row_wise", "table_wise"])
def test_another_number_of_processes_goes_on(workspace, tmp_path, sharding, before, after):
    whole, broken = jobs(workspace, tmp_path, "whole", "broken", net_dropout=0, sharding=sharding)
    expected = run(whole)
    interrupted(broken, before, tmp_path, 9)
    record = shared(broken, after, tmp_path)
    assert record.history[0].train_loss == pytest.approx(expected.history[0].train_loss, rel=1e-5)
    np.testing.assert_allclose(predictions(broken), predictions(whole), rtol=1e-4, atol=1e-5)

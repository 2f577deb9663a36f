"""What the trainer notes beside FuxiCTR's training, and what it hands on to it."""

import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from fuxi_plugins.models.meta import count_parameters
from fuxi_plugins.records.predictions import write_predictions
from fuxi_plugins.training import runner, trainer
from fuxi_plugins.training.assembly import build_model
from fuxi_plugins.training.hosted import TrainerMixin, TrainingFailed
from fuxi_plugins.training.runner import continued_by
from fuxi_plugins.training.trainer import load_split
from tests.training.test_runner import make_job, outcome, run


def test_the_training_loss_is_the_mean_over_the_steps_since_the_last_evaluation(workspace, tmp_path, monkeypatch):
    losses = []
    step = TrainerMixin.train_step

    def noted(model, batch):
        loss = step(model, batch)
        losses.append(float(loss.item()))
        return loss

    monkeypatch.setattr(TrainerMixin, "train_step", noted)
    record = run(make_job(workspace, tmp_path, changes={"epochs": 2, "eval_steps": 3}))
    found = [entry.train_loss for entry in record.history]
    assert found == pytest.approx([np.mean(losses[start : start + 3]) for start in range(0, 12, 3)], rel=1e-6)


def test_the_learning_rate_of_an_entry_is_that_of_its_steps(workspace, tmp_path):
    """FuxiCTR lowers it after an evaluation that is no improvement, for the steps that follow."""
    changes = {"epochs": 8, "learning_rate": 0.3, "early_stop_patience": 8}
    history = run(make_job(workspace, tmp_path, changes=changes)).history
    best = -1.0
    for entry, following in pairwise(history):
        improved = entry.valid["AUC"] > best + 1e-6
        assert following.learning_rate == pytest.approx(max(entry.learning_rate * (1 if improved else 0.1), 1e-6))
        best = max(best, entry.valid["AUC"])
    assert history[0].learning_rate == 0.3
    assert history[-1].learning_rate < 0.3


def test_seconds_are_those_of_all_evaluations_and_an_epoch_s_are_a_mean_over_epochs(workspace, tmp_path):
    record = run(make_job(workspace, tmp_path, changes={"epochs": 2, "eval_steps": 2, "early_stop_patience": 9}))
    assert len(record.history) == 6
    assert record.seconds.train == pytest.approx(sum(entry.seconds for entry in record.history))
    assert record.seconds.evaluation == pytest.approx(sum(entry.evaluation_seconds for entry in record.history))
    assert record.seconds.per_epoch == pytest.approx(record.seconds.train / 2)


def test_a_split_is_scored_without_dropout(workspace, tmp_path):
    job = make_job(workspace, tmp_path, changes={"net_dropout": 0.5, "batch_norm": True})
    model = build_model(job.experiment, job.data, gpu=-1, checkpoint_folder=tmp_path)
    split = load_split(model, job.data, "test", job.experiment, job.seed)
    model.train()
    found = model.score(split).predictions
    model.eval()
    expected = torch.cat([model(batch)["y_pred"].flatten() for batch in split]).detach().numpy()
    np.testing.assert_array_equal(found, expected)


def test_only_train_is_shuffled(workspace, tmp_path):
    job = make_job(workspace, tmp_path)
    model = build_model(job.experiment, job.data, gpu=-1, checkpoint_folder=tmp_path)
    splits = {split: load_split(model, job.data, split, job.experiment, 5) for split in ("train", "valid", "test")}
    assert {split: loader.shuffle for split, loader in splits.items()} == {"train": True, "valid": False, "test": False}
    assert splits["train"].seed == 5
    changed = make_job(workspace, tmp_path, changes={"shuffle": False})
    assert not load_split(model, job.data, "train", changed.experiment, 5).shuffle


def test_the_limit_of_the_gradient_s_norm_is_the_experiment_s(workspace, tmp_path):
    usual = run(make_job(workspace, tmp_path / "usual", changes={"optimizer": "SGD"}))
    clipped = run(make_job(workspace, tmp_path / "clipped", changes={"optimizer": "SGD", "max_gradient_norm": 1e-3}))
    assert outcome(usual) != outcome(clipped)


def test_weights_that_a_former_run_left_are_not_taken(workspace, tmp_path):
    job = make_job(workspace, tmp_path, changes={"eval_steps": 1000})  # more steps than there are
    model = build_model(job.experiment, job.data, gpu=-1, checkpoint_folder=job.checkpoint_folder)
    model.save_weights(model.checkpoint)
    with pytest.raises(TrainingFailed, match="no evaluation gave a number"):
        trainer.train_model(model, job.experiment, job.data, 1, lambda news: None)


def test_a_metric_without_a_value_is_named(workspace, tmp_path):
    """gAUC where no group has rows of both classes."""
    path = tmp_path / "csv" / "valid.csv"
    head, *rows = path.read_text().splitlines()
    users = iter(range(1000))
    path.write_text("\n".join([head, *(f"{row[0]},{next(users)},{row.split(',', 2)[2]}" for row in rows)]) + "\n")
    with pytest.raises(TrainingFailed, match=r"gAUC has no value on 300 rows .* without it"):
        run(make_job(workspace, tmp_path))


def test_parameters_that_are_not_trained_are_not_counted(workspace, tmp_path):
    job = make_job(workspace, tmp_path)
    model = build_model(job.experiment, job.data, gpu=-1, checkpoint_folder=tmp_path)
    whole = count_parameters(model)
    frozen = [next(p for name, p in model.named_parameters() if word in name) for word in ("embedding", "mlp")]
    for parameter in frozen:
        parameter.requires_grad = False
    rest = count_parameters(model)
    assert [whole.embedding - rest.embedding, whole.dense - rest.dense] == [parameter.numel() for parameter in frozen]


def test_what_a_checkpoint_must_agree_in(workspace, tmp_path, monkeypatch):
    job = make_job(workspace, tmp_path)
    same = continued_by(job)
    other_data = replace(job.data, card=job.data.card.model_copy(update={"fingerprint": "0" * 64}))
    other_settings = make_job(workspace, tmp_path, changes={"hidden_units": [8]})
    for changed in (
        replace(job, data=other_data),
        replace(job, experiment=other_settings.experiment),
        replace(job, seed=2),
        replace(job, gpu=0),
        replace(job, threads=2),
        replace(job, processes=2),
        replace(job, micro_batches=2),
    ):
        assert continued_by(changed) != same
    assert continued_by(replace(job, run_folder=tmp_path / "elsewhere")) == same
    for name, value in (("commit", lambda: ("another", False)), ("versions", lambda: {"torch": "another"})):
        with monkeypatch.context() as patched:
            patched.setattr(runner.provenance, name, value)
            assert continued_by(job) != same


def test_equal_predictions_are_equal_files_whenever_they_are_written(tmp_path):
    values = np.linspace(0, 1, 50, dtype=np.float32)
    write_predictions(tmp_path / "one.h5", values)
    time.sleep(1.1)  # HDF5 would note the second
    write_predictions(tmp_path / "two.h5", values)
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()

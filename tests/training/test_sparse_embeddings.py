"""Sparse embeddings: Adam on the rows of a batch, nothing on the others."""

import copy

import pytest
import torch

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.models.dcnv2 import DCNv2
from fuxi_plugins.models.deepfm import DeepFM
from fuxi_plugins.models.dnn import DNN
from fuxi_plugins.training.fast_step import FastStep, lookups
from fuxi_plugins.training.hosted import TrainingFailed
from fuxi_plugins.training.preflight import require_shareable
from fuxi_plugins.training.sparse_embeddings import SparseEmbeddings
from fuxi_plugins.training.trainer import build_model
from tests.models import tiny
from tests.training.test_fast_step import distances
from tests.training.test_runner import make_job, run

ROWS = 300  # enough for every id to be in every batch


def build(step: type, model_class=DCNv2, **settings):
    model = tiny.build(type("Built", (step, model_class), {}), **settings)
    tiny.randomize(model)
    model._max_gradient_norm = 10.0
    return model.train()


def batches(steps: int):
    return tiny.batches(rows=ROWS * steps, batch_size=ROWS)


def train(model, steps: int = 20):
    return [float(model.train_step(batch)) for batch in batches(steps)]


@pytest.mark.parametrize("limit", [10.0, 0.05], ids=["free", "clipped"])
@pytest.mark.parametrize("regularizer", [None, 1e-2, "l1(1e-3)"])
@pytest.mark.parametrize("model_class", [DCNv2, DeepFM])
def test_batches_with_every_id_are_trained_as_by_adam(model_class, regularizer, limit):
    """But for epsilon, which torch's SparseAdam adds before it corrects the moments."""
    sparse, dense = (
        build(step, model_class, embedding_regularizer=regularizer) for step in (SparseEmbeddings, FastStep)
    )
    start = copy.deepcopy(dense)
    for model in (sparse, dense):
        model._max_gradient_norm = limit
    assert train(sparse) == pytest.approx(train(dense), rel=1e-3)
    assert distances(sparse, dense)[1] < 3e-3
    assert distances(start, dense)[1] > 0.1


def test_other_rows_stand_still():
    model = build(SparseEmbeddings, embedding_regularizer=1e-2)
    before = copy.deepcopy(model.state_dict())
    for batch in batches(5):
        model.train_step({**batch, "user": batch["user"].clamp(max=6)})
    moved = {name: (before[name] != value).any(-1) for name, value in model.state_dict().items() if "user" in name}
    (rows,) = moved.values()
    assert rows.tolist() == [False] + 6 * [True] + 5 * [False]
    dense = build(FastStep, embedding_regularizer=1e-2)
    dense.train_step(batches(1)[0])
    assert (dense.state_dict()[next(iter(moved))][1:] != before[next(iter(moved))][1:]).all()  # or this shows nothing


def test_a_shared_table_is_one_table_and_numbers_are_not_tables():
    model = build(SparseEmbeddings)
    assert len(lookups(model)) == 3  # user, item with history, device
    train(model, 1)
    assert {id(p) for p in model.parameters() if p.grad.is_sparse} == {id(layer.weight) for layer in lookups(model)}


def test_a_table_that_a_batch_does_not_use_stands_still():
    model = build(SparseEmbeddings, embedding_regularizer=1e-2)
    before = [layer.weight.detach().clone() for layer in lookups(model)]
    model.compute_loss = lambda prediction, label: model.fc.weight.sum()  # of no table
    model.train_step(batches(1)[0])
    for layer, weight in zip(lookups(model), before, strict=True):
        torch.testing.assert_close(layer.weight.detach(), weight, rtol=0, atol=0)


def test_a_state_that_was_saved_goes_on_to_the_same_bits(tmp_path):
    whole, broken = (
        build(SparseEmbeddings, embedding_regularizer=1e-3),
        build(SparseEmbeddings, embedding_regularizer=1e-3),
    )
    train(whole, 6)
    for batch in batches(6)[:3]:
        broken.train_step(batch)
    torch.save({"model": broken.state_dict(), "optimizer": broken.optimizer.state_dict()}, tmp_path / "state")
    state = torch.load(tmp_path / "state", weights_only=True)
    fresh = build(SparseEmbeddings, embedding_regularizer=1e-3)
    fresh.load_state_dict(state["model"])
    fresh.optimizer.load_state_dict(state["optimizer"])
    for batch in batches(6)[3:]:
        fresh.train_step(batch)
    for one, other in zip(whole.parameters(), fresh.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_the_rate_decays_for_tables_too():
    model = build(SparseEmbeddings)
    model._reduce_lr_on_plateau, before = True, [group["lr"] for group in model.optimizer.param_groups]
    model.lr_decay()
    assert [group["lr"] for group in model.optimizer.param_groups] == pytest.approx([0.1 * rate for rate in before])
    assert len(before) == 2


def test_a_run_says_what_it_was(workspace, tmp_path):
    record = run(make_job(workspace, tmp_path / "sparse", changes={"sparse_embeddings": True}))
    assert any(line.startswith("sparse_embeddings") for line in record.deviations)
    assert not any("equal to FuxiCTR's" in line for line in record.deviations)
    assert record.params["training"]["sparse_embeddings"] is True


@pytest.mark.parametrize("changes", [{"optimizer": "SGD"}, {"train_step": "fuxictr"}])
def test_other_optimizers_and_steps_are_refused(workspace, tmp_path, changes):
    with pytest.raises(UserError, match="sparse_embeddings: true needs optimizer: adam and train_step: fast"):
        make_job(workspace, tmp_path / "sparse", changes={"sparse_embeddings": True, **changes})


def test_several_processes_and_smaller_batches_are_refused(workspace, tmp_path):
    job = make_job(workspace, tmp_path / "sparse", changes={"sparse_embeddings": True})
    with pytest.raises(UserError, match="needs sharding to be run by several processes"):
        require_shareable(job.experiment)
    with pytest.raises(TrainingFailed, match="with sparse_embeddings the training step cannot be done in parts"):
        build_model(job.experiment, job.data, gpu=-1, checkpoint_folder=tmp_path, parts=4)


def test_a_model_with_a_step_of_its_own_is_refused(workspace, tmp_path, monkeypatch):
    job = make_job(workspace, tmp_path / "sparse", changes={"sparse_embeddings": True})
    monkeypatch.setattr(DNN, "compute_loss", lambda self, return_dict, y_true: None)
    with pytest.raises(UserError, match="DNN brings one, a loss or a regulariser of its own"):
        build_model(job.experiment, job.data, gpu=-1, checkpoint_folder=tmp_path)

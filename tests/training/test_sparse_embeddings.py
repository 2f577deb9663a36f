"""Sparse embeddings: Adam on the rows of a batch, nothing on the others."""

import copy

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.models.dcnv2 import DCNv2
from fuxi_plugins.models.deepfm import DeepFM
from fuxi_plugins.models.dnn import DNN
from fuxi_plugins.training.assembly import build_model
from fuxi_plugins.training.fast_step import FastStep, lookups
from fuxi_plugins.training.hosted import TrainingFailed
from fuxi_plugins.training.preflight import require_shareable
from fuxi_plugins.training.sparse_embeddings import SparseEmbeddings
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


class TorchsSparse(SparseEmbeddings):
    """The same with torch's own sparse gradients, each made coalesced by itself."""

    def compile(self, optimizer, loss, lr):
        super().compile(optimizer, loss, lr)
        for layer in lookups(self):
            del layer.forward
            layer.sparse = True

    def find_gradients(self, loss):
        FastStep.find_gradients(self, loss)
        for table in self._tables.weights:
            table.grad = table.grad.coalesce()


def test_gradients_of_all_tables_at_once_are_torchs_up_to_the_order_of_a_sum():
    """With padding, ids that come many times, and a table that two columns share; torch leaves the order open."""
    models = [build(step, embedding_regularizer=1e-3).double() for step in (SparseEmbeddings, TorchsSparse)]
    for batch in batches(5):
        rows = {**batch, "user": batch["user"].clamp(max=5), "device": batch["device"] * (batch["device"] > 3)}
        with tiny.in_float64():
            ours, torchs = ([model.train_step(rows), *model.parameters()] for model in models)
        for one, other in zip(ours, torchs, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
            if one.grad is not None and one.grad.is_sparse:
                assert torch.equal(one.grad.indices(), other.grad.indices())
                torch.testing.assert_close(one.grad.values(), other.grad.values(), rtol=1e-12, atol=1e-14)


class Waits(TorchDispatchMode):
    """Counts what makes a program wait for its GPU: whatever has a size, or gives a number, that the device decides."""

    WAITING = ("_local_scalar_dense", "nonzero", "_unique2", "_coalesce", "masked_select")

    def __init__(self, monkeypatch):
        super().__init__()
        self.seen = []
        tolist = torch.Tensor.tolist
        monkeypatch.setattr(torch.Tensor, "tolist", lambda tensor: self.seen.append("tolist") or tolist(tensor))

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        if name in self.WAITING:
            self.seen.append(name)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("fields", [2, 9])
def test_a_step_waits_for_the_device_as_often_whatever_the_number_of_tables(fields, monkeypatch):
    seen = {}
    for step in (SparseEmbeddings, TorchsSparse):
        the_map = tiny.plain_feature_map(fields, 4)
        model = tiny.build(type("Built", (step, DCNv2), {}), the_map, embedding_dim=4)
        model._max_gradient_norm = 10.0
        batch = {name: torch.randint(0, 9, (30,)) for name in the_map.features} | {"click": torch.ones(30)}
        with monkeypatch.context() as patch, Waits(patch) as waits:
            loss = model.compute_loss(model(batch), model.get_labels(batch))
            waits.seen.clear()  # on a CPU dropout and the loss look
            model.find_gradients(loss)
        seen[step] = waits.seen
    assert seen[SparseEmbeddings] == ["_unique2", "tolist"]
    assert seen[TorchsSparse].count("_coalesce") == fields


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

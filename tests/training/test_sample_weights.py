"""Weights of rows in the loss: a row of weight k is k rows, whichever step trains and in however many parts."""

import pytest
import torch

from fuxi_plugins.analysis.run_warnings import warnings_of
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.dataloader import ROW_WEIGHT
from fuxi_plugins.datasets.spec import SPLITS
from fuxi_plugins.models.dcnv2 import DCNv2
from fuxi_plugins.models.dnn import DNN
from fuxi_plugins.models.finalnet import FinalNet
from fuxi_plugins.training import assembly, trainer
from fuxi_plugins.training.fast_step import FastStep
from fuxi_plugins.training.sample_weights import WeightedRows, share_of
from tests.models import tiny
from tests.training.test_fast_step import distances
from tests.training.test_runner import make_job, run

REGULARIZERS = {"embedding_regularizer": 1e-2, "net_regularizer": 1e-3}
MODELS = {DCNv2: {"batch_norm": False}, FinalNet: {"batch_norm": False}}  # the latter has a loss of its own


def build(model_class, *mixins):
    model = tiny.build(type("Built", (*mixins, model_class), {}), **REGULARIZERS, **MODELS[model_class])
    tiny.randomize(model)
    model._max_gradient_norm = 10.0
    return model.double().train()


def steps(model, batches) -> list[float]:
    with tiny.in_float64():
        return [model.train_step({name: c.double() if c.is_floating_point() else c for name, c in batch.items()}).item()
                for batch in batches]  # fmt: skip


def with_weights(batch, weights):
    return batch | {ROW_WEIGHT: torch.as_tensor(weights, dtype=torch.float64)}


@pytest.mark.parametrize("mixins", [(FastStep,), ()], ids=["fast", "fuxictr"])
@pytest.mark.parametrize("model_class", MODELS)
def test_a_weight_of_k_is_the_row_k_times(model_class, mixins):
    """Loss, gradients and regulariser: the same parameters after some steps, as with no weights on repeated rows."""
    batches = tiny.batches(rows=160, batch_size=32)
    counts = [torch.randint(0, 4, (32,), generator=torch.Generator().manual_seed(number)) for number in range(5)]
    weighted, repeated = build(model_class, WeightedRows, *mixins), build(model_class, *mixins)
    losses = steps(weighted, [with_weights(batch, count) for batch, count in zip(batches, counts, strict=True)])
    again = steps(repeated, [tiny.take(batch, torch.arange(32).repeat_interleave(count))
                             for batch, count in zip(batches, counts, strict=True)])  # fmt: skip
    assert losses == pytest.approx(again, rel=1e-10)
    assert distances(weighted, repeated)[1] < 1e-10
    plain = build(model_class, *mixins)
    steps(plain, batches)
    assert distances(weighted, plain)[0] > 1e-4, "or the weights would not be felt"


def test_the_fast_step_and_fuxictrs_own_weight_alike():
    random = torch.Generator().manual_seed(0)
    batches = [with_weights(batch, torch.rand(32, generator=random)) for batch in tiny.batches(640, 32)]
    fast, plain = build(DCNv2, WeightedRows, FastStep), build(DCNv2, WeightedRows)
    assert steps(fast, batches) == pytest.approx(steps(plain, batches), rel=1e-10)
    assert distances(fast, plain)[1] < 1e-9


def test_equal_weights_change_nothing_and_a_batch_of_none_moves_by_the_regulariser_alone():
    batches = tiny.batches(rows=96, batch_size=32)
    halves, plain = build(DCNv2, WeightedRows, FastStep), build(DCNv2, FastStep)
    assert steps(halves, [with_weights(batch, [0.5] * 32) for batch in batches]) == pytest.approx(steps(plain, batches))
    assert distances(halves, plain)[1] < 1e-10
    (loss,) = steps(build(DCNv2, WeightedRows, FastStep), [with_weights(batches[0], [0.0] * 32)])
    assert torch.isfinite(torch.tensor(loss))
    assert share_of(with_weights({}, [0.0]), 1, with_weights({}, [0.0] * 4), 4) == 0.25


@pytest.fixture
def weighted(workspace, tmp_path):
    """The tiny dataset with weights, some of them 0."""
    for split in SPLITS:
        path = tmp_path / "csv" / f"{split}.csv"
        header, *rows = path.read_text().split()
        path.write_text("\n".join([f"{header},w", *(f"{row},{place % 5 / 2}" for place, row in enumerate(rows))]))
    config = workspace.configs / "dataset_config" / "tiny.yaml"
    config.write_text(config.read_text() + "    weight_col: w\n")
    return workspace


def test_a_run_weights_its_rows_and_says_so(weighted, tmp_path):
    job = make_job(weighted, tmp_path / "weighted")
    record = run(job)
    assert record.data.weighted_by == "w"
    assert any("the mean over rows is weighted by w" in deviation for deviation in record.deviations)
    assert warnings_of(record) == []
    config = weighted.configs / "dataset_config" / "tiny.yaml"
    config.write_text(config.read_text().replace("    weight_col: w\n", ""))
    plain = run(make_job(weighted, tmp_path / "plain"))
    assert plain.data.fingerprint != record.data.fingerprint
    assert plain.history[0].train_loss != record.history[0].train_loss
    assert not any("weighted" in deviation for deviation in plain.deviations)


def test_parts_of_a_batch_add_up_to_the_weighted_whole(weighted, tmp_path):
    job = make_job(weighted, tmp_path, changes={"train_step": "fuxictr", "optimizer": "SGD", **REGULARIZERS})
    models = []
    for parts in (1, 3):
        trainer.use_seed(1, 1)
        model = assembly.build_model(job.experiment, job.data, gpu=-1, checkpoint_folder=tmp_path, parts=parts)
        model.watch(lambda news: None, [], None)
        model._max_gradient_norm, model._epoch_index, model._total_steps, model._steps_per_epoch = 10.0, 0, 0, 6
        models.append(model)
    whole, divided = models
    for batch in trainer.load_split(whole, job.data, "train", job.experiment, job.seed):
        losses = [model.train_step(batch).item() for model in models]
        torch.testing.assert_close(torch.as_tensor(losses[0]), torch.as_tensor(losses[1]))
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(value, divided.state_dict()[name], msg=name)


class LossWithoutWeights(DNN):
    """Averages by itself."""

    def add_loss(self, return_dict, y_true):
        return torch.nn.functional.binary_cross_entropy(return_dict["y_pred"], y_true)


def test_a_loss_that_the_weights_do_not_reach_is_marked(weighted, tmp_path, monkeypatch):
    monkeypatch.setattr(assembly, "load_model_class", lambda name: LossWithoutWeights)
    (found,) = warnings_of(run(make_job(weighted, tmp_path)))
    assert found.endswith("the training step never calls loss_fn, so the weights of rows change nothing")


@pytest.mark.parametrize(
    ("weight", "said"),
    [("-1", "the weight 'w' must be at least 0, but is '-1'"), ("nan", "column 'w' must hold a number"),
     ("", "the weight 'w' must be at least 0, but is None"), ("inf", "column 'w' must hold a number")],
)  # fmt: skip
def test_a_weight_that_is_none_is_one_error(weighted, tmp_path, weight, said):
    train = tmp_path / "csv" / "train.csv"
    train.write_text(f"{train.read_text()}\n1,3,s2,0.5,s1,{weight}\n")
    with pytest.raises(UserError, match=f"train.csv, line 602: {said}"):
        make_job(weighted, tmp_path)

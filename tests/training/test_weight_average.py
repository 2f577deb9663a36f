"""Averages of the weights: against averages taken by hand, evaluated and kept in place of the weights."""

import copy

import pytest
import torch
from torch import nn

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.experiments.settings import resolve_settings
from fuxi_plugins.models.dnn import DNN
from fuxi_plugins.training import assembly, trainer
from fuxi_plugins.training.hosted import TrainerMixin
from tests.training.test_runner import make_job, run

DECAY = 0.9
LASTING = {"epochs": 3, "early_stop_patience": 9, "reduce_lr_on_plateau": False, "learning_rate": 0.01}


def trained(workspace, folder, **changes):
    """A trained model and its job; the model holds what was kept as the best."""
    job = make_job(workspace, folder, changes={**LASTING, **changes})
    trainer.use_seed(job.seed, 1)
    model = assembly.build_model(job.experiment, job.data, gpu=-1, checkpoint_folder=folder)
    trainer.train_model(model, job.experiment, job.data, job.seed, lambda news: None)
    return model, job


@pytest.fixture
def steps(monkeypatch):
    """The weights and buffers after each training step."""
    taken = []
    step = TrainerMixin.train_step

    def noted(model, batch):
        loss = step(model, batch)
        taken.append({name: value.detach().clone() for name, value in model.state_dict().items()})
        return loss

    monkeypatch.setattr(TrainerMixin, "train_step", noted)
    return taken


def assert_holds(model, expected, names=None):
    state = model.state_dict()
    for name in names or expected:
        torch.testing.assert_close(state[name], expected[name], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("step", ["fast", "fuxictr"])
def test_an_exponential_average_is_the_one_by_hand(workspace, tmp_path, steps, step):
    changes = {"weight_average": f"ema({DECAY})", "batch_norm": True, "net_dropout": 0.2, "train_step": step}
    model, _ = trained(workspace, tmp_path, **changes)
    upto = len(steps) * model.best_epoch // 3
    average = {name: value for name, value in steps[0].items() if value.is_floating_point()}
    for state in steps[1:upto]:
        average = {name: DECAY * value + (1 - DECAY) * state[name] for name, value in average.items()}
    assert any("running_var" in name for name in average)
    assert_holds(model, average)


def test_a_mean_is_the_one_by_hand_and_batchnorm_is_measured_under_it(workspace, tmp_path, steps):
    model, job = trained(workspace, tmp_path, weight_average="swa(2)", batch_norm=True)
    epoch = len(steps) // 3
    ends = [steps[epoch * number - 1] for number in range(2, model.best_epoch + 1)]
    assert ends, "the best epoch is one with a mean"
    parameters = [name for name, _ in model.named_parameters()]
    assert_holds(model, {name: sum(end[name] for end in ends) / len(ends) for name in parameters})
    norm = next(module for module in model.modules() if isinstance(module, nn.BatchNorm1d))
    seen = []
    norm.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    rows = trainer.load_split(model, job.data, "train", job.experiment, job.seed)
    rows.epoch = model.best_epoch - 1
    with torch.no_grad():
        model.eval()
        for batch in rows:
            model(batch)
    expected = torch.stack([batch.var(dim=0) for batch in seen]).mean(dim=0)
    torch.testing.assert_close(norm.running_var, expected, rtol=1e-4, atol=1e-7)


def test_until_its_first_epoch_a_mean_changes_nothing(workspace, tmp_path):
    plain = run(make_job(workspace, tmp_path / "plain", changes=LASTING))
    late = run(make_job(workspace, tmp_path / "late", changes={**LASTING, "weight_average": "swa(4)"}))
    assert late.metrics == plain.metrics


@pytest.mark.parametrize("average", ["ema(0.9)", "swa(1)"])
def test_training_goes_on_from_the_weights_themselves(workspace, tmp_path, average):
    changes = {**LASTING, "batch_norm": True}
    plain = run(make_job(workspace, tmp_path / "plain", changes=changes))
    averaged = run(make_job(workspace, tmp_path / "averaged", changes={**changes, "weight_average": average}))
    assert [entry.train_loss for entry in averaged.history] == [entry.train_loss for entry in plain.history]
    assert averaged.metrics != plain.metrics
    assert any(average in text for text in averaged.deviations)
    assert averaged.digest != plain.digest
    assert "weight_average" not in plain.params["training"]


def test_what_is_evaluated_is_what_is_kept(workspace, tmp_path):
    """So the valid scores of the record's end are those of its best evaluation."""
    changes = {**LASTING, "weight_average": "swa(1)", "batch_norm": True}
    record = run(make_job(workspace, tmp_path, changes=changes))
    best = next(entry for entry in record.history if entry.epoch == record.best_epoch)
    assert record.metrics["valid"] == best.valid


def test_both_steps_end_alike(workspace, tmp_path):
    fast, plain = (
        trained(workspace, tmp_path / step, weight_average="ema(0.9)", train_step=step, embedding_regularizer=1e-3)[0]
        for step in ("fast", "fuxictr")
    )
    assert_holds(fast, copy.deepcopy(plain.state_dict()), [name for name, _ in fast.named_parameters()])


@pytest.mark.parametrize("written", ["ema", "ema(1)", "ema(0)", "ema(0.9.9)", "swa(0)", "swa(1.5)", "mean(2)", ""])
def test_another_average_is_one_clear_error(written):
    with pytest.raises(UserError, match=r"here: .*ema\(d\) with a decay d between 0 and 1.*swa\(n\) with the epoch"):
        resolve_settings(DNN, {"weight_average": written}, "here")


def test_an_average_is_named_by_its_value():
    _, training = resolve_settings(DNN, {"weight_average": "ema( .9990)"}, "here")
    assert training.recorded()["weight_average"] == "ema(0.999)"

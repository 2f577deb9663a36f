"""A training that leaves the finite numbers is a failed training, before torch's loss refuses its predictions."""

import pytest
import torch
from torch.nn import functional

from fuxi_plugins.training import hosted
from fuxi_plugins.training.divergence import STEPS_BETWEEN_LOOKS, is_time_to_look, may_be_nan
from fuxi_plugins.training.hosted import TrainingFailed
from tests.training.test_runner import make_job, run

TORCHS = functional.binary_cross_entropy
DIVERGES = {"learning_rate": 1e30, "epochs": 1}


def with_the_assertion_of_cuda(predicted, *rest, **settings):
    """What a GPU's kernel does with a prediction that is no probability, but at once."""
    assert ((predicted >= 0) & (predicted <= 1)).all(), "device-side assert triggered"
    return TORCHS(predicted, *rest, **settings)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_finite_predictions_have_the_loss_and_the_gradient_to_the_last_bit(reduction):
    torch.manual_seed(0)
    predicted, labels = torch.rand(40, 1, requires_grad=True), torch.rand(40, 1).round()
    losses = [loss(predicted, labels, reduction=reduction) for loss in (TORCHS, may_be_nan(TORCHS))]
    gradients = [torch.autograd.grad(loss.sum(), predicted)[0] for loss in losses]
    assert torch.equal(*losses)
    assert torch.equal(*gradients)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_prediction_that_is_no_number_never_reaches_the_loss(number):
    predicted, labels = torch.tensor([0.2, number, 0.7]), torch.tensor([0.0, 1.0, 1.0])
    with pytest.raises(AssertionError, match="device-side"):
        with_the_assertion_of_cuda(predicted, labels)
    guarded = may_be_nan(with_the_assertion_of_cuda)
    assert guarded(predicted, labels).isnan()
    assert guarded(predicted, labels, reduction="none").isnan().tolist() == [False, True, False]


@pytest.mark.parametrize("train_step", ["fast", "fuxictr"])
def test_a_run_that_diverges_says_so_where_the_loss_would_end_the_process(workspace, tmp_path, monkeypatch, train_step):
    monkeypatch.setattr(functional, "binary_cross_entropy", with_the_assertion_of_cuda)
    with pytest.raises(TrainingFailed, match="the training loss became nan in epoch 1; a lower learning rate"):
        run(make_job(workspace, tmp_path, changes={**DIVERGES, "train_step": train_step}))


def test_a_cpu_stops_at_the_step_and_a_gpu_at_the_next_look_or_evaluation(workspace, tmp_path, monkeypatch):
    steps = []

    def counted(step, device):
        steps.append(step)
        return is_time_to_look(step, torch.device("cuda"))

    with pytest.raises(TrainingFailed):
        run(make_job(workspace, tmp_path / "cpu", changes=DIVERGES), lambda news: steps.append(news.get("step")))
    assert max(step for step in steps if step) < 6
    steps.clear()
    monkeypatch.setattr(hosted, "is_time_to_look", counted)
    with pytest.raises(TrainingFailed, match="the training loss became nan"):
        run(make_job(workspace, tmp_path / "gpu", changes=DIVERGES))
    assert steps == [1, 2, 3, 4, 5, 6]  # all of the epoch: none of these is a look
    looks = [step for step in range(1, 3 * STEPS_BETWEEN_LOOKS) if is_time_to_look(step, torch.device("cuda"))]
    assert looks == [STEPS_BETWEEN_LOOKS, 2 * STEPS_BETWEEN_LOOKS]

"""A model that nobody has tested here is refused for what comes out of its first batch."""

import pytest
import torch

from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.experiments.catalogue import load_experiment_config
from fuxi_plugins.experiments.experiment import resolve
from fuxi_plugins.models.dnn import DNN
from fuxi_plugins.training import assembly, preflight

OUTPUTS = {  # what forward makes of the predictions (B, 1), and what is wrong with it
    "right": (lambda y: {"y_pred": y}, None),
    "a tensor": (lambda y: y, 'forward must return {"y_pred": probabilities}, but returns a Tensor'),
    "another name": (lambda y: {"logit": y}, "but returns a dict of logit"),
    "flat": (lambda y: {"y_pred": y[:, 0]}, "must have the shape (batch size, 1), here (16, 1), but has (16,)"),
    "wide": (lambda y: {"y_pred": torch.cat([y, y], 1)}, "here (16, 1), but has (16, 2)"),
    "nan": (lambda y: {"y_pred": y.where(y == y.max(), torch.nan)}, "must be finite, but 15 of 16 values are not"),
    "logits": (lambda y: {"y_pred": y + 7}, "y_pred must be probabilities, but lies in 7."),
    "no gradient": (lambda y: {"y_pred": y.detach()}, "does not require grad"),
}


@pytest.mark.parametrize("output", OUTPUTS)
def test_wrong_outputs(workspace, monkeypatch, output):
    change, wrong = OUTPUTS[output]

    class Changed(DNN):
        def forward(self, inputs):
            return change(super().forward(inputs)["y_pred"])

    said = tried(Changed, workspace, monkeypatch)
    assert (wrong in said) if wrong else said is None


def test_a_loss_that_is_not_finite(workspace, monkeypatch):
    class Infinite(DNN):
        def compute_loss(self, return_dict, y_true):
            return super().compute_loss(return_dict, y_true) * torch.inf

    assert "its loss must be finite, but is inf" in tried(Infinite, workspace, monkeypatch)


def test_a_constructor_without_kwargs(workspace, monkeypatch):
    class Closed(DNN):
        def __init__(self, feature_map, model_id="Closed", gpu=-1):
            super().__init__(feature_map, model_id, gpu, optimizer="adam", loss="binary_crossentropy")

    assert "the constructor of DNN must take **kwargs" in tried(Closed, workspace, monkeypatch)


def tried(model_class, workspace, monkeypatch):
    """What trying the class in the place of DNN says."""
    experiment = resolve(load_experiment_config(workspace.configs, "DNN_tiny"))
    data = prepare_dataset(load_dataset_spec(workspace.configs, "tiny"), workspace)
    for module in (assembly, preflight):
        monkeypatch.setattr(module, "load_model_class", lambda name: model_class)
    return preflight.try_one_batch(experiment, data, workspace.cache / "checkpoints")

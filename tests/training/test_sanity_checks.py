"""Each silent failure is planted and found, and a sound run trips nothing."""

import pytest
import torch

from fuxi_plugins.analysis.run_warnings import warnings_of
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.experiments.catalogue import load_experiment_config
from fuxi_plugins.experiments.experiment import resolve
from fuxi_plugins.models.dnn import DNN
from fuxi_plugins.training import assembly, sanity_checks, trainer
from tests.analysis.make import record


@pytest.fixture
def trained(workspace):
    """A hosted model and its loader of training rows, ready for a step."""

    def make(model_class=None, monkeypatch=None, **settings):
        if model_class:
            monkeypatch.setattr(assembly, "load_model_class", lambda name: model_class)
        config = load_experiment_config(workspace.configs, "DNN_tiny").varied({"epochs": 1, **settings})
        experiment = resolve(config)
        data = prepare_dataset(load_dataset_spec(workspace.configs, "tiny"), workspace)
        model = assembly.build_model(experiment, data, gpu=-1, checkpoint_folder=workspace.cache / "checkpoints")
        trainer.train_model(model, experiment, data, 1, lambda news: None)
        return model, lambda seed: trainer.load_split(model, data, "train", experiment, seed)

    return make


class OwnLoss(DNN):
    """Adds something to FuxiCTR's loss."""

    def add_loss(self, return_dict, y_true):
        return super().add_loss(return_dict, y_true) + 0.1


class DeafStep(OwnLoss):
    """Never asks for that."""

    def train_step(self, batch_data):
        self.optimizer.zero_grad()
        loss = self.loss_fn(self.forward(batch_data)["y_pred"], self.get_labels(batch_data))
        loss.backward()
        self.optimizer.step()
        return loss


class Spare(DNN):
    """Has a part that it never uses."""

    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        self.spare = torch.nn.Linear(3, 2)


class Centred(DNN):
    """Looks at the mean of its batch."""

    def forward(self, inputs):
        predicted = super().forward(inputs)["y_pred"]
        return {"y_pred": (predicted - predicted.mean() + 0.5).clamp(0.01, 0.99)}


class Placed(DNN):
    """Looks at the place of a row in its batch."""

    def forward(self, inputs):
        predicted = super().forward(inputs)["y_pred"]
        return {"y_pred": predicted * torch.linspace(0.9, 1, len(predicted))[:, None]}


class Remembering(DNN):
    """Keeps a state from batch to batch."""

    state = 1.0

    def forward(self, inputs):
        self.state *= 0.99
        return {"y_pred": super().forward(inputs)["y_pred"] * self.state}


@pytest.mark.parametrize("regularizer", [0.01, None])
def test_a_sound_run_trips_nothing(trained, regularizer):
    model, load = trained(embedding_regularizer=regularizer)
    checks = sanity_checks.inspect(model, load, 1, 1)
    assert set(checks) == {
        "rows are independent",
        "own loss is called",
        "parameters are trained",
        "regulariser is applied",
        "test is touched once",
        "seed fixes the order",
    }
    assert not any(checks.values())


def test_a_loss_of_ones_own_that_is_called_trips_nothing(trained, monkeypatch):
    model, load = trained(OwnLoss, monkeypatch, embedding_regularizer=0.01)
    assert not any(sanity_checks.inspect(model, load, 1, 1).values())


def test_a_loss_of_ones_own_that_is_never_called(trained, monkeypatch):
    model, load = trained(DeafStep, monkeypatch, embedding_regularizer=0.01)
    checks = sanity_checks.inspect(model, load, 1, 1)
    assert checks["own loss is called"] == "the training step never calls the model's own add_loss"


def test_a_regulariser_that_adds_nothing(trained, monkeypatch):
    model, load = trained(embedding_regularizer=0.01)
    batch = next(iter(load(1)))
    model._penalties = []  # what the fast step adds
    model.train()
    assert sanity_checks.regulariser_is_applied(model, batch) == (
        "the embedding regulariser adds nothing to the gradient"
    )


def test_a_part_that_is_never_used(trained, monkeypatch):
    model, load = trained(Spare, monkeypatch)
    checks = sanity_checks.inspect(model, load, 1, 1)
    assert checks["parameters are trained"] == "no gradient reaches spare.weight (2, 3), spare.bias (2,)"


@pytest.mark.parametrize("model_class", [Centred, Placed, Remembering])
def test_a_prediction_that_depends_on_other_rows(trained, monkeypatch, model_class):
    model, load = trained(model_class, monkeypatch)
    found = sanity_checks.inspect(model, load, 1, 1)["rows are independent"]
    assert found.startswith("the prediction of a row changes by 0.")
    assert found.endswith(" with the rows around it")


def test_an_order_that_the_seed_does_not_fix(trained):
    _, load = trained()
    unseeded = iter([load(5), load(6), load(7)])
    assert "same seed gives another order" in sanity_checks.seed_fixes_the_order(lambda seed: next(unseeded), 1)
    assert "another seed gives the same order" in sanity_checks.seed_fixes_the_order(lambda seed: load(1), 1)


def test_looking_twice_at_the_test_rows(trained):
    model, load = trained()
    assert "predicted 2 times" in sanity_checks.inspect(model, load, 1, 2)["test is touched once"]


def test_methods_are_put_back(trained, monkeypatch):
    model, load = trained(OwnLoss, monkeypatch)
    before = set(vars(model))
    sanity_checks.inspect(model, load, 1, 1)
    assert set(vars(model)) - before <= {"_penalties"}
    assert "add_loss" not in vars(model)
    assert torch.is_tensor(model.add_loss({"y_pred": torch.tensor([0.5])}, torch.tensor([1.0])))


def history(losses, aucs):
    first = record().history[0]
    return [
        first.model_copy(update={"epoch": i, "train_loss": loss, "valid": {"AUC": auc}})
        for i, (loss, auc) in enumerate(zip(losses, aucs, strict=True), 1)
    ]


def test_what_a_history_shows():
    assert warnings_of(record(history=history([0.6, 0.5], [0.6, 0.7]))) == []
    assert warnings_of(record(history=history([0.6, 0.5], [0.501, 0.499]))) == ["validation AUC never left 0.5"]
    assert warnings_of(record(history=history([0.6, 0.61], [0.6, 0.7]))) == ["the training loss never fell"]
    assert warnings_of(record(history=history([0.6, float("nan")], [0.6, 0.7])))[0] == "the training loss is not finite"
    assert warnings_of(record(history=history([0.6], [0.6]))) == []
    assert warnings_of(record(failed="x")) == []
    assert warnings_of(record(sanity_checks={"a": "", "b": "went wrong"})) == ["b: went wrong"]

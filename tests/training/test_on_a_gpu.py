"""Whole training steps of every native model as a GPU would take them, on torch's meta device.

A tensor there has a shape and no values, and no branch for a CPU is taken. So whatever reads a value, as ``item()``,
``if tensor`` or an index of a size that values decide do, is an error there, and would make the program wait for a GPU.
"""

import inspect

import pytest
import torch
from torch._subclasses import FakeTensorMode

from fuxi_plugins.models.dcnv2 import DCNv2
from fuxi_plugins.models.meta import StaysOnMeta, on_meta
from fuxi_plugins.models.registry import is_tree_model, load_model_class, model_names
from fuxi_plugins.training import fast_step
from fuxi_plugins.training.accumulation import AccumulatingStep
from fuxi_plugins.training.checkpoint import NEVER
from fuxi_plugins.training.hosted import TrainerMixin
from fuxi_plugins.training.weight_average import EMAWeights
from tests.models import tiny

MODELS = [name for name in model_names() if not is_tree_model(name)]
QUICK = ("DCNv2", "DIEN", "FinalNet", "RankElastor", "RankMixer")
REGULARIZED = {"embedding_regularizer": 1e-3, "net_regularizer": "l1(1e-4)", "regularizer": 1e-3}
EMA = type("EMA", (EMAWeights,), {"_number": 0.9})


def copies(*_, **__):
    raise AssertionError("values of the CPU's memory are copied to the device, which waits for all steps before")


def second_step(model, batch, monkeypatch):
    """The loss of a step after the first, which makes the optimizer's state; nothing is copied to the device in it."""
    model.train_step(batch)
    with monkeypatch.context() as patch:
        for name in ("tensor", "as_tensor", "from_numpy", "scalar_tensor"):
            patch.setattr(torch, name, copies)
        return model.train_step(batch).item()


@pytest.fixture
def unfused(monkeypatch):
    """Fused optimizers do not know the meta device."""
    monkeypatch.setattr(fast_step, "FUSED", ())


def build(name, *mixins):
    model_class = load_model_class(name)
    known = inspect.signature(model_class).parameters
    settings = model_class.small_settings | {key: value for key, value in REGULARIZED.items() if key in known}
    with on_meta():
        model = tiny.build(type("Meta", (TrainerMixin, *mixins, StaysOnMeta, model_class), {}), **settings)
    model.device = torch.device("meta")
    model.to(model.device)
    model._max_gradient_norm, model._total_steps, model._epoch_index, model._steps_per_epoch = 10.0, 0, 0, 1
    model.watch(lambda news: None, [], NEVER)
    return model.train()


def meta_batch(rows=16):
    return {name: column.to("meta") for name, column in tiny.columns(rows).items()}


def step_of(name):
    replaceable = fast_step.can_replace_the_step_of(load_model_class(name))
    return (fast_step.FastStep,) if replaceable else ()


EVERY_MODEL = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in MODELS]


@pytest.mark.parametrize("name", EVERY_MODEL)
def test_a_step_reads_no_value_of_the_device(name, unfused, monkeypatch):
    loss = second_step(build(name, *step_of(name)), meta_batch(), monkeypatch)
    assert loss.device.type == "meta"
    assert loss.shape == ()


@pytest.mark.parametrize("mixins", [(AccumulatingStep,), (EMA, fast_step.FastStep)], ids=["parts", "average"])
def test_nor_does_a_step_that_options_change(mixins, unfused, monkeypatch):
    model = build("DCNv2", *mixins)
    model.parts = 2
    assert second_step(model, meta_batch(), monkeypatch).device.type == "meta"


class Reads(DCNv2):
    """Looks at its batch."""

    def forward(self, inputs):
        if inputs["user"].max() > 0:
            return super().forward(inputs)


class Copies(DCNv2):
    """Makes a constant anew for each batch."""

    def forward(self, inputs):
        logit = super().forward(inputs)["y_pred"]
        return {"y_pred": logit * torch.tensor([1.0], device=logit.device)}


@pytest.mark.parametrize(("model_class", "error"), [(Reads, "meta"), (Copies, "copied to the device")])
def test_a_model_that_would_wait_is_found(model_class, error, unfused, monkeypatch):
    monkeypatch.setitem(globals(), "load_model_class", lambda name: model_class)
    with pytest.raises((RuntimeError, AssertionError), match=error):
        second_step(build("any", fast_step.FastStep), meta_batch(), monkeypatch)


LACKS = ("not linked with support for cuda", "no fake impl")  # of a torch without CUDA


@pytest.mark.parametrize("name", EVERY_MODEL)
def test_a_forward_pass_on_a_gpu_in_name_needs_nothing_of_the_cpu(name):
    """torch's fake tensors know their device, and refuse to compute with one of another. Gradients need a real GPU."""
    model_class = load_model_class(name)
    model = tiny.build(model_class, **model_class.small_settings)
    held = {key: value.detach() for key, value in (*model.named_parameters(), *model.named_buffers())}
    with FakeTensorMode(), torch.no_grad():
        there, batch = (
            {key: torch.empty(value.shape, dtype=value.dtype, device="cuda") for key, value in tensors.items()}
            for tensors in (held, tiny.columns(16))
        )
        model.device = torch.device("cuda", 0)
        try:
            predicted = torch.func.functional_call(model.eval(), there, (batch,))["y_pred"]
        except RuntimeError as error:
            if not any(lack in str(error) for lack in LACKS):
                raise
            pytest.skip("one of its operations needs a torch that is built for CUDA, even in name")
    assert predicted.device.type == "cuda"
    assert predicted.shape == (16, 1)

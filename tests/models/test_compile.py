"""Every native model's forward pass, its dropout too, is one graph for ``torch.compile``, and computes the same."""

import inspect

import pytest
import torch

from fuxi_plugins.layers.dropout import Dropout, bits_for
from fuxi_plugins.models.registry import load_model_class, model_names
from tests.models import tiny

QUICK = ("DNN", "RankElastor", "RankMixer")


def build_with_dropout(name):
    model_class = load_model_class(name)
    settings = dict(getattr(model_class, "small_settings", {}))
    known = inspect.signature(model_class).parameters
    rates = {rate: 0.5 for rate in ("net_dropout", "attention_dropout") if rate in known}
    model = tiny.build(model_class, **{**settings, **rates})
    tiny.randomize(model)
    return model.train()


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in model_names()])
def test_a_training_forward_pass_is_one_graph(name):
    model, batch = build_with_dropout(name), tiny.columns(8)
    torch._dynamo.reset()
    with torch._dynamo.config.patch(allow_rnn=True):
        compiled = torch.compile(model.forward, backend="eager", fullgraph=True)
        passes = []
        for forward in (compiled, model.forward):
            torch.manual_seed(1)
            passes.append(forward(batch)["y_pred"])
    torch.testing.assert_close(*passes)


def test_compiled_bits_are_drawn_anew_at_each_call():
    """Two equal calls in a graph would be one, were the operator not known to draw."""

    def two_draws(x):
        return bits_for(x), bits_for(x)

    x = torch.ones(1000)
    torch.manual_seed(1)
    one, other = torch.compile(two_draws, backend="aot_eager", fullgraph=True)(x)
    assert (one == other).sum() < 10
    torch.manual_seed(1)
    assert torch.equal(one, two_draws(x)[0])


def test_compiled_dropout_drops_what_dropout_drops():
    layer, x = Dropout(0.3), torch.randn(50, 20, requires_grad=True)
    found = []
    for forward in (layer, torch.compile(layer, backend="aot_eager", fullgraph=True)):
        torch.manual_seed(2)
        out = forward(x)
        found.append((out, *torch.autograd.grad(out.sum(), x)))
    for plain, compiled in zip(*found, strict=True):
        assert torch.equal(plain, compiled)

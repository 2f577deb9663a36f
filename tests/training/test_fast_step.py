"""The fast step against FuxiCTR's own: the same losses and, after many steps, the same parameters."""

import pytest
import torch
from torch import nn

from fuxi_plugins.layers import products
from fuxi_plugins.models.dcnv2 import DCNv2
from fuxi_plugins.models.dnn import DNN
from fuxi_plugins.models.finalnet import FinalNet
from fuxi_plugins.models.rankelastor import RankElastor
from fuxi_plugins.training.fast_step import FastStep, Lookup, can_replace_the_step_of, clip_gradients, look_up, lookups
from tests.models import tiny

SETTINGS = {
    DCNv2: {"learning_rate": 1e-3},
    RankElastor: {"num_tokens": 5, "token_dim": 6, "num_blocks": 1, "tokenizer_hidden_units": (8,)},
    FinalNet: {},  # has a loss of its own
}
REGULARIZERS = [
    {},
    {"embedding_regularizer": 1e-2},
    {"embedding_regularizer": "l1(1e-3)", "net_regularizer": "l1_l2(1e-4,1e-3)"},
]


def build(model_class, fast: bool, **settings):
    bases = (FastStep, model_class) if fast else (model_class,)
    return tiny.build(type("Built", bases, {}), **SETTINGS.get(model_class, {}), **settings)


def train(model, limit: float, steps: int = 50, dtype=torch.float32) -> list[float]:
    model.train()
    tiny.randomize(model)
    model.to(dtype)  # after the random numbers, which are then the same in both types
    model._max_gradient_norm = limit
    torch.manual_seed(2)
    losses = []
    for batch in tiny.batches(rows=32 * steps, batch_size=32):
        typed = {name: values.to(dtype) if values.is_floating_point() else values for name, values in batch.items()}
        losses.append(model.train_step(typed).item())
    return losses


def distances(ours: nn.Module, theirs: nn.Module) -> tuple[float, float]:
    """Relative differences in the Euclidean norm: of all parameters together, and the greatest of any tensor."""
    pairs = [(one.detach(), other.detach()) for one, other in zip(ours.parameters(), theirs.parameters(), strict=True)]
    together = [torch.cat([one.flatten() for one in side]) for side in zip(*pairs, strict=True)]
    return relative(*together), max(relative(*pair) for pair in pairs)


def relative(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / (other.norm() + 1e-30))


@pytest.mark.parametrize("limit", [10.0, 0.05], ids=["free", "clipped"])
@pytest.mark.parametrize("regularizers", REGULARIZERS, ids=lambda given: str(given))
@pytest.mark.parametrize("model_class", SETTINGS, ids=lambda model_class: model_class.__name__)
def test_fifty_steps_end_at_the_same_parameters(model_class, regularizers, limit):
    assert_equal_up_to_rounding(model_class, limit, **regularizers)


def test_products_that_are_turned_round_end_at_the_same_parameters(monkeypatch):
    monkeypatch.setattr(products, "TURNS", True)  # as on a processor that gains by it
    wide = {"hidden_units": [264]}
    layers = [layer for layer in build(DNN, True, **wide).modules() if type(layer) is nn.Linear]
    assert any("forward" in vars(layer) for layer in layers)
    assert_equal_up_to_rounding(DNN, 10.0, **wide)


def assert_equal_up_to_rounding(model_class, limit, **settings):
    """In float64 to many digits; in float32 the fast step is about as near to that as FuxiCTR's own, or within 1e-6."""
    fast, plain, exact, exact_plain = (
        build(model_class, is_fast, **settings) for is_fast in (True, False, True, False)
    )
    with tiny.in_float64():
        losses = [train(model, limit, dtype=torch.float64) for model in (exact, exact_plain)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    assert max(distances(exact, exact_plain)) < 1e-11
    assert train(fast, limit) == pytest.approx(train(plain, limit), rel=1e-5)
    rounding, _ = distances(plain.double(), exact)
    ours, _ = distances(fast.double(), exact)
    assert ours < max(3 * rounding, 1e-6)


def test_the_regulariser_of_the_fast_step_is_felt():
    """Or the comparison above would not see it missing."""
    plain, free = build(DCNv2, False, embedding_regularizer=1e-2), build(DCNv2, True)
    train(plain, 10.0)
    train(free, 10.0)
    assert distances(free, plain)[0] > 1e-3


@pytest.mark.parametrize("padding_idx", [None, 0])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("shape", "size", "dim"), [((64,), 9, 4), ((300, 7), 5000, 1), ((4096,), 30, 3), ((0,), 9, 4)])
def test_the_gradient_of_a_table_is_torchs_to_the_last_bit(shape, size, dim, threads, padding_idx):
    torch.manual_seed(0)
    table = nn.Embedding(size, dim, padding_idx)
    ids = (torch.rand(shape) ** 3 * size).long()
    gradient = torch.randn(*shape, dim)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        found, torchs = (
            torch.autograd.grad(looked_up, table.weight, gradient) for looked_up in (look_up(table, ids), table(ids))
        )
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], torchs[0])


def test_the_fast_step_looks_up_in_its_own_way(monkeypatch):
    model = build(DCNv2, True)
    seen = []
    monkeypatch.setattr(
        Lookup, "apply", lambda ids, weight, _: seen.append(weight) or nn.functional.embedding(ids, weight)
    )
    train(model, 10.0, steps=1)
    assert {id(weight) for weight in seen} == {id(table.weight) for table in lookups(model)} != set()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3, float("nan")])
def test_clipping_is_torchs(scale):
    sides = []
    for _ in range(2):
        torch.manual_seed(0)
        parameters = [nn.Parameter(torch.randn(5, 3)), nn.Parameter(torch.randn(7)), nn.Parameter(torch.randn(2))]
        for parameter in parameters[:2]:  # the last has no gradient
            parameter.grad = scale * torch.randn_like(parameter)
        sides.append(parameters)
    gradients = [parameter.grad for parameter in sides[0][:2]]
    clip_gradients(gradients, 2.0, nn.utils.get_total_norm(gradients))
    nn.utils.clip_grad_norm_(sides[1], 2.0)
    for ours, theirs in zip(*sides, strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=0, equal_nan=True)


def test_a_model_with_a_step_of_its_own_keeps_it():
    class Own(DCNv2):
        def compute_loss(self, return_dict, y_true):
            return super().compute_loss(return_dict, y_true) * 2

    assert can_replace_the_step_of(DCNv2)
    assert can_replace_the_step_of(FinalNet)
    assert not can_replace_the_step_of(Own)

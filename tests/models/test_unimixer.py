"""UniMixer against its equations written out slowly, and the laws of its mixing."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fuxi_plugins.layers import UniMixing, UniMixingLite, block_transpose, sinkhorn
from fuxi_plugins.models.unimixer import FallingTemperature, UniMixer
from tests.models import tiny
from tests.models.spelled_out import SpelledOut, Tokens
from tests.models.test_token_models import FixedEmbeddings

T, D, S, L = 3, 4, 2, 2
N = T * D // S
SETTINGS = {"embedding_dim": 3, "num_tokens": T, "token_dim": D, "num_blocks": L, "block_size": S}
LITE = {"mixing": "lite", "num_bases": 3, "rank": 2}


def slow_sinkhorn(logits: Tensor, temperature: float, iterations: int) -> Tensor:
    """One entry after the other, without logarithms."""
    matrix = [[math.exp(value / temperature) for value in row] for row in logits.tolist()]
    size = range(len(matrix))
    for _ in range(iterations):
        matrix = [[matrix[i][j] / sum(matrix[i]) for j in size] for i in size]
        matrix = [[matrix[i][j] / sum(matrix[k][j] for k in size) for j in size] for i in size]
    return torch.tensor(matrix, dtype=logits.dtype)


def torch_sinkhorn(logits: Tensor, temperature: float, iterations: int) -> Tensor:
    """As above with gradients, without logarithms."""
    matrix = torch.exp(logits / temperature)
    for _ in range(iterations):
        matrix = torch.stack([row / row.sum() for row in matrix])
        matrix = torch.stack([column / column.sum() for column in matrix.T]).T
    return matrix


class SlowUniMixer(SpelledOut):
    """Two streams of a row's tokens through all blocks."""

    def matrix(self, logits: Tensor, iterations: int, symmetric: bool, temperature: float) -> Tensor:
        if symmetric:
            logits = (logits + logits.T) / 2
        return torch_sinkhorn(logits, temperature, iterations) if iterations else logits

    def logits(self, name: str, lite: bool) -> tuple[list[Tensor], Tensor]:
        p = self.parameters
        if not lite:
            return [p[f"{name}.local_weight"][i] for i in range(N)], p[f"{name}.global_weight"]
        weights, bases = p[f"{name}.basis_weight"], p[f"{name}.bases"]
        local = [sum(weights[i, b] * bases[b] for b in range(len(bases))) for i in range(N)]
        left, right = p[f"{name}.global_left"], p[f"{name}.global_right"]
        return local, torch.stack([torch.stack([left[i] @ right[:, j] for j in range(N)]) for i in range(N)]) / 2**0.5

    def mixed(self, name: str, tokens: Tokens, lite: bool, **matrix) -> Tokens:
        flat = torch.cat(tokens)
        local, between = self.logits(name, lite)
        inside = [flat[i * S : (i + 1) * S] @ self.matrix(local[i], **matrix) for i in range(N)]
        between = self.matrix(between, **matrix)
        return self.cut(torch.cat([sum(between[i, j] * inside[j] for j in range(N)) for i in range(N)]))

    def swiglu(self, name: str, tokens: Tokens) -> Tokens:
        new = []
        for t, x in enumerate(tokens):
            gate = self.token_linear(f"{name}.gate", t, x)
            inside = gate / (1 + torch.exp(-gate)) * self.token_linear(f"{name}.up", t, x)
            new.append(self.token_linear(f"{name}.down", t, inside))
        return new

    def update(self, name: str, x: Tokens, y: Tokens, residual: str, part) -> tuple[Tokens, Tokens]:
        if residual == "post":
            return [self.rms(f"{name}.norm", a + o) for a, o in zip(x, part(x), strict=True)], y
        out = part([a + self.rms(f"{name}.y_norm", b) for a, b in zip(x, y, strict=True)])
        new = [self.rms(f"{name}.norm", a + o) for a, o in zip(x, out, strict=True)]
        return new, [b + o for b, o in zip(y, out, strict=True)]

    def prediction(self, row: Tensor, lite: bool, residual: str, **matrix) -> Tensor:
        x = y = self.per_token(row)
        for depth in range(L):
            mixing, ffn = f"mixings.{depth}", f"ffns.{depth}"
            x, y = self.update(mixing, x, y, residual, lambda z, n=mixing: self.mixed(f"{n}.part", z, lite, **matrix))
            x, y = self.update(ffn, x, y, residual, lambda z, n=ffn: self.swiglu(f"{n}.part", z))
        if residual == "siamese":
            x = [a + self.rms("last_norm", b) for a, b in zip(x, y, strict=True)]
        return 1 / (1 + torch.exp(-self.mean_pool_head(x)))


@pytest.mark.parametrize("lite", [False, True])
@pytest.mark.parametrize("residual", ["siamese", "post"])
@pytest.mark.parametrize(("iterations", "symmetric"), [(3, True), (3, False), (0, True), (0, False)])
def test_values_and_gradients_are_those_of_the_equations(lite, residual, iterations, symmetric):
    chosen = {"sinkhorn_iterations": iterations, "symmetric": symmetric, "residual": residual}
    model = tiny.build(UniMixer, **SETTINGS, **chosen, **(LITE if lite else {}), temperature_start=0.75).double().eval()
    rows = torch.randn(3, 15, dtype=torch.float64)
    model.embedding_layer = FixedEmbeddings(rows)
    tiny.randomize(model, scale=0.3)
    parameters = dict(model.named_parameters())

    slow = SlowUniMixer(parameters, T, D, L)
    matrix = {"iterations": iterations, "symmetric": symmetric, "temperature": 0.75}
    expected = torch.stack([slow.prediction(row, lite, residual, **matrix) for row in rows])
    predicted = model({})["y_pred"]
    torch.testing.assert_close(predicted, expected, rtol=0, atol=1e-9)
    weights = torch.tensor([[1.0], [-2.0], [3.0]], dtype=torch.float64)
    gradients = torch.autograd.grad((predicted * weights).sum(), parameters.values())
    slow_gradients = torch.autograd.grad((expected * weights).sum(), parameters.values())
    torch.testing.assert_close(gradients, slow_gradients, rtol=0, atol=1e-9)


@given(st.integers(1, 6), st.integers(1, 4), st.floats(0.3, 3.0), st.integers(0, 2**31 - 1))
@settings(max_examples=30)
def test_sinkhorn_is_the_slow_sinkhorn(size, iterations, temperature, seed):
    logits = torch.randn(size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    expected = slow_sinkhorn(logits, temperature, iterations)
    torch.testing.assert_close(sinkhorn(logits, temperature, iterations), expected)


def test_sinkhorn_makes_a_positive_doubly_stochastic_matrix_that_keeps_symmetry():
    logits = torch.randn(5, 16, 16, dtype=torch.float64)
    logits = (logits + logits.transpose(1, 2)) / 2
    matrix = sinkhorn(logits, 1.0, 20)
    assert (matrix > 0).all()
    for axis in (1, 2):
        torch.testing.assert_close(matrix.sum(axis), torch.ones(5, 16, dtype=torch.float64), rtol=0, atol=1e-6)
    torch.testing.assert_close(matrix, matrix.transpose(1, 2), rtol=0, atol=1e-6)
    uniform = torch.full_like(matrix, 1 / 16)
    torch.testing.assert_close(sinkhorn(logits, 1e6, 20), uniform, rtol=0, atol=1e-6)


def test_at_the_last_temperature_it_is_finite_sharp_and_its_columns_still_sum_to_one():
    logits = 4 * torch.randn(32, 32, generator=torch.Generator().manual_seed(0))
    matrix = sinkhorn(logits, 0.05, 20)
    torch.testing.assert_close(matrix.sum(0), torch.ones(32))
    assert matrix.isfinite().all()
    assert matrix.max(dim=0).values.mean() > 0.75 > 0.65 > sinkhorn(logits, 1.0, 20).max(dim=0).values.mean()


def test_rankmixers_permutation_is_one_of_its_mixings():
    mixing = UniMixing(num_tokens=3, token_dim=6, block_size=2, iterations=0, symmetric=True)
    x = torch.randn(4, 3, 6)
    with torch.no_grad():
        mixing.local_weight.copy_(torch.eye(2).expand(9, 2, 2))
        mixing.global_weight.zero_()
        for t in range(3):
            for h in range(3):
                mixing.global_weight[3 * h + t, 3 * t + h] = 1
    assert torch.equal(mixing(x, 1.0), block_transpose(x))


@pytest.mark.parametrize("iterations", [0, 5])
def test_the_two_steps_are_one_matrix(iterations):
    mixing = UniMixing(T, D, S, iterations, symmetric=False).double()
    x = torch.randn(4, T, D, dtype=torch.float64)
    local, between = (mixing.matrix(w, 0.5) for w in (mixing.local_weight, mixing.global_weight))
    dense = torch.cat([torch.cat([between[i, j] * local[j].T for j in range(N)], dim=1) for i in range(N)])
    torch.testing.assert_close(mixing(x, 0.5).flatten(1), x.flatten(1) @ dense.T)


@pytest.mark.parametrize("iterations", [0, 5])
def test_with_as_many_bases_and_as_high_a_rank_as_blocks_lite_is_full(iterations):
    full = UniMixing(T, D, S, iterations, symmetric=True).double()
    lite = UniMixingLite(T, D, S, iterations, symmetric=True, num_bases=N, rank=N).double()
    with torch.no_grad():
        lite.bases.copy_(full.local_weight)
        lite.basis_weight.copy_(torch.eye(N))
        lite.global_left.copy_(torch.eye(N) * N**0.5)
        lite.global_right.copy_(full.global_weight)
    x = torch.randn(4, T, D, dtype=torch.float64)
    torch.testing.assert_close(lite(x, 0.3), full(x, 0.3))


def test_the_parameters_of_a_mixing_are_as_many_as_the_paper_counts():
    full = UniMixing(16, 48, 6, 20, symmetric=True)
    lite = UniMixingLite(16, 48, 6, 20, symmetric=True, num_bases=4, rank=16)
    blocks = 128
    assert sum(p.numel() for p in full.parameters()) == blocks**2 + blocks * 6**2
    assert sum(p.numel() for p in lite.parameters()) == 4 * 6**2 + blocks * 4 + 2 * blocks * 16
    assert lite.global_logits().shape == (128, 128)


def test_the_logits_of_both_forms_start_at_the_same_scale():
    torch.manual_seed(0)
    full = UniMixing(16, 16, 16, 20, symmetric=True)
    lite = UniMixingLite(16, 16, 16, 20, symmetric=True, num_bases=4, rank=16)
    for mixing in (full, lite):
        assert mixing.local_logits().std().item() == pytest.approx(1, rel=0.1)
        assert mixing.global_logits().std().item() == pytest.approx(1, rel=0.25)


def test_the_temperature_falls_in_training_alone_and_is_in_the_checkpoint():
    temperature = FallingTemperature(1.0, 0.2, steps=4)
    seen = [temperature().item() for _ in range(7)]
    assert seen == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2, 0.2, 0.2])
    assert all(later <= earlier for earlier, later in pairwise(seen))
    model, batch = tiny.build(UniMixer, temperature_steps=10), tiny.columns(8)
    for _ in range(3):
        model(batch)
    model.eval()
    before = model(batch)["y_pred"]
    assert torch.equal(model(batch)["y_pred"], before)
    assert model.temperature.step == 3
    other = tiny.build(UniMixer, temperature_steps=10).eval()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(batch)["y_pred"], before)
    other.temperature.step.zero_()
    assert not torch.allclose(other(batch)["y_pred"], before, rtol=0, atol=1e-7)


def test_stages_show_the_tokens_at_every_depth():
    model = tiny.build(UniMixer, **SETTINGS)
    seen = {}
    for stage, module in model.stages().items():
        module.register_forward_hook(lambda _module, _inputs, out, stage=stage: seen.update({stage: out.shape}))
    model(tiny.columns(6))
    assert seen == dict.fromkeys(["tokens", "mixing_1", "ffn_1", "mixing_2", "ffn_2"], (6, T, D))


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"block_size": 7}, "block_size must divide num_tokens . token_dim, .* the nearest that fits is 8"),
        ({"rank": 4}, "rank has no meaning with mixing='full', but rank=4; leave it out"),
        ({"mixing": "lite", "num_bases": 0}, "num_bases must be at least 1"),
        ({"mixing": "light"}, "mixing must be one of 'full', 'lite', but mixing='light'"),
        ({"residual": "pre"}, "residual must be one of 'siamese', 'post'"),
        ({"temperature_end": 0.0}, "the temperature must fall to a value above 0, but"),
        ({"temperature_start": 0.01}, "the temperature must fall to a value above 0, but"),
        ({"sinkhorn_iterations": -1}, "sinkhorn_iterations must be 0 or more"),
    ],
)
def test_what_does_not_fit_is_refused(chosen, message):
    with pytest.raises(ValueError, match=message):
        tiny.build(UniMixer, **chosen)

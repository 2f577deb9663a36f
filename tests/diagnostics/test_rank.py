"""The measures on matrices whose answer is known, and the laws that hold for all."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fuxi_plugins.diagnostics.rank import MEASURES, gaussian_null, rank_measures, singular_values

ORDER = ("stable", "abundance", "entropy")


def measured(matrix) -> dict[str, float]:
    return {name: float(value) for name, value in rank_measures(torch.as_tensor(matrix)).items()}


def random_matrix(seed: int, rows: int, columns: int, decay: float = 0.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, columns, generator=generator) * torch.arange(1, columns + 1) ** -decay


@pytest.mark.parametrize("q", [1, 2, 7, 30])
def test_the_identity_uses_every_direction(q):
    assert measured(torch.eye(q)) == pytest.approx(dict.fromkeys(MEASURES, q))


def test_an_outer_product_uses_one():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(9, generator=generator), torch.randn(14, generator=generator)
    assert measured(torch.outer(a, b)) == pytest.approx(dict.fromkeys(MEASURES, 1.0), abs=1e-5)


def test_two_singular_values_by_hand():
    found = measured(torch.diag(torch.tensor([1.0, 0.5])))
    p = np.array([2 / 3, 1 / 3])
    assert found["stable"] == pytest.approx(1.25)
    assert found["abundance"] == pytest.approx(1.5)
    assert found["entropy"] == pytest.approx(np.exp(-(p * np.log(p)).sum())) == pytest.approx(1.8899, abs=1e-4)
    assert found["participation"] == pytest.approx(1.25**2 / (1 + 0.25**2))


@pytest.mark.parametrize(
    ("shape", "entropy", "stable"),
    [((15, 26), 13.60, 5.56), ((26, 26), 20.74, 7.29), ((26, 30), 21.85, 7.72), ((24, 16), 14.20, 5.57),
     ((24, 64), 22.67, 10.03)],
)  # fmt: skip
def test_gaussian_nulls(shape, entropy, stable):
    null = gaussian_null(*shape)
    assert null["entropy"] == pytest.approx(entropy, abs=0.1)
    assert null["stable"] == pytest.approx(stable, abs=0.1)


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 12), st.floats(0, 4))
def test_the_measures_are_ordered(seed, rows, columns, decay):
    matrix = random_matrix(seed, rows, columns, decay)
    found = measured(matrix)
    algebraic = int(torch.linalg.matrix_rank(matrix.double()))
    ordered = [1.0, *(found[name] for name in ORDER), float(algebraic), float(min(rows, columns))]
    assert all(low <= high + 1e-6 for low, high in itertools.pairwise(ordered)), ordered
    assert found["stable"] - 1e-6 <= found["participation"] <= algebraic + 1e-6


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.sampled_from([1e-12, 1e-4, 3.0, 1e12]))
def test_scale_does_not_matter(seed, scale):
    matrix = random_matrix(seed, 6, 9, 1.0)
    assert measured(matrix * scale) == pytest.approx(measured(matrix), rel=1e-4)


def test_a_matrix_and_its_transpose_agree():
    matrix = random_matrix(3, 5, 11)
    assert measured(matrix) == pytest.approx(measured(matrix.T.clone()))


def test_a_zero_matrix_has_rank_zero_among_others_that_have_not():
    batch = torch.stack([torch.zeros(4, 6), random_matrix(1, 4, 6)])
    for name, values in rank_measures(batch).items():
        assert values[0] == 0, name
        assert values[1] >= 1, name


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 0.01), (torch.bfloat16, 0.05)])
def test_half_precision_input_is_measured_in_double(dtype, tolerance):
    matrix = random_matrix(2, 16, 24)
    found = rank_measures(matrix.to(dtype))
    for name, value in rank_measures(matrix).items():
        assert found[name].dtype == torch.float64
        torch.testing.assert_close(found[name], value, rtol=tolerance, atol=0)
    assert all(value > 1 for value in rank_measures((1e-4 * matrix).to(torch.float16)).values())


@pytest.mark.parametrize("shape", [(8, 16), (30, 26), (200, 12)])
def test_a_batch_is_what_svdvals_says_of_each_row(shape):
    batch = torch.stack([random_matrix(seed, *shape, decay=1.5) for seed in range(20)])
    by_row = torch.stack([torch.linalg.svdvals(matrix.double()) for matrix in batch])
    torch.testing.assert_close(singular_values(batch), by_row, rtol=1e-5, atol=1e-7)
    for name, measure in MEASURES.items():
        torch.testing.assert_close(rank_measures(batch)[name], measure(by_row), rtol=1e-5, atol=0)


def test_what_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="finite values"):
        rank_measures(torch.tensor([[1.0, float("nan")], [0.0, 1.0]]))


def test_the_null_consumes_no_random_state():
    before = torch.get_rng_state()
    gaussian_null(5, 5)
    assert torch.equal(before, torch.get_rng_state())

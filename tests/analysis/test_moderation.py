"""The noise between seeds, moderated: against a general optimiser, and by simulation of whole boards."""

import numpy as np
import pytest
from scipy import optimize, stats

from fuxi_plugins.analysis.statistics.inference import Sampling, infer
from fuxi_plugins.analysis.statistics.moderation import CAUTION, WEIGHTS, fit_scaled_f, moderate, stands_apart


@pytest.mark.parametrize("weight", [1.5, 4, 30])
def test_the_fit_is_the_greatest_likelihood(weight):
    random = np.random.default_rng(3)
    dof = random.choice([1, 2, 4], 60)
    variances = 2e-7 * random.f(dof, weight)

    def loss(logs):
        scale, w = np.exp(logs)
        return -(stats.f.logpdf(variances / scale, dof, w) - np.log(scale)).sum()

    bounds = [(-25, 0), tuple(np.log(WEIGHTS[[0, -1]]))]
    best = optimize.minimize(loss, np.log([1e-7, 3]), method="Nelder-Mead", bounds=bounds)
    fitted = np.log(fit_scaled_f(variances, dof))
    assert abs(fitted[1] - best.x[1]) <= np.log(WEIGHTS[1] / WEIGHTS[0])
    assert loss(fitted) == pytest.approx(best.fun, abs=0.02)


def test_what_variances_were_drawn_from_is_found_again():
    random = np.random.default_rng(4)
    scale, weight = fit_scaled_f(3e-6 * random.f(2, 5, 20_000), np.full(20_000, 2))
    assert scale == pytest.approx(3e-6, rel=0.05)
    assert weight == pytest.approx(5, rel=0.15)


def test_variances_are_drawn_to_the_common_one_by_its_weight():
    variances = np.array([2.5e-7, 6.1e-8, 1.4e-6, 3.3e-7, 0.0, 4.0e-8, 5.5e-7])
    dof = np.array([2, 4, 2, 1, 0, 2, 2])
    several = dof > 0
    common, weight = fit_scaled_f(variances[several], dof[several])
    again, surer = moderate(variances, dof)
    assert again[several] == pytest.approx(((weight * common + dof * variances) / (weight + dof))[several])
    assert surer[several] == pytest.approx(np.minimum(weight + dof, 13)[several])
    # Of one seed nothing else is known, and it is taken with caution.
    scale, little = fit_scaled_f(variances[several], dof[several], CAUTION)
    assert (again[4], surer[4]) == pytest.approx((scale, max(little, 1)))
    assert surer[4] < surer[several].min()


def test_the_cautious_weight_is_the_smallest_that_is_likely():
    variances, dof = 1e-6 * np.random.default_rng(5).f(2, 6, 30), np.full(30, 2)

    def log_likelihood(w):
        best = optimize.minimize_scalar(
            lambda log: -(stats.f.logpdf(variances / np.exp(log), 2, w) - log).sum(), bounds=(-20, -8), method="bounded"
        )
        return -best.fun

    likely = [log_likelihood(w) for w in WEIGHTS]
    _, found = fit_scaled_f(variances, dof, 1.0)
    expected = next(w for w, value in zip(WEIGHTS, likely, strict=True) if value >= max(likely) - 1.0)
    assert abs(np.log(found / expected)) <= np.log(WEIGHTS[1] / WEIGHTS[0]) * 1.01
    assert found < fit_scaled_f(variances, dof)[1]


def test_variances_as_alike_as_chance_makes_them_become_one():
    variances, dof = moderate(np.array([1.1, 0.9, 1.3, 0.7, 1.0]), np.full(5, 4))
    assert variances == pytest.approx(np.ones(5), rel=1e-3)
    assert dof == pytest.approx(np.full(5, 20))


def test_a_model_without_noise_does_not_take_the_others_sureness():
    alike = np.array([1.1, 0.9, 1.3, 0.7, 1.0, 0.8, 1.2])
    variances, dof = moderate(np.array([*alike, 0.0]), np.full(8, 4))
    assert (dof > 20).all()
    assert 0.5 < variances[-1] < variances[:-1].min()


def test_a_model_that_stands_apart_keeps_its_own_and_tells_nobody():
    alike = np.array([1.1, 0.9, 1.3, 0.7, 1.0])
    with_it = moderate(np.array([*alike, 500.0]), np.full(6, 2))
    assert with_it[0][-1] == 500
    assert with_it[1][-1] == 2
    without = moderate(alike, np.full(5, 2))
    np.testing.assert_array_equal(np.array(with_it)[:, :-1], without)


def test_the_noise_of_one_seed_has_at_least_one_degree_of_freedom():
    variances, dof = np.array([1e-4, 1e-2, 1, 1.1, 0]), np.array([9, 9, 9, 9, 0])
    assert fit_scaled_f(variances[:4], dof[:4])[1] < 1
    assert moderate(variances, dof)[1][-1] == 1


def test_models_stand_apart_by_the_quantile_of_chi_squared():
    usual = stats.chi2.ppf(0.5, 2) / 2
    limit = stats.chi2.isf(1e-9, 4) / 4
    variances = np.array([usual, usual, usual, limit * 0.99, limit * 1.01, 99])
    assert stands_apart(variances, np.array([2, 2, 2, 4, 4, 0])).tolist() == [False] * 4 + [True, False]
    assert not stands_apart(np.array([1.0, 1e9]), np.array([2, 2])).any()
    assert not stands_apart(np.array([0.0, 0, 0, 1]), np.full(4, 2)).any()


@pytest.mark.parametrize("variances", [[1.0, 5.0, 0.0], [0.0, 0.0, 0.0, 3.0]], ids=["two with seeds", "most are zero"])
def test_too_little_to_learn_from_changes_nothing(variances):
    given, dof = np.array(variances), np.array([2, 2, 0, 2][: len(variances)])
    again = moderate(given, dof)
    np.testing.assert_array_equal(again[0], given)
    np.testing.assert_array_equal(again[1], dof)


def share_of_boards_with_a_false_difference(seeds, spread, boards=300, models=12) -> float:
    """Of boards of equal models, how many tell two apart; ``spread`` is of the log variance between seeds."""
    random = np.random.default_rng(0)
    false = 0
    for _ in range(boards):
        deviations = np.exp(random.normal(0, spread, models) / 2)
        values = random.normal(size=(models, seeds)) * deviations[:, None] + random.normal(0, 0.3, (models, 1))
        rows = {str(i): dict(enumerate(own.tolist())) for i, own in enumerate(values)}
        false += infer(rows, sampling=Sampling(np.eye(models) * 0.09, 9999)).significant.any()
    return false / boards


@pytest.mark.parametrize("spread", [0, 1.5])
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_a_board_of_equal_models_tells_two_apart_about_as_rarely_as_it_says(seeds, spread):
    most = 0.075  # 5%, and two deviations of 300 boards
    if seeds == 2 and spread:
        most = 0.12  # from two seeds it cannot be seen that models differ in their noise (docs/statistics.md)
    assert share_of_boards_with_a_false_difference(seeds, spread) < most


def test_moderation_finds_differences_that_three_seeds_alone_cannot_show(monkeypatch):
    """Two classes of ten models each, ten deviations of a seed apart: told apart with moderation, lost without."""
    random = np.random.default_rng(1)
    values = np.repeat([0.0, 10.0], 10)[:, None] + random.normal(size=(20, 3))
    rows = {str(i): dict(enumerate(own.tolist())) for i, own in enumerate(values)}
    moderated = infer(rows).significant
    monkeypatch.setattr("fuxi_plugins.analysis.statistics.inference.moderate", lambda variances, dof: (variances, dof))
    alone = infer(rows).significant
    for significant in (moderated, alone):
        assert not significant[:10, :10].any()
        assert not significant[10:, 10:].any()
    assert moderated[:10, 10:].all()
    assert alone[:10, 10:].mean() < 0.1

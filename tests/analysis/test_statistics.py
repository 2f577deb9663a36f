"""What rows add to the error of a metric, and calibration, against slow spellings of their definitions and R."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import log_loss, roc_auc_score

from fuxi_plugins.analysis.statistics.calibration import calibration, expected_calibration_error
from fuxi_plugins.analysis.statistics.influence import (
    auc_influence,
    bootstrap_draws,
    group_areas,
    group_auc_influence,
    logloss_influence,
    sampling_covariance,
    within_groups,
)
from fuxi_plugins.records.metrics import Grouped


def slow_delong(labels, *scores):
    """AUCs and their covariance from the definition: every positive against every negative."""
    positive = np.asarray(labels) == 1
    kernels = [
        np.array([[(x > y) + 0.5 * (x == y) for y in s[~positive]] for x in s[positive]])
        for s in map(np.asarray, scores)
    ]
    m, n = kernels[0].shape
    s10 = np.atleast_2d(np.cov([k.mean(1) for k in kernels]))
    s01 = np.atleast_2d(np.cov([k.mean(0) for k in kernels]))
    return [k.mean() for k in kernels], s10 / m + s01 / n


@st.composite
def scored_labels(draw):
    labels = [0, 0, 1, 1, *draw(st.lists(st.integers(0, 1), max_size=20))]
    score = st.integers(0, 6)  # few values, so that there are ties
    lists = st.lists(score, min_size=len(labels), max_size=len(labels))
    return np.array(labels), np.array(draw(lists)) / 7, np.array(draw(lists)) / 7


@given(scored_labels())
def test_the_fast_auc_and_covariance_are_delongs(sample):
    labels, *scores = sample
    (auc_a, a), (auc_b, b) = (auc_influence(labels, s) for s in scores)
    aucs, covariance = slow_delong(labels, *scores)
    assert [auc_a, auc_b] == pytest.approx(aucs)
    assert auc_a == pytest.approx(roc_auc_score(labels, scores[0]))
    np.testing.assert_allclose([[a @ a, a @ b], [b @ a, b @ b]], covariance, atol=1e-12)


def test_by_hand():
    # Positives .9, .5, negatives .7, .1: the first beats both, the second one. V10 = 1, .5 and V01 = .5, 1, so
    # S10 = S01 = 1/8 and the variance is 1/16 + 1/16.
    auc, psi = auc_influence([1, 1, 0, 0], np.array([0.9, 0.5, 0.7, 0.1]))
    assert float(auc) == 0.75
    assert psi @ psi == pytest.approx(1 / 8)


def test_the_numbers_of_r():
    """pROC 1.18.0 (Robin et al., BMC Bioinformatics 12, 2011) on R 4.2.2: its auc, var, cov, ci.auc and roc.test."""
    i = np.arange(40)
    labels = ((i * 7) % 5 < 2).astype(int)
    a = ((i * 13) % 29) / 29 + 0.35 * labels
    b = np.round(((i * 11) % 17) / 17 + 0.5 * labels, 1)
    (auc_a, auc_b), (psi_a, psi_b) = auc_influence(labels, np.array([a, b]))
    assert (auc_a, auc_b) == pytest.approx((0.783854166667, 0.889322916667), abs=1e-11)
    assert (psi_a @ psi_a, psi_b @ psi_b, psi_a @ psi_b) == pytest.approx(
        (0.00535399211202, 0.00251406855437, 0.000421113092542), abs=1e-13
    )
    reach = stats.norm.ppf(0.975) * np.sqrt(psi_a @ psi_a)
    assert (auc_a - reach, auc_a + reach) == pytest.approx((0.6404417, 0.9272666), abs=1e-7)
    z = (auc_a - auc_b) / np.linalg.norm(psi_a - psi_b)
    assert z == pytest.approx(-1.25827289604, abs=1e-10)
    assert 2 * stats.norm.sf(abs(z)) == pytest.approx(0.208293079837, abs=1e-11)


def test_one_row_of_a_class_is_too_few():
    with pytest.raises(ValueError, match="1 positive and 2 negative"):
        auc_influence([1, 0, 0], np.array([0.9, 0.5, 0.7]))


def test_several_seeds_at_once_are_each_by_itself():
    random = np.random.default_rng(0)
    labels, scores = np.tile([0, 1], 20), random.random((3, 40))
    aucs, psi = auc_influence(labels, scores)
    for one, auc, own in zip(scores, aucs, psi, strict=True):
        assert auc_influence(labels, one)[0] == auc
        np.testing.assert_array_equal(auc_influence(labels, one)[1], own)


def test_the_seeds_own_noise_is_not_counted_twice():
    """Seeds that share nothing have no common sampling error; equal seeds have all of it in common."""
    random = np.random.default_rng(0)
    independent = random.normal(size=(5, 100_000)) / np.sqrt(100_000)  # each of variance 1
    assert sampling_covariance([independent])[0, 0] == pytest.approx(0, abs=0.01)
    equal = np.tile(independent[:1], (5, 1))
    assert sampling_covariance([equal])[0, 0] == pytest.approx(equal[0] @ equal[0])
    assert sampling_covariance([equal[:1]])[0, 0] == pytest.approx(equal[0] @ equal[0])


def test_logloss_is_scikit_learns_even_of_certainties():
    labels, scores = np.array([1, 0, 1, 0]), np.array([0.8, 0.3, 0.0, 0.4])
    value, psi = logloss_influence(labels, scores)
    assert value == pytest.approx(log_loss(labels, scores))
    losses = [log_loss([y], [s], labels=[0, 1]) for y, s in zip(labels, scores, strict=True)]
    assert psi @ psi == pytest.approx(np.var(losses, ddof=1) / 4)


@given(scored_labels(), st.data())
def test_group_auc_is_that_of_the_metrics_and_of_scikit_learn(sample, data):
    labels, scores, _ = sample
    groups = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(labels), max_size=len(labels))))
    groups[:2], groups[2:4] = 0, 0  # one group has both classes
    groups = np.unique(groups, return_inverse=True)[1]
    weights, areas = group_areas(labels, scores, groups)
    assert weights @ areas / weights.sum() == pytest.approx(Grouped(labels, scores, groups).gauc())
    assert areas[0] == pytest.approx(roc_auc_score(labels[groups == 0], scores[groups == 0]))


def test_the_bootstrap_of_gauc_is_of_whole_groups():
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 10)
    labels, scores = random.integers(0, 2, 400), random.random(400)
    draws = bootstrap_draws(40, 300)
    assert (draws.sum(1) == 40).all()
    value, psi = group_auc_influence(labels, scores, groups, draws)
    slow = []
    for drawn in draws:
        rows = np.concatenate([np.flatnonzero(groups == g) for g, times in enumerate(drawn) for _ in range(int(times))])
        new = np.concatenate([np.full(10, i) for i in range(40)])
        slow.append(Grouped(labels[rows], scores[rows], new).gauc())
    assert psi @ psi == pytest.approx(np.var(slow, ddof=1))
    assert value == pytest.approx(Grouped(labels, scores, groups).gauc())


def test_groups_of_one_row_change_next_to_nothing():
    random = np.random.default_rng(0)
    _, psi = auc_influence(random.integers(0, 2, 400), random.random(400))
    alone = within_groups(psi, np.arange(400))
    assert alone @ alone == pytest.approx(psi @ psi, rel=0.01)


def test_calibration_by_hand():
    labels, scores = [0, 1, 0, 1], [0.1, 0.3, 0.6, 0.9]
    measured = calibration(labels, scores, bins=2)
    assert measured["ECE"] == pytest.approx((abs(0.4 - 1) + abs(1.5 - 1)) / 4)
    assert measured["predicted_over_observed"] == pytest.approx(1.9 / 2)
    assert measured["normalised_entropy"] == pytest.approx(log_loss(labels, scores) / np.log(2))


def test_the_base_rate_is_calibrated_and_says_nothing():
    labels = np.tile([0, 0, 0, 1], 100)
    measured = calibration(labels, np.full(400, 0.25))
    assert (measured["ECE"], measured["normalised_entropy"], measured["predicted_over_observed"]) == pytest.approx(
        (0, 1, 1)
    )


def test_bins_are_of_equal_mass():
    scores = np.r_[np.full(90, 0.01), np.linspace(0.5, 0.99, 10)]
    assert expected_calibration_error(np.zeros(100), scores, bins=10) == pytest.approx(scores.mean())

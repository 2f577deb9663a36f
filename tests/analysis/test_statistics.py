"""Statistics against slow spellings of their definitions, against R, and against simulation."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import log_loss, roc_auc_score

from fuxi_plugins.analysis.statistics.calibration import calibration, expected_calibration_error
from fuxi_plugins.analysis.statistics.inference import SMALLEST_P, Noise, Sample, holm, rank_ranges, tie_groups
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


def test_holm_by_hand():
    assert holm(np.array([0.04, 0.01, 0.03])) == pytest.approx([0.06, 0.03, 0.06])
    assert holm(np.array([0.5, 0.9])) == pytest.approx([1, 1])


def sample_of_seeds(*models, sampling=None, units=None) -> Sample:
    """What is known from each model's values of one metric, a value a seed."""
    seeds = np.array([len(values) for values in models])
    variances = np.array([np.var(values, ddof=1) if len(values) > 1 else 0.0 for values in models])
    return Sample(np.array([np.mean(values) for values in models]), variances, seeds - 1, seeds, sampling, units)


def test_a_t_interval_over_seeds_where_rows_are_unknown():
    values = np.array([0.70, 0.72, 0.74])
    (interval,) = sample_of_seeds(values).intervals()
    expected = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    assert (interval.low, interval.high) == pytest.approx(expected)


def test_one_seed_without_labels_has_no_interval_and_no_verdict():
    sample = sample_of_seeds([0.7], [0.8])
    assert sample.intervals() == [None, None]
    differences = sample.differences()
    assert not differences.separable().any()
    assert differences.smallest_detectable() is None


def test_noise_in_one_part_is_students_t():
    values = np.array([0.70, 0.72, 0.71, 0.74])
    differences = sample_of_seeds(values, [0.75]).differences()
    assert differences.p_values()[0, 1] == pytest.approx(stats.ttest_1samp(values, 0.75).pvalue)
    rows_only = sample_of_seeds([0.7], [0.72], sampling=np.array([[4e-5, 1e-5], [1e-5, 2e-5]]), units=21)
    p = 2 * stats.t.sf(0.02 / np.sqrt(4e-5), 20)  # the variance of the difference is 4 + 2 - 2 of 1e-5
    assert rows_only.differences().p_values()[0, 1] == pytest.approx(p)


def test_the_reach_by_hand():
    # Variances 4 and 9 with 2 and 5 degrees of freedom; t at 95% is 4.30265 and 2.57058.
    reach = Noise(np.array([4.0, 9.0]), np.array([2, 5])).reach(0.05)
    assert reach == pytest.approx(np.sqrt(4 * 4.30265**2 + 9 * 2.57058**2), rel=1e-5)


@given(st.lists(st.floats(0.1, 9), min_size=2, max_size=5), st.lists(st.floats(0.1, 9), min_size=2, max_size=5))
def test_a_difference_is_never_surer_than_welchs_test(a, b):
    if np.ptp(a) < 1e-3 or np.ptp(b) < 1e-3:
        return
    differences = sample_of_seeds(a, b).differences()
    p = differences.p_values()[0, 1]
    assert p >= stats.ttest_ind(a, b, equal_var=False).pvalue - 1e-6
    if p < 1:  # the p value is the level whose interval ends at zero
        assert float(differences.noise[0, 1].reach(p)) == pytest.approx(abs(differences.effects[0, 1]), abs=1e-6)


def test_p_values_far_out_end_at_a_smallest_one():
    differences = sample_of_seeds([0.1], [0.9], sampling=np.eye(2) * 1e-9, units=10**6).differences()
    assert differences.p_values()[0, 1] == pytest.approx(SMALLEST_P)


def test_the_smallest_detectable_difference_is_found_with_its_power():
    five = [0.0, 0.0, 0.0, 0.0, 0.0]
    sample = replace(sample_of_seeds(five, five), seed_variances=np.full(2, 1e-4))
    difference = sample.differences().smallest_detectable()
    random = np.random.default_rng(0)
    runs = zip(random.normal(difference, 0.01, (4000, 5)), random.normal(0, 0.01, (4000, 5)), strict=True)
    found = [sample_of_seeds(a, b).differences().interval(0, 1).low > 0 for a, b in runs]
    assert 0.77 < share(found) < 0.9


def test_tie_groups_are_the_longest_runs_of_ranks_that_are_not_told_apart():
    apart = np.zeros((5, 5), bool)
    for a, b in ((0, 3), (0, 4), (1, 4), (2, 4), (3, 4)):
        apart[a, b] = apart[b, a] = True
    assert tie_groups(apart) == [(1, 3), (2, 4)]
    effects = -np.subtract.outer(np.arange(5), np.arange(5))  # the first is the best
    assert rank_ranges(apart, effects) == [(1, 3), (1, 4), (1, 4), (2, 4), (5, 5)]
    assert tie_groups(np.ones((3, 3), bool)) == []


# --- simulation: do intervals cover what they promise, and do tests err as often as they may? -------------------------

REPLICATIONS = 2000


def share(hits) -> float:
    return float(np.mean(hits))


def test_coverage_of_the_delong_interval():
    random = np.random.default_rng(1)
    truth = stats.norm.cdf(1 / np.sqrt(2))  # AUC of N(1, 1) against N(0, 1)
    labels = np.r_[np.ones(60), np.zeros(90)]
    covered = []
    for _ in range(REPLICATIONS):
        auc, psi = auc_influence(labels, random.normal(size=150) + labels)
        sample = sample_of_seeds([auc], sampling=np.array([[psi @ psi]]), units=60)
        (interval,) = sample.intervals()
        covered.append(interval.low < truth < interval.high)
    assert 0.93 < share(covered) < 0.97


def simulated_models(random, signals, rows=120, seeds=4, seed_noise=0.15, groups=None):
    """A Sample of models trained with some seeds: rows are shared, each seed has a strength and noise of its own."""
    labels = np.tile([0.0, 1.0], rows // 2)
    shared = random.normal(size=rows) * 0.8
    if groups is not None:  # users differ in how well they can be predicted, which makes the rows of one user alike
        shared = shared + random.normal(0, 0.8, groups.max() + 1)[groups] * (labels - 0.5)
    strengths = random.normal(np.array(signals)[:, None, None], seed_noise, (len(signals), seeds, 1))
    own = 0.6 * random.normal(size=(len(signals), seeds, rows))
    aucs, psi = auc_influence(labels, strengths * labels + shared + own)
    if groups is not None:
        psi = np.array([[within_groups(seed, groups) for seed in model] for model in psi])
    units = rows if groups is None else groups.max() + 1
    return sample_of_seeds(*aucs, sampling=sampling_covariance(list(psi)), units=units)


def expected_auc(signal, seed_noise, own_sd) -> float:
    """AUC of strength N(signal, seed_noise) averaged over seeds: the difference of two rows is N(signal, 2 own_sd²)."""
    return float(stats.norm.cdf(signal / np.sqrt(2 * own_sd**2 + seed_noise**2)))


def test_coverage_of_the_joined_interval():
    random = np.random.default_rng(2)
    truth = expected_auc(1.0, 0.15, 1.0)
    intervals = [simulated_models(random, [1.0]).intervals()[0] for _ in range(REPLICATIONS)]
    assert 0.945 < share([i.low < truth < i.high for i in intervals]) < 0.985


def test_two_equal_models_are_told_apart_no_more_often_than_the_level():
    random = np.random.default_rng(3)
    found = [simulated_models(random, [1.0, 1.0]).differences().p_values()[0, 1] < 0.05 for _ in range(REPLICATIONS)]
    assert 0.01 < share(found) < 0.055


def test_a_difference_lies_in_its_interval():
    random = np.random.default_rng(4)
    truth = expected_auc(1.2, 0.15, 1.0) - expected_auc(1.0, 0.15, 1.0)
    intervals = [simulated_models(random, [1.2, 1.0]).differences().interval(0, 1) for _ in range(REPLICATIONS)]
    assert 0.945 < share([i.low < truth < i.high for i in intervals]) < 0.985


def test_coverage_when_rows_come_in_groups_and_what_it_is_when_that_is_ignored():
    random = np.random.default_rng(5)
    groups = np.repeat(np.arange(60), 10)
    own_sd = 1.0
    # Of two rows of different users, half of each user's easiness enters the difference: variance 2 x 0.8² / 4.
    truth = float(stats.norm.cdf(1.0 / np.sqrt(2 * own_sd**2 + 0.8**2 / 2 + 0.15**2)))
    hits, ignorant = [], []
    for _ in range(REPLICATIONS // 2):
        sample = simulated_models(random, [1.0], rows=600, groups=groups)
        (interval,) = sample.intervals()
        hits.append(interval.low < truth < interval.high)
    assert 0.945 < share(hits) < 0.985
    for _ in range(REPLICATIONS // 4):
        labels = np.tile([0.0, 1.0], 300)
        easiness = random.normal(0, 0.8, 60)[groups]
        scores = labels + random.normal(size=600) * own_sd + easiness * (labels - 0.5)
        auc, psi = auc_influence(labels, scores)
        reach = 1.96 * np.sqrt(psi @ psi)
        ignorant.append(abs(auc - float(stats.norm.cdf(1 / np.sqrt(2 * own_sd**2 + 0.8**2 / 2)))) < reach)
    assert share(ignorant) < 0.9


@settings(max_examples=30)
@given(st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_tests_do_not_depend_on_the_order_of_the_models(count, seed):
    random = np.random.default_rng(seed)
    sample = simulated_models(random, random.normal(1, 0.5, count), rows=40, seeds=3)
    turned = random.permutation(count)
    again = Sample(
        sample.means[turned],
        sample.seed_variances[turned],
        sample.seed_freedom[turned],
        sample.seeds[turned],
        sample.sampling[np.ix_(turned, turned)],
        sample.units,
    )
    np.testing.assert_allclose(again.differences().p_values(), sample.differences().p_values()[np.ix_(turned, turned)])

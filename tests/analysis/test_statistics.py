"""Statistics against slow spellings of their definitions, against R, and against simulation."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fuxi_plugins.analysis.statistics.inference import SMALLEST_P, Noise, Sample, holm, rank_ranges, tie_groups
from fuxi_plugins.analysis.statistics.influence import sampling_covariance
from fuxi_plugins.records.metrics import within_clusters
from fuxi_plugins.records.metrics.ranking import auc_influence


def test_the_seeds_own_noise_is_not_counted_twice():
    """Seeds that share nothing have no common sampling error; equal seeds have all of it in common."""
    random = np.random.default_rng(0)
    independent = random.normal(size=(5, 100_000)) / np.sqrt(100_000)  # each of variance 1
    assert sampling_covariance([independent])[0, 0] == pytest.approx(0, abs=0.01)
    equal = np.tile(independent[:1], (5, 1))
    assert sampling_covariance([equal])[0, 0] == pytest.approx(equal[0] @ equal[0])
    assert sampling_covariance([equal[:1]])[0, 0] == pytest.approx(equal[0] @ equal[0])


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
        psi = np.array([[within_clusters(seed, groups) for seed in model] for model in psi])
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

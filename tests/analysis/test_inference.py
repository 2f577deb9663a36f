"""The one inference: against scipy and by hand, laws of letters and ranks, and simulation of what it promises."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit, logit

from fuxi_plugins.analysis.statistics.inference import PSEUDO_ROW, Sampling, holm, infer
from fuxi_plugins.analysis.statistics.influence import sampling_covariance
from fuxi_plugins.analysis.statistics.letters import compact_letters
from fuxi_plugins.analysis.statistics.noise import SMALLEST_P, Noise
from fuxi_plugins.records.metrics import find_metric, within_clusters
from fuxi_plugins.records.metrics.ranking import auc_influence

AUC, LOGLOSS, PCOC = map(find_metric, ("AUC", "logloss", "PCOC"))


def rows_of(*models):
    """Values by row (a, b, ...) and seed."""
    return {name: dict(enumerate(map(float, values))) for name, values in zip("abcdefgh", models, strict=False)}


# --- letters, ranks and the sentence follow from one matrix --------------------------------------------


@st.composite
def significant_pairs(draw, most=8):
    count = draw(st.integers(1, most))
    pairs = draw(st.lists(st.booleans(), min_size=count * (count - 1) // 2, max_size=count * (count - 1) // 2))
    matrix = np.zeros((count, count), bool)
    matrix[np.triu_indices(count, 1)] = pairs
    return matrix | matrix.T


@settings(max_examples=300)
@given(significant_pairs())
def test_two_rows_share_a_letter_if_and_only_if_they_do_not_differ_significantly(significant):
    letters = compact_letters(significant)
    for a, b in itertools.combinations(range(len(letters)), 2):
        assert bool(set(letters[a]) & set(letters[b])) == (not significant[a, b])
    assert all(letters)


@settings(max_examples=300)
@given(significant_pairs())
def test_no_letter_can_be_left_out_or_given_to_another_row(significant):
    letters = compact_letters(significant)
    rows = {letter: {i for i, own in enumerate(letters) if letter in own} for letter in set("".join(letters))}
    for letter, members in rows.items():
        others = [other for name, other in rows.items() if name != letter]
        pairs = [{a, b} for a in members for b in members]
        assert not all(any(pair <= other for other in others) for pair in pairs), letters
        outside = set(range(len(letters))) - members
        assert all(any(significant[row, member] for member in members) for row in outside), letters


def test_letters_by_hand():
    """Piepho's case: the first differs from the last two, and the last from the first two."""
    significant = np.zeros((4, 4), bool)
    for a, b in ((0, 2), (0, 3), (1, 3)):
        significant[a, b] = significant[b, a] = True
    assert compact_letters(significant) == ["a", "ab", "bc", "c"]
    everything = np.ones((60, 60), bool) & ~np.eye(60, dtype=bool)
    assert compact_letters(everything)[-1] == "[60]"
    assert compact_letters(np.zeros((3, 3), bool)) == ["a", "a", "a"]


@settings(max_examples=60)
@given(st.integers(2, 7), st.sampled_from([AUC, LOGLOSS]), st.integers(0, 2**32 - 1))
def test_letters_ranges_and_ties_with_the_best_agree_on_every_pair(count, metric, seed):
    random = np.random.default_rng(seed)
    levels = 0.7 + 0.01 * random.normal(size=count)
    found = infer(rows_of(*(level + random.normal(0, 0.002, random.integers(1, 5)) for level in levels)), metric)
    letters, ranges, order = found.letters(), found.rank_ranges(), found.order()
    places = {found.names[place]: rank for rank, place in enumerate(order, 1)}
    for a, b in itertools.combinations(found.names, 2):
        difference = found.difference(a, b)
        if difference.adjusted_p is None:
            assert not difference.significant
        else:
            assert difference.significant == (not set(letters[a]) & set(letters[b]))
        if difference.significant:
            better, worse = sorted((a, b), key=places.get)
            assert ranges[better][0] < ranges[worse][0]
            assert ranges[better][1] < ranges[worse][1]
    best = found.names[order[0]]
    compared = [name for name in found.names if found.difference(best, name).adjusted_p is not None and name != best]
    assert set(found.like_the_best()) == {name for name in compared if not found.difference(best, name).significant}
    assert all(ranges[name][0] <= places[name] <= ranges[name][1] for name in found.names)


# --- by hand and against scipy --------------------------------------------


def test_holm_by_hand():
    assert holm(np.array([0.04, 0.01, 0.03])) == pytest.approx([0.06, 0.03, 0.06])
    assert holm(np.array([0.5, 0.9])) == pytest.approx([1, 1])
    assert holm(np.array([])).shape == (0,)


def test_planned_pairs_are_adjusted_for_each_other_alone():
    means = {"a": 0.7, "b": 0.72, "c": 0.75, "d": 0.8, "e": 0.81}
    board = infer({name: {1: mean, 2: mean + 0.01, 3: mean - 0.01} for name, mean in means.items()})
    planned = board.planned([("a", "b"), ("d", "a")])
    alone = [board.difference("a", "b").p, board.difference("a", "d").p]
    assert [planned.difference("a", other).adjusted_p for other in "bd"] == holm(np.array(alone)).tolist()
    assert planned.difference("b", "a").adjusted_p == planned.difference("a", "b").adjusted_p
    assert planned.difference("a", "b").interval == board.difference("a", "b").interval
    assert planned.compared == 2
    assert planned.difference("c", "a").adjusted_p is None


def test_the_seeds_own_noise_is_not_counted_twice():
    """Seeds that share nothing have no common sampling error; equal seeds have all of it in common."""
    random = np.random.default_rng(0)
    independent = random.normal(size=(5, 100_000)) / np.sqrt(100_000)  # each of variance 1
    assert sampling_covariance([independent])[0, 0] == pytest.approx(0, abs=0.01)
    equal = np.tile(independent[:1], (5, 1))
    assert sampling_covariance([equal])[0, 0] == pytest.approx(equal[0] @ equal[0])
    assert sampling_covariance([equal[:1]])[0, 0] == pytest.approx(equal[0] @ equal[0])


def test_an_interval_over_seeds_is_students():
    values = np.array([0.70, 0.72, 0.74])
    (plain,) = infer(rows_of(values), LOGLOSS).intervals
    assert (plain.low, plain.high) == pytest.approx(stats.t.interval(0.95, 2, values.mean(), stats.sem(values)))
    (interval,) = infer(rows_of(values), AUC).intervals
    half_width = stats.t.ppf(0.975, 2) * stats.sem(values) / (0.72 * 0.28)
    assert (interval.low, interval.high) == pytest.approx(
        (expit(logit(0.72) - half_width), expit(logit(0.72) + half_width))
    )


def test_an_interval_counts_a_part_of_a_row_ranked_by_chance():
    (interval,) = infer(rows_of([0.9]), AUC, Sampling(np.array([[0.001]]), 12)).intervals
    weight = PSEUDO_ROW / (12 + PSEUDO_ROW)
    centre = 0.9 - weight * 0.4
    variance = 0.001 + weight**2 / PSEUDO_ROW * 0.4**2
    half_width = stats.t.ppf(0.975, 11) * variance**0.5 / (centre * (1 - centre))
    assert interval.low == pytest.approx(expit(logit(centre) - half_width))
    assert interval.high == pytest.approx(expit(logit(centre) + half_width))


def test_perfect_ranking_of_a_few_rows_is_not_certain():
    (interval,) = infer(rows_of([1.0]), AUC, Sampling(np.zeros((1, 1)), 10)).intervals
    assert 0.4 < interval.low < 0.9
    assert interval.high == 1


@pytest.mark.parametrize("values", [[0.99, 0.5], [1.0, 0.98, 0.999], [0.0, 0.5]])
def test_no_interval_reaches_beyond_what_a_metric_can_be(values):
    (interval,) = infer(rows_of(values), AUC).intervals
    assert 0 <= interval.low <= np.mean(values) <= interval.high <= 1
    (losses,) = infer(rows_of([0.02, 1.5]), LOGLOSS).intervals
    assert losses.low == 0
    assert losses.high > 1.5


def test_one_seed_without_others_is_compared_with_nothing():
    evidence = Sampling(np.eye(3) * 1e-9, 10_000)
    found = infer(rows_of([0.7], [0.8], [0.81, 0.82]), AUC, evidence)
    assert found.intervals[0] is not None, "of the test rows alone"
    assert not found.significant.any()
    assert found.difference("a", "b").p is None
    assert found.difference("a", "c").interval is None
    assert found.not_compared() == ["a", "b"]
    assert found.letters() == {"a": "", "b": "", "c": "a"}
    assert set(found.rank_ranges().values()) == {(1, 3)}
    assert found.like_the_best() == []
    assert infer(rows_of([0.7], [0.8]), AUC).smallest_detectable() is None


def test_one_seed_takes_the_usual_noise_of_three_rows_that_have_more():
    several = [(0.70, 0.71, 0.72), (0.80, 0.81, 0.82), (0.90, 0.91, 0.92)]
    found = infer(rows_of(*several, [0.76]), LOGLOSS)
    # The deviations are all 0.01, so they are one of 6 degrees of freedom, of which Student's t is 2.447.
    *widths, single = [(i.high - i.low) / 2 for i in found.intervals]
    assert widths == pytest.approx([2.44691 * 0.01 / 3**0.5] * 3, rel=1e-5)
    assert single > 2.44691 * 0.01, "three rows say less of a fourth than of themselves"
    assert found.difference("c", "d").significant
    assert found.pooled.all()
    assert not infer(rows_of([0.75] * 3, [0.75] * 3, [0.75] * 3, [0.76]), AUC).comparable[:3, 3].any()


def test_noise_in_one_part_is_students_t():
    values, constant = np.array([0.70, 0.72, 0.71, 0.74]), np.array([0.75, 0.75])
    p = infer(rows_of(values, constant), AUC).difference("a", "b").p
    assert p == pytest.approx(stats.ttest_1samp(values, 0.75).pvalue)
    sampling = Sampling(np.array([[4e-5, 1e-5], [1e-5, 2e-5]]), 21)
    rows_only = infer(rows_of([0.7, 0.7], [0.72, 0.72]), AUC, sampling).difference("a", "b").p
    assert rows_only == pytest.approx(2 * stats.t.sf(0.02 / np.sqrt(4e-5), 20))  # 4 + 2 - 2 of 1e-5


def test_a_half_width_by_hand():
    # Variances 4 and 9 with 2 and 5 degrees of freedom; t at 95% is 4.30265 and 2.57058.
    half_width = Noise(np.array([4.0, 9.0]), np.array([2, 5])).half_width(0.05)
    assert half_width == pytest.approx(np.sqrt(4 * 4.30265**2 + 9 * 2.57058**2), rel=1e-5)


@given(st.lists(st.floats(0.1, 9), min_size=2, max_size=5), st.lists(st.floats(0.1, 9), min_size=2, max_size=5))
def test_a_difference_is_never_surer_than_welchs_test(a, b):
    if np.ptp(a) < 1e-3 or np.ptp(b) < 1e-3:
        return
    found = infer(rows_of(a, b))
    p = found.difference("a", "b").p
    assert p >= stats.ttest_ind(a, b, equal_var=False).pvalue - 1e-6
    if p < 1:  # the p value is the level whose interval ends at zero
        assert float(found.noise[0, 1].half_width(p)) == pytest.approx(abs(found.effects[0, 1]), abs=1e-6)


def test_p_values_far_out_end_at_a_smallest_one():
    found = infer(rows_of([0.1, 0.1], [0.9, 0.9]), AUC, Sampling(np.eye(2) * 1e-9, 10**6))
    assert found.difference("a", "b").p == pytest.approx(SMALLEST_P)


def test_a_metric_with_a_target_is_compared_by_its_distance_from_it():
    """0.9 and 1.1 predict as badly; test rows that raise both bring one nearer and the other farther."""
    values = rows_of([0.9, 0.9], [1.1, 1.1], [1.2, 1.2])
    covariance = np.full((3, 3), 1e-4) * (1 + 1e-9 * np.eye(3))
    found = infer(values, PCOC, Sampling(covariance, 1000))
    assert found.difference("a", "b").effect == pytest.approx(0)
    assert found.noise.variances[:, 0, 1].sum() == pytest.approx(4e-4)  # 1 + 1 + 2 of 1e-4
    assert found.noise.variances[:, 1, 2].sum() == pytest.approx(0, abs=1e-10)
    assert [found.names[place] for place in found.order()][-1] == "c"
    assert found.difference("c", "b").significant


@settings(max_examples=30)
@given(st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_nothing_depends_on_the_order_of_the_rows(count, seed):
    random = np.random.default_rng(seed)
    values, sampling = simulated(random, random.normal(1, 0.5, count), rows=40, seeds=3)
    found = infer(values, AUC, sampling)
    turned = random.permutation(count)
    names = list(values)
    again = infer(
        {names[place]: values[names[place]] for place in turned},
        AUC,
        Sampling(sampling.covariance[np.ix_(turned, turned)], sampling.units),
    )
    np.testing.assert_allclose(again.p_values, found.p_values[np.ix_(turned, turned)])
    assert again.letters() == found.letters()
    assert again.rank_ranges() == found.rank_ranges()


# --- simulation: do intervals cover what they promise, and do tests err as often as they may? ---

REPLICATIONS = 1000


def share(hits) -> float:
    return float(np.mean(hits))


def simulated(random, signals, rows=120, seeds=4, strength=0.15, clusters=None):
    """Models trained with some seeds on shared test rows; each seed has a strength and noise of its own."""
    labels = np.tile([0.0, 1.0], rows // 2)
    shared = random.normal(size=rows) * 0.8
    if clusters is not None:  # users differ in how well they can be predicted, which makes the rows of one user alike
        shared = shared + random.normal(0, 0.8, clusters.max() + 1)[clusters] * (labels - 0.5)
    strengths = random.normal(np.array(signals)[:, None, None], strength, (len(signals), seeds, 1))
    own = 0.6 * random.normal(size=(len(signals), seeds, rows))
    aucs, psi = auc_influence(labels, strengths * labels + shared + own)
    if clusters is not None:
        psi = np.array([[within_clusters(seed, clusters) for seed in model] for model in psi])
    units = rows // 2 if clusters is None else clusters.max() + 1
    return rows_of(*aucs), Sampling(sampling_covariance(list(psi)), units)


def expected_auc(signal, strength=0.15, own=1.0) -> float:
    """AUC of strength N(signal, strength) averaged over seeds: the difference of two rows is N(signal, 2 own²)."""
    return float(stats.norm.cdf(signal / np.sqrt(2 * own**2 + strength**2)))


def test_intervals_and_comparisons_of_two_models_keep_their_promise():
    random = np.random.default_rng(2)
    truths = expected_auc(1.2), expected_auc(1.0)
    covered, different, false = [], [], []
    for _ in range(REPLICATIONS):
        found = infer(*_with_metric(simulated(random, [1.2, 1.0])))
        covered.append([i.low < truth < i.high for i, truth in zip(found.intervals, truths, strict=True)])
        interval = found.difference("a", "b").interval
        different.append(interval.low < truths[0] - truths[1] < interval.high)
        false.append(infer(*_with_metric(simulated(random, [1.0, 1.0]))).difference("a", "b").p < 0.05)
    assert 0.94 < share(covered) < 0.985
    assert 0.94 < share(different) < 0.99
    assert 0.005 < share(false) < 0.06


@pytest.mark.parametrize(("positives", "auc"), [(12, 0.98), (10, 0.9), (50, 0.99)])
def test_intervals_cover_where_positives_are_few(positives, auc):
    random = np.random.default_rng(5)
    labels = np.arange(5 * positives) < positives
    scores = random.normal(size=(REPLICATIONS, len(labels))) + labels * stats.norm.ppf(auc) * 2**0.5
    aucs, psi = auc_influence(labels, scores)
    usual = np.abs(aucs - auc) < 1.96 * np.linalg.norm(psi, axis=1)
    ours = []
    for value, own in zip(aucs, psi, strict=True):
        (interval,) = infer(rows_of([value]), AUC, Sampling(np.array([[own @ own]]), positives)).intervals
        ours.append(interval.low <= auc <= interval.high)
    assert share(ours) > 0.925
    assert share(usual) < share(ours)


def test_clusters_are_counted_and_what_happens_when_they_are_not():
    random = np.random.default_rng(5)
    clusters = np.repeat(np.arange(60), 10)
    # Of two rows of different users, half of each user's easiness enters the difference: variance 2 x 0.8² / 4.
    truth = float(stats.norm.cdf(1.0 / np.sqrt(2 + 0.8**2 / 2 + 0.15**2)))
    covered, ignorant = [], []
    for _ in range(REPLICATIONS // 2):
        (interval,) = infer(*_with_metric(simulated(random, [1.0], 600, clusters=clusters))).intervals
        covered.append(interval.low < truth < interval.high)
    labels = np.tile([0.0, 1.0], 300)
    for _ in range(REPLICATIONS // 2):
        easiness = random.normal(0, 0.8, 60)[clusters]
        auc, psi = auc_influence(labels, labels + random.normal(size=600) + easiness * (labels - 0.5))
        ignorant.append(abs(auc - float(stats.norm.cdf(1 / np.sqrt(2 + 0.8**2 / 2)))) < 1.96 * np.sqrt(psi @ psi))
    assert 0.93 < share(covered) < 0.985
    assert share(ignorant) < 0.9


def test_the_smallest_detectable_difference_is_found_with_its_power():
    random = np.random.default_rng(0)
    noise = [random.normal(0, 0.01, 5) for _ in range(2000)]
    # Four rows of one noise: they inform each other, so that it is nearly known.
    detectable = np.median([infer(rows_of(*noise[i : i + 4])).smallest_detectable() for i in range(0, 400, 4)])
    found = []
    for i in range(0, 2000, 4):
        rows = [noise[i] + detectable, *noise[i + 1 : i + 4]]
        found.append(infer(rows_of(*rows)).difference("a", "b").p < 0.05)
    assert 0.73 < share(found) < 0.9


@pytest.mark.parametrize("spread", [0, 1.5])
@pytest.mark.parametrize(("several", "one"), [(5, 5), (3, 7)])
def test_boards_with_rows_of_one_seed_make_few_false_discoveries(several, one, spread):
    """``spread`` is of the log variance between seeds."""
    random = np.random.default_rng(7)
    false = []
    for _ in range(300):
        counts = [3] * several + [1] * one
        rows = [random.normal(size=count) * np.exp(random.normal(0, spread) / 2) for count in counts]
        false.append(infer({str(i): dict(enumerate(row.tolist())) for i, row in enumerate(rows)}).significant.any())
    assert share(false) < 0.075  # 5%, and two deviations of 300 boards


def _with_metric(found):
    values, sampling = found
    return values, AUC, sampling


# --- weighted sums of rows --------------------------------------------


def test_a_contrast_of_two_rows_is_their_difference():
    values = rows_of([0.70, 0.72, 0.71], [0.69, 0.66, 0.68], [0.7, 0.71, 0.7], [0.6, 0.61, 0.63])
    covariance = np.cov(np.random.default_rng(0).normal(0, 0.01, (4, 9)))
    board = infer(values, AUC, Sampling(covariance, units=500))
    effect, noise = board.contrast(np.array([1.0, 0, -1, 0]))
    assert effect == pytest.approx(board.effects[0, 2])
    for level in (0.05, 1e-4):
        assert noise.half_width(level)[0] == pytest.approx(board.noise[0, 2].half_width(level))


def test_the_sampling_of_a_contrast_is_that_of_the_covariance():
    values = rows_of([3.0, 3.1], [2.0, 2.2], [1.0, 1.3])
    factor = np.random.default_rng(1).normal(0, 0.1, (3, 3))
    board = infer(values, None, Sampling(factor @ factor.T, units=50))
    weights = np.array([-0.5, 0.2, 0.3])
    effect, noise = board.contrast(weights)
    assert effect == pytest.approx(weights @ [3.05, 2.1, 1.15])
    assert noise.variances[0, 0] == pytest.approx(weights @ factor @ factor.T @ weights)
    assert noise.dof[0, 0] == 49
    assert noise.variances[1:, 0] == pytest.approx(weights**2 * board.noise.variances[1].diagonal())

"""Models across datasets: ranks, win rates and tests by hand, by definitions spelled out, and by laws."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from fuxi_plugins.analysis.across import (
    across,
    friedman,
    mean_intervals,
    nemenyi,
    smallest_p,
    units_needed,
    wilcoxon_holm,
    win_rates,
)
from fuxi_plugins.analysis.tradeoff import pareto_front, tradeoff
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.metrics import find_metric
from tests.analysis.make import board_of, record, suite_board

AUC = find_metric("AUC")


def boards(tmp_path, **more):
    """A is first, second and first; B second, first and second; C always last."""
    return [
        suite_board("one", {"C": [0.6, 0.601], "A": [0.8, 0.801], "B": [0.7, 0.701]}, tmp_path, **more),
        suite_board("two", {"C": [0.6, 0.601], "A": [0.7, 0.701], "B": [0.8, 0.801]}, tmp_path),
        suite_board("three", {"C": [0.6, 0.601], "A": [0.9, 0.901], "B": [0.8, 0.801]}, tmp_path),
    ]


def test_ranks_wins_and_gaps_by_hand(tmp_path):
    found = across(boards(tmp_path), AUC)
    assert found.models == ["A", "B", "C"]
    assert found.ranks.tolist() == [[1, 2, 3], [2, 1, 3], [1, 2, 3]]
    assert found.average_ranks == pytest.approx([4 / 3, 5 / 3, 3])
    assert found.wins == pytest.approx(np.array([[0.5, 2 / 3, 1], [1 / 3, 0.5, 1], [0, 0, 0.5]]))
    assert found.gaps == pytest.approx(np.array([[0, -0.1, -0.2], [-0.1, 0, -0.2], [0, -0.1, -0.3]]))
    assert found.significant_wins.tolist() == [[0, 2, 3], [1, 0, 3], [0, 0, 0]]


def test_of_logloss_the_lowest_is_first(tmp_path):
    found = across(boards(tmp_path), find_metric("logloss"))
    assert found.models == ["A", "B", "C"]
    assert (found.gaps <= 0).all()


def test_models_with_a_hole_are_left_out_and_named(tmp_path):
    found = across(boards(tmp_path, D="killed"), AUC)
    assert found.models == ["A", "B", "C"]
    reason = (
        "on one: seed 1: failed: killed; on two: not on the board two_board; on three: not on the board three_board"
    )
    assert found.left_out == {"D": reason}


def test_too_few_datasets_or_models_are_refused(tmp_path):
    with pytest.raises(UserError, match="at least two datasets"):
        across(boards(tmp_path)[:1], AUC)
    with pytest.raises(UserError, match="at least two models must have a result on each of one, two, three; 1 has"):
        across(boards(tmp_path, D="killed"), AUC, ["A", "D"])


MODELS = {"A": 0.80, "B": 0.74, "C": 0.71, "D": 0.68}


def several(tmp_path, *names):
    """A board of a dataset each, on which the four models have an order of its own."""
    found = []
    for name in names:
        noise = np.random.default_rng(len(name)).normal(0, 0.06, len(MODELS))
        values = {model: [auc + up, auc + up + 0.001] for (model, auc), up in zip(MODELS.items(), noise, strict=True)}
        found.append(suite_board(name, values, tmp_path))
    return found


def moved(board, name, tmp_path):
    """A dataset on which every model is better by the same: all ranks and differences are those of the board."""
    return suite_board(
        name, {m: [v + 0.01 for v in board.row(m).test["AUC"].by_seed.values()] for m in MODELS}, tmp_path
    )


@pytest.mark.parametrize("copied", [(0,), (1, 2), (0, 0, 0), (0, 1, 2, 3)])
def test_a_second_split_of_a_log_is_no_new_evidence(copied, tmp_path):
    alone = several(tmp_path, "a", "bb", "ccc", "dddd")
    splits = [moved(alone[place], f"split{number}", tmp_path) for number, place in enumerate(copied)]
    logs = {f"split{number}": alone[place].board.dataset for number, place in enumerate(copied)}
    expected, found = across(alone, AUC), across([*alone, *splits], AUC, logs=logs)
    assert found.models == expected.models
    for name in ("average_ranks", "wins", "p_values", "adjusted", "friedman_p", "critical_difference", "units"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name)), name
    ends = [[(one.low, one.high) for one in each.rank_intervals] for each in (found, expected)]
    assert np.array(ends[0]) == pytest.approx(np.array(ends[1]))
    assert (found.how_many, expected.how_many) == (f"{4 + len(copied)} datasets of 4 logs", "4 datasets")
    as_units = across([*alone, *splits], AUC)
    assert as_units.friedman_p != pytest.approx(expected.friedman_p), "or this test could not fail"


def test_numbers_of_a_log_are_averaged_before_they_are_tested(tmp_path):
    """Against scipy, on what the average over a log's datasets leaves."""
    names = ["a", "bb", "ccc", "dddd", "eeeee", "ffffff", "ggggggg"]
    logs = {"bb": "first", "ffffff": "first", "a": "second", "dddd": "second", "ccc": "second"}
    found = across(several(tmp_path, *names), AUC, logs=logs)
    assert found.logs == ["second", "first", "second", "second", "eeeee", "first", "ggggggg"]
    assert found.datasets_by_log == [["a", "ccc", "dddd"], ["bb", "ffffff"], ["eeeee"], ["ggggggg"]]
    groups = [[0, 2, 3], [1, 5], [4], [6]]
    ranks = np.array([found.ranks[group].mean(0) for group in groups])
    values = np.array([found.values[group].mean(0) for group in groups])
    assert found.average_ranks == pytest.approx(ranks.mean(0))
    assert found.average_ranks != pytest.approx(found.ranks.mean(0))
    assert (np.diff(found.average_ranks) >= 0).all()
    assert found.friedman_p == pytest.approx(stats.friedmanchisquare(*ranks.T).pvalue)
    for place, interval in enumerate(found.rank_intervals):
        ends = stats.ttest_1samp(ranks[:, place], 0).confidence_interval()
        assert (interval.low, interval.high) == pytest.approx((max(ends.low, 1), min(ends.high, 4)))
    for a, b in itertools.combinations(range(4), 2):
        known = stats.wilcoxon(values[:, a] - values[:, b], method="exact")
        assert found.p_values[a, b] == pytest.approx(known.pvalue)
        won = [np.mean([found.ranks[d, a] < found.ranks[d, b] for d in group]) for group in groups]
        assert found.wins[a, b] == pytest.approx(np.mean(won))
    assert found.critical_difference == nemenyi(4, 4)


def test_models_whose_ranks_tie_within_every_log_are_equal(tmp_path):
    forth, back = {"A": [0.6], "B": [0.7], "C": [0.8]}, {"A": [0.8], "B": [0.7], "C": [0.6]}
    made = [suite_board(name, forth, tmp_path) for name in ("one", "two")]
    made += [suite_board(f"{name}_back", back, tmp_path) for name in ("one", "two")]
    found = across(made, AUC, logs={"one_back": "one", "two_back": "two"})
    assert found.average_ranks.tolist() == [2, 2, 2]
    assert found.friedman_p == 1
    assert found.letters == ["a", "a", "a"]
    assert found.wins == pytest.approx(np.full((3, 3), 0.5))


def test_friedmans_p_with_ties_is_scipys():
    ranks = np.array([[1.5, 1.5, 3, 4], [1, 2.5, 2.5, 4], [2, 1, 3.5, 3.5]])
    assert friedman(ranks) == stats.friedmanchisquare(*ranks.T).pvalue


def test_datasets_of_one_log_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"at least two logs, but one, two are of one; .* 'fuxibench splits' compares"):
        across(boards(tmp_path)[:2], AUC, logs={"two": "one"})


def test_three_datasets_tell_nothing_apart(tmp_path):
    found = across(boards(tmp_path), AUC)
    assert found.p_values.min() == pytest.approx(smallest_p(3)) == 0.25
    assert found.letters == ["a", "a", "a"]


def test_nemenyi_is_demsars_example():
    assert nemenyi(14, 4) == pytest.approx(2.569 * (4 * 5 / (6 * 14)) ** 0.5, abs=2e-3)  # his table 5, section 3.2.2


def spelled_out_wilcoxon(differences):
    """Two-sided, over all signs: how often the smaller of the two sums of ranks is no larger than the one seen."""
    ranks = stats.rankdata(np.abs(differences))

    def smaller(signs):
        up = sum(rank for rank, sign in zip(ranks, signs, strict=True) if sign > 0)
        return min(up, ranks.sum() - up)

    seen = smaller(np.sign(differences))
    every = [smaller(signs) for signs in itertools.product((-1, 1), repeat=len(ranks))]
    return np.mean([value <= seen + 1e-9 for value in every])


@settings(max_examples=30)
@given(arrays(float, 6, elements=st.floats(-1, 1).filter(lambda x: abs(x) > 1e-6)))
def test_wilcoxons_p_is_that_of_all_signs(differences):
    keys = np.stack([differences, np.zeros(6)], axis=1)
    assert wilcoxon_holm(keys)[0][0, 1] == pytest.approx(spelled_out_wilcoxon(differences))


@settings(max_examples=30)
@given(arrays(float, (5, 4), elements=st.integers(-3, 3).map(float)))
def test_wilcoxons_p_with_zeros_and_ties_is_scipys(keys):
    found, _ = wilcoxon_holm(keys)
    for a, b in itertools.combinations(range(4), 2):
        differences = keys[:, a] - keys[:, b]
        if differences.any():
            known = stats.wilcoxon(differences, zero_method="zsplit", method=stats.PermutationMethod(n_resamples=32))
            assert found[a, b] == found[b, a] == pytest.approx(known.pvalue)


def test_equal_models_have_p_one():
    assert wilcoxon_holm(np.ones((7, 3)))[0].tolist() == np.ones((3, 3)).tolist()


@pytest.mark.parametrize("models", [2, 3, 4])
def test_no_more_datasets_are_needed_than_said_and_no_fewer(models):
    """The clearest case: models in the same order on every dataset."""
    needed = units_needed(models * (models - 1) // 2)

    def significant(datasets):
        keys = np.arange(models) * (1 + np.arange(datasets))[:, None]
        return (wilcoxon_holm(keys)[1] < 0.05)[np.triu_indices(models, 1)]

    assert not significant(needed - 1).any()
    assert significant(needed).all()
    assert units_needed(1) == 6


@given(arrays(float, (4, 3), elements=st.integers(0, 3).map(float)))
def test_win_rates_of_a_pair_add_up_to_one(keys):
    wins = win_rates(keys, list("wxyz"))
    assert wins + wins.T == pytest.approx(np.ones((3, 3)))
    for a, b in itertools.permutations(range(3), 2):
        assert wins[a, b] == sum(1.0 if row[a] < row[b] else 0.5 * (row[a] == row[b]) for row in keys) / 4


def test_intervals_over_datasets_are_students():
    values = np.random.default_rng(1).normal(size=(5, 2))
    for column, interval in zip(values.T, mean_intervals(values), strict=True):
        low, high = stats.ttest_1samp(column, 0).confidence_interval()
        assert (interval.low, interval.high) == pytest.approx((low, high))
    assert mean_intervals(np.ones((3, 1))) == [None]


POINTS = arrays(float, (5, 2), elements=st.integers(0, 3).map(float))


@given(POINTS)
def test_the_front_is_what_nothing_beats(points):
    quality, cost = points.T
    for own, on in zip(points, pareto_front(quality, cost), strict=True):
        beaten = any(
            other[0] >= own[0] and other[1] <= own[1] and (other[0] > own[0] or other[1] < own[1]) for other in points
        )
        assert on != beaten


def test_quality_and_cost_by_hand(tmp_path):
    def run(dataset, name, auc, dense):
        parameters = {"dense": dense, "embedding": 1}
        return record(name, 1, auc, dataset=dataset, experiment=f"{name}_{dataset}", parameters=parameters)

    made = [
        board_of("one", [run("one", "A", 0.8, 100), run("one", "B", 0.7, 10), run("one", "C", 0.6, 10)], tmp_path),
        board_of("two", [run("two", "A", 0.9, 400), run("two", "B", 0.6, 10), run("two", "C", 0.5, 10)], tmp_path),
    ]
    found = across(made, AUC)
    costs = tradeoff(found, "parameters")
    assert found.models == ["A", "B", "C"]
    assert costs.cost == pytest.approx([200, 10, 10])  # the root of 100 times 400
    assert costs.quality == pytest.approx([0, -0.2, -0.3])
    assert costs.front.tolist() == [True, True, False]
    assert costs.cost_intervals[1] is None
    with pytest.raises(UserError, match="do not say its FLOPs"):
        tradeoff(found, "flops")
    made.append(board_of("two_random", [run("two_random", *one) for one in (("A", 0.9, 100), ("B", 0.9, 10),
                                                                             ("C", 0.9, 10))], tmp_path))  # fmt: skip
    costs = tradeoff(across(made, AUC, logs={"two_random": "two"}), "parameters")
    assert costs.quality == pytest.approx([0, -0.125, -0.2])  # of B 0.1, and of one log the mean of 0.3 and 0
    assert costs.cost == pytest.approx([100 * 2**0.5, 10, 10])  # 100, and the root of 400 times 100


def test_the_name_of_a_test_decides_the_letters(tmp_path):
    models = {name: [0.9 - place / 10] for place, name in enumerate("ABCDE")}
    made = [suite_board(f"d{number}", models, tmp_path) for number in range(5)]
    assert set(across(made, AUC).letters) == {"a"}, "five datasets are too few for Wilcoxon's test"
    nemenyis = across(made, AUC, test="nemenyi")
    for a, b in itertools.combinations(range(5), 2):
        apart = abs(nemenyis.average_ranks[a] - nemenyis.average_ranks[b]) >= nemenyis.critical_difference
        assert apart == (not set(nemenyis.letters[a]) & set(nemenyis.letters[b]))
    assert len(set(nemenyis.letters)) > 1

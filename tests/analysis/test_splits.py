"""The agreement of two boards: laws, definitions spelled out, simulated boards whose true orders are known."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from fuxi_plugins.analysis.splits import Agreement, Order, compare_splits
from fuxi_plugins.analysis.statistics.inference import Sampling, infer
from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.reporting.splits import render_splits, splits_to_json
from tests.analysis.make import suite_board

NOISE, SAMPLING = 0.002, 0.0015  # standard deviations of a seed's value, and of a mean over test rows
SEEDS = 3


def simulated(random, true, noise=NOISE, sampling=SAMPLING) -> Order:
    """A board of models with these expected values; the errors from test rows are independent."""
    values = {
        f"model {place}": dict(enumerate(value + sampling * random.normal() + noise * random.normal(size=SEEDS)))
        for place, value in enumerate(true)
    }
    return Order.of(infer(values, None, Sampling(np.eye(len(true)) * sampling**2, 2000)))


def agreement(random, first, second, **noise) -> Agreement:
    names = [f"model {place}" for place in range(len(first))]
    return Agreement(names, (simulated(random, first, **noise), simulated(random, second, **noise)))


def spelled_out_tau_b(first, second) -> float:
    """Concordant less discordant pairs over the geometric mean of the pairs that are no ties in each order."""
    concordant, untied = 0, [0, 0]
    for i, j in itertools.combinations(range(len(first)), 2):
        signs = np.sign(first[i] - first[j]), np.sign(second[i] - second[j])
        concordant += signs[0] * signs[1]
        untied = [count + bool(sign) for count, sign in zip(untied, signs, strict=True)]
    return concordant / np.sqrt(untied[0] * untied[1])


def exact(values) -> Order:
    """A board without noise."""
    return Order.of(infer({f"model {place}": {1: float(value)} for place, value in enumerate(values)}))


orders = st.lists(st.integers(0, 4), min_size=5, max_size=5).filter(lambda values: len(set(values)) > 1)


@given(orders, orders)
@settings(max_examples=50)
def test_tau_is_kendalls_definition_with_ties(first, second):
    found = Agreement([f"model {place}" for place in range(5)], (exact(first), exact(second)))
    assert found.tau == pytest.approx(spelled_out_tau_b(first, second))


def test_a_board_agrees_with_itself():
    order = simulated(np.random.default_rng(0), np.linspace(0.7, 0.71, 7))
    found = Agreement([f"model {place}" for place in range(7)], (order, order))
    assert found.tau == found.interval.high == 1
    assert not [pair for pair in found.pairs if pair.is_reversed or pair.is_decided_once]
    assert [pair for pair in found.pairs if pair.is_same]
    assert found.best(0) == found.best(1) == found.best_on_both


def test_swapping_the_boards_changes_nothing_but_sides():
    random = np.random.default_rng(3)
    found = agreement(random, np.linspace(0.7, 0.72, 6), np.linspace(0.72, 0.7, 6)[[1, 0, 2, 5, 3, 4]])
    swapped = Agreement(found.models, (found.orders[1], found.orders[0]))
    assert (swapped.tau, swapped.unrelated_p) == (found.tau, found.unrelated_p)
    assert swapped.interval == found.interval
    assert swapped.best(0) == found.best(1)
    assert set(swapped.best_on_both) == set(found.best_on_both)

    def as_sets(pairs):
        return {(frozenset((pair.a, pair.b)), pair.is_reversed, pair.is_same, pair.is_decided_once) for pair in pairs}

    assert as_sets(swapped.pairs) == as_sets(found.pairs)


def test_a_planted_reversal_is_found_and_no_other():
    first, second = [0.70, 0.75, 0.80, 0.85], [0.70, 0.80, 0.75, 0.85]
    found = agreement(np.random.default_rng(0), first, second)
    [pair] = [pair for pair in found.pairs if pair.is_reversed]
    assert (pair.a, pair.b, pair.decided) == ("model 2", "model 1", (1, -1))
    assert pair.effects == pytest.approx((0.05, -0.05), abs=0.01)
    assert max(pair.adjusted) < 0.05
    assert found.tau == pytest.approx(4 / 6)
    assert (found.interval.low, found.interval.high) == pytest.approx((4 / 6, 4 / 6))  # every pair is decided
    assert found.best(0) == found.best(1) == ["model 3"]


def test_a_split_that_chooses_the_winner():
    found = agreement(np.random.default_rng(0), [0.70, 0.75, 0.80], [0.80, 0.75, 0.70])
    assert (found.best(0), found.best(1), found.best_on_both) == (["model 2"], ["model 0"], [])
    assert found.tau == -1
    assert found.unrelated_p == pytest.approx(1 / 3)  # 2 of the 3! orders


def test_models_within_noise_are_among_the_best_from_the_best_on():
    found = agreement(np.random.default_rng(0), [0.700, 0.7001, 0.6999, 0.5], [0.700, 0.7001, 0.6999, 0.5])
    for board in (0, 1):
        ranks = dict(zip(found.models, found.orders[board].ranks, strict=True))
        assert sorted(found.best(board)) == ["model 0", "model 1", "model 2"]
        assert found.best(board) == sorted(found.best(board), key=ranks.__getitem__)


@given(st.integers(0, 10_000))
@settings(max_examples=20)
def test_every_order_that_the_boards_allow_has_its_tau_within_the_interval(seed):
    found = agreement(np.random.default_rng(seed), [0.70, 0.706, 0.712, 0.73], [0.706, 0.70, 0.73, 0.712])
    allowed = [
        [
            ranks
            for ranks in itertools.permutations(range(4))
            if all(
                ranks[i] < ranks[j] for i, j in itertools.permutations(range(4), 2) if order.decided[i, j] == 1
            )
        ]
        for order in found.orders
    ]  # fmt: skip
    taus = [spelled_out_tau_b(*ranks) for ranks in itertools.product(*allowed)]
    assert found.interval.low - 1e-9 <= min(taus) <= max(taus) <= found.interval.high + 1e-9
    assert found.interval.low - 1e-9 <= found.tau <= found.interval.high + 1e-9


SECOND = [1, 0, 2, 4, 3, 5]
SPACINGS = {"within noise": 0.0005, "half decided": 0.004, "mostly decided": 0.01}


@pytest.mark.parametrize("spacing", SPACINGS.values(), ids=SPACINGS)
def test_simulated_intervals_cover_the_true_tau(spacing):
    random = np.random.default_rng(2)
    true = 0.7 + spacing * np.arange(6)
    boards = [agreement(random, true, true[SECOND]) for _ in range(60)]
    tau = spelled_out_tau_b(true, true[SECOND])
    assert np.mean([one.interval.low - 1e-9 <= tau <= one.interval.high + 1e-9 for one in boards]) >= 0.95
    widths = [one.interval.high - one.interval.low for one in boards]
    if spacing == SPACINGS["mostly decided"]:
        assert np.mean(widths) < 0.2


def test_a_bootstrap_of_the_means_misses_the_same_order_of_close_models():
    """Why the interval is none: where the true tau is 1, its upper end is below 1 on most boards."""
    random = np.random.default_rng(2)
    true = 0.7 + 0.0005 * np.arange(6)
    error = np.hypot(SAMPLING, NOISE / np.sqrt(SEEDS))
    covered = []
    for _ in range(60):
        means = true + error * random.normal(size=(2, 6))
        drawn = means + error * random.normal(size=(60, 2, 6))
        covered.append(np.quantile([spelled_out_tau_b(*one) for one in drawn], 0.975) == 1)
    assert np.mean(covered) < 0.5


ONE = {"A": [0.80, 0.801, 0.802], "B": [0.75, 0.751, 0.752], "C": [0.70, 0.701, 0.702]}
OTHER = {"C": [0.60, 0.601, 0.602], "A": [0.65, 0.651, 0.652], "B": [0.70, 0.701, 0.702]}


def test_what_was_changed_after_the_runs_is_said(tmp_path):
    one, other = suite_board("one", ONE, tmp_path), suite_board("other", OTHER, tmp_path)
    assert "⚠" not in render_splits(compare_splits(one, other))
    other = replace(other, board=replace(other.board, outdated=("The data of other were changed.",)))
    assert render_splits(compare_splits(one, other)).endswith("\n\n⚠ The data of other were changed.\n")


def test_boards_compare_the_models_that_they_share_and_name_the_others(tmp_path):
    more = {**OTHER, "D": [0.9, 0.901, 0.902]}
    found = compare_splits(suite_board("one", ONE, tmp_path, E="killed"), suite_board("other", more, tmp_path))
    assert list(found.rows) == found.agreement.models == ["A", "B", "C"]
    assert [order.ranks.tolist() for order in found.agreement.orders] == [[1, 2, 3], [2, 1, 3]]
    assert found.left_out == {
        "D": "on one: not on the board one_board",
        "E": "on one: seed 1: failed: killed; on other: not on the board other_board",
    }
    text = render_splits(found)
    assert "one_board and other_board: 3 models by test AUC." in text
    assert "| A       |                   1 | 0.80100 |                     2 | 0.65100 |" in text
    assert "Kendall's tau-b of the two orders: 0.33 (95%: 0.33 to 0.33)." in text
    assert "With 3 models one pair is worth 0.67 of tau" in text
    assert "but not the sampling of test rows on one_board and other_board, where it has not been" in text
    assert "| A - B               |   +0.05000* |     -0.05000* |" in text
    assert "here the split chooses the winner" in text
    assert "Left out: D (on one: not on the board one_board)." in text


def test_of_logloss_the_lowest_is_first(tmp_path):
    boards = suite_board("one", ONE, tmp_path), suite_board("other", OTHER, tmp_path)
    by_loss, by_auc = compare_splits(*boards, "logloss"), compare_splits(*boards)  # logloss is 1 - AUC
    assert by_auc.metric.name == "AUC"
    assert by_loss.agreement.best(0) == ["A"]
    assert list(compare_splits(boards[1], boards[0]).rows) == ["B", "A", "C"]  # by the first board's ranks
    for mine, other in zip(by_loss.agreement.pairs, by_auc.agreement.pairs, strict=True):
        assert (mine.a, mine.b, mine.decided) == (other.a, other.b, other.decided)
        assert mine.effects == pytest.approx([-effect for effect in other.effects])


def test_a_pair_has_the_verdict_of_its_whole_board(tmp_path):
    """Models that the other board lacks still count among the pairs that Holm's procedure adjusts for."""
    more = {**ONE, **{f"M{place}": [0.5 + place / 50, 0.51 + place / 50] for place in range(9)}}
    boards = suite_board("one", more, tmp_path), suite_board("other", OTHER, tmp_path)
    found = compare_splits(*boards)
    first = boards[0].board.inference.difference("A_one", "B_one")
    [pair] = [pair for pair in found.agreement.pairs if (pair.a, pair.b) == ("A", "B")]
    assert pair.adjusted[0] == first.adjusted_p
    assert bool(pair.decided[0]) == first.significant


def test_fewer_than_three_shared_models_and_an_unknown_metric_are_one_clear_error(tmp_path):
    one = suite_board("one", ONE, tmp_path)
    two = suite_board("other", {name: OTHER[name] for name in "AB"}, tmp_path)
    with pytest.raises(UserError, match=r"at least 3 models .* but one_board and other_board share A, B\. .*leaderb"):
        compare_splits(one, two)
    with pytest.raises(UserError, match="must have the metric gAUC: one_board has AUC, logloss; other_board has AUC"):
        compare_splits(one, suite_board("other", OTHER, tmp_path), "gAUC")


def test_one_seed_of_unknown_noise_decides_nothing_and_is_named(tmp_path):
    single = {name: values[:1] for name, values in OTHER.items()}
    found = compare_splits(suite_board("one", ONE, tmp_path), suite_board("other", single, tmp_path))
    assert (found.agreement.interval.low, found.agreement.interval.high) == (-1, 1)
    assert "other_board compares A, B, C with no other model: one seed, unknown noise." in render_splits(found)
    assert splits_to_json(found)["reversed"] == []
    [pair, *_] = splits_to_json(found)["significant_on_one"]
    assert pair["adjusted_p"][1] is None


def call(*arguments):
    return CliRunner().invoke(main, ["splits", *arguments])


def test_the_command_reads_committed_boards():
    made = call("frappe_board", "ml100k_board")
    assert made.exit_code == 0, made.output
    assert "counts the noise between seeds and the sampling of test rows." in made.output
    assert "Best on ml100k_board: FinalMLP; not significantly worse: " in made.output
    found = json.loads(call("frappe_board", "ml100k_board", "--json").output)
    assert f"tau-b of the two orders: {found['tau_b']:.2f} " in made.output
    assert found["pairs"] == 55 == len(found["models"]) * (len(found["models"]) - 1) // 2
    ranks = np.array([model["ranks"] for model in found["models"]])
    assert found["tau_b"] == pytest.approx(spelled_out_tau_b(*ranks.T))
    itself = json.loads(call("ml100k_board", "ml100k_board", "--by", "logloss", "--json").output)
    assert (itself["metric"], itself["tau_b"], itself["reversed"], itself["significant_on_one"]) == (
        "logloss",
        1,
        [],
        [],
    )


def test_a_long_list_of_pairs_ends_with_their_number(tmp_path, monkeypatch):
    single = {name: values[:1] for name, values in OTHER.items()}
    found = compare_splits(suite_board("one", ONE, tmp_path), suite_board("other", single, tmp_path))
    assert "more pairs" not in render_splits(found)
    monkeypatch.setattr("fuxi_plugins.reporting.splits.MOST_PAIRS", 1)
    text = render_splits(found)
    assert "| A - B " in text
    assert "| A - C " not in text
    assert "\n2 more pairs are in --json.\n" in text


def test_a_suite_of_several_datasets_is_refused():
    made = call("twins_smoke", "ml100k_board")
    assert made.exit_code == 2
    assert (
        "of one dataset each are compared, but twins_smoke has boards of criteo_x1_twin, avazu_x4_twin" in made.output
    )

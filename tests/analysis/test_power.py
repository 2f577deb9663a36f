"""The forecast agrees with the inference it is made from, and with what simulated boards then find."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from fuxi_plugins.analysis.compare import compare_on_board
from fuxi_plugins.analysis.power import OF_INTEREST, SEEDS, Needed, Power, what_would_decide
from fuxi_plugins.analysis.statistics.inference import Sampling, infer
from fuxi_plugins.analysis.statistics.noise import LEVEL
from fuxi_plugins.cli.main import main
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.reporting import power as module
from fuxi_plugins.reporting.boards import named_boards
from fuxi_plugins.reporting.notes import notes

NOISE, SAMPLING = 0.002, 0.0015  # standard deviations of a seed's value, and of a mean over test rows


def simulated(random, models=4, seeds=3, effect=0.0, units=2000, sampling=SAMPLING):
    """Values of models that are equally good but for the last, with independent errors from the test rows."""
    values = {
        f"model {k}": dict(enumerate(0.7 + sampling * random.normal() + NOISE * random.normal(size=seeds)))
        for k in range(models)
    }
    last = f"model {models - 1}"
    values[last] = {seed: value + effect for seed, value in values[last].items()}
    return infer(values, None, Sampling(np.eye(models) * sampling**2, units))


@pytest.fixture
def power():
    return Power.of(simulated(np.random.default_rng(0)))


def test_with_the_seeds_at_hand_it_is_what_the_board_says(power):
    [now] = [one for one in power.forecasts() if one.seeds == 3]
    assert now.planned == pytest.approx(power.inference.smallest_detectable())


def test_more_seeds_show_smaller_differences_down_to_what_the_test_rows_leave(power):
    planned = [one.planned for one in power.forecasts()]
    assert planned == sorted(planned, reverse=True)
    assert [one.all_pairs for one in power.forecasts()] > planned
    of_rows = np.sqrt(2) * SAMPLING * (1.96 + 0.8416)  # normal quantiles, for 2,000 units
    assert planned[-1] == pytest.approx(of_rows, rel=0.02)
    assert len(planned) == len(SEEDS) + 1


def test_seeds_needed_are_the_fewest_that_do(power):
    for effect in (0.0065, 0.008, 0.02):
        for pair, seeds in enumerate(power.seeds_needed(effect)):
            assert np.isfinite(seeds)
            assert power.noise(seeds).detectable()[pair] <= effect
            assert seeds == 2 or power.noise(seeds - 1).detectable()[pair] > effect
    assert np.isinf(power.seeds_needed(0.005)).all()  # below what the test rows leave


def test_rows_needed_leave_just_that_difference(power):
    times = power.rows_needed(0.001)
    assert (times > 10).all()
    assert power.noise(np.inf, times).detectable() == pytest.approx(0.001, rel=1e-4)


def test_simulated_boards_find_a_foretold_difference_as_often_as_said():
    random = np.random.default_rng(1)
    pilots = [Power.of(simulated(random, models=6)) for _ in range(30)]  # each alone knows its noise only roughly
    effect = float(np.median([pilot.noise(5).detectable() for pilot in pilots]))
    boards = [simulated(random, models=6, seeds=5, effect=effect) for _ in range(300)]
    found = np.mean([board.p_values[0, -1] < 0.05 for board in boards])
    assert found == pytest.approx(0.8, abs=0.07)  # three standard errors of 300 boards


def test_seeds_are_found_as_by_trying_all(power):
    """Bisection against one number after the other."""
    effects = np.abs(np.random.default_rng(2).normal(0.006, 0.003, power.pairs.shape[1]))
    tried = [power.noise(seeds).detectable() <= effects for seeds in range(2, 201)]
    slow = np.where(np.any(tried, axis=0), 2.0 + np.argmax(tried, axis=0), np.inf)
    assert (power.seeds_needed(effects) == slow).all()
    assert np.isinf(slow).any()
    assert np.isfinite(slow).any()


def test_what_decides_a_difference_is_what_the_test_of_all_pairs_takes():
    board = simulated(np.random.default_rng(0), models=6, effect=0.008, sampling=SAMPLING / 10)
    level, counted = LEVEL / board.undecided, 0
    for a, b in itertools.combinations(range(6), 2):
        needed = what_would_decide(board, board.names[a], board.names[b])
        assert (needed is None) == board.significant[a, b]
        if needed and np.isfinite(needed.seeds):
            size = abs(board.effects[a, b])
            assert (needed.difference, needed.observed) == (max(size, OF_INTEREST), size >= OF_INTEREST)
            pair = Power(board, np.array([[a], [b]]))
            enough, fewer = (pair.noise(seeds).detectable(level)[0] for seeds in (needed.seeds, needed.seeds - 1))
            assert enough <= needed.difference < fewer
            assert what_would_decide(board, board.names[b], board.names[a]) == needed
            counted += 1
    assert counted > 5
    assert board.significant.any()


def test_a_difference_that_is_decided_or_of_unknown_noise_needs_nothing():
    clear = infer({"a": {1: 0.7, 2: 0.7001, 3: 0.6999}, "b": {1: 0.6, 2: 0.6001, 3: 0.5999}})
    assert what_would_decide(clear, "a", "b") is None
    assert what_would_decide(infer({"a": {1: 0.7}, "b": {1: 0.71, 2: 0.72}}), "a", "b") is None


def test_where_the_test_rows_hide_a_difference_no_number_of_seeds_is_named():
    values = {"a": {1: 0.70, 2: 0.7001}, "b": {1: 0.7002, 2: 0.7003}}
    needed = what_would_decide(infer(values, None, Sampling(np.eye(2) * 0.01**2, 500)), "a", "b")
    assert needed.difference == OF_INTEREST
    assert np.isinf(needed.seeds)
    as_many = Sampling(np.eye(2) * 0.01**2 / needed.rows, int(500 * needed.rows))
    without_noise = {name: {1: own[1], 2: own[1]} for name, own in values.items()}  # as many seeds would leave it
    assert infer(without_noise, None, as_many).smallest_detectable() == pytest.approx(OF_INTEREST, rel=0.01)


@pytest.mark.parametrize(
    ("needed", "said"),
    [
        (Needed(0.001, False, 2, 1, 3, 0.01), "The seeds at hand would have shown a difference of 0.001 (power 80%)."),
        (Needed(0.02, True, 12, 1, 3, 0.01), "About 12 seeds of each would show this difference (power 80%)."),
        (
            Needed(0.001, False, np.inf, 1, 3, 0.01),
            "More than 200 seeds of each are needed to show a difference of 0.001 (power 80%).",
        ),
        (
            Needed(0.001, False, np.inf, 153.2, 3, 0.01),
            "No number of seeds shows a difference of 0.001, which takes at least 150 times as many test rows "
            "(1,500,000) (power 80%).",
        ),
    ],
)
def test_what_is_needed_in_words(needed, said):
    assert needed.sentence(10_000) == said


@pytest.mark.slow
@pytest.mark.parametrize(("effect", "sampling"), [(0.002, 0.0001), (0.003, 0.0005), (0.0085, SAMPLING)])
def test_the_seeds_named_are_within_a_factor_of_two_of_those_that_it_takes(effect, sampling):
    """Of boards simulated with fewer seeds than half of them, less than four in five find the difference."""
    random = np.random.default_rng(4)
    named = []
    for _ in range(60):  # boards of three seeds that have not found it; the forecast for the true difference
        board = simulated(random, models=5, effect=effect, sampling=sampling)
        if what_would_decide(board, "model 0", "model 4"):
            named.append(Power(board, np.array([[0], [4]])).needed(effect, LEVEL / board.undecided).seeds)

    def found(seeds):
        boards = [simulated(random, models=5, seeds=seeds, effect=effect, sampling=sampling) for _ in range(150)]
        return np.mean([board.significant[0, 4] for board in boards])

    seeds = np.median(named)
    assert found(int(seeds / 2)) < 0.8 <= found(int(seeds * 2))


def test_a_pair_is_foretold_with_its_sign(power):
    rows = power.against("model 1")
    assert [name for name, *_ in rows] == ["model 0", "model 2", "model 3"]
    for name, effect, significant, _ in rows:
        difference = power.inference.difference("model 1", name)
        assert (effect, significant) == (difference.effect, difference.significant)


def test_rows_of_one_seed_alone_tell_nothing():
    assert Power.of(infer({"a": {1: 0.7}, "b": {1: 0.71}})) is None


def call(*arguments):
    return CliRunner().invoke(main, ["power", *arguments])


def test_the_command_reads_committed_boards():
    made = call("frappe_board", "--model", "RankElastor")
    assert made.exit_code == 0, made.output
    assert "clusters of user" in made.output
    assert "| RankMixer " in made.output
    of_dataset = call("frappe_x1r", "--json")
    assert of_dataset.exit_code == 0, of_dataset.output
    [found] = json.loads(of_dataset.output)
    assert found["dataset"] == "frappe_x1r"
    assert found["forecasts"][-1]["seeds"] is None


def test_a_row_that_is_none_and_a_board_without_noise_are_told(monkeypatch):
    made = call("frappe_board", "--model", "RankElaster")
    assert made.exit_code == 2
    assert "no row with results is called 'RankElaster'; there are xDeepFM" in made.output
    [board] = named_boards(["frappe_board"], Workspace.locate())
    alone = replace(board, board=replace(board.board, inference=infer({"a": {1: 0.7}, "b": {1: 0.71}})))
    with pytest.raises(module.UserError, match="needs two rows with two seeds each.*fuxibench run frappe_board"):
        module.render_power(alone)


def test_what_was_changed_after_the_runs_is_said():
    [named] = named_boards(["frappe_board"], Workspace.locate())
    changed = replace(named, board=replace(named.board, outdated=("The data were changed.",)))
    assert module.render_power(changed) == module.render_power(named) + "\n⚠ The data were changed.\n"


def test_boards_and_comparisons_say_what_would_decide_what_they_leave_open():
    [named] = named_boards(["frappe_board"], Workspace.locate())
    board = named.board
    said = [line for line in notes(board) if "pairs are not decided" in line]
    phrase = Power.of(board.inference).needed(OF_INTEREST).phrase(board.evidence.rows, "a row")
    assert said == [f"{board.inference.undecided} of 55 pairs are not decided; for the median pair {phrase}."]
    sentences = {True: [], False: []}
    for a, b in itertools.combinations(board.ranked(), 2):
        found = compare_on_board(board, "frappe_board", a, b)
        sentences[found.difference.significant].append(found.sentence)
    assert len(sentences[False]) == board.inference.undecided
    assert all(sentence.endswith("(power 80%).") for sentence in sentences[False])
    assert not any("power" in sentence for sentence in sentences[True])

"""The forecast agrees with the inference it is made from, and with what simulated boards then find."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from fuxi_plugins.analysis.power import SEEDS, Power
from fuxi_plugins.analysis.statistics.inference import Sampling, infer
from fuxi_plugins.cli.main import main
from fuxi_plugins.core.workspace import Workspace

NOISE, SAMPLING = 0.002, 0.0015  # standard deviations of a seed's value, and of a mean over test rows


def simulated(random, models=4, seeds=3, effect=0.0, units=2000):
    """Values of models that are equally good but for the last, with independent errors from the test rows."""
    values = {
        f"model {k}": dict(enumerate(0.7 + SAMPLING * random.normal() + NOISE * random.normal(size=seeds)))
        for k in range(models)
    }
    last = f"model {models - 1}"
    values[last] = {seed: value + effect for seed, value in values[last].items()}
    return infer(values, None, Sampling(np.eye(models) * SAMPLING**2, units))


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
    from fuxi_plugins.reporting import power as module
    from fuxi_plugins.reporting.boards import named_boards

    [board] = named_boards(["frappe_board"], Workspace.locate())
    alone = replace(board, board=replace(board.board, inference=infer({"a": {1: 0.7}, "b": {1: 0.71}})))
    with pytest.raises(module.UserError, match="needs two rows with two seeds each.*fuxibench run frappe_board"):
        module.render_power(alone)

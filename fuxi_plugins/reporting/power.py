"""What a board's test set can show with how many seeds, as text and as JSON."""

import math
from typing import Any

import numpy as np
from tabulate import tabulate

from fuxi_plugins.analysis.leaderboard import Leaderboard
from fuxi_plugins.analysis.power import MOST_SEEDS, OF_INTEREST, Power
from fuxi_plugins.analysis.statistics.noise import LEVEL, POWER
from fuxi_plugins.analysis.suite_board import SuiteBoard
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.metrics import find_metric
from fuxi_plugins.reporting.notes import outdated_notes


def power_of(board: SuiteBoard) -> Power:
    """
    Raises:
        UserError: the board's runs do not tell how much seeds differ.
    """
    found = Power.of(board.board.inference) if board.board.inference else None
    if found is None:
        raise UserError(
            f"a forecast needs two rows with two seeds each, but {board.suite} has no two such rows on "
            f"{board.board.dataset}. A pilot is enough: fuxibench run {board.suite} --seeds 1,2"
        )
    return found


def render_power(board: SuiteBoard, difference: float = OF_INTEREST, model: str | None = None) -> str:
    """A table over numbers of seeds, what ``difference`` needs, and one row's pairs if ``model`` is given.

    Raises:
        UserError: no forecast can be made, or no ranked row is called ``model``.
    """
    power, metric = power_of(board), find_metric(board.board.rank_by)
    pairs = power.pairs.shape[1]
    lines = [f"{board.suite}: {_test_set(board.board)}; {metric.compared_name}, {len(power.inference.names)} rows.", ""]
    rows = [
        [_seeds(one.seeds), metric.show_end(one.planned), metric.show_end(one.all_pairs), f"{one.found:,}"]
        for one in power.forecasts()
    ]
    header = ["seeds a row", "one planned pair", f"all {pairs:,} pairs", "observed differences found"]
    lines += [tabulate(rows, header, "pipe", disable_numparse=True, colalign=["right"] * 4), ""]
    lines.append(
        f"Smallest difference that a test at level {LEVEL:.0%} finds with a power of {POWER:.0%}, for the median pair. "
        "Seeds cannot outdo the last line: it has the sampling of test rows alone."
    )
    lines.append(f"One planned comparison: {power.needed(difference).phrase(_test_rows(board.board), 'a row')}.")
    if model is not None:
        lines += ["", _against(board.board, power, model)]
    if outdated := outdated_notes(board.board):
        lines += ["", *outdated]
    return "\n".join(lines) + "\n"


def power_to_json(board: SuiteBoard, difference: float = OF_INTEREST) -> dict[str, Any]:
    """The same numbers; None stands for a number of seeds without limit, or one that no pair reaches."""
    power = power_of(board)
    needed = power.needed(difference)
    return {
        "suite": board.suite,
        "dataset": board.board.dataset,
        "metric": board.board.rank_by,
        "pairs": power.pairs.shape[1],
        "forecasts": [
            {
                "seeds": _finite(one.seeds),
                "planned_pair": one.planned,
                "all_pairs": one.all_pairs,
                "observed_differences_found": one.found,
            }
            for one in power.forecasts()
        ],
        "difference": difference,
        "seeds_needed": _finite(needed.seeds),
        "times_the_test_rows_needed": needed.rows,
    }


def _test_set(board: Leaderboard) -> str:
    evidence = board.evidence
    if evidence is None:
        return f"{board.dataset}, whose test labels are not at hand, so that only the noise between seeds counts"
    clusters = f" in {evidence.clusters:,} clusters of {evidence.clustered_by}" if evidence.clusters else ""
    return f"{board.dataset}, {evidence.rows:,} test rows{clusters}, {evidence.positives:,} of them positive"


def _test_rows(board: Leaderboard) -> int | None:
    return board.evidence.rows if board.evidence else None


def _against(board: Leaderboard, power: Power, model: str) -> str:
    """Each other row against one: the difference, and the seeds that would decide it."""
    names = {row.key: row.display_name for row in board.ranked()}
    keys = [key for key, name in names.items() if model in (key, name)]
    if not keys:
        raise UserError(f"no row with results is called {model!r}; there are {', '.join(names.values())}.")
    metric = find_metric(board.rank_by)
    pairs = power.against(keys[0])
    floors = dict(zip((names[other] for other, *_ in pairs), _floors(power, keys[0]), strict=True))
    rows = []
    for other, effect, significant, seeds in pairs:
        if math.isfinite(seeds):
            needed = f"{seeds:.0f}"
        else:
            needed = "more test rows" if abs(effect) < floors[names[other]] else f"more than {MOST_SEEDS}"
        rows.append([names[other], metric.show_difference(effect), "yes" if significant else "no", needed])
    header = [f"{names[keys[0]]} against", "difference", "significant now", "seeds to show it"]
    return tabulate(rows, header, "pipe", disable_numparse=True, colalign=["left", "right", "left", "right"])


def _floors(power: Power, key: str) -> list[float]:
    """What any number of seeds leaves, for each pair that the row is in."""
    place = power.inference.names.index(key)
    of_pair = (power.pairs == place).any(0)
    return power.noise(np.inf).detectable()[of_pair].tolist()


def _seeds(seeds: float) -> str:
    return f"{seeds:.0f}" if math.isfinite(seeds) else "any number"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None

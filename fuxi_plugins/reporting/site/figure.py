"""The one figure of the first page: how models compare across its datasets."""

from collections.abc import Sequence
from dataclasses import dataclass

from fuxi_plugins.analysis.across import Across, across, units_needed
from fuxi_plugins.analysis.leaderboard import Leaderboard
from fuxi_plugins.analysis.suite_board import SuiteBoard
from fuxi_plugins.reporting.across_figures import critical_differences, win_rates

MOST = 16  # models of a matrix, beyond which its numbers cannot be read


@dataclass(frozen=True)
class FrontFigure:
    svg: bytes
    caption: str


def front_figure(boards: Sequence[Leaderboard], found: Across | None) -> FrontFigure | None:
    """Critical differences of average ranks where there are logs enough to tell two models apart, else win rates.

    Args:
        boards: of the first page.
        found: their models; None where fewer than two models or datasets can be compared.
    """
    if found is None:
        return None
    if found.units >= units_needed(1):
        drawn = critical_differences(found)
    else:
        named = [SuiteBoard(board.dataset, board) for board in boards]
        logs = dict(zip(found.datasets, found.logs, strict=True))
        drawn = win_rates(across(named, found.metric, found.models[:MOST], logs=logs))
    return FrontFigure(drawn.svg(), drawn.caption)

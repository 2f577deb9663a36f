"""``fuxibench splits``: whether two boards, as of two splits of one dataset, order their models alike."""

import json
from typing import TYPE_CHECKING

import click

from fuxi_plugins.cli.completion import suites
from fuxi_plugins.cli.console import say
from fuxi_plugins.cli.parameters import MetricName
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace

if TYPE_CHECKING:
    from fuxi_plugins.analysis.suite_board import SuiteBoard


@click.command()
@click.argument("board_a", shell_complete=suites)
@click.argument("board_b", shell_complete=suites)
@click.option("--by", "metric", type=MetricName(), help="Metric. Default: AUC if both boards have it.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def splits(workspace: Workspace, board_a: str, board_b: str, metric: str | None, as_json: bool) -> None:
    """Says whether two splits order the same models alike.

    BOARD_A and BOARD_B are suites with results, each on one dataset. Prints both orders, Kendall's tau-b with an
    interval, the best models of each board, and the pairs that the boards decide differently.

    \b
    fuxibench splits nycflights13_board nycflights13_random_board
    """
    from fuxi_plugins.analysis.splits import compare_splits
    from fuxi_plugins.reporting.splits import render_splits, splits_to_json

    found = compare_splits(_board(board_a, workspace), _board(board_b, workspace), metric)
    say(json.dumps(splits_to_json(found), indent=1) if as_json else render_splits(found), nl=as_json)


def _board(suite: str, workspace: Workspace) -> "SuiteBoard":
    """
    Raises:
        UserError: no such suite, none of its runs has finished, or it has boards of several datasets.
    """
    from fuxi_plugins.reporting.boards import named_boards

    first, *others = named_boards([suite], workspace)
    if others:
        datasets = ", ".join(one.board.dataset for one in (first, *others))
        raise UserError(f"two boards of one dataset each are compared, but {suite} has boards of {datasets}.")
    return first

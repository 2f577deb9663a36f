"""What the seeds of each row of a board predict together, printed below it."""

from typing import TYPE_CHECKING

from fuxi_plugins.cli.console import say
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace

if TYPE_CHECKING:
    from fuxi_plugins.experiments.suite import Suite


def show_wanted_ensembles(suite: "Suite", workspace: Workspace, rank_by: str | None) -> None:
    """Shows the ensembles of a suite whose file asks for them, or says why there are none: the boards stand anyway."""
    try:
        show_ensembles(suite, workspace, rank_by)
    except UserError as error:
        say(f"No seed ensembles: {error}")


def show_ensembles(suite: "Suite", workspace: Workspace, rank_by: str | None) -> None:
    """Prints and writes the seed ensembles of a suite's boards.

    Raises:
        UserError: the test labels are not on this machine, or predictions are missing.
    """
    from fuxi_plugins.reporting.boards import suite_boards
    from fuxi_plugins.reporting.ensembles import board_ensembles, render_ensembles, write_ensembles

    for board in suite_boards(suite, workspace, rank_by):
        ensembles = board_ensembles(board, workspace)
        say(render_ensembles(board, ensembles))
        if rank_by is None:
            say(f"written: {write_ensembles(suite, board, ensembles, workspace).with_suffix('')}.{{md,csv}}")

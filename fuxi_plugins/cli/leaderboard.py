"""``fuxibench leaderboard``: boards on the terminal, which other commands show as well."""

from typing import TYPE_CHECKING

import click

from fuxi_plugins.cli.completion import suites_and_experiments
from fuxi_plugins.cli.console import say
from fuxi_plugins.cli.ensembles import show_ensembles, show_wanted_ensembles
from fuxi_plugins.cli.parameters import Integers, MetricName
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace

if TYPE_CHECKING:
    from fuxi_plugins.experiments.suite import Suite


@click.command()
@click.argument("name", shell_complete=suites_and_experiments)
@click.option("--by", "rank_by", type=MetricName(), help="Metric to rank by. Default: AUC if it was measured.")
@click.option("--format", "form", type=click.Choice(["md", "csv", "tex", "json"]), help="Print in this format.")
@click.option("--seeds", type=Integers(0), default=[], help="Seeds to use instead of the suite's.")
@click.option(
    "--baseline", "baselines", multiple=True, help="Baseline model; LaTeX stars what is better than all of them."
)
@click.option(
    "--with", "others", multiple=True, metavar="EXPERIMENT", help="Experiment to add, such as one of your own model."
)
@click.option("--rank-unverified", is_flag=True, help="Also rank and compare models whose results nobody has verified.")
@click.option("--ensembles", is_flag=True, help="Also score the mean prediction of each model's seeds.")
@click.pass_obj
def leaderboard(
    workspace: Workspace,
    name: str,
    rank_by: str | None,
    form: str | None,
    seeds: list[int],
    baselines: tuple[str, ...],
    others: tuple[str, ...],
    rank_unverified: bool,
    ensembles: bool,
) -> None:
    """Prints the board of finished runs. It is rebuilt from their records, without training."""
    from fuxi_plugins.experiments.suite import find_suite, with_experiment
    from fuxi_plugins.reporting.boards import suite_boards
    from fuxi_plugins.reporting.formats import render_all

    suite = find_suite(name, workspace, seeds)
    for other in others:
        suite = with_experiment(suite, find_suite(other, workspace, seeds))
    if form is None:
        show_boards(suite, workspace, rank_by, baselines, rank_unverified)
        if ensembles and not suite.ensembles:
            show_ensembles(suite, workspace, rank_by)
        return
    if ensembles:
        raise UserError("--ensembles writes files of its own, in Markdown and csv, so leave --format out.")
    boards = suite_boards(suite, workspace, rank_by, rank_unverified=rank_unverified)
    say(render_all(boards, suite.title, form, baselines), nl=False)


def show_boards(
    suite: "Suite",
    workspace: Workspace,
    rank_by: str | None = None,
    baselines: tuple[str, ...] = (),
    rank_unverified: bool = False,
) -> None:
    """Prints the boards; those of a suite in the default order are written to the results folder as well.

    What is written are the boards of the suite's own seeds, whatever seeds are printed: tables and the site show these.
    """
    from fuxi_plugins.experiments.suite import load_suite, suite_names
    from fuxi_plugins.reporting.boards import suite_boards, write_boards
    from fuxi_plugins.reporting.terminal import print_board

    boards = suite_boards(suite, workspace, rank_by, rank_unverified=rank_unverified)
    for board in boards:
        print_board(board, suite.title)
    if rank_by is None and not rank_unverified and suite.name.partition("@")[0] in suite_names(workspace.all_configs):
        usual = load_suite(workspace.all_configs, suite.name)
        if suite.seeds != usual.seeds:
            boards = suite_boards(usual, workspace) if {*suite.seeds} & {*usual.seeds} else []
            _say_seeds(suite, usual)
        if boards:
            written = write_boards(usual, boards, workspace, baselines)
            say(f"written: {written[0].with_suffix('')}.{{md,csv,tex,json}}")
    if suite.ensembles:
        show_wanted_ensembles(suite, workspace, rank_by)


def _say_seeds(suite: "Suite", usual: "Suite") -> None:
    """That files, tables and the site are of other seeds than the printed board."""
    own, both = (", ".join(map(str, seeds)) for seeds in (usual.seeds, sorted({*usual.seeds, *suite.seeds})))
    added = f" To add others, write seeds: [{both}] in its file." if both != own else ""
    say(f"Files, tables and the site have the seeds of the suite {suite.name}: {own}.{added}")

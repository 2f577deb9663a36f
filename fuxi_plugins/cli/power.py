"""``fuxibench power``: which differences a test set can show, with how many seeds."""

import json

import click

from fuxi_plugins.cli.completion import suites
from fuxi_plugins.cli.console import say
from fuxi_plugins.cli.parameters import MetricName
from fuxi_plugins.core.workspace import Workspace


@click.command()
@click.argument("name", shell_complete=suites)
@click.option("--difference", type=click.FloatRange(min=0, min_open=True), default=0.001, show_default=True,
              help="Difference in the metric that is to be found.")  # fmt: skip
@click.option("--model", help="Also compare this model with each other one.")
@click.option("--by", "metric", type=MetricName(), help="Metric. Default: the one that ranks the board.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def power(
    workspace: Workspace, name: str, difference: float, model: str | None, metric: str | None, as_json: bool
) -> None:
    """Says how many seeds or test rows a difference needs.

    NAME is a suite with results, or a dataset, for which the largest board is used. Two models with two seeds each are
    enough for an estimate.

    \b
    fuxibench power frappe_board
    fuxibench power ml100k --model RankElastor --difference 0.002
    """
    from fuxi_plugins.analysis.uncertainty import ranked_by
    from fuxi_plugins.datasets.catalogue import load_dataset_specs
    from fuxi_plugins.experiments.suite import suite_names
    from fuxi_plugins.reporting.boards import find_boards, named_boards
    from fuxi_plugins.reporting.power import power_to_json, render_power

    is_dataset = name not in suite_names(workspace.all_configs) and name in load_dataset_specs(workspace.all_configs)
    boards, said = find_boards([name], [], workspace) if is_dataset else (named_boards([name], workspace), [])
    if metric:
        boards = [type(one)(one.suite, ranked_by(one.board, metric)) for one in boards]
    if as_json:
        say(json.dumps([power_to_json(one, difference) for one in boards], indent=1))
        return
    for sentence in said:
        say(sentence)
    for one in boards:
        say(render_power(one, difference, model), nl=False)

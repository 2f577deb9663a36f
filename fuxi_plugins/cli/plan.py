"""``fuxibench plan``: what a large set of runs takes, before anything is there."""

import json

import click

from fuxi_plugins.cli.console import say
from fuxi_plugins.core.workspace import Workspace

SHARE = click.FloatRange(min=0, max=1, min_open=True)


@click.command()
@click.argument("name", default="paper_full")
@click.option("--dataset", "datasets", multiple=True, help="Only this dataset of the plan; may be repeated.")
@click.option("--gpus", type=click.IntRange(min=1), default=8, show_default=True, help="GPUs to plan for.")
@click.option("--epochs", type=click.FloatRange(min=0, min_open=True), help="Epochs a run. Default: the plan's.")
@click.option(
    "--share-of-peak", type=SHARE, default=0.1, show_default=True, help="Share of a GPU's float32 peak that is reached."
)
@click.option(
    "--share-of-bandwidth",
    type=SHARE,
    default=0.6,
    show_default=True,
    help="Share of a GPU's bandwidth that is reached.",
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def plan(
    workspace: Workspace,
    name: str,
    datasets: tuple[str, ...],
    gpus: int,
    epochs: float | None,
    share_of_peak: float,
    share_of_bandwidth: float,
    as_json: bool,
) -> None:
    """Says what a large set of runs takes.

    Lists every run, GPU hours, disk, memory, the commands, and what to send.
    NAME is a file of benchmark_configs/plans. No data and no GPU are needed.

    \b
    fuxibench plan paper_full
    fuxibench plan paper_full --dataset criteo_x1 --gpus 4 --epochs 3
    """
    from fuxi_plugins.analysis.budget import Utilisation
    from fuxi_plugins.execution.budgets import make_budget
    from fuxi_plugins.reporting.budget import budget_to_json, render_budget

    reached = Utilisation(share_of_peak, share_of_bandwidth)
    budget = make_budget(name, workspace, gpus, reached, datasets, epochs)
    say(json.dumps(budget_to_json(budget), indent=1) if as_json else render_budget(budget), nl=as_json)

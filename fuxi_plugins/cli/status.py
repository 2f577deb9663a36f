"""``fuxibench status``."""

import click

from fuxi_plugins.cli.console import say
from fuxi_plugins.core.workspace import Workspace


@click.command()
@click.argument("name")
@click.option("--all", "everything", is_flag=True, help="Also list finished and waiting runs.")
@click.pass_obj
def status(workspace: Workspace, name: str, everything: bool) -> None:
    """Shows the progress of a suite. Counts finished, running, failed and waiting runs on all machines."""
    from tabulate import tabulate

    from fuxi_plugins.execution.status import counts, suite_status
    from fuxi_plugins.experiments.suite import find_suite

    statuses = suite_status(find_suite(name, workspace), workspace)
    say(f"{name}: " + ", ".join(f"{count} {state}" for state, count in counts(statuses).items()))
    shown = [run for run in statuses if everything or (run.note and run.state != "skipped")]
    if shown:
        rows = [(run.experiment, run.seed, run.state, run.note) for run in shown]
        say(tabulate(rows, headers=["experiment", "seed", "state", ""], tablefmt="plain", disable_numparse=True))

"""``fuxibench status``."""

import click

from fuxi_plugins.cli.completion import suites_and_experiments
from fuxi_plugins.cli.console import say
from fuxi_plugins.core.workspace import Workspace


@click.command()
@click.argument("name", shell_complete=suites_and_experiments)
@click.option("--all", "everything", is_flag=True, help="Show also what is done or waiting, run by run.")
@click.option("--json", "as_json", is_flag=True, help="Print every run as JSON.")
@click.pass_obj
def status(workspace: Workspace, name: str, everything: bool, as_json: bool) -> None:
    """Shows how far a suite is. Done, running, failed, waiting, whoever runs it; without torch."""
    import json
    from dataclasses import asdict

    from tabulate import tabulate

    from fuxi_plugins.execution.status import counts, suite_status
    from fuxi_plugins.experiments.suite import find_suite

    statuses = suite_status(find_suite(name, workspace), workspace)
    if as_json:
        say(json.dumps([asdict(run) for run in statuses], indent=1))
        return
    say(f"{name}: " + ", ".join(f"{count} {state}" for state, count in counts(statuses).items()))
    shown = [run for run in statuses if everything or (run.note and run.state != "skipped")]
    if shown:
        rows = [(run.experiment, run.seed, run.state, run.note) for run in shown]
        say(tabulate(rows, headers=["experiment", "seed", "state", ""], tablefmt="plain", disable_numparse=True))

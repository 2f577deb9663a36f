"""``fuxibench doctor``."""

import sys
from pathlib import Path

import click

from fuxi_plugins.cli.console import say
from fuxi_plugins.core.workspace import Workspace


@click.command()
@click.pass_obj
def doctor(workspace: Workspace) -> None:
    """Looks for what is wrong. Versions, devices, prepared splits, the records' alarms; exit code 1 if anything is."""
    from fuxi_plugins.cli.health import examine

    ill = 0
    for finding in examine(workspace, Path(__file__).resolve().parents[2] / "requirements.txt"):
        say(f"{'ok   ' if finding.well else 'WRONG'} {finding.about}: {finding.text}")
        ill += not finding.well
    if ill:
        sys.exit(1)

"""``fuxibench doctor``."""

import sys
from pathlib import Path

import click

from fuxi_plugins.cli.console import say
from fuxi_plugins.core.workspace import Workspace


@click.command()
@click.pass_obj
def doctor(workspace: Workspace) -> None:
    """Checks versions, devices, prepared data, records and boards. The exit code is 1 if anything is wrong."""
    from fuxi_plugins.cli.health import examine

    ill = 0
    for finding in examine(workspace, Path(__file__).resolve().parents[2] / "requirements.txt"):
        sign = "note " if finding.note else "ok   " if finding.well else "WRONG"
        say(f"{sign} {finding.about}: {finding.text}")
        ill += not finding.well
    if ill:
        sys.exit(1)

"""``fuxibench doctor``."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from fuxi_plugins.cli.console import say
from fuxi_plugins.core.workspace import Workspace


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def doctor(workspace: Workspace, as_json: bool) -> None:
    """Checks versions, devices, prepared data, records and boards. The exit code is 1 if a check fails."""
    from fuxi_plugins.cli.health import examine

    findings = []
    for finding in examine(workspace, Path(__file__).resolve().parents[2] / "requirements.txt"):
        findings.append(finding)
        if not as_json:  # at once, for some checks take long
            sign = "note " if finding.note else "ok   " if finding.well else "WRONG"
            say(f"{sign} {finding.about}: {finding.text}")
    if as_json:
        say(json.dumps([asdict(finding) for finding in findings], indent=1))
    if not all(finding.well for finding in findings):
        sys.exit(1)

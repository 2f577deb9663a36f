"""``fuxibench submit``: results to send, and results that were sent."""

from pathlib import Path

import click

from fuxi_plugins.cli.console import say
from fuxi_plugins.core.workspace import Workspace


@click.group()
def submit() -> None:
    """Packs results for others, or verifies results from others."""


@submit.command()
@click.argument("experiment")
@click.option("--out", type=click.Path(path_type=Path), help="File to write. Default: EXPERIMENT.zip.")
@click.pass_obj
def pack(workspace: Workspace, experiment: str, out: Path | None) -> None:
    """Packs an experiment's finished runs in one zip. Records, predictions, settings, versions and logs."""
    from fuxi_plugins.submissions import bundle

    path = out or Path(f"{experiment}.zip")
    records = bundle.pack(experiment, workspace, path)
    say(f"{path}: {len(records)} runs of {experiment}, {path.stat().st_size:,} bytes")


@submit.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def verify(workspace: Workspace, file: Path) -> None:
    """Checks a submission without a network. Recomputes every metric from its predictions."""
    from fuxi_plugins.submissions import bundle

    for one in bundle.verify(file, workspace):
        metrics = ", ".join(f"{name} {value:.6f}" for name, value in one.metrics.items())
        say(f"verified: {one.record.experiment} seed {one.record.seed} on {one.record.dataset}: {metrics}")

"""``fuxibench submit``: results to send, and results that were sent."""

import json
from pathlib import Path

import click

from fuxi_plugins.cli.completion import suites
from fuxi_plugins.cli.console import say
from fuxi_plugins.core.workspace import Workspace


@click.group()
def submit() -> None:
    """Packs results, verifies those of others, adds them to boards."""


@submit.command()
@click.argument("experiment")
@click.option("--out", type=click.Path(path_type=Path), help="File to write. Default: EXPERIMENT.zip.")
@click.option("--contributor", default="", help="Your name, which the board shows.")
@click.pass_obj
def pack(workspace: Workspace, experiment: str, out: Path | None, contributor: str) -> None:
    """Packs an experiment's finished runs in one zip. It holds records, predictions, settings, versions and logs."""
    from fuxi_plugins.submissions import bundle

    path = out or Path(f"{experiment}.zip")
    records = bundle.pack(experiment, workspace, path, contributor)
    say(f"{path}: {len(records)} runs of {experiment}, {path.stat().st_size:,} bytes")
    say(f"check it as others will: fuxibench submit verify {path}")


@submit.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def verify(workspace: Workspace, path: Path, as_json: bool) -> None:
    """Checks a submission without a network. Recomputes every metric from its predictions.

    PATH is a zip file or a folder.
    """
    from fuxi_plugins.submissions import bundle

    verified = bundle.verify(path, workspace)
    if as_json:
        rows = [
            {
                "experiment": one.record.experiment,
                "dataset": one.record.dataset,
                "seed": one.record.seed,
                "test": one.metrics,
                "remark": one.remark,
            }
            for one in verified
        ]
        say(json.dumps(rows, indent=1))
        return
    for one in verified:
        metrics = ", ".join(f"{name} {value:.6f}" for name, value in one.metrics.items())
        say(f"verified: {one.record.experiment} seed {one.record.seed} on {one.record.dataset}: {metrics}")
    for remark in dict.fromkeys(one.remark for one in verified if one.remark):
        say(f"note: {verified[0].record.experiment}: {remark}")


@submit.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--board", required=True, shell_complete=suites, help="Suite to whose board the results are added.")
@click.option(
    "--unverified", is_flag=True, help="Do not recompute the metrics. The board then shows the results without a rank."
)
@click.pass_obj
def add(workspace: Workspace, path: Path, board: str, unverified: bool) -> None:
    """Verifies a submission and adds its results to a board."""
    from fuxi_plugins.submissions.admit import add as add_runs

    kept = add_runs(path, board, workspace, verified=not unverified)
    tier = "unverified" if unverified else "verified"
    seeds = ", ".join(str(record.seed) for record in kept)
    say(f"added to {board} as {tier}: {kept[0].display_name} on {kept[0].dataset}, seeds {seeds}")
    say(f"show it: fuxibench leaderboard {board}")


@submit.command("import-bars")
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--dataset", help="Show only this dataset, such as Frappe_x1.")
@click.option("--json", "as_json", is_flag=True, help="Print every run as JSON and write no file.")
@click.pass_obj
def import_bars(workspace: Workspace, path: Path, dataset: str | None, as_json: bool) -> None:
    """Reads result folders of BARS as unverified results. No board uses them.

    \b
    git clone https://github.com/reczoo/BARS
    fuxibench submit import-bars BARS --dataset Frappe_x1
    """
    from fuxi_plugins.core.errors import unknown_name
    from fuxi_plugins.core.files import write_text
    from fuxi_plugins.reporting import bars_history as tables
    from fuxi_plugins.submissions.bars_history import by_folder, read_history

    history = read_history(path, workspace.results)
    datasets = list(dict.fromkeys(run.dataset for run in history.runs))
    if dataset is not None and dataset not in datasets:
        raise unknown_name("dataset among these results", dataset, datasets, f"fuxibench submit import-bars {path}")
    shown = [run for run in history.runs if dataset in (None, run.dataset)]
    if as_json:
        say(json.dumps(tables.plain_rows(shown), indent=1))
        return
    stem = workspace.results / "unverified" / "bars"
    write_text(stem.with_suffix(".csv"), tables.render_csv(history.runs))
    write_text(stem.with_suffix(".md"), tables.render_markdown(history.runs, workspace.results))
    if dataset:
        say(tables.render_markdown(shown, workspace.results))
    for line in history.unread:
        say(f"left out: {line}")
    say(f"{len(history.runs)} runs in {len(by_folder(history.runs))} folders, unverified: {', '.join(datasets)}")
    say(tables.agreement(history.runs, workspace.results))
    say(f"written: {stem}.{{csv,md}}")

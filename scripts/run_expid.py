"""Runs one experiment of a folder of FuxiCTR configs, as FuxiCTR's own ``run_expid.py`` does.

    python scripts/run_expid.py --config BARS/ranking/ctr/DCNv2/DCNv2_frappe_x1/DCNv2_frappe_x1_tuner_config_03 \
        --expid DCNv2_frappe_x1_007_c207b717 --gpu 0 --data ~/Frappe_x1

Published folders are taken as they are: dead names are translated, and what is dropped is said. The record goes to
``results/runs``, and FuxiCTR's result line to ``<name of the config folder>.csv`` in the current folder.
"""

import sys
from pathlib import Path

import click

from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.experiments.fuxictr_folder import translate_folder
from fuxi_plugins.records.record import find_records
from fuxi_plugins.reporting.bars import result_line


@click.command()
@click.option("--config", "folder", required=True, type=click.Path(path_type=Path, exists=True), help="Config folder.")
@click.option("--expid", required=True, help="Id of the experiment.")
@click.option("--gpu", type=int, default=-1, show_default=True, help="-1 is the CPU.")
@click.option("--data", type=click.Path(path_type=Path, exists=True), help="Folder with the csv files.")
@click.option("--results", type=click.Path(path_type=Path), help="Folder of results.")
def run_expid(folder: Path, expid: str, gpu: int, data: Path | None, results: Path | None) -> None:
    """Runs an experiment of a folder of FuxiCTR configs, its dead names translated."""
    workspace = Workspace.locate(results=results)
    try:
        translated = translate_folder(folder, expid, workspace.cache / "fuxictr_folders" / expid, data)
    except UserError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(main.USER_ERROR)
    if translated.dropped:
        click.echo(f"Not needed here: {', '.join(translated.dropped)}.")
    folders = ["--configs", str(translated.configs), "--results", str(workspace.results)]
    main.main([*folders, "run", expid, "--gpu", str(gpu)], standalone_mode=False)
    lines = [
        result_line(record)
        for record in find_records(workspace.results)
        if record.experiment == expid and record.finished
    ]
    with Path(f"{folder.resolve().name.removesuffix('.yaml')}.csv").open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
    click.echo("\n".join(lines))


if __name__ == "__main__":
    run_expid()

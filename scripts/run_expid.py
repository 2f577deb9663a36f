"""Runs one experiment of a folder of FuxiCTR configs, as FuxiCTR's own ``run_expid.py`` does.

    python scripts/run_expid.py --config BARS/ranking/ctr/DCNv2/DCNv2_frappe_x1/DCNv2_frappe_x1_tuner_config_03 \
        --expid DCNv2_frappe_x1_007_c207b717 --gpu 0 --data ~/Frappe_x1

Published folders are taken as they are: FuxiCTR's, BARS's and the RankElastor authors'. What is translated, and what
has no effect here, is said. The record goes to ``results/runs``, and FuxiCTR's result line to
``<name of the config folder>.csv`` in the current folder.
"""

import sys
from pathlib import Path

import click

from fuxi_plugins.cli.console import say
from fuxi_plugins.cli.main import USER_ERROR, main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.experiments.translation.accounts import Outcome, of
from fuxi_plugins.experiments.translation.folder import Translated, translate_folder
from fuxi_plugins.models.registry import Sources, use_sources
from fuxi_plugins.records.files import find_records
from fuxi_plugins.reporting.bars import result_line

SAID: dict[Outcome, str] = {"translated": "Translated", "added": "Added", "no effect": "Without effect here"}


@click.command()
@click.option("--config", "folder", required=True, type=click.Path(path_type=Path, exists=True), help="Config folder.")
@click.option("--expid", required=True, help="Id of the experiment.")
@click.option("--gpu", type=int, default=-1, show_default=True, help="-1 is the CPU.")
@click.option("--data", type=click.Path(path_type=Path, exists=True), help="Folder with the data files.")
@click.option("--results", type=click.Path(path_type=Path), help="Folder of results.")
@click.option(
    "--zoo",
    type=click.Path(path_type=Path, exists=True),
    help="FuxiCTR checkout whose own class of the model runs. Executes its code.",
)
def run_expid(folder: Path, expid: str, gpu: int, data: Path | None, results: Path | None, zoo: Path | None) -> None:
    """Runs an experiment of a folder of FuxiCTR configs, its dead names translated."""
    workspace = Workspace.locate(results=results)
    try:
        if zoo:
            use_sources(Sources(str(zoo.resolve())))
        translated = translate_folder(folder, expid, workspace.cache / "published_folders" / expid, data, zoo)
    except UserError as error:
        say(f"error: {error}", err=True)
        sys.exit(USER_ERROR)
    _tell(translated)
    options = ["--configs", str(translated.configs), "--results", str(workspace.results)]
    options += ["--zoo", str(zoo)] if zoo else []
    main.main([*options, "run", expid, "--gpu", str(gpu)], standalone_mode=False)
    lines = [
        result_line(record)
        for record in find_records(workspace.results)
        if record.experiment == expid and record.finished
    ]
    with Path(f"{folder.resolve().name.removesuffix('.yaml')}.csv").open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
    say("\n".join(lines))


def _tell(translated: Translated) -> None:
    for outcome, heading in SAID.items():
        accounts = of(translated.accounts, outcome)
        if accounts:
            say(f"{heading}:")
            say("\n".join(f"    {account}" for account in accounts))
    for remark in translated.remarks:
        say(f"Note: {remark}.")


if __name__ == "__main__":
    run_expid()

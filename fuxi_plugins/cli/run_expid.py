"""``fuxibench run-expid``: an experiment of a published folder of configs, as FuxiCTR's ``run_expid.py`` runs it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuxi_plugins.cli.console import say
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace

if TYPE_CHECKING:
    from fuxi_plugins.experiments.translation.accounts import Outcome
    from fuxi_plugins.experiments.translation.folder import Translated

SAID: "dict[Outcome, str]" = {"translated": "Translated", "added": "Added", "no effect": "Without effect here"}
FOLDER = click.Path(path_type=Path)


@click.command("run-expid")
@click.option("--config", "folder", required=True, type=FOLDER, help="Config folder.")
@click.option("--expid", required=True, help="Id of the experiment.")
@click.option("--gpu", type=int, default=-1, show_default=True, help="GPU to run on; -1 is the CPU.")
@click.option("--data", type=FOLDER, help="Folder with the data files.")
@click.option("--zoo", type=FOLDER, help="FuxiCTR checkout whose own class of the model runs. Executes its code.")
@click.option("--keep", is_flag=True, help="Write the translated configs to this workspace's, for boards of its runs.")
@click.option("--force", is_flag=True, help="Repeat a finished run.")
@click.option("--update", is_flag=True, help="Repeat a finished run whose settings, code or data were changed since.")
@click.pass_context
def run_expid(
    context: click.Context,
    folder: Path,
    expid: str,
    gpu: int,
    data: Path | None,
    zoo: Path | None,
    keep: bool,
    force: bool,
    update: bool,
) -> None:
    """Runs an experiment of a published folder of configs.

    The folder may be FuxiCTR's, BARS's or the RankElastor authors', and the options are those of FuxiCTR's
    run_expid.py. Says what is translated and what has no effect here. Appends FuxiCTR's result line to NAME.csv in the
    current folder, NAME being that of the config folder.

    \b
    fuxibench run-expid --config DCNv2_frappe_x1_tuner_config_03 --expid DCNv2_frappe_x1_007_c207b717 \\
        --data ~/Frappe_x1
    """
    from fuxi_plugins.experiments.translation.folder import keep_configs, translate_folder
    from fuxi_plugins.models.registry import Sources, use_sources
    from fuxi_plugins.records.files import find_records
    from fuxi_plugins.records.record import finished_runs
    from fuxi_plugins.reporting.bars import result_line

    workspace: Workspace = context.obj
    for option, given in {"--data": data, "--zoo": zoo}.items():
        if given and not given.is_dir():
            raise UserError(f"{option} must name a folder, but {given} is none.")
    if zoo:
        use_sources(Sources(str(zoo.resolve())))
    target = workspace.cache / "published_folders" / expid
    translated = translate_folder(folder, expid, target, data, zoo, workspace if keep else None)
    _tell(translated)
    if translated.configs != folder:
        say(f"Translated to {translated.configs}; what you change goes into {folder}.")
    if keep:
        for path in keep_configs(translated, workspace.configs, expid):
            say(f"written: {path}")
    words = ["--configs", str(translated.configs), "--results", str(workspace.results)]
    words += ["--zoo", str(zoo)] if zoo else []
    repeats = [*(["--force"] if force else []), *(["--update"] if update else [])]
    context.find_root().command.main([*words, "run", expid, "--gpu", str(gpu), *repeats], standalone_mode=False)
    found = find_records(workspace.results, translated.dataset_id)
    runs = [run for run in finished_runs(found) if run.experiment == expid]
    table = Path(f"{folder.resolve().name.removesuffix('.yaml')}.csv")
    before = table.read_text(encoding="utf-8") if table.exists() else ""
    lines = [f"{result_line(record, str(folder))}\n" for record in runs]
    with table.open("a", encoding="utf-8") as file:
        file.writelines(line for line in lines if line not in before)  # a finished run is not trained again
    say("".join(lines), nl=False)
    if not keep and translated.configs != folder:
        say("Boards, tables and the site know the run after the same command with --keep, which trains nothing again.")


def _tell(translated: "Translated") -> None:
    from fuxi_plugins.experiments.translation.accounts import of

    for outcome, heading in SAID.items():
        accounts = of(translated.accounts, outcome)
        if accounts:
            say(f"{heading}:")
            say("\n".join(f"    {account}" for account in accounts))
    for remark in translated.remarks:
        say(f"Note: {remark}.")

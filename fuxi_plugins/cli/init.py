"""``fuxibench init``: a workspace of one's own."""

from pathlib import Path

import click

from fuxi_plugins.cli.console import say
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import CONFIGS_FOLDER

FOLDERS = (*(f"{CONFIGS_FOLDER}/{kind}" for kind in ("dataset_config", "model_config", "suites")), "results")
IGNORED = "# Raw and prepared data, and checkpoints: they may be deleted when nothing runs.\n.cache/\n"


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path("."))
def init(folder: Path) -> None:
    """Makes a workspace. It has folders for your configs and results; all suites of the package run in it.

    \b
    fuxibench init my_benchmark
    cd my_benchmark
    fuxibench run quickstart
    """
    from fuxi_plugins.core.files import require_writable, write_text

    if (folder / CONFIGS_FOLDER).exists():
        raise UserError(f"{folder} is a workspace already: it has a folder {CONFIGS_FOLDER}.")
    for name in FOLDERS:
        require_writable(folder / name, "a new workspace")
    if not (folder / ".gitignore").exists():
        write_text(folder / ".gitignore", IGNORED)
    say(f"made: {', '.join(FOLDERS)} in {folder.resolve()}")
    say("Your configs there go before the shipped ones of the same name; 'fuxibench list' shows both.")

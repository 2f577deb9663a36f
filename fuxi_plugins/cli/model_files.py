"""Which models the commands know: installed ones, a checkout's, and those of files, named now or remembered."""

from collections.abc import Sequence
from pathlib import Path

import click

from fuxi_plugins.core.workspace import Workspace

MODEL_FILE = click.Path(dir_okay=False, path_type=Path)
MODEL_FILES = "fuxi_plugins.model_files"  # in click's context: the files that are named before the command


def use_models(workspace: Workspace, named: Sequence[Path] = (), zoo: Path | None = None) -> None:
    """Makes known the models of the files that are named, of those that the workspace remembers, and of a checkout.

    Raises:
        UserError: a file without a model, or whose model's name is taken.
    """
    from fuxi_plugins.models.model_files import MEMORY, all_model_files

    if not (named or zoo or (workspace.configs / MEMORY).exists()):
        return
    from fuxi_plugins.models.registry import Sources, use_sources

    use_sources(Sources(str(zoo.resolve()) if zoo else None, all_model_files(workspace.configs, named)))

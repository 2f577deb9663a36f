"""The model files that a workspace remembers, so that later commands need no ``--model-file``.

They stand in ``benchmark_configs/model_files.yaml``: the name of each model and its file.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import write_text
from fuxi_plugins.core.yaml_files import load_yaml, yaml_text
from fuxi_plugins.models.model_classes import FUXICTR, import_root, model_classes

MEMORY = "model_files.yaml"
_log = logging.getLogger(__name__)


def models_of(path: Path) -> list[str]:
    """The names of a file's model classes, read without executing it.

    Raises:
        UserError: the file is not Python, has no model, or a name that no module can have.
    """
    if "." in path.stem:
        name = path.stem.replace(".", "_")
        raise UserError(f"{path} must have no dot in its name before .py, as for every Python module; try {name}.py.")
    names = list(model_classes(path, import_root(path)))
    if not names:
        raise UserError(
            f"{path} must define a class whose base is BaseModel or another class of {FUXICTR}, a model of "
            "fuxi_plugins, or a model of the same file or of one beside it. The base must be imported by its name."
        )
    return names


def all_model_files(configs: Path, named: Iterable[Path] = ()) -> tuple[str, ...]:
    """The files that are named now, and those remembered whose models they do not define anew.

    A remembered file that is gone is left out with a warning.
    """
    files = [path.resolve() for path in named]
    taken = {name for path in files for name in models_of(path)}
    for name, path in _remembered(configs).items():
        if name in taken or path in files:
            continue
        if path.is_file():
            files.append(path)
        else:
            _log.warning("the model %s was in %s, which is gone; --model-file names another file.", name, path)
    return tuple(map(str, files))


def remember(configs: Path, named: Iterable[Path]) -> None:
    """Writes down where models are; a path inside the workspace is kept relative to it."""
    before = _remembered(configs)
    after = before | {name: path.resolve() for path in named for name in models_of(path)}
    if after != before:
        root = configs.parent
        shown = {
            name: path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
            for name, path in sorted(after.items())
        }
        write_text(configs / MEMORY, yaml_text(shown))


def _remembered(configs: Path) -> dict[str, Path]:
    path = configs / MEMORY
    if not path.is_file():
        return {}
    content = load_yaml(path)
    for name, file in content.items():
        if not isinstance(file, str):
            raise UserError(f"{path}: {name} must name a Python file, but is {file!r}.")
    return {name: (configs.parent / file).resolve() for name, file in content.items()}

"""Where configs are read from: a user's own folder, over the catalogue that the package brings."""

from dataclasses import dataclass
from pathlib import Path

from fuxi_plugins.core.errors import UserError


@dataclass(frozen=True)
class Configs:
    """Folders of configs. A config in one's own folder replaces the catalogue's config of the same name."""

    own: Path  # need not exist; whatever is written goes here
    catalogue: Path | None = None


AnyConfigs = Path | Configs  # a folder by itself has no catalogue under it


def folders_of(configs: AnyConfigs) -> list[Path]:
    """The folders to look in, one's own first."""
    if isinstance(configs, Path):
        return [configs]
    return [configs.own, configs.catalogue] if configs.catalogue else [configs.own]


def config_files(folder: Path, kind: str) -> list[Path]:
    """FuxiCTR's two layouts: one file ``kind.yaml``, or every yaml file of the folder ``kind``."""
    single = folder / f"{kind}.yaml"
    return [single] if single.is_file() else sorted((folder / kind).glob("*.yaml"))


def files_by_name(configs: AnyConfigs, kind: str) -> dict[str, Path]:
    """The files of ``kind/*.yaml`` by their names without ending, in the names' order; one's own before the others."""
    found: dict[str, Path] = {}
    for folder in folders_of(configs):
        found = {path.stem: path for path in (folder / kind).glob("*.yaml")} | found
    return dict(sorted(found.items()))


def new_config_file(configs: Path, name: str, stem: str) -> Path:
    """Where a new file of the folder ``name`` goes.

    Raises:
        UserError: there is one of that name, or the configs are a single file, which nothing is written into.
    """
    path, single = configs / name / f"{stem}.yaml", configs / f"{name}.yaml"
    taken = next((there for there in (path, single) if there.exists()), None)
    if taken:
        raise UserError(f"{taken} exists already; edit it, or move it away to write {path}.")
    return path

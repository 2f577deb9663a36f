"""From what the user has to a folder of csv files: import with checksums, or build."""

import gzip
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from filelock import FileLock

from fuxi_plugins.datasets.spec import SPLITS, DatasetSpec
from fuxi_plugins.errors import UserError
from fuxi_plugins.files import digest, file_digest, write_text
from fuxi_plugins.workspace import Workspace

BUILDERS = {
    "carved": "fuxi_plugins.datasets.carve:build_carved",
    "synthetic": "fuxi_plugins.datasets.synthetic:build_synthetic",
    "ml100k": "fuxi_plugins.datasets.movielens:build_ml100k",
    "criteo_x1_twin": "fuxi_plugins.datasets.twins.criteo_x1:build_criteo_x1",
    "avazu_x4_twin": "fuxi_plugins.datasets.twins.avazu_x4:build_avazu_x4",
    "kuaivideo_x1_twin": "fuxi_plugins.datasets.twins.kuaivideo_x1:build_kuaivideo_x1",
    "taobaoad_x1_twin": "fuxi_plugins.datasets.twins.taobaoad_x1:build_taobaoad_x1",
}


def import_files(spec: DatasetSpec, origin: Path, workspace: Workspace, known: Iterable[DatasetSpec] = ()) -> Path:
    """Copies the dataset's files from ``origin`` (plain or ``.gz``) into the cache, checked by md5.

    Either all files are installed or none is; an earlier import stays until the new one is complete. ``known`` are
    the datasets among which an error looks for the one that a wrong file belongs to.

    Raises:
        UserError: a file is missing or its md5 is not the published one.
    """
    wanted = _wanted_files(spec)
    if spec.build and not spec.files:
        raise UserError(f"the dataset {spec.dataset_id!r} is generated; there is nothing to import.")
    if not origin.is_dir():
        raise UserError(f"a folder that holds {', '.join(wanted)} is needed, but {origin} is not a folder.")
    with replacing_folder(source_folder(spec, workspace)) as temporary:
        for name, md5 in wanted.items():
            copy = temporary / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            _unpack(origin, name, copy)
            seen = file_digest(copy, "md5")
            if md5 and seen != md5:
                raise UserError(
                    f"{spec.dataset_id} needs {name} with md5 {md5}, but the one in {origin} has md5 {seen}. "
                    f"Nothing was imported; {_remedy(name, seen, known)}"
                )
    return source_folder(spec, workspace)


def raw_folder(spec: DatasetSpec, workspace: Workspace) -> Path:
    """The folder with the dataset's csv files, which are built first if the config says how.

    Raises:
        UserError: the files have not been imported.
    """
    if spec.build:
        return _built_folder(spec, workspace)
    folder = Path(spec.data_root) if spec.data_root else source_folder(spec, workspace)
    if spec.data_root and not folder.is_absolute():
        folder = workspace.configs.parent / folder
    _require_files(spec, folder, spec.data_files)
    return folder


def raw_digests(spec: DatasetSpec, folder: Path, workspace: Workspace) -> dict[str, str]:
    """sha256 of each split's csv file and of each file of vectors, remembered by size and time of change."""
    memory = workspace.dataset_folder(spec.dataset_id) / "raw_digests.json"
    known = json.loads(memory.read_text()) if memory.exists() else {}
    named = {split: spec.split_file(split) for split in SPLITS} | {name: name for name in spec.pretrained_files}
    digests = {}
    for key, name in named.items():
        path = folder / name
        state = [str(path), path.stat().st_size, path.stat().st_mtime_ns]
        if known.get(key, {}).get("state") != state:
            known[key] = {"state": state, "sha256": file_digest(path, "sha256")}
        digests[key] = known[key]["sha256"]
    write_text(memory, json.dumps(known, indent=1))
    return digests


def source_folder(spec: DatasetSpec, workspace: Workspace) -> Path:
    """Where imported files lie."""
    return workspace.dataset_folder(spec.files_of or spec.dataset_id) / "source"


def is_available(spec: DatasetSpec, workspace: Workspace) -> bool:
    """Whether the dataset can be prepared with what is on this machine."""
    if spec.build and not spec.files:
        return True
    folder = Path(spec.data_root) if spec.data_root else source_folder(spec, workspace)
    return all((folder / name).is_file() for name in _wanted_files(spec))


def _wanted_files(spec: DatasetSpec) -> dict[str, str]:
    """Files that the user or the hub provides, by name, with their md5 or, where none is published, nothing."""
    return spec.files or dict.fromkeys(spec.data_files, "")


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Gives an empty folder to fill; on success it takes the place of ``folder``, on an error it is removed."""
    first = not folder.parent.exists()
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".partial"))
    try:
        yield temporary
        temporary.chmod(0o755)
        if folder.exists():
            outdated = temporary.with_suffix(".outdated")
            folder.rename(outdated)
            temporary.rename(folder)
            shutil.rmtree(outdated)
        else:
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if first and not folder.exists():
            folder.parent.rmdir()


def _built_folder(spec: DatasetSpec, workspace: Workspace) -> Path:
    module_name, function = BUILDERS[spec.build].split(":")
    module = import_module(module_name)
    key = digest([spec.build, spec.build_args, spec.files, _text_digest(Path(module.__file__))])
    folder = workspace.dataset_folder(spec.dataset_id) / f"raw-{key[:12]}"
    sources = []
    if spec.files:
        sources = [source_folder(spec, workspace)]
        _require_files(spec, sources[0], spec.files)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            with replacing_folder(folder) as temporary:
                getattr(module, function)(*sources, temporary, **spec.build_args)
    return folder


def _text_digest(builder: Path) -> str:
    """The builder's own text is part of its folder's name: other code may mean other files. Twins share an engine."""
    texts = sorted(builder.parent.glob("*.py")) if builder.parent.name == "twins" else [builder]
    digests = [file_digest(text, "sha256") for text in texts]
    return digests[0] if len(digests) == 1 else digest(digests)


def _require_files(spec: DatasetSpec, folder: Path, names: Iterable[str]) -> None:
    missing = [name for name in names if not (folder / name).is_file()]
    if not missing:
        return
    if spec.data_root:
        raise UserError(f"the dataset {spec.dataset_id!r} needs {', '.join(missing)} in {folder}.")
    homepage = f" It is described at {spec.source.homepage}." if spec.source else ""
    raise UserError(
        f"the dataset {spec.dataset_id!r} has not been imported.{homepage} With its files "
        f"({', '.join(names)}) in a folder: fuxibench data import {spec.dataset_id} --from FOLDER"
    )


def _remedy(name: str, md5: str, known: Iterable[DatasetSpec]) -> str:
    owners = [spec.dataset_id for spec in known if spec.files.get(name) == md5]
    if owners:
        return f"this file belongs to the dataset {owners[0]!r}, which may be imported instead."
    return "get the published file, or give your own file a dataset id of its own."


def _unpack(origin: Path, name: str, copy: Path) -> None:
    plain, packed = origin / name, origin / f"{name}.gz"
    if plain.is_file():
        shutil.copyfile(plain, copy)
    elif packed.is_file():
        try:
            with gzip.open(packed) as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target)
        except (OSError, EOFError) as error:
            raise UserError(f"{packed} is not a whole gzip file: {error}.") from error
    else:
        raise UserError(f"{origin} must hold {name} or {name}.gz, but holds neither.")
    os.utime(copy)

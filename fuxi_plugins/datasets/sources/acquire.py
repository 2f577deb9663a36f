"""Where a dataset's raw files are: those that were provided, the user's own, or built."""

import inspect
import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from filelock import FileLock

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import digest, explaining_full_disk, file_digest, partial_name, write_text
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.copies import require_same_originals
from fuxi_plugins.datasets.reading.forms import is_there, parts, place_of
from fuxi_plugins.datasets.spec import SPLITS, DatasetSpec

BUILDERS = {
    "synthetic": "fuxi_plugins.datasets.synthetic.planted:build_synthetic",
    "interactions": "fuxi_plugins.datasets.interactions.rows:build_rows",
    "ml100k": "fuxi_plugins.datasets.sources.movielens:build_ml100k",
    "nycflights13": "fuxi_plugins.datasets.sources.flights:build_flights",
    "criteo_x1_twin": "fuxi_plugins.datasets.synthetic.twins.criteo_x1:build_criteo_x1",
    "avazu_x4_twin": "fuxi_plugins.datasets.synthetic.twins.avazu_x4:build_avazu_x4",
    "kuaivideo_x1_twin": "fuxi_plugins.datasets.synthetic.twins.kuaivideo_x1:build_kuaivideo_x1",
    "taobaoad_x1_twin": "fuxi_plugins.datasets.synthetic.twins.taobaoad_x1:build_taobaoad_x1",
}


def raw_folder(spec: DatasetSpec, workspace: Workspace) -> Path:
    """The folder with the dataset's files, which are built first if the config says how.

    Raises:
        UserError: the files have not been imported.
    """
    if spec.is_made:
        return _made_folder(spec, workspace)
    folder = _provided_folder(spec, workspace)
    _require_files(spec, folder, spec.data_files)
    for place in {(folder / name).parent for name in spec.data_files}:
        require_same_originals(place)
    return folder


def raw_digests(spec: DatasetSpec, folder: Path, workspace: Workspace) -> dict[str, str]:
    """sha256 of each split's file and of each file of vectors, remembered by size and time of change."""
    return _digests(_digested(spec, folder), spec, workspace)


def known_digests(spec: DatasetSpec, workspace: Workspace) -> dict[str, str] | None:
    """What :func:`raw_digests` last found, where the files still have their names and sizes; no file is read.

    A file of another size has an empty digest. None where files were never digested here, are gone, or are made here.
    """
    memory = _memory(spec, workspace)
    if spec.is_made or not is_available(spec, workspace) or not memory.exists():
        return None
    known = json.loads(memory.read_text())
    files = _digested(spec, _provided_folder(spec, workspace))
    found = {}
    for key, (path, its_parts) in files.items():
        owner = next(other for other in files if files[other][0] == path)  # which stands for splits that share a file
        if owner not in known:
            return None
        sizes = [(part.name, part.stat().st_size) for part in its_parts]
        is_same = sizes == [(Path(name).name, size) for name, size, _ in known[owner]["state"]]
        found[key] = known[owner]["sha256"] if is_same else ""
    return found


def _digested(spec: DatasetSpec, folder: Path) -> dict[str, tuple[Path, list[Path]]]:
    """The files whose bytes are part of the data: each split's, or a folder with its parts, tables, and vectors."""
    others = [*(spec.tables or {}), *spec.pretrained_files]
    named = {split: spec.split_file(split) for split in SPLITS} | {name: name for name in others}
    paths = {key: folder / name for key, name in named.items()}
    return {key: (path, parts(path, spec.file_format)) for key, path in paths.items()}


def _memory(spec: DatasetSpec, workspace: Workspace) -> Path:
    return workspace.dataset_folder(spec.dataset_id) / "raw_digests.json"


def _digests(files: dict[str, tuple[Path, list[Path]]], spec: DatasetSpec, workspace: Workspace) -> dict[str, str]:
    """sha256 of each file, or of its parts, remembered by size and time of change."""
    memory = _memory(spec, workspace)
    known = json.loads(memory.read_text()) if memory.exists() else {}
    digests: dict[str, str] = {}
    for key, (path, its_parts) in files.items():
        same = next((other for other in digests if files[other][0] == path), None)
        if same:  # splits that share a file
            digests[key] = digests[same]
            continue
        state = [[str(part), part.stat().st_size, part.stat().st_mtime_ns] for part in its_parts]
        if known.get(key, {}).get("state") != state:
            known[key] = {"state": state, "sha256": _digest(path, its_parts)}
        digests[key] = known[key]["sha256"]
    write_text(memory, json.dumps(known, indent=1))
    return digests


def _digest(path: Path, files: list[Path]) -> str:
    """sha256 of a file's bytes, or of the names and digests of its parts."""
    if files == [path]:
        return file_digest(path, "sha256")
    return digest({str(place_of(part, path)): file_digest(part, "sha256") for part in files})


def source_folder(spec: DatasetSpec, workspace: Workspace) -> Path:
    """Where imported files lie."""
    return workspace.dataset_folder(spec.files_of or spec.dataset_id) / "source"


def is_available(spec: DatasetSpec, workspace: Workspace) -> bool:
    """Whether the dataset can be prepared with what is on this machine."""
    if spec.build and not spec.files:
        return True
    folder = _provided_folder(spec, workspace)
    return all(is_there(folder / name) for name in wanted_files(spec))


def _provided_folder(spec: DatasetSpec, workspace: Workspace) -> Path:
    """Where files lie that were not built; a relative ``data_root`` starts beside the workspace's configs."""
    return workspace.configs.parent / spec.data_root if spec.data_root else source_folder(spec, workspace)


def wanted_files(spec: DatasetSpec) -> dict[str, str]:
    """Files that the user or the hub provides, by name, with their md5 or, where none is published, nothing."""
    if spec.files:
        return spec.files
    return dict.fromkeys(spec.from_interactions.files if spec.from_interactions else spec.data_files, "")


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Gives an empty folder to fill; on success it takes the place of ``folder``, on an error it is removed.

    The caller sees to it that nobody else fills this folder at the time: what is left of an earlier call that was
    killed is cleared away first.
    """
    first = not folder.parent.exists()
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(left)
    temporary = partial_name(folder)
    temporary.mkdir()
    try:
        yield temporary
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


def _made_folder(spec: DatasetSpec, workspace: Workspace) -> Path:
    """The folder of made files; its name tells what they were made from and how."""
    how = spec.from_interactions
    source = _provided_folder(spec, workspace)
    needed = how.files if how else list(spec.files)
    _require_files(spec, source, needed)
    if how:  # a log need not have a published md5
        logs = {name: (source / name, parts(source / name)) for name in needed}
        builder, arguments = "interactions", {"settings": how}
        made_from = [builder, how.model_dump(mode="json"), _digests(logs, spec, workspace)]
    else:
        builder, arguments = spec.build or "", spec.build_args
        made_from = [builder, arguments, spec.files]
    module_name, function = BUILDERS[builder].split(":")
    module = import_module(module_name)
    key = digest([*made_from, _text_digest(Path(inspect.getfile(module)))])
    folder = workspace.dataset_folder(spec.dataset_id) / f"raw-{key[:12]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            with replacing_folder(folder) as temporary, explaining_full_disk(folder.parent):
                getattr(module, function)(*([source] if needed else []), temporary, **arguments)
    return folder


def _text_digest(builder: Path) -> str:
    """The builder's own text is part of its folder's name: other code may mean other files. Some share a folder."""
    texts = sorted(builder.parent.glob("*.py")) if builder.parent.name in ("twins", "interactions") else [builder]
    digests = [file_digest(text, "sha256") for text in texts]
    return digests[0] if len(digests) == 1 else digest(digests)


def _require_files(spec: DatasetSpec, folder: Path, names: Iterable[str]) -> None:
    missing = [name for name in names if not is_there(folder / name)]
    if not missing:
        return
    if spec.data_root:
        raise UserError(f"the dataset {spec.dataset_id!r} needs {', '.join(missing)} in {folder}.")
    homepage = f" It is described at {spec.source.homepage}." if spec.source else ""
    raise UserError(
        f"the dataset {spec.dataset_id!r} has not been imported.{homepage} With its files "
        f"({', '.join(names)}) in a folder: fuxibench data import {spec.dataset_id} --from FOLDER"
    )

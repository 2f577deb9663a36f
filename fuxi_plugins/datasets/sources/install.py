"""From what the user or the hub provides to a folder of verified files: all of them or none."""

import gzip
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from filelock import FileLock

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import explaining_full_disk, file_digest, require_space
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.reading.forms import is_pattern, is_there, parts
from fuxi_plugins.datasets.sources.acquire import replacing_folder, source_folder, wanted_files
from fuxi_plugins.datasets.spec import DatasetSpec

Member = TypeVar("Member")
MOST_COMPRESSED = 200  # unpacked bytes a packed one; csv files come to about 20, bombs to thousands


@dataclass(frozen=True)
class FileState:
    """What verification found of one file."""

    name: str
    md5: str  # published, or empty
    seen: str  # empty where the file is missing

    @property
    def in_order(self) -> bool:
        return bool(self.seen) and self.md5 in ("", self.seen)


def import_files(spec: DatasetSpec, origin: Path, workspace: Workspace, known: Iterable[DatasetSpec] = ()) -> Path:
    """Installs the dataset's files from ``origin`` in the cache, checked by md5.

    Either all files are installed or none is; an earlier import stays until the new one is complete.

    Args:
        spec: the dataset.
        origin: a folder that holds the files, plain, packed one by one as ``.gz`` or ``.zip``, or together in a zip or
            tar archive; or such an archive itself.
        workspace: whose cache to install in.
        known: the datasets among which an error looks for the one that a wrong file belongs to.

    Raises:
        UserError: a file is missing, broken or not the published one, or the disk is full.
    """
    wanted = wanted_files(spec)
    if spec.build and not spec.files:
        raise UserError(f"the dataset {spec.dataset_id!r} is generated; there is nothing to import.")
    if not origin.is_dir() and not (origin.is_file() and (zipfile.is_zipfile(origin) or _is_tar(origin))):
        raise UserError(f"a folder or archive that holds {', '.join(wanted)} is needed, but {origin} is neither.")
    folder = source_folder(spec, workspace)
    with _locked(folder), replacing_folder(folder) as temporary, explaining_full_disk(folder):
        for name, md5 in wanted.items():
            copy = temporary / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            _unpack(origin, name, copy)
            seen = _seen(copy) if md5 else ""
            if seen != md5:
                raise UserError(
                    f"{spec.dataset_id} needs {name} with md5 {md5}, but the one in {origin} has md5 {seen}. "
                    f"Nothing was imported; {_remedy(name, seen, known)}"
                )
    return folder


def verify_files(spec: DatasetSpec, folder: Path) -> list[FileState]:
    """Reads every provided file of a dataset again and compares it with the published md5."""
    return [FileState(name, md5, _seen(folder / name)) for name, md5 in wanted_files(spec).items()]


def _seen(path: Path) -> str:
    """The md5 of a file; of several, for which none can be published, that they are there."""
    return file_digest(path, "md5") if path.is_file() else "several files" if is_there(path) else ""


def _remedy(name: str, md5: str, known: Iterable[DatasetSpec]) -> str:
    owners = [spec.dataset_id for spec in known if spec.files.get(name) == md5]
    if owners:
        return f"this file belongs to the dataset {owners[0]!r}, which may be imported instead."
    return "get the published file, or give your own file a dataset id of its own."


def _unpack(origin: Path, name: str, copy: Path) -> None:
    """Copies one file out of whatever holds it; where it is written to does not depend on what a zip archive says."""
    if (origin / name).is_dir():  # of parts; names that begin with a dot or an underscore are no data
        shutil.copytree(origin / name, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*", "_*"))
        return
    if is_pattern(copy):
        folder = copy.parents[len(Path(name).parts) - 1]
        for part in parts(origin / name):
            place = folder / part.relative_to(origin)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(part, place)
        return
    packed = (path for path in sorted(origin.glob("*")) if path.suffix == ".zip" or _is_tar(path))
    archives = [origin] if origin.is_file() else [origin / f"{name}.zip", *packed]
    if (origin / name).is_file():
        shutil.copyfile(origin / name, copy)
    elif (origin / f"{name}.gz").is_file():
        _unpack_gzip(origin / f"{name}.gz", copy)
    elif not any(path.is_file() and _unpack_member(path, name, copy) for path in archives):
        raise UserError(
            f"{origin} must hold {name} or {name}.gz, or a zip or tar archive with it, but holds neither."
            if origin.is_dir()
            else f"the archive {origin} must hold {name}, but does not."
        )
    os.utime(copy)


def _unpack_gzip(packed: Path, copy: Path) -> None:
    most = MOST_COMPRESSED * packed.stat().st_size
    try:
        with gzip.open(packed) as source, copy.open("wb") as target:
            while part := source.read(2**20):
                target.write(part)
                if target.tell() > most:
                    raise UserError(
                        f"{packed} unpacks to more than {MOST_COMPRESSED} times its size, so it cannot be data."
                    )
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{packed} is not a complete gzip file: {error}. Download it again.") from error


def _unpack_member(archive: Path, name: str, copy: Path) -> bool:
    """Unpacks the member of this name, in whatever folder of the archive it lies; False if there is none."""
    return (_unpack_tar if _is_tar(archive) else _unpack_zip)(archive, name, copy)


def _is_tar(path: Path) -> bool:
    return path.name.endswith((".tar", ".tar.gz", ".tgz"))


def _unpack_tar(archive: Path, name: str, copy: Path) -> bool:
    try:
        with tarfile.open(archive) as opened:
            members = [member for member in opened if member.isfile() and _is_named(member.name, name)]
            if not members:
                return False
            member = _only(members, archive, name, [member.name for member in members])
            _require_sound_size(member.size, archive.stat().st_size, archive, name, copy)
            source = opened.extractfile(member)
            assert source is not None
            with source, copy.open("wb") as target:  # reads the member's size at most
                shutil.copyfileobj(source, target, 2**20)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise UserError(f"{archive} is not a complete tar archive: {error}. Download it again.") from error
    return True


def _unpack_zip(archive: Path, name: str, copy: Path) -> bool:
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [
                member for member in opened.infolist() if not member.is_dir() and _is_named(member.filename, name)
            ]
            if not members:
                return False
            member = _only(members, archive, name, [member.filename for member in members])
            _require_sound_size(member.file_size, member.compress_size, archive, name, copy)
            with opened.open(member) as source, copy.open("wb") as target:  # reads file_size bytes at most
                shutil.copyfileobj(source, target, 2**20)
    except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{archive} is not a complete zip archive: {error}. Download it again.") from error
    return True


def _is_named(member: str, name: str) -> bool:
    parts = PurePosixPath(name).parts
    return PurePosixPath(member).parts[-len(parts) :] == parts


def _only(members: list[Member], archive: Path, name: str, places: list[str]) -> Member:
    if len(members) > 1:
        raise UserError(f"the archive {archive} must hold one {name}, but holds {', '.join(places)}.")
    return members[0]


def _require_sound_size(unpacked: int, packed: int, archive: Path, name: str, copy: Path) -> None:
    if unpacked > MOST_COMPRESSED * max(packed, 1):
        raise UserError(
            f"{name} in {archive} unpacks to more than {MOST_COMPRESSED} times its size, so it cannot be data."
        )
    require_space(copy.parent, unpacked, f"unpacking {name}")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One installation of a folder at a time; what one that was killed has left is cleared away."""
    lock = folder.parent.with_name(folder.parent.name + ".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        yield

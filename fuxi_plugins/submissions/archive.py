"""The files of a submission: which there may be, how large they may be, and copying them into a folder of our own.

Nothing is unpacked by a name that is not known beforehand, and nothing is read further than its announced size.
"""

import json
import re
import stat
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import file_digest
from fuxi_plugins.records.files import LOG_FILE, MODEL_FOLDER, PREDICTIONS_FILE, RECORD_FILE

SCHEMA = "fuxibench submission 1"
MANIFEST, CONFIG, ENVIRONMENT = "manifest.json", "config.json", "environment.txt"
MOST_FILES = 1000
MOST_BYTES = 2 << 30  # of all files together, uncompressed
MOST_BYTES_OF_LOG = 65 << 20  # a run's log is cut at 64 MB
MOST_BYTES_OF_TEXT = 4 << 20  # of a record or the manifest, whose values take far more memory than their text
MOST_BYTES_OF = {PREDICTIONS_FILE: MOST_BYTES, LOG_FILE: MOST_BYTES_OF_LOG}
_RUN_FILE = re.compile(rf"seed-\d{{1,9}}/({RECORD_FILE}|{PREDICTIONS_FILE}|{LOG_FILE})".replace(".", r"\."))
# Source is text to read, for whoever verifies too: nothing of it is executed.
_SOURCE_FILE = re.compile(rf"seed-\d{{1,9}}/{MODEL_FOLDER}/(\w{{1,99}}/){{0,9}}\w{{1,99}}\.py", re.ASCII)
NAME = re.compile(r"[A-Za-z0-9_.+=,@()&-][A-Za-z0-9_.+=,@()& -]{0,199}")


def unpack(path: Path, folder: Path) -> tuple[list[str], str]:
    """Copies a submission, a zip file or a folder, into a folder of our own.

    Returns:
        The names of its files, and the contributor that the manifest names ("" when it names none).

    Raises:
        UserError: a name, a size or a digest that must not be.
    """
    names = _copy_folder(path, folder) if path.is_dir() else _extract(path, folder)
    return names, _check_manifest(path, folder, names)


def _copy_folder(path: Path, folder: Path) -> list[str]:
    sizes = {}
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path).as_posix()
        if file.is_symlink():
            raise UserError(f"{path}: {name!r} is a link, which a submission must not contain.")
        if file.is_file():
            sizes[name] = file.stat().st_size
        if len(sizes) > MOST_FILES:
            break
    _check_names_and_sizes(path, list(sizes.items()))
    for name, size in sizes.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with (path / name).open("rb") as source, target.open("wb") as copy:
            _copy(source, copy, size)
    return list(sizes)


def _extract(path: Path, folder: Path) -> list[str]:
    """Writes the files into our folder, once their names and sizes are known to be harmless."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_names_and_sizes(path, [(entry.filename, entry.file_size) for entry in entries])
            _check_entries(path, entries)
            for entry in entries:
                target = folder / entry.filename  # of a known name, so inside the folder
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, target.open("wb") as copy:
                    _copy(source, copy, entry.file_size)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise UserError(f"{path} must be a sound zip file, but: {error}.") from error
    return [entry.filename for entry in entries]


def _check_names_and_sizes(path: Path, files: Sequence[tuple[str, int]]) -> None:
    names = [name for name, _ in files]
    if len(files) > MOST_FILES:
        raise UserError(f"{path} holds more than {MOST_FILES} files, which a submission must not.")
    for name, size in files:
        if name not in (MANIFEST, CONFIG, ENVIRONMENT) and not (
            _RUN_FILE.fullmatch(name) or _SOURCE_FILE.fullmatch(name)
        ):
            raise UserError(
                f"{path} holds {name!r}; a submission has records, predictions, logs and model source by seed, no more."
            )
        most = MOST_BYTES_OF.get(name.rpartition("/")[2], MOST_BYTES_OF_TEXT)
        if size > most:
            raise UserError(f"{path}: {name!r} would unpack to {size:,} bytes; {most:,} at most.")
    if len(set(names)) < len(names):
        raise UserError(f"{path} holds a file twice, so it is unclear which one counts.")
    total = sum(size for _, size in files)
    if total > MOST_BYTES:
        raise UserError(f"{path} would unpack to {total:,} bytes; a submission has at most {MOST_BYTES:,}.")
    if MANIFEST not in names:
        raise UserError(f"{path} must hold {MANIFEST}, as 'fuxibench submit pack' writes it.")


def _check_entries(path: Path, entries: Sequence[zipfile.ZipInfo]) -> None:
    for entry in entries:
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise UserError(f"{path}: {entry.filename!r} is a link, which a submission must not contain.")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others may ask for gigabytes
            raise UserError(f"{path}: {entry.filename!r} must be stored plainly or by deflate, as in most zip files.")


def _copy(source: IO[bytes], copy: IO[bytes], size: int) -> None:
    """Copies what was announced and no byte more, whatever the file's header claims."""
    left = size
    while chunk := source.read(min(1 << 20, left + 1)):
        left -= len(chunk)
        if left < 0:
            raise zipfile.BadZipFile("a file is longer than it says")
        copy.write(chunk)


def _check_manifest(path: Path, folder: Path, names: Sequence[str]) -> str:
    """Compares each file with the manifest, and returns the contributor that it names."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        schema, digests, contributor = manifest["schema"], dict(manifest["files"]), manifest.get("contributor", "")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: {MANIFEST} must name the schema and the files' digests, but does not.") from error
    if schema != SCHEMA:
        raise UserError(f"{path}: the schema must be {SCHEMA!r}, but is {schema!r}.")
    found = {name: file_digest(folder / name, "sha256") for name in names if name != MANIFEST}
    for name in sorted({*found, *digests}):
        if found.get(name) != digests.get(name):
            raise UserError(f"{path}: {name!r} is not the file that {MANIFEST} was written for.")
    if not isinstance(contributor, str) or (contributor and not NAME.fullmatch(contributor)):
        raise UserError(f"{path}: {MANIFEST} names a contributor that is no name: {contributor!r:.100}.")
    return contributor

"""Opens a file of bytes that may be packed, and reads it piece by piece."""

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.reading.forms import PACKED

_OPENERS: dict[str, Callable[[Path], Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
# What a file begins with that is no text: what it is, and what to do with it.
_WRITE_AGAIN = "Read it with pandas or polars, and write it as parquet or csv"
_OTHER_KINDS = {
    b"PK\x03\x04": ("a zip archive, an Excel workbook or an npz file", "Unpack it, or write what it holds as csv"),
    b"\x1f\x8b": ("packed by gzip", "Let its name end with .gz"),
    b"BZh": ("packed by bzip2", "Let its name end with .bz2"),
    b"\xfd7zXZ": ("packed by xz", "Let its name end with .xz"),
    b"\x28\xb5\x2f\xfd": ("packed by zstd", "Let its name end with .zst"),
    b"7z\xbc\xaf": ("a 7z archive", "Unpack it"),
    b"Rar!": ("a rar archive", "Unpack it"),
    b"PAR1": ("a parquet file", "Let its name end with .parquet"),
    b"ARROW1": ("an Arrow (feather) file", "Let its name end with .arrow"),
    b"FEA1": ("a feather file", _WRITE_AGAIN),
    b"\x89HDF": ("an HDF5 file", _WRITE_AGAIN),
    b"\x93NUMPY": ("a numpy file", _WRITE_AGAIN),
    b"ORC": ("an ORC file", _WRITE_AGAIN),
    b"Obj\x01": ("an Avro file", _WRITE_AGAIN),
    b"SQLite": ("a SQLite database", _WRITE_AGAIN),
    b"\x80": ("a pickle of Python", _WRITE_AGAIN),
}


def packing(path: Path) -> str:
    """The ending of the name of a packed file; empty for one that is not packed."""
    ending = path.suffix.lower()
    return ending if ending in PACKED else ""


def is_packed(path: Path) -> bool:
    return bool(packing(path))


def pieces(path: Path, size: int) -> Iterator[bytes]:
    """The unpacked bytes of a file in pieces of ``size``, line ends as LF where the file ends its lines with CR alone.

    Raises:
        UserError: a packed file is cut or broken, a zip archive holds other than one file, or a file is no text.
    """
    only_cr = None
    with _opened(path) as file:
        while piece := _read(path, file, size):
            if only_cr is None:  # the last byte may be half of a CRLF
                _refuse_other_kinds(path, piece)
                only_cr = b"\r" in piece[:-1] and b"\n" not in piece
            yield piece.replace(b"\r", b"\n") if only_cr else piece


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    packed = packing(path)
    if packed in _OPENERS:
        with _OPENERS[packed](path) as unpacked:
            yield cast(IO[bytes], unpacked)
    elif packed == ".zst":
        with pa.input_stream(str(path), compression="zstd") as file:
            yield file
    elif packed == ".zip":
        with _archive(path) as archive:
            names = [member.filename for member in archive.infolist() if not member.is_dir()]
            names = [name for name in names if not name.startswith("__MACOSX/")]  # which a Mac adds to each file
            if len(names) != 1:
                raise UserError(
                    f"the archive {path.name} must hold one file, but holds {', '.join(names) or 'none'}. Unpack it, "
                    "and name the folder or one of its files."
                )
            with archive.open(names[0]) as file:
                yield file
    else:
        with path.open("rb") as file:
            yield file


def _archive(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise _broken(path, error) from error


def _read(path: Path, file: IO[bytes], size: int) -> bytes:
    if not is_packed(path):
        return file.read(size)
    try:
        return file.read(size)
    except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, pa.ArrowException, OSError) as error:
        raise _broken(path, error) from error


def _broken(path: Path, error: Exception) -> UserError:
    return UserError(f"{path.name} is not a complete {PACKED[packing(path)]} file: {error}. Download it again.")


def _refuse_other_kinds(path: Path, head: bytes) -> None:
    if b"\0" not in head[:4096]:  # of text these beginnings may be words
        return
    kinds = [kind for start, kind in _OTHER_KINDS.items() if head.startswith(start)]
    if head[257:262] == b"ustar":
        kinds = [("a tar archive", "Unpack it")]
    for kind, remedy in kinds:
        raise UserError(f"{path.name} must be text, as csv and JSON lines are, but is {kind}. {remedy}.")

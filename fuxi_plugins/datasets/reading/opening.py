"""Opens a file of bytes that may be packed as .gz, .zst or .zip, and reads it piece by piece."""

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import pyarrow as pa

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.reading.forms import PACKED

_WORDS = {".gz": "gzip", ".zst": "zstd", ".zip": "zip"}


def is_packed(path: Path) -> bool:
    return path.suffix in PACKED


def pieces(path: Path, size: int) -> Iterator[bytes]:
    """The unpacked bytes of a file in pieces of ``size``, line ends as LF where the file ends its lines with CR alone.

    Raises:
        UserError: a packed file is cut or broken, or a zip archive holds other than one file.
    """
    only_cr = None
    with _opened(path) as file:
        while piece := _read(path, file, size):
            if only_cr is None:  # the last byte may be half of a CRLF
                only_cr = b"\r" in piece[:-1] and b"\n" not in piece
            yield piece.replace(b"\r", b"\n") if only_cr else piece


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    if path.suffix == ".gz":
        with gzip.open(path) as unpacked:
            yield cast(IO[bytes], unpacked)
    elif path.suffix == ".zst":
        with pa.input_stream(str(path), compression="zstd") as file:
            yield file
    elif path.suffix == ".zip":
        with _archive(path) as archive:
            names = [member.filename for member in archive.infolist() if not member.is_dir()]
            names = [name for name in names if not name.startswith("__MACOSX/")]  # which a Mac adds to each file
            if len(names) != 1:
                raise UserError(f"the archive {path.name} must hold one file, but holds {', '.join(names) or 'none'}.")
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
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, pa.ArrowException, OSError) as error:
        raise _broken(path, error) from error


def _broken(path: Path, error: Exception) -> UserError:
    return UserError(f"{path.name} is not a complete {_WORDS[path.suffix]} file: {error}. Download it again.")

"""Files that are either whole or absent, and digests of values and files."""

import errno
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fuxi_plugins.core.errors import UserError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside ``path`` to write to; on success it is synced and takes its place.

    A reader sees the old file or the new one, never a part; on an error the old one stays untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = partial_name(path)
    temporary.touch(exist_ok=False)
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def partial_name(path: Path) -> Path:
    """A new hidden name beside ``path``. What is made there has the rights that the user's umask leaves, which is why
    it is not of ``tempfile``, whose files are private."""
    return path.parent / f".{path.name}.{secrets.token_hex(8)}.partial"


def write_text(path: Path, text: str) -> None:
    """Writes a text file atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def require_writable(folder: Path, purpose: str) -> None:
    """Makes ``folder`` if need be and tries to write in it.

    Raises:
        UserError: the folder cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"{purpose} must be writable, but {folder} is not: {error.strerror}.") from error


class DiskTooSmall(UserError):
    """There is no room; what was being written may be right."""


def require_space(folder: Path, needed: int, purpose: str) -> None:
    """
    Raises:
        DiskTooSmall: the disk of ``folder`` has less than ``needed`` bytes left.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DiskTooSmall(
            f"{purpose} needs {needed / 1e9:.2f} GB, but the disk of {folder} has {free / 1e9:.2f} GB left. "
            "Make room, or let FUXIBENCH_CACHE name a folder on another disk."
        )


@contextmanager
def explaining_full_disk(folder: Path) -> Iterator[None]:
    """Turns a full disk into the user's error."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise DiskTooSmall(
            f"the disk of {folder} is full; nothing half-made is kept. Make room, or let FUXIBENCH_CACHE name a "
            "folder on another disk."
        ) from error


def cache_gone(path: Path) -> UserError:
    """What to say when something of the cache is no longer there, which may be deleted only while nothing runs."""
    return UserError(
        f"{path} was deleted while it was needed. The cache may be deleted when nothing runs; finished runs are kept, "
        "and the same command prepares the data again and goes on."
    )


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def digest(value: Any) -> str:
    """sha256 of the canonical JSON of a value, in hexadecimal."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def file_digest(path: Path, algorithm: str) -> str:
    """Digest of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()

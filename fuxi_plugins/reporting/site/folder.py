"""The site's folder: what is the same stays untouched, what belongs to no page any more goes."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

# By this file a folder is known as ours to write to. It says of every group of files what it was made from.
MARKER = ".fuxibench-site"


@dataclass(frozen=True)
class Group:
    """Files that follow from the same inputs.

    Args:
        addresses: of the files.
        inputs: digest of everything that their contents follow from.
        make: returns the contents, in the order of the addresses.
    """

    addresses: Sequence[str]
    inputs: str
    make: Callable[[], Sequence[str | bytes]]


class SiteFolder:
    """Writes files into a folder of the site's own; :meth:`finish` removes those of an earlier site.

    A file that holds the same bytes already is not written again, so that a web host's copy needs only what changed.
    A group of files is not even made again where it would be the same.

    Args:
        path: a new folder, an empty one, or that of an earlier site.

    Raises:
        FileExistsError: the folder holds files that are not a site's.
    """

    def __init__(self, path: Path):
        if path.exists() and any(path.iterdir()) and not (path / MARKER).exists():
            raise FileExistsError(f"{path} holds other files")
        self.path = path
        self.written: list[str] = []
        self._addresses: set[str] = {MARKER}
        self._folders: set[str] = set()  # that exist
        self._is_new = not (path / MARKER).exists()
        self._before = {} if self._is_new else _read_marker(path / MARKER)
        self._groups: dict[str, str] = {}  # digest of the contents by digest of the inputs
        if self._is_new:
            path.mkdir(parents=True, exist_ok=True)
            (path / MARKER).touch()

    def put(self, address: str, content: str | bytes) -> None:
        """Makes the file at an address hold the content."""
        data = _bytes(content)
        self._addresses.add(address)
        if not self._is_new and self._read(address) == data:
            return
        folder, _, _ = address.rpartition("/")
        if folder not in self._folders:
            (self.path / folder).mkdir(parents=True, exist_ok=True)
            self._folders.add(folder)
        with open(f"{self.path}/{address}", "wb") as file:
            file.write(data)
        self.written.append(address)

    def put_group(self, group: Group) -> None:
        """Makes the files of a group hold their contents.

        They are made only if an earlier build had other inputs, or if a file no longer holds what it wrote.
        """
        known = self._before.get(group.inputs)
        if known and known == _digest(map(self._read, group.addresses)):
            self._addresses.update(group.addresses)
        else:
            contents = list(map(_bytes, group.make()))
            for address, content in zip(group.addresses, contents, strict=True):
                self.put(address, content)
            known = _digest(contents)
        self._groups[group.inputs] = known

    def finish(self) -> None:
        """Removes what was not put, and folders that this leaves empty; notes what the groups were made from."""
        for folder, folders, files in os.walk(self.path, topdown=False):
            inside = Path(folder).relative_to(self.path)
            for name in [*files, *(one for one in folders if os.path.islink(os.path.join(folder, one)))]:
                if (inside / name).as_posix() not in self._addresses:
                    os.unlink(os.path.join(folder, name))
            if inside.parts and not os.listdir(folder):
                os.rmdir(folder)
        self.put(MARKER, json.dumps(dict(sorted(self._groups.items())), indent=0) if self._groups else b"")

    @property
    def pages(self) -> int:
        return sum(address.endswith(".html") for address in self._addresses)

    def _read(self, address: str) -> bytes | None:
        try:
            with open(f"{self.path}/{address}", "rb") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def _digest(contents: Iterable[bytes | None]) -> str:
    """Of the contents of a group's files; a missing file is none of any content."""
    each = [hashlib.sha256(b"" if one is None else one).digest() + bytes([one is None]) for one in contents]
    return hashlib.sha256(b"".join(each)).hexdigest()[:32]


def _read_marker(marker: Path) -> dict[str, str]:
    """What an earlier build has noted; nothing where none has, or where the file was damaged."""
    try:
        noted = json.loads(marker.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}

"""The site's folder: what is the same stays untouched, what belongs to no page any more goes."""

from pathlib import Path

MARKER = ".fuxibench-site"  # by which a folder is known as ours to write to


class SiteFolder:
    """Writes files into a folder of the site's own; :meth:`finish` removes those of an earlier site.

    A file that holds the same bytes already is not written again, so that a web host's copy needs only what changed.

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
        self._addresses: set[str] = set()
        self.put(MARKER, b"")

    def put(self, address: str, content: str | bytes) -> None:
        """Makes the file at an address hold the content."""
        data = content.encode() if isinstance(content, str) else content
        file = self.path / address
        self._addresses.add(address)
        if file.is_file() and file.read_bytes() == data:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        self.written.append(address)

    def finish(self) -> None:
        """Removes what was not put, and folders that this leaves empty."""
        for file in sorted(self.path.rglob("*"), reverse=True):  # a folder comes after what lies in it
            if file.is_dir() and not file.is_symlink():
                if not any(file.iterdir()):
                    file.rmdir()
            elif file.relative_to(self.path).as_posix() not in self._addresses:
                file.unlink()

    @property
    def pages(self) -> int:
        return sum(address.endswith(".html") for address in self._addresses)

"""Copies of a user's files in a form that is read: of which files they are, and whether those have changed since."""

import json
from collections.abc import Iterable
from pathlib import Path

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import file_digest, write_text

_NAME = ".copied_from.json"


def note_originals(folder: Path, originals: Iterable[Path]) -> None:
    """Remembers beside the copies in a folder what their originals were like."""
    found = [path.resolve() for path in dict.fromkeys(originals)]
    noted = [{"file": str(path), "state": _state(path), "sha256": file_digest(path, "sha256")} for path in found]
    write_text(folder / _NAME, json.dumps(noted, indent=1))


def require_same_originals(folder: Path) -> None:
    """An original that is gone is not missed, for the copy has all that is read.

    Raises:
        UserError: the folder holds copies, and an original has changed since they were made.
    """
    note = folder / _NAME
    if not note.is_file():
        return
    for noted in json.loads(note.read_text()):
        original = Path(noted["file"])
        if not original.is_file() or _state(original) == noted["state"]:
            continue
        if file_digest(original, "sha256") != noted["sha256"]:
            raise UserError(
                f"{original} must be as it was when it was copied to {folder}, which is what runs read, but has "
                "changed. For runs of the changed file, remove the dataset's config and make it anew; for further "
                f"runs of the copy, remove {note}."
            )


def _state(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]

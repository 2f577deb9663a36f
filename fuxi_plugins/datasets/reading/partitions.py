"""Columns that stand in the names of folders, as Hive and Spark write: in ``day=1/part.parquet`` ``day`` is 1.

A key is a column of text like those of a csv file. Where a file has the column as well, as polars writes it, it is read
from the file.
"""

from pathlib import Path
from urllib.parse import unquote

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.reading.forms import place_of

_MISSING = "__HIVE_DEFAULT_PARTITION__"


def keys_of(part: Path, root: Path) -> dict[str, str | None]:
    """The columns in the names of the folders between a folder of parts and one of them; a missing value is None."""
    pairs = [name.partition("=") for name in place_of(part, root).parts[:-1] if "=" in name]
    return {unquote(key): None if value == _MISSING else unquote(value) for key, _, value in pairs}


def require_same_keys(parts: list[Path], root: Path) -> None:
    """
    Raises:
        UserError: a part lies in folders of other keys than the first.
    """
    keys = list(keys_of(parts[0], root))
    for part in parts:
        own = list(keys_of(part, root))
        if own != keys:
            raise UserError(
                f"every part must lie in folders of the same keys, but {parts[0].relative_to(root)} has "
                f"{', '.join(keys) or 'none'} and {part.relative_to(root)} has {', '.join(own) or 'none'}. Move the "
                "parts into folders of one form, as in day=1/part.parquet."
            )


def is_partition(path: Path) -> bool:
    """Whether it is a folder named by a key and its value."""
    return path.is_dir() and "=" in path.name

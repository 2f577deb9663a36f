"""What every reader gives, blocks of rows, and what it is told of a file, its format."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

DataFormat = Literal["csv", "parquet", "jsonl"]
PACKED = (".gz", ".zst", ".zip")
_FORMATS: dict[str, DataFormat] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}


@dataclass(frozen=True)
class FileFormat:
    """How a data file is written.

    kind: the format, or None to follow the file's name; a name that tells nothing is csv.
    separator: between the values of a csv row; None is a tab in a .tsv file and else a comma.
    column_names: of a csv file without a header, in the order of its values; None reads the first row as the header.
    """

    kind: DataFormat | None = None
    separator: str | None = None
    column_names: tuple[str, ...] | None = None

    def kind_of(self, path: Path) -> DataFormat:
        return self.kind or format_by_name(path) or "csv"

    def separator_of(self, path: Path) -> str:
        return self.separator or ("\t" if ".tsv" in path.suffixes else ",")


@dataclass(frozen=True)
class Block:
    """Some rows of a file.

    path: the file, of a folder of parts the part.
    frame: the asked columns; those of a csv file as text, others in the file's types; a missing value is null.
    first: the line (in parquet the row) of the file that the block's first row stands on, counting from 1.
    share: of the file up to the end of the block, from 0 to 1, or nan where a packed file does not say.
    """

    path: Path
    frame: pl.DataFrame
    first: int
    share: float
    unit: Literal["line", "row"] = "line"
    line_of: Callable[[int], int] | None = field(default=None, repr=False)  # where a row may take several lines
    kept: np.ndarray | None = None  # the rows of the file's block that are left in ``frame``

    def line(self, row: int) -> int:
        """The line (in parquet the row) of the file on which a row of the block ends, counting from 1."""
        row = row if self.kept is None else int(self.kept[row])
        return self.first + row if self.line_of is None else self.line_of(row)

    def place(self, row: int) -> str:
        """Where a row of the block stands, in words."""
        return f"{self.path.name}, {self.unit} {self.line(row)}"

    def filter(self, keep: np.ndarray) -> "Block":
        """The rows for which ``keep`` (N,) is true."""
        kept = np.flatnonzero(keep)
        return replace(self, frame=self.frame[kept], kept=kept if self.kept is None else self.kept[kept])


def format_by_name(path: Path) -> DataFormat | None:
    """The format that a file's name tells; of a folder, that of its parts; None where the names tell nothing."""
    if path.is_dir():
        return next((kind for part in sorted(path.rglob("*")) if (kind := format_by_name(part))), None)
    suffixes = [suffix for suffix in path.suffixes if suffix not in PACKED]
    return _FORMATS.get(suffixes[-1].lower()) if suffixes else None

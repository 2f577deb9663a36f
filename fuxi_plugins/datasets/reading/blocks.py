"""What every reader gives: blocks of rows that know where they stand in the file."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from fuxi_plugins.core.errors import UserError


def first_row(wrong: pl.Series) -> int:
    """The first row for which ``wrong`` is true, where there is one."""
    row = wrong.arg_max()
    assert row is not None
    return row


def require_own_names(path: Path, names: list[str]) -> None:
    """
    Raises:
        UserError: two columns of a file share a name.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{path.name}: each column must have a name of its own, but {', '.join(twice)} stands twice.")


@dataclass(frozen=True)
class Block:
    """Some rows of a file.

    path: the file, of a folder of parts the part.
    frame: the asked columns; those of a csv file as text, others in the file's types; a missing value is null.
    first: the line (in parquet and Arrow the row) of the file that the block's first row stands on, counting from 1.
    share: of the file up to the end of the block, from 0 to 1, or nan where a packed file does not say.
    """

    path: Path
    frame: pl.DataFrame
    first: int
    share: float
    unit: Literal["line", "row"] = "line"
    line_of: Callable[[int], int] | None = field(default=None, repr=False)  # where a row may take several lines
    kept: np.ndarray | None = None  # of each row of ``frame``, the row of the file's block that it is made of

    def line(self, row: int) -> int:
        """The line (in parquet and Arrow the row) of the file on which a row of the block ends, counting from 1."""
        row = row if self.kept is None else int(self.kept[row])
        return self.first + row if self.line_of is None else self.line_of(row)

    def place(self, row: int) -> str:
        """Where a row of the block stands, in words."""
        return f"{self.path.name}, {self.unit} {self.line(row)}"

    def filter(self, keep: np.ndarray) -> "Block":
        """The rows for which ``keep`` (N,) is true."""
        return self.rows(np.flatnonzero(keep))

    def rows(self, numbers: np.ndarray) -> "Block":
        """The rows of these numbers (M,), of which one may stand several times."""
        return replace(self, frame=self.frame[numbers], kept=numbers if self.kept is None else self.kept[numbers])

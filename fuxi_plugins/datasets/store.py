"""Prepared data on disk: one memory-mapped array a column and split, in the smallest type that fits."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

SUFFIX = ".npy"


class ColumnWriter:
    """Writes a split column by column, chunk by chunk, in bounded memory.

    Args:
        folder: where the columns' files go; made if need be.
        rows: rows of the split.
        columns: name -> (dtype, width); width 0 is a column of scalars, else one of arrays of that length.
    """

    def __init__(self, folder: Path, rows: int, columns: Mapping[str, tuple[np.dtype, int]]):
        folder.mkdir(parents=True, exist_ok=True)
        self.rows = rows
        self.written = 0
        self._arrays = {
            name: np.lib.format.open_memmap(
                folder / (name + SUFFIX), mode="w+", dtype=dtype, shape=(rows, width) if width else (rows,)
            )
            for name, (dtype, width) in columns.items()
        }

    def append(self, chunk: Mapping[str, np.ndarray]) -> None:
        """Adds the next rows; ``chunk`` holds every column."""
        stop = self.written + len(next(iter(chunk.values())))
        for name, array in self._arrays.items():
            array[self.written : stop] = chunk[name]
        self.written = stop

    def close(self) -> None:
        if self.written != self.rows:
            raise ValueError(f"{self.rows} rows were announced, but {self.written} written")
        for array in self._arrays.values():
            array.flush()


@contextmanager
def writing(folder: Path, rows: int, columns: Mapping[str, tuple[np.dtype, int]]) -> Iterator[ColumnWriter]:
    writer = ColumnWriter(folder, rows, columns)
    yield writer
    writer.close()


def read_columns(folder: Path) -> dict[str, np.ndarray]:
    """The columns of a split, memory-mapped and read-only; pages are shared between processes."""
    return {path.name.removesuffix(SUFFIX): np.load(path, mmap_mode="r") for path in sorted(folder.glob("*" + SUFFIX))}


def smallest_integer(largest: int) -> np.dtype:
    """The smallest of the integer types that torch reads which holds 0..largest."""
    for dtype in (np.uint8, np.int16, np.int32):
        if largest <= np.iinfo(dtype).max:
            return np.dtype(dtype)
    return np.dtype(np.int64)

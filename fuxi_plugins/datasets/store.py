"""Prepared data on disk: one memory-mapped array a column and split, in the smallest type that fits."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

SUFFIX = ".npy"


class ColumnWriter:
    """Writes a split column by column, chunk by chunk, in bounded memory.

    It appends to plain files: on a full disk that is an error to catch, where writing to mapped memory would end the
    process without a word.

    Args:
        folder: where the columns' files go; made if need be.
        rows: rows of the split.
        columns: name -> (dtype, width); width 0 is a column of scalars, else one of arrays of that length.
    """

    def __init__(self, folder: Path, rows: int, columns: Mapping[str, tuple[np.dtype, int]]):
        folder.mkdir(parents=True, exist_ok=True)
        self.rows = rows
        self.written = 0
        self._dtypes = {name: dtype for name, (dtype, _) in columns.items()}
        with ExitStack() as opened:
            self._files = {}
            for name, (dtype, width) in columns.items():
                file = opened.enter_context((folder / (name + SUFFIX)).open("wb"))
                header = {
                    "descr": np.lib.format.dtype_to_descr(dtype),
                    "fortran_order": False,
                    "shape": (rows, width) if width else (rows,),
                }
                np.lib.format.write_array_header_1_0(file, header)
                self._files[name] = file
            self._opened = opened.pop_all()

    def append(self, chunk: Mapping[str, np.ndarray]) -> None:
        """Adds the next rows; ``chunk`` holds every column."""
        for name, file in self._files.items():
            file.write(np.ascontiguousarray(chunk[name], dtype=self._dtypes[name]).data)
        self.written += len(next(iter(chunk.values())))

    def close(self) -> None:
        self._opened.close()
        if self.written != self.rows:
            raise ValueError(f"{self.rows} rows were announced, but {self.written} written")


@contextmanager
def writing(folder: Path, rows: int, columns: Mapping[str, tuple[np.dtype, int]]) -> Iterator[ColumnWriter]:
    writer = ColumnWriter(folder, rows, columns)
    with writer._opened:
        yield writer
    writer.close()


def bytes_needed(rows: int, columns: Mapping[str, tuple[np.dtype, int]]) -> int:
    """How large a split's columns will be on disk."""
    return rows * sum(dtype.itemsize * max(width, 1) for dtype, width in columns.values())


def read_columns(folder: Path) -> dict[str, np.ndarray]:
    """The columns of a split, memory-mapped and read-only; pages are shared between processes."""
    return {path.name.removesuffix(SUFFIX): np.load(path, mmap_mode="r") for path in sorted(folder.glob("*" + SUFFIX))}


def smallest_integer(largest: int) -> np.dtype:
    """The smallest of the integer types that torch reads which holds 0..largest."""
    for dtype in (np.uint8, np.int16, np.int32):
        if largest <= np.iinfo(dtype).max:
            return np.dtype(dtype)
    return np.dtype(np.int64)

"""Prepared data on disk: one memory-mapped, row-major matrix a type and split.

A batch of shuffled rows is then one gather of whole rows, not one gather a column: a row lies in a few cache
lines, or in one page of the disk.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

LAYOUT_FILE = "columns.json"
_ROWS_IN_CACHE = 4096  # of a matrix filled at a time, column by column


@dataclass(frozen=True)
class Place:
    """Where a column stands: columns ``start`` to ``start + max(width, 1)`` of the matrix of its type.

    Width 0 is a column of scalars, else one of arrays of that length.
    """

    matrix: str  # a numpy type's name
    start: int
    width: int

    @property
    def stop(self) -> int:
        return self.start + max(self.width, 1)

    @property
    def index(self) -> int | slice:
        """Of the matrix's second axis: it gives (rows,) or (rows, width)."""
        return slice(self.start, self.stop) if self.width else self.start


class MatrixWriter:
    """Writes a split chunk by chunk, in bounded memory.

    It appends to plain files: on a full disk that is an error to catch, where writing to mapped memory would end the
    process without a word.

    Args:
        folder: where the matrices' files go; made if need be.
        rows: rows of the split.
        columns: name -> (dtype, width).
    """

    def __init__(self, folder: Path, rows: int, columns: Mapping[str, tuple[np.dtype, int]]):
        folder.mkdir(parents=True, exist_ok=True)
        self.rows = rows
        self.written = 0
        self._places: dict[str, Place] = {}
        self._widths: dict[str, int] = {}
        for name, (dtype, width) in columns.items():
            matrix = np.dtype(dtype).name
            place = self._places[name] = Place(matrix, self._widths.get(matrix, 0), width)
            self._widths[matrix] = place.stop
        (folder / LAYOUT_FILE).write_text(json.dumps({name: vars(place) for name, place in self._places.items()}))
        with ExitStack() as opened:
            self._files = {}
            for matrix, width in self._widths.items():
                file = self._files[matrix] = opened.enter_context((folder / f"{matrix}.npy").open("wb"))
                descr = np.lib.format.dtype_to_descr(np.dtype(matrix))
                header = {"descr": descr, "fortran_order": False, "shape": (rows, width)}
                np.lib.format.write_array_header_1_0(file, header)
            self._opened = opened.pop_all()

    def append(self, chunk: Mapping[str, np.ndarray]) -> None:
        """Adds the next rows; ``chunk`` holds every column."""
        count = len(next(iter(chunk.values())))
        block = {matrix: np.empty((count, width), matrix) for matrix, width in self._widths.items()}
        for start in range(0, count, _ROWS_IN_CACHE):
            rows = slice(start, start + _ROWS_IN_CACHE)
            for name, place in self._places.items():
                block[place.matrix][rows, place.index] = chunk[name][rows]
        for matrix, file in self._files.items():
            file.write(block[matrix].data)
        self.written += count

    def close(self) -> None:
        self._opened.close()
        if self.written != self.rows:
            raise ValueError(f"{self.rows} rows were announced, but {self.written} written")


@contextmanager
def writing(folder: Path, rows: int, columns: Mapping[str, tuple[np.dtype, int]]) -> Iterator[MatrixWriter]:
    writer = MatrixWriter(folder, rows, columns)
    with writer._opened:
        yield writer
    writer.close()


def bytes_needed(rows: int, columns: Mapping[str, tuple[np.dtype, int]]) -> int:
    """How large a split's matrices will be on disk."""
    return rows * sum(dtype.itemsize * max(width, 1) for dtype, width in columns.values())


def read_matrices(folder: Path) -> dict[str, np.ndarray]:
    """The matrices of a split by type, memory-mapped and read-only; pages are shared between processes."""
    return {path.stem: np.load(path, mmap_mode="r") for path in sorted(folder.glob("*.npy"))}


def read_layout(folder: Path) -> dict[str, Place]:
    return {name: Place(**place) for name, place in json.loads((folder / LAYOUT_FILE).read_text()).items()}


def read_columns(folder: Path) -> dict[str, np.ndarray]:
    """The columns of a split, (rows,) or (rows, width), as views of the matrices."""
    matrices = read_matrices(folder)
    return {name: matrices[place.matrix][:, place.index] for name, place in read_layout(folder).items()}


def smallest_integer(largest: int) -> np.dtype:
    """int32 where it holds 0..largest, else int64.

    Smaller types would save disk, but then a row would lie in as many matrices as it has types.
    """
    return np.dtype(np.int32 if largest <= np.iinfo(np.int32).max else np.int64)

"""Rows between the two passes of preparation: read, checked and preprocessed, each id as a code of its block's own.

A block's column of ids is the block's distinct values and a code a row (Arrow calls it a dictionary). Files are then
read once, values are looked up once a block instead of once a row, and memory grows with no split.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl
import pyarrow as pa

from fuxi_plugins.datasets.spec import DatasetSpec


class StageWriter:
    """Writes the blocks of a split to an Arrow stream; every column but those of ids keeps its numbers.

    It writes to a plain file: a full disk is then Python's OSError.
    """

    def __init__(self, path: Path):
        self._file: IO[bytes] = path.open("wb")
        self._stream: pa.RecordBatchStreamWriter | None = None

    def write(self, block: pa.RecordBatch) -> None:
        if self._stream is None:
            self._stream = pa.ipc.new_stream(self._file, block.schema)
        self._stream.write_batch(block)

    def close(self) -> None:
        try:
            if self._stream is not None:
                self._stream.close()
        finally:
            self._file.close()


def staged_blocks(path: Path) -> Iterator[pa.RecordBatch]:
    """The blocks of a split as they were written."""
    if path.stat().st_size:
        with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as stream:
            yield from stream


def with_codes(frame: pl.DataFrame, spec: DatasetSpec) -> pa.RecordBatch:
    """Preprocessed rows, ready to be counted and written: columns of ids as codes, sequences as lists of codes."""
    columns = {name: column for column in spec.active_columns for name in column.names}
    arrays = {}
    for name in frame.columns:
        values = frame[name]
        if name in columns and columns[name].type == "sequence":
            arrays[name] = _lists_of_codes(values.str.split(columns[name].split_by))
        elif name in columns and columns[name].has_vocabulary:
            arrays[name] = _codes(values)
        else:
            arrays[name] = values.to_arrow()
    return pa.record_batch(arrays)


def distinct(column: pa.Array) -> tuple[pl.Series, np.ndarray]:
    """The distinct values of a column of codes, or of a sequence's entries, and the code of each row or entry."""
    coded = column.flatten() if pa.types.is_large_list(column.type) else column
    return pl.Series(coded.dictionary), coded.indices.to_numpy()


def lengths(column: pa.Array) -> np.ndarray:
    """(N,) how many entries each row of a sequence has."""
    return np.diff(column.offsets.to_numpy())


def _codes(values: pl.Series) -> pa.DictionaryArray:
    return values.to_arrow().dictionary_encode(null_encoding="encode")


def _lists_of_codes(lists: pl.Series) -> pa.LargeListArray:
    counted = lists.list.len().fill_null(0).to_numpy()
    offsets = np.concatenate([[0], np.cumsum(counted, dtype=np.int64)])
    return pa.LargeListArray.from_arrays(offsets, _codes(lists.explode(keep_nulls=False, empty_as_null=False)))

"""Reads a parquet file batch by batch in the file's own types."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.reading.blocks import Block, require_own_names
from fuxi_plugins.datasets.reading.forms import FileFormat
from fuxi_plugins.datasets.reading.nested import chosen, fields_of, schema_of, stored_columns
from fuxi_plugins.datasets.reading.values import plain

BATCH_ROWS = 1 << 16


def read_header(path: Path, _: FileFormat) -> list[str]:
    """The names of a parquet file's columns.

    Raises:
        UserError: not a complete parquet file, or two columns share a name.
    """
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise _broken(path, error) from error
    require_own_names(path, schema.names)
    return list(fields_of(schema_of(schema)))


def read_blocks(path: Path, columns: Sequence[str], _: FileFormat, block_bytes: int | None = None) -> Iterator[Block]:
    """The file's rows, in order, a batch a block; of ``block_bytes`` if the file's mean row says how many rows that is.

    Raises:
        UserError: not a complete parquet file, or a column of a kind that no model takes.
    """
    try:
        with pq.ParquetFile(path) as file:
            fields = fields_of(schema_of(file.schema_arrow))
            rows = max(file.metadata.num_rows, 1)
            batch_rows = max(1, block_bytes * rows // max(path.stat().st_size, 1)) if block_bytes else BATCH_ROWS
            done = 0
            for batch in file.iter_batches(min(batch_rows, BATCH_ROWS), columns=stored_columns(columns, fields)):
                frame = plain(path, chosen(pl.DataFrame(pl.from_arrow(batch)), columns, fields))
                yield Block(path, frame, done + 1, (done + frame.height) / rows, unit="row")
                done += frame.height
    except (pa.ArrowException, OSError) as error:
        raise _broken(path, error) from error


def _broken(path: Path, error: Exception) -> UserError:
    return UserError(f"{path.name} is not a complete parquet file: {error}. Download it again.")

"""Reads an Arrow file batch by batch: feather, and the streams that the Hugging Face library saves datasets as."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pyarrow as pa

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.reading.blocks import Block, require_own_names
from fuxi_plugins.datasets.reading.forms import FileFormat
from fuxi_plugins.datasets.reading.nested import chosen, fields_of, schema_of, stored_columns
from fuxi_plugins.datasets.reading.values import plain

BATCH_ROWS = 1 << 16


def read_header(path: Path, _: FileFormat) -> list[str]:
    """The names of an Arrow file's columns.

    Raises:
        UserError: not a complete Arrow file, or two columns share a name.
    """
    with _opened(path) as (schema, _batches):
        require_own_names(path, schema.names)
        return list(fields_of(schema_of(schema)))


def read_blocks(path: Path, columns: Sequence[str], _: FileFormat, block_bytes: int | None = None) -> Iterator[Block]:
    """The file's rows, in order, in blocks of at most a batch and, if given, of about ``block_bytes``.

    Raises:
        UserError: not a complete Arrow file, or a column of a kind that no model takes.
    """
    done = 0
    with _opened(path) as (schema, batches):
        fields = fields_of(schema_of(schema))
        for batch, share in batches:
            rows = max(1, block_bytes * batch.num_rows // max(batch.nbytes, 1)) if block_bytes else BATCH_ROWS
            stored = batch.select(stored_columns(columns, fields))
            for start in range(0, batch.num_rows, rows):
                part = pl.DataFrame(pl.from_arrow(stored.slice(start, rows)))
                frame = plain(path, chosen(part, columns, fields))
                yield Block(path, frame, done + 1, share, unit="row")
                done += frame.height


@contextmanager
def _opened(path: Path) -> Iterator[tuple[pa.Schema, Iterator[tuple[pa.RecordBatch, float]]]]:
    """The columns, and the batches with the share of the file up to the end of each."""
    try:
        with pa.memory_map(str(path)) as source:
            is_file = source.read(6) == b"ARROW1"  # which ends with a list of its batches, as a stream does not
            source.seek(0)
            with (pa.ipc.open_file if is_file else pa.ipc.open_stream)(source) as reader:
                yield reader.schema, _from_file(reader) if is_file else _from_stream(reader, source)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path.name} is not a complete Arrow file: {error}. Write or download it again.") from error


def _from_file(reader: pa.RecordBatchFileReader) -> Iterator[tuple[pa.RecordBatch, float]]:
    count = reader.num_record_batches
    return ((reader.get_batch(number), (number + 1) / count) for number in range(count))


def _from_stream(reader: pa.RecordBatchStreamReader, source: pa.NativeFile) -> Iterator[tuple[pa.RecordBatch, float]]:
    return ((batch, source.tell() / source.size()) for batch in reader)

"""Reads a data file of any format, header and rows: the one door to a user's files.

A data file is a file, a folder of parts, whose folders' names may hold columns (``day=1``), or a pattern that stands
for several files (``train-*.parquet``). The format follows from the file's name unless a config says otherwise.
"""

import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.reading import arrow_blocks, csv_blocks, jsonl_blocks, parquet_blocks
from fuxi_plugins.datasets.reading.blocks import Block
from fuxi_plugins.datasets.reading.forms import BY_NAME, FileFormat, parts
from fuxi_plugins.datasets.reading.impressions import one_row_each
from fuxi_plugins.datasets.reading.partitions import keys_of, require_same_keys

_IMPRESSIONS_BYTES = 2 * 2**20  # of a block, for each of its rows becomes many
_READERS = {"csv": csv_blocks, "jsonl": jsonl_blocks, "arrow": arrow_blocks, "parquet": parquet_blocks}


def read_header(path: Path, file_format: FileFormat = BY_NAME) -> list[str]:
    """The column names of a data file; of a folder of parts, those of the first, and behind them the folders' keys.

    Raises:
        UserError: the file is empty or not of its format, or its header names a column twice.
    """
    stored = _stored_header(path, file_format)
    return file_format.impressions.header(stored) if file_format.impressions else stored


def read_types(path: Path, file_format: FileFormat = BY_NAME) -> dict[str, str]:
    """What the header of a file says its columns are, as RecBole's ``age:token`` does; empty where it says nothing.

    Raises:
        UserError: see :func:`read_header`.
    """
    part = _parts(path, file_format)[0]
    return csv_blocks.read_types(part, file_format) if file_format.kind_of(part) == "csv" else {}


def read_blocks(
    path: Path,
    columns: Sequence[str],
    file_format: FileFormat = BY_NAME,
    block_bytes: int | None = None,
    heads_of: Collection[Path] | None = None,
) -> Iterator[Block]:
    """The rows of a data file, in order, in blocks of about ``block_bytes``; of impressions, a row for each item.

    Args:
        path: of the file, or what stands for several.
        columns: that are read.
        file_format: how the file is written.
        block_bytes: of a block; None leaves it to the format.
        heads_of: the parts of which the first block alone is read, and of others none; None reads all.

    Raises:
        UserError: not a complete file of its format, or a part without one of the columns; says where.
    """
    impressions = file_format.impressions
    stored = _stored_header(path, file_format) if impressions else []
    if impressions is None or impressions.shown not in stored:
        yield from _stored_blocks(path, columns, file_format, block_bytes, heads_of)
        return
    impressions.header(stored)  # refuses what it would make twice
    size = min(block_bytes or _IMPRESSIONS_BYTES, _IMPRESSIONS_BYTES)
    for block in _stored_blocks(path, impressions.stored(columns), file_format, size, heads_of):
        made = one_row_each(block, impressions)
        yield replace(made, frame=made.frame.select(columns))


def _stored_header(path: Path, file_format: FileFormat) -> list[str]:
    part = _parts(path, file_format)[0]
    header = _READERS[file_format.kind_of(part)].read_header(part, file_format)
    return [*header, *(key for key in keys_of(part, path) if key not in header)]


def _stored_blocks(
    path: Path,
    columns: Sequence[str],
    file_format: FileFormat,
    block_bytes: int | None,
    heads_of: Collection[Path] | None,
) -> Iterator[Block]:
    found = _parts(path, file_format)
    sizes = [part.stat().st_size for part in found]
    for part, before in zip(found, itertools.accumulate(sizes, initial=0), strict=False):
        if heads_of is not None and part not in heads_of:
            continue
        reader = _READERS[file_format.kind_of(part)]
        header = reader.read_header(part, file_format)
        keys = {key: value for key, value in keys_of(part, path).items() if key not in header}
        missing = [name for name in columns if name not in (*header, *keys)]
        if missing:
            raise UserError(
                f"{part.name} must have the columns {', '.join(columns)}, but lacks {', '.join(missing)}; "
                f"its header is {', '.join(header)}."
            )
        stored = [name for name in columns if name not in keys] or header[:1]  # of which one tells how many rows
        texts = [pl.lit(value, pl.String).alias(name) for name, value in keys.items()]
        blocks = reader.read_blocks(part, stored, file_format, block_bytes)
        for block in blocks if heads_of is None else itertools.islice(blocks, 1):
            share = (before + block.share * part.stat().st_size) / max(sum(sizes), 1)
            frame = block.frame.with_columns(texts).select(columns) if keys else block.frame
            yield replace(block, frame=frame, share=share)


def _parts(path: Path, file_format: FileFormat) -> list[Path]:
    found = parts(path, file_format)
    if path.is_dir():
        require_same_keys(found, path)
    return found

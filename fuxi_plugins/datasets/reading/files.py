"""Reads a data file of any format, header and rows: the one door to a user's files.

A data file is a file or a folder of parts. The format follows from the file's name unless a config says otherwise.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.reading import csv_blocks, jsonl_blocks, parquet_blocks
from fuxi_plugins.datasets.reading.blocks import Block
from fuxi_plugins.datasets.reading.forms import BY_NAME, FileFormat, parts

_READERS = {"csv": csv_blocks, "jsonl": jsonl_blocks, "parquet": parquet_blocks}


def read_header(path: Path, file_format: FileFormat = BY_NAME) -> list[str]:
    """The column names of a data file; of a folder of parts, those of the first.

    Raises:
        UserError: the file is empty or not of its format, or its header names a column twice.
    """
    part = parts(path, file_format)[0]
    return _READERS[file_format.kind_of(part)].read_header(part, file_format)


def read_blocks(
    path: Path,
    columns: Sequence[str],
    file_format: FileFormat = BY_NAME,
    block_bytes: int | None = None,
) -> Iterator[Block]:
    """The rows of a data file, in order, in blocks of about ``block_bytes``.

    Raises:
        UserError: not a whole file of its format, or a part without one of the columns; says where.
    """
    found = parts(path, file_format)
    sizes = [part.stat().st_size for part in found]
    for part, before in zip(found, itertools.accumulate(sizes, initial=0), strict=False):
        reader = _READERS[file_format.kind_of(part)]
        header = reader.read_header(part, file_format)
        missing = [name for name in columns if name not in header]
        if missing:
            raise UserError(
                f"{part.name} must have the columns {', '.join(columns)}, but lacks {', '.join(missing)}; "
                f"its header is {', '.join(header)}."
            )
        for block in reader.read_blocks(part, columns, file_format, block_bytes):
            share = (before + block.share * part.stat().st_size) / max(sum(sizes), 1)
            yield replace(block, share=share)

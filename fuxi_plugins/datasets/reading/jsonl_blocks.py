"""Reads a file of JSON lines, an object a row, block by block; polars parses and tells the types.

The lines may also be dicts as Python prints them, as in the older files of Amazon's reviews and in Steam's.
"""

import ast
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.reading.blocks import Block
from fuxi_plugins.datasets.reading.forms import FileFormat
from fuxi_plugins.datasets.reading.nested import chosen, fields_of
from fuxi_plugins.datasets.reading.opening import is_packed, pieces
from fuxi_plugins.datasets.reading.values import plain

BLOCK_BYTES = 16 * 2**20
_HEAD_BYTES = 1 << 20  # in whose rows every column must occur
_OF_PYTHON = (b"{'", b"{u'")


def read_header(path: Path, _: FileFormat) -> list[str]:
    """The keys of the objects at the head of the file, in the order in which they first occur.

    Raises:
        UserError: the file is empty, or a line holds no JSON object.
    """
    text = next(_texts(path, _HEAD_BYTES), None)
    if text is None:
        raise UserError(f"{path.name} must hold rows, but is empty.")
    return list(fields_of(_parse(path, text, 1).schema))


def read_blocks(path: Path, columns: Sequence[str], _: FileFormat, block_bytes: int | None = None) -> Iterator[Block]:
    """The file's rows, in order, in blocks of about ``block_bytes``; a key that an object lacks is a missing value.

    Raises:
        UserError: a line holds no JSON object, or the rows of a block disagree on a column's kind; says where.
    """
    line, done = 1, 0
    size = float("nan") if is_packed(path) else path.stat().st_size
    for text in _texts(path, block_bytes or BLOCK_BYTES):
        frame = _parse(path, text, line)
        fields = fields_of(frame.schema)
        there = chosen(frame, [name for name in columns if name in fields], fields)
        absent = [pl.lit(None, pl.String).alias(name) for name in columns if name not in fields]
        done += len(text)
        yield Block(path, plain(path, there.with_columns(absent).select(columns)), line, min(done / size, 1.0))
        line += frame.height


def _texts(path: Path, size: int) -> Iterator[bytes]:
    """The file's text in pieces that end where a line ends."""
    rest = b""
    for piece in pieces(path, size):
        text = rest + piece
        end = text.rfind(b"\n") + 1
        text, rest = text[:end], text[end:]
        if text.strip():
            yield text
    if rest.strip():
        yield rest


def _parse(path: Path, text: bytes, line: int) -> pl.DataFrame:
    if text.lstrip().startswith(_OF_PYTHON):
        text = _as_json(path, text, line)
    try:
        frame = pl.read_ndjson(text, infer_schema_length=None)
    except pl.exceptions.PolarsError as error:
        _refuse_other_than_objects(path, text, line)
        raise UserError(f"{path.name}, line {line} or later: {str(error).splitlines()[0]}.") from error
    if frame.height != text.rstrip().count(b"\n") + 1:  # blank lines, or several objects in a line
        _refuse_other_than_objects(path, text, line)
    return frame


def _as_json(path: Path, text: bytes, first_line: int) -> bytes:
    """Lines of JSON for lines that hold a dict of Python each."""
    rows = []
    for line, row in enumerate(text.rstrip().split(b"\n"), first_line):
        try:
            rows.append(json.dumps(ast.literal_eval(row.decode())))
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:  # what literal_eval raises
            shown = row[:60].decode(errors="replace")
            raise UserError(
                f"{path.name}, line {line}: each line must be a dict of Python, as the first is, of texts, numbers "
                f"and lists of them, but this one is {shown!r}."
            ) from error
    return "\n".join(rows).encode()


def _refuse_other_than_objects(path: Path, text: bytes, first_line: int) -> None:
    for line, row in enumerate(text.rstrip().split(b"\n"), first_line):
        try:
            is_object = isinstance(json.loads(row), dict)
        except ValueError:
            is_object = False
        if not is_object:
            shown = row[:60].decode(errors="replace")
            remedy = ""
            if row.startswith(b"["):
                ways = f"jq -c '.[]' {path.name}, or in pandas to_json(orient='records', lines=True)"
                remedy = f" Write the array as lines: {ways}."
            raise UserError(
                f"{path.name}, line {line}: each line must be one JSON object, but this one is {shown!r}.{remedy}"
            )

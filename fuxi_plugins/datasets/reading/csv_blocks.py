"""Reads a csv file block by block as frames of text: bounded memory, every row as wide as the header, lines known.

polars parses; this module cuts the file at the end of a row and refuses what polars would silently mend: rows
that are too short (a cut file), a header that names a column twice, bytes that are not text.
"""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import polars as pl

from fuxi_plugins.core.errors import UserError

BLOCK_BYTES = 48 * 2**20
SEPARATOR = ","
_QUOTED = re.compile(rb'"[^"]*"')
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Block:
    """Some rows of a file. ``frame`` holds the asked columns as text, a missing value as null."""

    path: Path
    frame: pl.DataFrame
    first_line: int
    bytes_done: int  # of the file, up to the end of this block; for a .gz file, of its unpacked text
    text: bytes

    def line(self, row: int) -> int:
        """The line of the file on which a row of the block ends, counting from 1."""
        if b'"' not in self.text:
            return self.first_line + row
        return next(line for index, (line, _) in enumerate(_rows(self.text, self.first_line)) if index == row)


def read_header(path: Path) -> list[str]:
    """The column names of a csv file.

    Raises:
        UserError: the file is empty, its header names a column twice, or its separator is another one.
    """
    with _open(path) as file:
        return _header(path, file.readline())


def read_blocks(path: Path, columns: Sequence[str], block_bytes: int | None = None) -> Iterator[Block]:
    """The file's rows, in order, in blocks of about ``block_bytes`` of text.

    Raises:
        UserError: not a whole csv file; says in which line.
    """
    size = block_bytes or BLOCK_BYTES
    with _open(path) as file:
        first = file.readline()
        header = _header(path, first)
        done, line, rest = len(first), 2, b""
        while True:
            read = _read(path, file, size)
            text = rest + read
            end = len(text) if not read else _before_blank_lines(text, _end_of_row(path, text, line, size))
            text, rest = text[:end], text[end:]
            if not read:
                text = _end_of_file(path, text, line)
            if text.strip(b"\r\n"):
                done += len(text)
                yield Block(path, _parse(path, text, header, columns, line), line, done, text)
                line += text.count(b"\n")
            if not read:
                return


def _open(path: Path) -> BinaryIO:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _read(path: Path, file: BinaryIO, size: int) -> bytes:
    try:
        return file.read(size)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{path.name} is not a whole gzip file: {error}. Get it again.") from error


def _header(path: Path, line: bytes) -> list[str]:
    line = line.removeprefix(_BOM)
    if not line.strip():
        raise UserError(f"{path.name} must hold a header and rows, but is empty.")
    names = next(csv.reader([_decode(path, line, 1)]))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{path.name}: each column must have a name of its own, but {', '.join(twice)} stands twice.")
    if len(names) == 1:
        for other, word in ((";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")):
            if other in names[0]:
                raise UserError(
                    f"{path.name}: values must be separated by commas, but the header is separated by {word}. "
                    "Write the file again with commas."
                )
    return names


def _end_of_row(path: Path, text: bytes, line: int, size: int) -> int:
    """Where the last whole row ends: the last line end that is not inside quotes."""
    quotes, end = text.count(b'"'), len(text)
    while True:
        start = text.rfind(b"\n", 0, end) + 1
        quotes -= text.count(b'"', start, end)
        if start == 0:
            if len(text) < 4 * size and b'"' not in text:
                return 0  # one row longer than a block: read on
            raise UserError(
                f"{path.name}, line {line}: a quote opens a value that does not end within {size:,} bytes. A quote "
                'inside a value is written twice, and the value stands in quotes: "5"" disk".'
            )
        if quotes % 2 == 0:
            return start
        end = start - 1


def _before_blank_lines(text: bytes, end: int) -> int:
    """Blank lines at the end wait for what follows them: at the end of the file they are let go."""
    body = text[:end].rstrip(b"\r\n")
    return text.index(b"\n", len(body)) + 1 if body else 0


def _end_of_file(path: Path, text: bytes, line: int) -> bytes:
    text = text.rstrip(b"\r\n")
    if text.count(b'"') % 2:
        line += text.count(b"\n", 0, text.rfind(b'"'))
        raise UserError(
            f"{path.name}, line {line}: a quote is not closed before the file ends. The file may be cut, or a quote "
            'inside a value stands alone: write it twice and the value in quotes, "5"" disk".'
        )
    return text + b"\n" if text else text


def _parse(path: Path, text: bytes, header: list[str], columns: Sequence[str], line: int) -> pl.DataFrame:
    bare = _QUOTED.sub(b"", text) if b'"' in text else text
    rows = bare.count(b"\n")
    if bare.count(b",") != rows * (len(header) - 1):
        _refuse_ragged(path, text, header, line)
    positions = sorted(header.index(name) for name in columns)
    try:
        frame = pl.read_csv(
            text,
            has_header=False,
            columns=positions,
            new_columns=[header[position] for position in positions],
            infer_schema=False,
        )
    except pl.exceptions.PolarsError as error:
        _decode(path, text, line)
        _refuse_ragged(path, text, header, line)
        raise UserError(f"{path.name}, line {line} or later: not csv: {str(error).splitlines()[0]}.") from error
    if frame.height != rows:
        _refuse_ragged(path, text, header, line)
        raise UserError(f"{path.name}, lines from {line}: {rows} rows are written, but {frame.height} can be read.")
    return frame


def _refuse_ragged(path: Path, text: bytes, header: list[str], first_line: int) -> None:
    """Names the first row that is not as wide as the header; returns if there is none."""
    for line, row in _rows(text, first_line, path):
        if len(row) != len(header):
            cut = " The file may be cut." if len(row) < len(header) else ""
            raise UserError(
                f"{path.name}, line {line}: a row must have as many values as the header, {len(header)}, but has "
                f"{len(row)}.{cut} A comma inside a value needs quotes around the value."
            )


def _rows(text: bytes, first_line: int, path: Path = Path()) -> Iterator[tuple[int, list[str]]]:
    """(line on which it ends, values) of each row; slow, for finding what is wrong."""
    reader = csv.reader(io.StringIO(_decode(path, text, first_line), newline=""))
    for row in reader:
        yield first_line + reader.line_num - 1, row


def _decode(path: Path, text: bytes, first_line: int) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        line = first_line + text.count(b"\n", 0, error.start)
        raise UserError(
            f"{path.name}, line {line}: the file must be UTF-8, but a value holds other bytes. Convert it, as with "
            "iconv -f latin1 -t utf-8."
        ) from error

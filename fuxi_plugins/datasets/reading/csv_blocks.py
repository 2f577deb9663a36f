"""Reads a csv file block by block as frames of text: bounded memory, every row as wide as the header, lines known.

polars parses; this module cuts the file at the end of a row and refuses what polars would silently mend: rows
that are too short (a cut file), a header that names a column twice, bytes that are not text.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.reading.blocks import Block, require_own_names
from fuxi_plugins.datasets.reading.forms import Encoding, FileFormat
from fuxi_plugins.datasets.reading.opening import is_packed, pieces

BLOCK_BYTES = 16 * 2**20
_QUOTED = re.compile(rb'"[^"]*"')
_BOM = b"\xef\xbb\xbf"
_BOMS_OF_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_WORDS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_TYPED = re.compile("(.+):(token|float|token_seq|float_seq)")  # a column in a header of RecBole
_HOW_TO_QUOTE = (
    'A quote inside a value is written twice, and the value stands in quotes: "5"" disk". Where quotes are letters '
    "like others, write quotes: false in the dataset config."
)
_UNIT_SEPARATOR = "\x1f"  # stands for a separator of several characters, which parsers do not take


@dataclass(frozen=True)
class _Layout:
    """What a row of the file looks like."""

    path: Path
    names: list[str]
    separator: str  # one character
    named_by: str  # what says how wide a row is
    quotes: bool  # whether a value may stand in quotes

    def holds_quotes(self, text: bytes) -> bool:
        """Whether some values of the text may stand in quotes."""
        return self.quotes and b'"' in text


def read_header(path: Path, file_format: FileFormat) -> list[str]:
    """The column names of a csv file, or those that the format gives to a file without a header.

    Raises:
        UserError: the file is empty, its header names a column twice, or its separator is another one.
    """
    if named := file_format.names_of(path):
        return list(named)
    names = _header(path, file_format)
    return list(_types(names)) or names


def read_types(path: Path, file_format: FileFormat) -> dict[str, str]:
    """What a header of RecBole (``age:token``) says of each column: token, float, token_seq or float_seq; else nothing.

    Raises:
        UserError: see :func:`read_header`.
    """
    if file_format.names_of(path):
        return {}
    return _types(_header(path, file_format))


def read_blocks(
    path: Path, columns: Sequence[str], file_format: FileFormat, block_bytes: int | None = None
) -> Iterator[Block]:
    """The file's rows, in order, in blocks of about ``block_bytes`` of text.

    Raises:
        UserError: not a complete csv file; says in which line.
    """
    size = block_bytes or BLOCK_BYTES
    written = file_format.separator_of(path)
    separator = written if len(written) == 1 else _UNIT_SEPARATOR
    has_header = file_format.names_of(path) is None
    named_by = "the header" if has_header else "the config's column_names"
    layout = _Layout(path, read_header(path, file_format), separator, named_by, file_format.quotes)
    done, line, rest = 0, 1, b""
    if has_header:
        done, line = len(first_line(path, file_format.encoding)), 2
    file_size = float("nan") if is_packed(path) else path.stat().st_size
    for piece in _pieces_after(_utf8(path, size, file_format.encoding), done):
        text = rest + piece
        end = len(text) if not piece else _before_blank_lines(text, _end_of_row(layout, text, line, size))
        text, rest = text[:end], text[end:]
        if not piece:
            text = _end_of_file(layout, text, line)
        if text[:1] not in (b"", b"\r", b"\n") or text.strip(b"\r\n"):
            done += len(text)
            if line == 1:
                text = text.removeprefix(_BOM)
            if separator != written:
                text = text.replace(written.encode(), separator.encode())
            frame = _parse(layout, text, columns, line)
            line_of = _lines(layout, text, line) if layout.holds_quotes(text) else None
            yield Block(path, frame, line, min(done / file_size, 1.0), line_of=line_of)
            line += text.count(b"\n")


def _lines(layout: _Layout, text: bytes, first_line: int) -> Callable[[int], int]:
    def line(row: int) -> int:
        return next(line for index, (line, _) in enumerate(_rows(layout, text, first_line)) if index == row)

    return line


def _utf8(path: Path, size: int, encoding: Encoding) -> Iterator[bytes]:
    """The file's text in UTF-8, in pieces of about ``size``."""
    for piece in pieces(path, size):
        yield piece if encoding == "utf-8" else piece.decode(encoding).encode()


def _pieces_after(text: Iterator[bytes], start: int) -> Iterator[bytes]:
    """The text from byte ``start`` on, piece by piece; an empty one at the end."""
    passed = 0
    for piece in text:
        rest = piece[max(start - passed, 0) :]
        passed += len(piece)
        if rest:
            yield rest
    yield b""


def first_line(path: Path, encoding: Encoding = "utf-8") -> bytes:
    text = b""
    for piece in _utf8(path, 1 << 16, encoding):
        text += piece
        if b"\n" in piece:
            break
    return text[: text.find(b"\n") + 1] or text


def refuse_utf16(path: Path, text: bytes) -> None:
    """
    Raises:
        UserError: the first line of a file's text is in UTF-16.
    """
    if text.startswith(_BOMS_OF_UTF16) or b"\0" in text.partition(b"\n")[0]:
        raise UserError(
            f"{path.name}: the file must be UTF-8, but looks like UTF-16. Convert it, as with iconv -f utf-16 -t utf-8."
        )


def _types(header: list[str]) -> dict[str, str]:
    """By name the type of each column, if the header says all of them."""
    typed = [_TYPED.fullmatch(name) for name in header]
    return {match[1]: match[2] for match in typed if match} if all(typed) else {}


def _header(path: Path, file_format: FileFormat) -> list[str]:
    line = first_line(path, file_format.encoding).removeprefix(_BOM)
    separator = file_format.separator_of(path)
    refuse_utf16(path, line)
    if not line.strip():
        raise UserError(f"{path.name} must hold a header and rows, but is empty.")
    text = _decode(path, line, 1)
    if len(separator) > 1:
        text, separator = text.replace(separator, _UNIT_SEPARATOR), _UNIT_SEPARATOR
    names = next(csv.reader([text], delimiter=separator, quoting=quoting(file_format.quotes)))
    require_own_names(path, names)
    if len(names) == 1:
        for other, word in _WORDS.items():
            if other in names[0] and other != separator:
                wanted = _WORDS.get(separator, repr(separator))
                raise UserError(
                    f"{path.name}: values must be separated by {wanted}, but the header is separated by {word}. "
                    f"Write the file again with {wanted}, or say so in the dataset config: separator: {other!r}."
                )
    return names


def quoting(quotes: bool) -> Literal[0, 3]:
    """What the standard library's csv module calls it."""
    return csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE


def _end_of_row(layout: _Layout, text: bytes, line: int, size: int) -> int:
    """Where the last whole row ends: the last line end that is not inside quotes."""
    if not layout.holds_quotes(text):
        end = text.rfind(b"\n") + 1
        if not end and len(text) >= 4 * size:  # else one row is longer than a block: read on
            raise UserError(f"{layout.path.name}, line {line}: a row must end within {4 * size:,} bytes, but does not.")
        return end
    quotes, end = text.count(b'"'), len(text)
    while True:
        start = text.rfind(b"\n", 0, end) + 1
        quotes -= text.count(b'"', start, end)
        if start == 0:
            raise UserError(
                f"{layout.path.name}, line {line}: a quote opens a value that does not end within {size:,} bytes. "
                f"{_HOW_TO_QUOTE}"
            )
        if quotes % 2 == 0:
            return start
        end = start - 1


def _before_blank_lines(text: bytes, end: int) -> int:
    """Blank lines at the end wait for what follows them: at the end of the file they are let go."""
    body = end
    while body and text[body - 1] in b"\r\n":
        body -= 1
    return text.index(b"\n", body) + 1 if body else 0


def _end_of_file(layout: _Layout, text: bytes, line: int) -> bytes:
    text = text.rstrip(b"\r\n")
    if layout.holds_quotes(text) and text.count(b'"') % 2:
        line += text.count(b"\n", 0, text.rfind(b'"'))
        raise UserError(
            f"{layout.path.name}, line {line}: a quote is not closed before the file ends. The file may be cut. Or a "
            f"quote stands alone inside a value: {_HOW_TO_QUOTE}"
        )
    return text + b"\n" if text else text


def _parse(layout: _Layout, text: bytes, columns: Sequence[str], line: int) -> pl.DataFrame:
    bare = _QUOTED.sub(b"", text) if layout.holds_quotes(text) else text
    rows = bare.count(b"\n")
    if bare.count(layout.separator.encode()) != rows * (len(layout.names) - 1):
        _refuse_ragged(layout, text, line)
    positions = sorted(layout.names.index(name) for name in columns)
    try:
        frame = pl.read_csv(
            text,
            has_header=False,
            separator=layout.separator,
            columns=positions,
            new_columns=[layout.names[position] for position in positions],
            infer_schema=False,
            quote_char='"' if layout.quotes else None,
            null_values=[""],  # in quotes too: a writer that quotes every value has no other word for a missing one
        )
    except pl.exceptions.PolarsError as error:
        _decode(layout.path, text, line)
        _refuse_ragged(layout, text, line)
        said = str(error).splitlines()[0]
        hint = f" {_HOW_TO_QUOTE}" if layout.holds_quotes(text) else ""
        raise UserError(f"{layout.path.name}, line {line} or later: not csv: {said}.{hint}") from error
    if frame.height != rows:
        _refuse_ragged(layout, text, line)
        raise UserError(
            f"{layout.path.name}, lines from {line}: {rows} rows are written, but {frame.height} can be read."
        )
    return frame


def _refuse_ragged(layout: _Layout, text: bytes, first_line: int) -> None:
    """Names the first row that is not as wide as the header; returns if there is none."""
    for line, row in _rows(layout, text, first_line):
        if len(row) != len(layout.names):
            cut = " The file may be cut." if len(row) < len(layout.names) else ""
            separator = "comma" if layout.separator == "," else "separator"
            raise UserError(
                f"{layout.path.name}, line {line}: a row must have as many values as {layout.named_by}, "
                f"{len(layout.names)}, but has {len(row)}.{cut} A {separator} inside a value needs quotes around the "
                "value."
            )


def _rows(layout: _Layout, text: bytes, first_line: int) -> Iterator[tuple[int, list[str]]]:
    """(line on which it ends, values) of each row; slow, for finding what is wrong."""
    decoded = io.StringIO(_decode(layout.path, text, first_line), newline="")
    reader = csv.reader(decoded, delimiter=layout.separator, quoting=quoting(layout.quotes))
    for row in reader:
        yield first_line + reader.line_num - 1, row


def _decode(path: Path, text: bytes, first_line: int) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        line = first_line + text.count(b"\n", 0, error.start)
        raise UserError(
            f"{path.name}, line {line}: the file must be UTF-8, but a value holds other bytes. Convert it, as with "
            "iconv -f latin1 -t utf-8, or write encoding: latin-1 in the dataset config."
        ) from error

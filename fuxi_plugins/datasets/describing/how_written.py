"""How a file is written, as its first rows show: separator, encoding, quotes, header, and lists of what was shown."""

import codecs
import csv
import io
import itertools
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.describing.columns import MISSING
from fuxi_plugins.datasets.describing.impressions import find_impressions
from fuxi_plugins.datasets.describing.names import LABELS, made_up
from fuxi_plugins.datasets.describing.published_columns import find_published
from fuxi_plugins.datasets.reading.csv_blocks import quoting, refuse_utf16
from fuxi_plugins.datasets.reading.forms import BY_NAME, Encoding, FileFormat, format_by_name, is_description, parts
from fuxi_plugins.datasets.reading.opening import pieces

SEPARATORS = (",", "\t", ";", "|", "::")
RARE_SEPARATORS = ("\x01", "^", " ")  # taken only where a line has none of the others
_HEAD_BYTES = 1 << 20  # that tell a file's encoding
_ODD_QUOTES = re.compile(
    r'"(?!(?:[^"]|"")*"$).*|[^"]+(?:"[^"]*"[^"]*)*"[^"]*', re.DOTALL
)  # opens a value and does not close it, or stands alone
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}")
_ROWS = 20  # behind the first that tell whether it is a header
_NO_DATA = {".md", ".rst", ".html", ".py", ".sh", ".sql", ".yaml", ".yml", ".toml"}


def format_of(folder: Path, name: str, column_names: Sequence[str] = (), separator: str | None = None) -> FileFormat:
    """The format of a file, with the separator, encoding and column names that its first rows show.

    Args:
        folder, name: of the file.
        column_names, separator: what is known already.

    Raises:
        UserError: the file is empty or no text, or its rows have another number of values than there are names.
    """
    nameless = (folder / name).is_dir() and format_by_name(folder / name) is None  # whose parts no ending tells
    part = parts(folder / name, FileFormat("csv" if nameless else None))[0]
    if BY_NAME.kind_of(part) != "csv":
        return replace(BY_NAME, impressions=find_impressions(part, BY_NAME, []))
    found = FileFormat("csv" if nameless else None, encoding=encoding_of(part, BY_NAME))
    head = head_of(part).decode(found.encoding, errors="replace").removeprefix("\ufeff")
    line = head.partition("\n")[0].strip("\r")
    separator = separator or _separator(line)
    if separator and separator != found.separator_of(part):
        found = replace(found, separator=separator)
    found = replace(found, quotes=not _are_quotes_letters(head, separator or ","))
    text = io.StringIO(head.replace(separator or ",", "\x1f"), newline="")
    reader = csv.reader(text, delimiter="\x1f", quoting=quoting(found.quotes))
    first, *others = itertools.islice(reader, _ROWS + 1)
    if column_names and len(column_names) != len(first):
        raise UserError(
            f"--column-names must name each column of {name}, whose first row has {len(first)} values, but names "
            f"{len(column_names)}: {', '.join(column_names)}."
        )
    if not column_names and not _is_header(first, others):
        known = find_published(part.name, first)
        column_names = known.columns if known else [made_up(place) for place in range(1, len(first) + 1)]
    found = replace(found, column_names=tuple(column_names) or None)
    return replace(found, impressions=find_impressions(part, found, [first, *others] if column_names else others))


def _are_quotes_letters(text: str, separator: str) -> bool:
    """Whether quotes stand where they would break a value, in rows that are all of one width without them."""
    rows = [line.split(separator) for line in text.splitlines()]
    if len(set(map(len, rows))) > 1:
        return False
    values = (value for row in rows for value in row if '"' in value)
    return any(_ODD_QUOTES.fullmatch(value) for value in values)


def head_of(path: Path) -> bytes:
    """The beginning of a file of text, up to the end of a line.

    Raises:
        UserError: the file is empty or in UTF-16.
    """
    text = next(pieces(path, _HEAD_BYTES), b"")
    refuse_utf16(path, text)
    if not text.strip():
        raise UserError(f"{path.name} must hold a header and rows, but is empty.")
    return text[: text.rfind(b"\n") + 1] or text


def encoding_of(path: Path, file_format: FileFormat) -> Encoding:
    """UTF-8 if the beginning of a file is, else latin-1, which reads every byte as a letter."""
    part = parts(path, file_format)[0]
    if file_format.kind_of(part) != "csv":
        return "utf-8"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head_of(part))
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def _is_header(first: list[str], others: list[list[str]]) -> bool:
    """Whether the first row of a file names its columns.

    It does if it holds no number, or the name of a label, or a text above numbers alone, or the numbers that pandas
    gives columns without a name. It does not if it holds an address of the web or a moment.
    """
    if any("://" in value or _MOMENT.match(value) for value in first):
        return False
    if not any(map(_is_number, first)) or any(name.casefold() in LABELS[:-1] for name in first):
        return True
    places = [str(place) for place in range(len(first))]
    if len(first) > 2 and first in (places, ["", *places[:-1]]):
        return True
    for name, *values in zip(first, *(row for row in others if len(row) == len(first)), strict=True):
        there = [value for value in values if value and value not in MISSING]
        if name and name not in MISSING and not _is_number(name) and there and all(map(_is_number, there)):
            return True
    return False


def _separator(line: str) -> str | None:
    """What the values of a line are most likely separated by; None where it has one value."""
    most = max(SEPARATORS, key=line.count)
    if not line.count(most):
        return next((separator for separator in RARE_SEPARATORS if separator in line), None)
    # ", " and "||" are separators of two characters.
    return next((two for two in (f"{most} ", 2 * most) if line.count(two) * two.count(most) == line.count(most)), most)


def _is_number(text: str) -> bool:
    return text.strip().lstrip("+-").replace(".", "", 1).isdigit()


def looks_like_csv(path: Path) -> bool:
    """Whether each of a file's first rows holds several values."""
    if is_description(path) or path.suffix in _NO_DATA:
        return False
    try:
        rows = head_of(path).splitlines()[:_ROWS]
    except UserError:  # empty, or no text
        return False
    return all(any(separator.encode() in row for separator in SEPARATORS) for row in rows)

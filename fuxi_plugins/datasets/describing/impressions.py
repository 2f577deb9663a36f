"""Whether a file's rows list the items shown at once, with those that were clicked."""

import itertools
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import polars as pl

from fuxi_plugins.datasets.describing.names import find_label_name, is_item
from fuxi_plugins.datasets.reading.files import read_blocks, read_header
from fuxi_plugins.datasets.reading.forms import FileFormat, Impressions
from fuxi_plugins.datasets.reading.values import UnreadableColumnError, from_brackets

_SHOWN = re.compile(r"in_?view|shown|impress|displayed|exposed|candidate|slate", re.IGNORECASE)
_CLICKED = re.compile(r"click|clk", re.IGNORECASE)
_MARKED = re.compile(r"\S+-[01](\s+\S+-[01])*")
_HEAD_BYTES = 1 << 20


def find_impressions(path: Path, file_format: FileFormat, rows: Sequence[Sequence[str]]) -> Impressions | None:
    """The lists of a file of rows, and names for what is made of them; None where it has none, or a label already.

    Args:
        rows: the first ones, of a file of text.
    """
    header = read_header(path, file_format)
    found = _marked_list(header, rows) or _pair_of_lists(header, path, file_format)
    if found is None or find_label_name([name for name in header if name not in found.lists], None):
        return None
    return found


def _marked_list(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Impressions | None:
    """The column whose entries say themselves whether they were clicked, as ``N1-0 N2-1``."""
    for name, *values in zip(header, *(row for row in rows if len(row) == len(header)), strict=True):
        there = [value for value in values if value]
        ends = {entry[-2:] for value in there for entry in value.split()}
        if ends == {"-0", "-1"} and all(map(_MARKED.fullmatch, there)) and any(" " in value for value in there):
            return _named(header, name)
    return None


def _pair_of_lists(header: Sequence[str], path: Path, file_format: FileFormat) -> Impressions | None:
    """Two columns of lists whose names say what was shown and what was clicked, the second a part of the first."""
    for shown, clicked in itertools.product(filter(_SHOWN.search, header), filter(_CLICKED.search, header)):
        with suppress(UnreadableColumnError):
            block = next(read_blocks(path, [shown, clicked], file_format, _HEAD_BYTES), None)
            if block is not None and _is_part(*map(_lists, (block.frame[clicked], block.frame[shown]))):
                return _named(header, shown, clicked)
    return None


def _lists(values: pl.Series) -> pl.Series:
    return from_brackets(values) if values.dtype == pl.String else values


def _is_part(parts: pl.Series, wholes: pl.Series) -> bool:
    """Whether both are lists, and the first ones hold some, not all, of the entries of the second and no others."""
    if parts.dtype != wholes.dtype or not isinstance(parts.dtype, pl.List):
        return False
    beyond = pl.DataFrame({"parts": parts, "wholes": wholes}).select(
        pl.col("parts").list.set_difference("wholes").list.len().sum()
    )
    return beyond.item() == 0 and 0 < parts.list.len().sum() < wholes.list.len().sum()


def _named(header: Sequence[str], shown: str, clicked: str | None = None) -> Impressions:
    words = (word.removesuffix("s") for word in re.split(r"[^a-z]+", shown.lower()))
    what = next(filter(is_item, words), "item")  # as in article_ids_inview
    item = next(name for name in (f"{what}_id", f"shown_{what}_id", f"one_of_{shown}") if name not in header)
    label = next(name for name in ("click", "label", f"click_of_{shown}") if name not in header)
    return Impressions(shown=shown, clicked=clicked, item=item, label=label)

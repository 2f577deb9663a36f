"""Rows that list the items shown at once, which become a row for each item, as in MIND and EB-NeRD."""

from dataclasses import replace

import numpy as np
import polars as pl

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.reading.blocks import Block, first_row
from fuxi_plugins.datasets.reading.forms import Impressions
from fuxi_plugins.datasets.reading.values import as_text, from_brackets

_MARKED = r"^(.+)-([01])$"  # an item, and whether it was clicked


def one_row_each(block: Block, impressions: Impressions) -> Block:
    """A row for each item shown; a row without any is left out.

    Raises:
        UserError: an entry says neither that its item was clicked nor that it was not.
    """
    rows, items = _entries(block.frame[impressions.shown])
    if impressions.clicked:
        clicks = pl.DataFrame(
            dict(zip(("row", "item"), _entries(block.frame[impressions.clicked]), strict=True))
        ).unique()
        shown = pl.DataFrame({"row": rows, "item": items})
        found = shown.join(clicks.with_columns(click=1), on=["row", "item"], how="left", maintain_order="left")
        labels = found["click"].fill_null(0)
    else:
        marked = items.str.extract_groups(_MARKED).struct.unnest()
        items, labels = marked.to_series(0), marked.to_series(1).cast(pl.Int8)
        if items.null_count():
            row = int(rows[first_row(items.is_null())])
            raise UserError(
                f"{block.place(row)}: each entry of {impressions.shown!r} must end in -1 for a click or -0 for none, "
                f"but it holds {block.frame[impressions.shown][row]!r}. Where another column lists the clicks, name it "
                "in the dataset config, as in impressions: {shown: inview, clicked: clicks}."
            )
    made = block.rows(rows.to_numpy())
    frame = made.frame.drop(impressions.lists, strict=False)
    return replace(made, frame=frame.with_columns(items.alias(impressions.item), labels.alias(impressions.label)))


def _entries(lists: pl.Series) -> tuple[pl.Series, pl.Series]:
    """The entries of all lists one after another, as the texts of ids, and before them the row of each."""
    if lists.dtype == pl.String:
        lists = from_brackets(lists)
    elif isinstance(lists.dtype, pl.Array):
        lists = lists.arr.to_list()
    counts = lists.list.len().fill_null(0).to_numpy()
    entries = as_text(lists.filter(pl.Series(counts > 0)).explode(empty_as_null=True))
    rows = pl.Series(np.repeat(np.arange(len(lists)), counts))
    there = entries.is_not_null() & (entries != "")
    return rows.filter(there), entries.filter(there)

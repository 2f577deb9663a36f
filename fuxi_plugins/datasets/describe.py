"""A first dataset config from looking at the files: what each column most likely is, to be checked by its owner."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.reading.files import read_blocks, read_header
from fuxi_plugins.datasets.spec import SPLITS, read_spec

LOOKED_AT = 8 * 2**20  # bytes at the head of the training file
LABELS = ("label", "click", "clicked", "is_click", "clk", "target", "y")
SPLITTERS = "^|;"
SPLIT_ROWS = 0.2  # of its rows in which a sequence has more than one entry
LONGEST = 50  # entries of a sequence that are kept
OWN_NUMBER = 0.95  # distinct values a row from which a column tells rows apart, as a time or a row's number does


@dataclass(frozen=True)
class Description:
    entry: dict[str, Any]  # of the dataset's config
    remarks: list[str]  # what its owner should look at


def describe(dataset_id: str, folder: Path, label: str | None = None) -> Description:
    """Looks at the head of the training file of a folder with train, valid and test as csv or csv.gz.

    Floating-point numbers become numeric columns; text with ``^``, ``|`` or ``;`` in it becomes a sequence, sharing the
    table of the column whose values it holds; everything else is categorical.

    Raises:
        UserError: a file, its rows or the label are missing, the label is not 0 or 1, or FuxiCTR could not take a name.
    """
    files = {split: _split_file(folder, split) for split in SPLITS}
    train = folder / files["train"]
    head = next(read_blocks(train, read_header(train), LOOKED_AT), None)
    if head is None:
        raise UserError(f"{train} must hold rows, but has only its header.")
    frame = head.frame
    label = _label(frame, label, train)
    columns = {name: _column(name, frame[name].drop_nulls()) for name in frame.columns if name != label}
    categorical = [name for name, column in columns.items() if column["type"] == "categorical"]
    for name, column in columns.items():
        if column["type"] == "sequence":
            owner = _owner(frame, name, column["splitter"], categorical)
            column |= {"share_embedding": owner} if owner else {}
            column["feature_encoder"] = "layers.MaskedAveragePooling()"
    entry = {
        "title": dataset_id,
        "data_root": str(folder.resolve()),
        **{f"{split}_data": name for split, name in files.items()},
        "min_categr_count": 2,
        "feature_cols": list(columns.values()),
        "label_col": {"name": label, "dtype": "float"},
    }
    read_spec(dataset_id, entry, train)
    return Description(entry, _remarks(frame, columns))


def _split_file(folder: Path, split: str) -> str:
    names = [f"{split}.csv", f"{split}.csv.gz"]
    for name in names:
        if (folder / name).is_file():
            return name
    raise UserError(f"{folder} must hold {' or '.join(names)}; a board needs train, valid and test.")


def _label(frame: pl.DataFrame, asked: str | None, path: Path) -> str:
    by_name = {name.casefold(): name for name in reversed(frame.columns)}
    found = asked if asked in frame.columns else None
    if asked is None:
        found = next((by_name[name] for name in LABELS if name in by_name), None)
    if found is None:
        sought = f"named {asked!r}" if asked else f"named one of {', '.join(LABELS)}"
        raise UserError(f"{path} has no label {sought}; --label COLUMN says which it is of {', '.join(frame.columns)}.")
    odd = [value for value in frame[found].drop_nulls().unique().sort() if value not in ("0", "1", "0.0", "1.0")]
    if odd:
        raise UserError(f"the label {found!r} of {path} must be 0 or 1, but is also {odd[0]!r}.")
    return found


def _column(name: str, values: pl.Series) -> dict[str, Any]:
    numbers = values.cast(pl.Float64, strict=False)
    if len(values) and numbers.null_count() == 0:
        whole = values.cast(pl.Int64, strict=False).null_count() == 0
        if not whole:
            return {"name": name, "type": "numeric", "dtype": "float", "normalizer": "StandardScaler"}
        column = {"name": name, "type": "categorical", "dtype": "str"}
        return column | {"active": False} if _tells_rows_apart(values) else column
    splitter = max(SPLITTERS, key=lambda mark: values.str.contains(mark, literal=True).sum())
    if len(values) and values.str.contains(splitter, literal=True).mean() > SPLIT_ROWS:
        entries = int(values.str.split(splitter).list.len().max())
        return {
            "name": name,
            "type": "sequence",
            "dtype": "str",
            "splitter": splitter,
            "max_len": min(entries, LONGEST),
        }
    return {"name": name, "type": "categorical", "dtype": "str"}


def _tells_rows_apart(values: pl.Series) -> bool:
    return len(values) >= 100 and values.n_unique() > OWN_NUMBER * len(values)


def _owner(frame: pl.DataFrame, sequence: str, splitter: str, categorical: Sequence[str]) -> str | None:
    """The categorical column whose values are most nearly the entries of a sequence, if it holds half of them."""
    entries = {entry for text in frame[sequence].drop_nulls() for entry in text.split(splitter)}
    values = {name: set(frame[name].drop_nulls()) for name in categorical}
    holders = [name for name in categorical if len(entries & values[name]) >= len(entries) / 2]
    alike = {name: len(entries & values[name]) / len(entries | values[name]) for name in holders}
    return max(holders, key=alike.get, default=None)


def _remarks(frame: pl.DataFrame, columns: dict[str, dict[str, Any]]) -> list[str]:
    remarks = [f"Looked at the first {len(frame):,} rows of train."]
    idle = [name for name, column in columns.items() if column.get("active") is False]
    whole = [
        name
        for name, column in columns.items()
        if column["type"] == "categorical" and name not in idle
        and frame[name].drop_nulls().cast(pl.Int64, strict=False).null_count() == 0
    ]  # fmt: skip
    if idle:
        remarks.append(f"Left out, for nearly every row has its own value: {', '.join(idle)}.")
    if whole:
        remarks.append(f"Whole numbers taken for ids; counts and amounts should be numeric: {', '.join(whole)}.")
    alone = [name for name, c in columns.items() if c["type"] == "sequence" and "share_embedding" not in c]
    if alone:
        remarks.append(
            f"Sequences with a table of their own; a behaviour history shares its item's: {', '.join(alone)}."
        )
    remarks.append("gAUC needs groups: docs/datasets.md shows the two lines.")
    return remarks

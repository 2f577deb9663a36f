"""Reads what is known of each item or user, in the order of given ids."""

import json
from pathlib import Path
from typing import Any

import polars as pl

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.interactions.settings import Attributes
from fuxi_plugins.datasets.reading.files import read_blocks
from fuxi_plugins.datasets.reading.forms import ColumnForm
from fuxi_plugins.datasets.reading.opening import pieces
from fuxi_plugins.datasets.reading.values import as_text, cleaned

_PIECE_BYTES = 1 << 20


def read_attributes(folder: Path, attributes: Attributes | None, ids: pl.Series) -> pl.DataFrame:
    """(len(ids), columns) text, in the order of ``ids``; null where nothing is known. Lists are joined by ``^``.

    Raises:
        UserError: the file is not of its form, or tells of an id twice.
    """
    if attributes is None:
        return pl.DataFrame()
    path = folder / attributes.file
    table = _mapping(path, attributes) if attributes.form == "mapping" else _table(path, attributes)
    if (again := table["id"].is_duplicated()).any():
        raise UserError(
            f"{path.name} must tell of each id once, but of {table['id'].filter(again)[0]!r} several times."
        )
    joined = pl.DataFrame({"id": ids}).join(table, on="id", how="left", maintain_order="left")
    return joined.select(attributes.columns)


def as_written(values: pl.Series) -> pl.Series:
    """Values of any type as text; a list's entries are joined by ``^``."""
    return as_text(cleaned(values, ColumnForm()))


def _table(path: Path, attributes: Attributes) -> pl.DataFrame:
    assert attributes.key is not None
    named = list(dict.fromkeys([attributes.key, *attributes.columns]))
    frames = [
        pl.DataFrame(
            {"id": as_text(block.frame[attributes.key])}
            | {name: as_written(block.frame[name]) for name in attributes.columns}
        )
        for block in read_blocks(path, named, attributes.file_format)
    ]
    return pl.concat(frames)


def _mapping(path: Path, attributes: Attributes) -> pl.DataFrame:
    try:
        content = json.loads(b"".join(pieces(path, _PIECE_BYTES)).decode(attributes.encoding))
    except ValueError as error:
        raise UserError(f"{path.name} must hold one JSON object, but does not: {error}.") from error
    if not isinstance(content, dict):
        raise UserError(f"{path.name} must hold one JSON object of ids, but holds a {type(content).__name__}.")
    columns: dict[str, list[str | None]] = {name: [] for name in attributes.columns}
    for key, value in content.items():
        if not isinstance(value, dict) and len(columns) > 1:
            raise UserError(f"{path.name}: {key!r} must hold an object of {', '.join(columns)}, but holds {value!r}.")
        for name, texts in columns.items():
            texts.append(_text(value.get(name) if isinstance(value, dict) else value))
    return pl.DataFrame({"id": list(content), **columns}, schema_overrides=dict.fromkeys(("id", *columns), pl.String))


def _text(value: Any) -> str | None:
    if isinstance(value, list):
        return "^".join(map(str, value)) or None
    return None if value is None else str(value)

"""Records inside of columns: ``user: {id, age}`` is read as the columns ``user.id`` and ``user.age``.

A list of records is read as one list for each of their fields. A column that is itself called ``user.id`` goes first.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa


@dataclass(frozen=True)
class Field:
    """A column as it is read: the file's column that holds it, and how it is taken out of that."""

    stored: str
    taken: pl.Expr


def fields_of(schema: Mapping[str, Any]) -> dict[str, Field]:
    """By name, every column that holds no records, and every field of those that do, in the file's order."""
    whole = {name for name, dtype in schema.items() if not _is_of_records(dtype)}
    found: dict[str, Field] = {}
    for stored, dtype in schema.items():
        for name, taken in _fields(stored, pl.col(stored), dtype):
            if stored == name or name not in whole:
                found[name] = Field(stored, taken)
    return found


def stored_columns(names: Sequence[str], fields: Mapping[str, Field]) -> list[str]:
    """The file's columns that hold these, each once."""
    return list(dict.fromkeys(fields[name].stored for name in names))


def chosen(frame: pl.DataFrame, names: Sequence[str], fields: Mapping[str, Field]) -> pl.DataFrame:
    """The columns of these names, out of the file's."""
    return frame.select([fields[name].taken.alias(name) for name in names])


def schema_of(arrow: pa.Schema) -> dict[str, Any]:
    """The types of an Arrow schema's columns as polars has them; those that hold no other values need none here."""
    return {
        field.name: pl.DataFrame(pl.from_arrow(pa.schema([field]).empty_table())).dtypes[0]
        if pa.types.is_nested(field.type)
        else pl.Unknown()
        for field in arrow
    }


def _fields(name: str, column: pl.Expr, dtype: Any) -> Iterator[tuple[str, pl.Expr]]:
    if isinstance(dtype, pl.Struct):
        for field in dtype.fields:
            yield from _fields(f"{name}.{field.name}", column.struct.field(field.name), field.dtype)
    elif isinstance(dtype, pl.List) and isinstance(dtype.inner, pl.Struct):
        for field in dtype.inner.fields:
            entries = column.list.eval(pl.element().struct.field(field.name))
            yield from _fields(f"{name}.{field.name}", entries, pl.List(field.dtype))
    else:
        yield name, column


def _is_of_records(dtype: Any) -> bool:
    return isinstance(dtype, pl.Struct) or (isinstance(dtype, pl.List) and isinstance(dtype.inner, pl.Struct))

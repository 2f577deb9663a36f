"""What must hold of a csv file before FuxiCTR sees it; each breach names the file, the line and the remedy."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from fuxi_plugins.datasets.spec import DatasetSpec
from fuxi_plugins.errors import UserError

_NUMBERS = {"float": pl.Float64, "int": pl.Int64}


@dataclass(frozen=True)
class RawFile:
    rows: int
    positives: int


def check_raw_file(path: Path, spec: DatasetSpec) -> RawFile:
    """Reads a csv file once, streaming, and counts its rows and positives.

    Raises:
        UserError: a missing column, text where a number belongs, a label that is not 0 or 1, no rows, or
            rows of one class only.
    """
    table = pl.scan_csv(path, infer_schema=False)  # every column as text
    _check_header(path, table, spec)
    label = pl.col(spec.label_col.name).cast(pl.Float64, strict=False)
    wrong_label = (~label.is_in([0.0, 1.0])).fill_null(True)
    queries = {
        "rows": pl.len(),
        "positives": (label == 1).sum(),
        "labels": wrong_label.sum(),
        "labels::line": wrong_label.arg_max(),
        "labels::seen": pl.col(spec.label_col.name).filter(wrong_label).first(),
    }
    numeric = {
        name: dtype for name, dtype in spec.raw_columns.items() if dtype in _NUMBERS and name != spec.label_col.name
    }
    for name, dtype in numeric.items():
        text = pl.col(name)
        number = text.cast(_NUMBERS[dtype], strict=False)
        # A missing number is FuxiCTR's to fill; text and NaN are nobody's.
        wrong = text.is_not_null() & (number.is_null() | number.is_nan().fill_null(False))
        queries |= {f"{name}::wrong": wrong.sum(), f"{name}::line": wrong.arg_max(),
                    f"{name}::seen": text.filter(wrong).first()}  # fmt: skip
    with reading(path):
        found = table.select([query.alias(key) for key, query in queries.items()]).collect(engine="streaming")
    facts = found.row(0, named=True)
    if facts["rows"] == 0:
        raise UserError(f"{path.name} must hold rows, but has only its header; every split needs both classes.")
    for name, dtype in numeric.items():
        if facts[f"{name}::wrong"]:
            kind = "a whole number" if dtype == "int" else "a number"
            raise UserError(
                f"{path.name}, line {facts[f'{name}::line'] + 2}: column {name!r} must hold {kind}, but holds "
                f"{facts[f'{name}::seen']!r} ({facts[f'{name}::wrong']} such rows). "
                "Mend the file, or give the column dtype: str in the dataset config."
            )
    if facts["labels"]:
        raise UserError(
            f"{path.name}, line {facts['labels::line'] + 2}: the label {spec.label_col.name!r} must be 0 or 1, but is "
            f"{facts['labels::seen']!r} ({facts['labels']} such rows)."
        )
    if facts["positives"] in (0, facts["rows"]):
        raise UserError(
            f"{path.name}: every split needs both classes, but all {facts['rows']} labels are "
            f"{int(facts['positives'] > 0)}; AUC is not defined there."
        )
    return RawFile(rows=facts["rows"], positives=facts["positives"])


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns what polars says of a file it cannot read into the user's error."""
    try:
        yield
    except pl.exceptions.PolarsError as error:
        said = str(error).splitlines()[0]
        raise UserError(
            f"{path.name} must be a csv file with as many values in each row as its header: {said}."
        ) from error


def _check_header(path: Path, table: pl.LazyFrame, spec: DatasetSpec) -> None:
    try:
        header = table.collect_schema().names()
    except pl.exceptions.NoDataError as error:
        raise UserError(f"{path.name} must hold a header and rows, but is empty.") from error
    missing = [name for name in spec.raw_columns if name not in header]
    if missing:
        raise UserError(
            f"{path.name} must have the columns that the dataset {spec.dataset_id!r} names, but lacks "
            f"{', '.join(missing)}; its header is {', '.join(header)}."
        )

"""A first dataset config from looking at the files: what each column most likely is, to be checked by its owner."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.columns import SPLITS
from fuxi_plugins.datasets.describing.columns import MIN_COUNT, Head, guess_column
from fuxi_plugins.datasets.describing.dividing import divide_rows
from fuxi_plugins.datasets.describing.found_files import FoundFiles, find_files
from fuxi_plugins.datasets.describing.labels import guess_label
from fuxi_plugins.datasets.describing.names import is_weight
from fuxi_plugins.datasets.describing.relations import name_groups, share_tables, without_outcomes
from fuxi_plugins.datasets.leaks import LEAK
from fuxi_plugins.datasets.reading.files import read_blocks, read_header
from fuxi_plugins.datasets.spec import read_spec

LOOKED_AT = 8 * 2**20  # bytes at the head of each file
FEW_ROWS = 5000  # below which a tenth of the rows is too few to evaluate on
# What is said of columns, by the key of the note.
NOTES = {
    "empty": "Left out, for the rows that were looked at hold no value: {}.",
    "own": "Left out, for nearly every row has its own value: {}.",
    "free text": "Left out, for it is free text: {}.",
    "moment": "Left out as features, for they are times: {}.",
    "not finite": "Left out, for a number is not finite or beyond 3.4e38: {}.",
    "outcome": "Left out, for they are outcomes like the label, by their names: {}. Make them active if they are known "
    "before the row is shown.",
    "leak": f"Left out, for one of them alone tells the label with an AUC above {LEAK}: {{}}.",
    "missing": "Numbers but for texts that stand for a missing value (na_values): {}.",
    "floats": "Whole numbers written as floats are ids, 7.0 the same as 7 (normalize_ids): {}.",
    "whole": "Whole numbers taken for ids; counts and amounts should be numeric: {}.",
    "beyond int64": "Whole numbers beyond 64 bits taken for ids: {}.",
    "list": "Lists of several values: {}.",
}


@dataclass(frozen=True)
class Description:
    entry: dict[str, Any]  # of the dataset's config
    remarks: list[str]  # what its owner should look at


def describe(dataset_id: str, origin: Path, label: str | None = None, rule: str | None = None) -> Description:
    """Looks at the head of the data files in a folder, or of one file, and guesses what each column is.

    Floating-point numbers become numeric columns; lists, however written, become sequences, sharing the table of the
    column whose values they hold; all else becomes categorical. Left out are texts, times, outcomes and what is
    different in every row. One file is divided by its times, or at random where it has none.

    Args:
        dataset_id: of the new dataset.
        origin: a folder, or one file.
        label: its column, or None to go by usual names.
        rule: which values of the label are positive, or None to guess where they are not 0 and 1.

    Raises:
        UserError: a file, its rows or the label are missing, the label's values need a rule that cannot be guessed, or
            no column is left to learn from.
    """
    found = find_files(origin)
    heads = {split: _head(found, name) for split, name in found.names.items()}
    further = [head for split, head in heads.items() if split != "train"]
    chosen = guess_label(heads["train"], further, label, rule, str(found.root / found.names["train"]))
    remarks = [f"Looked at the first {len(heads['train']):,} rows of train.", *_on_files(found)]
    remarks += [chosen.said] if chosen.said else []
    lacking = sum(int((~chosen.is_there(head)).sum()) for head in heads.values() if chosen.name in head)
    if lacking:
        remarks.append(
            f"{lacking:,} of the {sum(map(len, heads.values())):,} rows that were looked at have no label "
            f"{chosen.name}: such rows are left out (label_missing: drop). Without this setting they are an error."
        )
    frame = heads["train"].filter(chosen.is_there(heads["train"]))
    common = [name for name in frame.columns if all(name in head.columns for head in further)]
    others = [name for name in common if name and name != chosen.name]
    alone = [name for name in frame.columns if name not in common and name != chosen.name]
    if alone:
        remarks.append(f"Left out, for not every file has them: {', '.join(alone)}.")
    weight = next((name for name in others if is_weight(name) and _holds_weights(frame[name])), None)
    if weight:
        remarks.append(f"Taken for the weights of rows, by which training weights the loss: {weight}.")
    if "" in frame.columns:
        remarks.append("Left out, for it has no name, as an index that pandas wrote: the column with an empty header.")
    guesses = {
        name: guess_column(Head(name, frame[name], [head[name] for head in further]))
        for name in others
        if name != weight
    }
    guesses = without_outcomes(guesses, frame, chosen)
    for key, sentence in NOTES.items():
        names = [name for name, guess in guesses.items() if key in guess.notes]
        if names:
            remarks.append(sentence.format(", ".join(names)))
    if not any(guess.active for guess in guesses.values()):
        raise UserError(f"{found.root} must hold a column to learn from, but none is left. {' '.join(remarks)}")
    remarks += share_tables(guesses, frame)
    entry = {
        "title": dataset_id,
        "data_root": str(found.root.resolve()),
        **_format_settings(found),
        **{f"{split}_data": found.names[split] for split in SPLITS if split in found.names},
        "min_categr_count": MIN_COUNT,
        "feature_cols": [guess.entry for guess in guesses.values()],
        "label_col": chosen.entry,
        **({"label_missing": "drop"} if lacking else {}),
        **({"weight_col": weight} if weight else {}),
    }
    remarks += name_groups(entry, guesses, frame, chosen)
    moments = [name for name, guess in guesses.items() if guess.is_moment]
    remarks += divide_rows(entry, found, moments, 0.2 if len(frame) < FEW_ROWS else 0.1)
    read_spec(dataset_id, entry, found.root / found.names["train"])
    return Description(entry, remarks)


def _head(found: FoundFiles, name: str) -> pl.DataFrame:
    path = found.root / name
    block = next(read_blocks(path, read_header(path, found.file_format), found.file_format, LOOKED_AT), None)
    if block is None or not block.frame.height:
        raise UserError(f"{path} must hold rows, but has only its header.")
    return block.frame


def _on_files(found: FoundFiles) -> list[str]:
    remarks = []
    if found.file_format.separator:
        remarks.append(f"Values are separated by {found.file_format.separator!r}.")
    if found.file_format.column_names:
        remarks.append("The first row looks like values, not like a header: the columns got names, for you to better.")
    return remarks


def _format_settings(found: FoundFiles) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if found.file_format.separator:
        settings["separator"] = found.file_format.separator
    if found.file_format.column_names:
        settings["column_names"] = list(found.file_format.column_names)
    return settings


def _holds_weights(values: pl.Series) -> bool:
    numbers = values.cast(pl.Float64, strict=False)
    return numbers.null_count() == 0 and bool((numbers >= 0).all()) and bool(numbers.is_finite().all())

"""A first dataset config from looking at the files: what each column most likely is, to be checked by its owner."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.columns import SPLITS
from fuxi_plugins.datasets.describing.columns import MIN_COUNT, Head, guess_column, idle
from fuxi_plugins.datasets.describing.description import Description
from fuxi_plugins.datasets.describing.dividing import divide_rows, find_marks
from fuxi_plugins.datasets.describing.found_files import FoundFiles, find_files
from fuxi_plugins.datasets.describing.interaction_log import describe_log, find_log
from fuxi_plugins.datasets.describing.labels import find_label, guess_label
from fuxi_plugins.datasets.describing.names import LABELS, is_made_up, is_weight
from fuxi_plugins.datasets.describing.relations import name_groups, share_tables, without_outcomes, without_requests
from fuxi_plugins.datasets.leaks import LEAK
from fuxi_plugins.datasets.reading.files import read_blocks, read_header
from fuxi_plugins.datasets.reading.values import UnreadableColumnError
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
    "comma": "Left out, for a comma stands in their numbers (3,14 or 1,000); write 3.14 and 1000: {}.",
    "unit": "Left out, for a unit stands with their numbers ($3.50 or 12%); write 3.5 and 12: {}.",
    "unread date": "Left out, for they are dates of which nobody can tell day and month (03/01/2026), or in words: {}. "
    "Write them as 2026-03-01 12:30:00, and rows can be split by time.",
    "vector": "Left out, for they are lists of fractions: {}. Vectors of an id are given with pretrained_emb.",
    "split": "Left out as a feature, for it says which split a row belongs to: {}.",
    "request": "Left out as features, for they number sessions or requests: {}.",
    "outcome": "Left out, for they are outcomes like the label, by their names: {}. Make them active if they are known "
    "before the row is shown.",
    "leak": f"Left out, for one of them alone tells the label with an AUC above {LEAK}: {{}}.",
    "missing": "Numbers but for texts that stand for a missing value (na_values): {}.",
    "floats": "Whole numbers written as floats are ids, 7.0 the same as 7 (normalize_ids): {}.",
    "whole": "Whole numbers taken for ids; counts and amounts should be numeric: {}.",
    "beyond int64": "Whole numbers beyond 64 bits taken for ids: {}.",
    "rounded ids": "Ids in scientific notation (1.23E+17): {}. A spreadsheet writes long numbers so and drops their "
    "last digits, which makes one id of several. Export such columns as text.",
    "powers": "Whole numbers in scientific notation (1.2e5) taken for amounts: {}. Ids need all their digits.",
    "list": "Lists of several values: {}.",
}


def describe(
    dataset_id: str,
    origin: Path,
    label: str | None = None,
    rule: str | None = None,
    interactions: bool = False,
    column_names: Sequence[str] = (),
) -> Description:
    """Looks at the head of the data files in a folder, or of one file, and guesses what each column is.

    Floating-point numbers become numeric columns; lists, however written, become sequences, sharing the table of the
    column whose values they hold; all else becomes categorical. Left out are texts, times, outcomes and what is
    different in every row. One file is divided by its times, or at random where it has none.

    Args:
        dataset_id: of the new dataset.
        origin: a folder, or one file.
        label: its column, or None to go by usual names.
        rule: which values of the label are positive, or None to guess where they are not 0 and 1.
        interactions: the files are a log of what users did; rows with sampled negatives are made of it.
        column_names: of csv files without a header; empty to number the columns of such files.

    Raises:
        UserError: a file, its rows or the label are missing, the label's values need a rule that cannot be guessed, or
            no column is left to learn from.
    """
    found = find_files(origin, column_names)
    unreadable: list[str] = []
    heads = {split: _head(found, name, unreadable) for split, name in found.names.items()}
    if interactions:
        return describe_log(dataset_id, found, heads["train"], label, rule)
    name = find_label(heads["train"], label)
    if name is None:
        raise _no_label(found, heads["train"], label)
    further = [head for split, head in heads.items() if split != "train"]
    for split, head in heads.items():
        if name not in head:
            raise UserError(
                f"{found.names[split]} must have the label {name!r} as {found.names['train']} has. Where it is not "
                f"known, take the test set out of train, with --from {found.root / found.names['train']}."
            )
    chosen = guess_label(heads["train"], further, name, rule, str(found.root / found.names["train"]))
    remarks = [f"Looked at the first {len(heads['train']):,} rows of train.", *_on_files(found)]
    remarks += [chosen.said] if chosen.said else []
    remarks += [
        f"All labels of {found.names[split]} that were looked at are {int(classes[0])}, but every split needs both "
        "classes."
        for split, head in heads.items()
        if len(classes := chosen.positives(head).drop_nulls().unique()) == 1
    ]
    lacking = sum(int((~chosen.is_there(head)).sum()) for head in heads.values())
    if lacking:
        remarks.append(
            f"{lacking:,} of the {sum(map(len, heads.values())):,} rows that were looked at have no label "
            f"{chosen.name}: such rows are left out (label_missing: drop). Without this setting they are an error."
        )
    frame = heads["train"].filter(chosen.is_there(heads["train"]))
    if unreadable:
        remarks.append(f"Left out, for they hold neither text nor numbers nor lists of them: {', '.join(unreadable)}.")
    others = [name for name in frame.columns if name and name != chosen.name]
    if absent := [name for name in others if any(name not in head for head in further)]:
        remarks.append(f"Left out, for not every file has them: {', '.join(absent)}.")
    others = [name for name in others if name not in absent]
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
    marks = find_marks(frame)
    if marks:
        guesses[marks.read_column] = idle(marks.read_column, "split")
    guesses = without_requests(without_outcomes(guesses, frame, chosen), frame)
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
        **found.settings,
        **{f"{split}_data": found.names[split] for split in SPLITS if split in found.names},
        "min_categr_count": MIN_COUNT,
        "feature_cols": [guess.entry for guess in guesses.values()],
        "label_col": chosen.entry,
        **({"label_missing": "drop"} if lacking else {}),
        **({"weight_col": weight} if weight else {}),
    }
    remarks += name_groups(entry, guesses, frame, chosen)
    moments = [name for name, guess in guesses.items() if guess.is_moment]
    remarks += divide_rows(entry, found, marks, moments, 0.2 if len(frame) < FEW_ROWS else 0.1)
    read_spec(dataset_id, entry, found.root / found.names["train"])
    return Description(entry, remarks)


def _head(found: FoundFiles, name: str, unreadable: list[str]) -> pl.DataFrame:
    """The first rows of a file without the columns that cannot be read, whose names are added to ``unreadable``."""
    path = found.root / name
    header = read_header(path, found.file_format)
    while True:
        columns = [column for column in header if column not in unreadable]
        try:
            block = next(read_blocks(path, columns, found.file_format, LOOKED_AT), None)
        except UnreadableColumnError as error:
            unreadable.append(error.column)
            continue
        if block is None or not block.frame.height:
            raise UserError(f"{path} must hold rows, but has only its header.")
        return block.frame


def _on_files(found: FoundFiles) -> list[str]:
    remarks = [f"Not read: {', '.join(found.others)}."] if found.others else []
    if found.file_format.separator:
        remarks.append(f"Values are separated by {found.file_format.separator!r}.")
    if found.file_format.encoding != "utf-8":
        remarks.append("The text is not UTF-8 and is read as latin-1: other letters may show, but ids stay apart.")
    return [*remarks, *_on_header(found)]


def _on_header(found: FoundFiles) -> list[str]:
    names = found.file_format.column_names
    if not names or not all(map(is_made_up, names)):
        return []
    return [
        "The first row looks like values, not like a header, so the columns are numbered. To name them: --column-names "
        "label,user_id,item_id."
    ]


def _no_label(found: FoundFiles, frame: pl.DataFrame, label: str | None) -> UserError:
    sought = f"named {label!r}" if label else f"named one of {', '.join(LABELS)}"
    log = find_log(frame)
    hint = (
        f" Or are the rows interactions of {log.user} with {log.item} at {log.time}? With --interactions each of them "
        "becomes a positive row, and negatives are sampled."
        if log
        else ""
    )
    return UserError(
        f"{found.root / found.names['train']} has no label {sought}; --label COLUMN says which it is of "
        f"{', '.join(frame.columns)}.{hint} {' '.join(_on_header(found))}".rstrip()
    )


def _holds_weights(values: pl.Series) -> bool:
    numbers = values.cast(pl.Float64, strict=False)
    return numbers.null_count() == 0 and bool((numbers >= 0).all()) and bool(numbers.is_finite().all())

"""A first dataset config from looking at the files: what each column most likely is, to be checked by its owner."""

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import polars as pl

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.catalogue import read_spec
from fuxi_plugins.datasets.columns import SPLITS
from fuxi_plugins.datasets.describing.clocks import clock_columns
from fuxi_plugins.datasets.describing.columns import MIN_COUNT, Head, guess_column
from fuxi_plugins.datasets.describing.description import Description
from fuxi_plugins.datasets.describing.dividing import divide_rows, find_marks, guess_split_columns
from fuxi_plugins.datasets.describing.found_files import ColumnNames, FoundFiles, find_files, without_unlabelled
from fuxi_plugins.datasets.describing.heads import read_heads
from fuxi_plugins.datasets.describing.interaction_log import describe_log, find_log, without_histories
from fuxi_plugins.datasets.describing.labels import LabelGuess, find_label, guess_label
from fuxi_plugins.datasets.describing.names import LABELS, is_weight
from fuxi_plugins.datasets.describing.relations import name_groups, share_tables, without_outcomes, without_requests
from fuxi_plugins.datasets.describing.remarks import of_columns, of_files, of_header, of_label
from fuxi_plugins.datasets.describing.row_times import of_times, row_times
from fuxi_plugins.datasets.describing.side_tables import (
    columns_of_requests,
    find_tables,
    said_of,
    setting_of,
    sources_of,
    without_names,
)
from fuxi_plugins.datasets.reading.files import read_header

FEW_ROWS = 5000  # below which a tenth of the rows is too few to evaluate on


def describe(
    dataset_id: str,
    origin: Path,
    label: str | None = None,
    rule: str | None = None,
    interactions: bool = False,
    column_names: ColumnNames = (),
    splits: Mapping[str, str] | None = None,
) -> Description:
    """Looks at the head of the data files in a folder, or of one file, and guesses what each column is.

    Floating-point numbers become numeric columns; lists, however written, become sequences, sharing the table of the
    column whose values they hold; vectors stay vectors; all else becomes categorical. Of times, hours and weekdays are
    features. Left out are texts, outcomes and what is different in every row. One file is divided by its times, or at
    random where it has none.

    Args:
        dataset_id: of the new dataset.
        origin: a folder, or one file.
        label: its column, or None to go by usual names.
        rule: which values of the label are positive, or None to guess where they are not 0 and 1.
        interactions: the files are a log of what users did; rows with sampled negatives are made of it.
        column_names: of csv files without a header, or by file; else those that the publishers of a well-known file
            give it, or numbers.
        splits: by split, the name of its file in the folder, or a pattern of names; else names tell.

    Raises:
        UserError: a file, its rows or the label are missing, the label's values need a rule that cannot be guessed, or
            no column is left to learn from.
    """
    found = without_unlabelled(find_files(origin, column_names, label, splits), label)
    header = read_header(found.root / found.names["train"], found.file_format)
    tables = find_tables(found, header)
    unread = (name for name in found.others if not any(fnmatchcase(name, table.name) for table in tables))
    found = replace(found, others=tuple(unread))
    looked_at = read_heads(found, tables)
    heads, unreadable = looked_at.frames, looked_at.unreadable
    if interactions:
        return describe_log(dataset_id, found, tables, heads["train"], label, rule)
    chosen = _label(found, header, heads, label, rule)
    lacking = any(not chosen.is_there(head).all() for head in heads.values())
    frame = heads["train"].filter(chosen.is_there(heads["train"]))
    others = [head for split, head in heads.items() if split != "train"]
    names = [name for name in frame.columns if name and name != chosen.name and all(name in head for head in others)]
    weight = next((name for name in names if is_weight(name) and _holds_weights(frame[name])), None)
    share = 0.2 if len(frame) < FEW_ROWS else 0.1
    marks = find_marks(frame.select(name for name in names if name in header), share)
    types = found.types([table.name for table in tables])
    guesses = {
        name: guess_column(Head(name, frame[name], [head[name] for head in others], types.get(name)))
        for name in names
        if name != weight
    }
    guesses = guess_split_columns(guesses, marks)
    guesses = without_requests(without_outcomes(without_names(guesses, tables), frame, chosen), frame)
    remarks = [
        *looked_at.said,
        *of_files(found, tables),
        *said_of(tables, found),
        *of_label(chosen, found, heads),
        *of_columns(guesses, chosen, heads, unreadable, weight),
    ]
    if not any(guess.active for guess in guesses.values()):
        raise UserError(f"{found.root} must hold a column to learn from, but none is left. {' '.join(remarks)}")
    remarks += share_tables(guesses, frame)
    if not any(guess.active and guess.entry["type"] == "sequence" for guess in guesses.values()):
        remarks += without_histories(frame.select(name for name in names if name in header), chosen.name)
    moments = [name for name, guess in guesses.items() if guess.is_moment]
    times = row_times(moments, frame)
    clocks, said = clock_columns(times, frame)
    remarks += [*of_times(moments, times), *said]
    entry = {
        "title": dataset_id,
        "data_root": str(found.root.resolve()),
        **found.settings(*found.names.values(), *(table.name for table in tables)),
        **{f"{split}_data": found.names[split] for split in SPLITS if split in found.names},
        **setting_of(tables),
        "min_categr_count": MIN_COUNT,
        "feature_cols": [*(guess.entry for guess in guesses.values()), *clocks],
        **({"feature_sources": sources} if (sources := sources_of(tables, guesses)) else {}),
        "label_col": chosen.entry,
        **({"label_missing": "drop"} if lacking else {}),
        **({"weight_col": weight} if weight else {}),
    }
    remarks += name_groups(entry, guesses, frame, chosen)
    times = [name for name in times if name in (*header, *columns_of_requests(tables))]
    remarks += divide_rows(entry, found, tables, marks, times, share)
    read_spec(dataset_id, entry, found.root / found.names["train"])
    return Description(entry, remarks)


def _label(
    found: FoundFiles, header: list[str], heads: dict[str, pl.DataFrame], label: str | None, rule: str | None
) -> LabelGuess:
    """
    Raises:
        UserError: a file lacks the label, or its values need a rule that cannot be guessed.
    """
    own = heads["train"].select(name for name in heads["train"].columns if name in header)
    name = find_label(own if label is None else heads["train"], label)  # that of a table is a label only if asked for
    if name is None:
        raise _no_label(found, own, label)
    for split, head in heads.items():
        if name not in head:
            raise UserError(
                f"{found.names[split]} must have the label {name!r} as {found.names['train']} has. Where it is not "
                f"known, take the test set out of train, with --from {found.root / found.names['train']}."
            )
    others = [head for split, head in heads.items() if split != "train"]
    return guess_label(heads["train"], others, name, rule, str(found.root / found.names["train"]))


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
        f"{', '.join(frame.columns)}.{hint} {' '.join(of_header(found))}".rstrip()
    )


def _holds_weights(values: pl.Series) -> bool:
    numbers = values.cast(pl.Float64, strict=False)
    return numbers.null_count() == 0 and bool((numbers >= 0).all()) and bool(numbers.is_finite().all())

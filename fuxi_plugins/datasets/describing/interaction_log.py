"""A first config for a log of what users did: rows are made of it, with histories and, where need be, negatives."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.catalogue import read_spec
from fuxi_plugins.datasets.describing.columns import LONGEST, MIN_COUNT, MISSING, Head, guess_column
from fuxi_plugins.datasets.describing.description import Description
from fuxi_plugins.datasets.describing.found_files import FoundFiles
from fuxi_plugins.datasets.describing.labels import find_label, guess_label
from fuxi_plugins.datasets.describing.log_features import LogColumns, find_features
from fuxi_plugins.datasets.describing.names import LABELS, is_item, is_request, is_user
from fuxi_plugins.datasets.describing.remarks import of_files
from fuxi_plugins.datasets.describing.row_times import row_times
from fuxi_plugins.datasets.describing.side_tables import said_of
from fuxi_plugins.datasets.side_tables import SideTable

_SHARE = 0.1  # of the rows, for each of valid and test
_DRAWN = {"per_positive": 1, "by": "uniform", "avoid": "all", "seed": 2026}


def find_log(frame: pl.DataFrame) -> LogColumns | None:
    """Users and items by their names, times by names and values; None where one of the three is missing.

    Where no column is named like users, or most rows name none, sessions stand for them. Of several times the one of
    the rows counts.
    """
    named = [name for name in frame.columns if _is_mostly_there(frame[name])]
    user = next((name for is_one in (is_user, is_request) for name in named if is_one(name)), None)
    item = next((name for name in frame.columns if is_item(name) and name != user), None)
    moments = [name for name in frame.columns if name and guess_column(Head(name, frame[name])).is_moment]
    time = next(iter(row_times(moments, frame, of_outcomes_last=False)), None)
    return LogColumns(user, item, time) if user and item and time else None


def _is_mostly_there(values: pl.Series) -> bool:
    there = values.drop_nulls()
    known = there.is_in(MISSING).sum() if there.dtype == pl.String else 0
    return len(there) - known > len(values) / 2


def without_histories(frame: pl.DataFrame, label: str) -> list[str]:
    """What is said of rows without a behaviour history that could have one."""
    log = find_log(frame)
    if log is None or is_request(log.user):
        return []
    return [
        "No column holds what a user did before, which models of behaviour histories need. --interactions --label "
        f"{label} gives each row the {log.item} of the user's earlier positive rows."
    ]


def describe_log(
    dataset_id: str,
    found: FoundFiles,
    tables: Sequence[SideTable],
    frame: pl.DataFrame,
    label: str | None,
    rule: str | None,
) -> Description:
    """A config that makes rows of a log, whose interactions are all positive, or those that ``rule`` says of ``label``.

    A label of two values, without a rule, says of each row whether an item that was shown was clicked. Then no negative
    is drawn. A column with a usual name of labels and two values is such a label, even if nobody asks for it.

    Args:
        dataset_id: of the new dataset.
        found: the file of the log.
        tables: beside it, as of users and items.
        frame: the first rows, with the columns of the tables.
        label, rule: which interactions are positive; without a label all.

    Raises:
        UserError: the table has no users, items or times, or no such label, or there are several files.
    """
    file = found.root / found.names["train"]
    log = find_log(frame)
    if log is None:
        raise UserError(
            f"{file} must have columns of users, items and times to be a log of interactions, named as in user_id, "
            f"item_id and timestamp, but has {', '.join(frame.columns)}. A dataset config takes other names: "
            f"from_interactions: {{log: {{file: {file.name}, user: COLUMN, item: COLUMN, time: COLUMN}}}}."
        )
    if len(found.names) > 1:
        raise UserError(
            f"a log must be one file or a folder of parts, but {found.root} holds {', '.join(found.names.values())}. "
            "--from FILE takes one of them; in a dataset config file: [a.csv, b.csv] takes several."
        )
    label = label or _clicks(frame)
    if label is not None and find_label(frame, label) is None:
        raise UserError(f"{file} must have the column {label!r}, but has {', '.join(frame.columns)}.")
    positive = guess_label(frame, [], label, rule, str(file)) if label else None
    were_shown = label is not None and rule is None and frame[label].drop_nulls().n_unique() == 2
    types = found.types([table.name for table in tables])
    features = find_features(frame, types, log, positive, tables, with_context=were_shown)
    entry = {
        "title": dataset_id,
        "data_root": str(found.root.resolve()),
        "from_interactions": {
            "log": {
                "file": found.names["train"],
                "user": log.user,
                "item": log.item,
                "time": log.time,
                **found.settings(found.names["train"]),
                **({"positive": {"column": label, "rule": positive.rule or "== 1"}} if positive else {}),
                **({"others": "negatives"} if were_shown else {}),
                **({"context": features.context} if features.context else {}),
            },
            **{
                what: {
                    "file": table.name,
                    "key": table.key,
                    "columns": features.told[what],
                    **found.settings(table.name),
                }
                for what, table in features.tables.items()
            },
            "history": LONGEST,
            **({"min_history": 0, "negatives": {"per_positive": 0}} if were_shown else {"negatives": _DRAWN}),
            "split": {"by": "time", "valid": _SHARE, "test": _SHARE},
        },
        "min_categr_count": MIN_COUNT,
        "group_id": "group_id",
        "cluster_id": "user_id",
        "feature_cols": [*_feature_columns(of_sessions=is_request(log.user)), *features.entries],
        "label_col": {"name": "label", "dtype": "float"},
    }
    spec = read_spec(dataset_id, entry, file)
    remarks = [
        f"A log of {log.user} with {log.item} at {log.time}; the rows call them user_id, item_id and timestamp.",
        *of_files(found, tables),
        *said_of(tables, found),
        spec.whole_note,
    ]
    if is_request(log.user):
        remarks.append(f"No column is named like users, so sessions stand in their place: {log.user}, no feature.")
    if positive is None:
        remarks.append("If only some interactions are positive, say which, as with --label rating --rule '>= 4'.")
    elif positive.said:
        remarks.append(positive.said)
    left = [name for name in frame.columns if name not in (log.user, log.item, log.time, label, *features.names)]
    if left and were_shown:
        remarks.append(f"Left out: {', '.join(left)}.")
    elif left:
        remarks.append(
            f"Left out: {', '.join(left)}. log.context keeps columns that do not depend on the item, such as a page; "
            "attributes of items and users come from tables of their own (items, users)."
        )
    return Description(entry, remarks)


def _clicks(frame: pl.DataFrame) -> str | None:
    """The column with a usual name of labels, if it has two values."""
    name = next((name for name in frame.columns if name.casefold() in LABELS), None)
    return name if name and frame[name].drop_nulls().n_unique() == 2 else None


def _feature_columns(of_sessions: bool) -> list[dict[str, Any]]:
    """The columns that every made row has; a session's number is no feature, for test has others than train."""
    ids = {"type": "categorical", "dtype": "str"}
    apart = [{"name": "user_id", **ids, "active": False}, {"name": "item_id", **ids}]
    together = [{"name": ["user_id", "item_id"], **ids}]
    history = {"name": "history", "type": "sequence", "dtype": "str", "splitter": "^", "max_len": LONGEST}
    pooled = {"padding": "pre", "share_embedding": "item_id", "feature_encoder": "layers.MaskedAveragePooling()"}
    return [
        *(apart if of_sessions else together),
        history | pooled,
        {"name": "group_id", "type": "meta", "dtype": "str", "preprocess": "copy_from(user_id)"},
    ]

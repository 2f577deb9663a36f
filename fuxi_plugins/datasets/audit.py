"""What prepared data look like to a model: what it knows, what has moved, what stands twice, what tells the label."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.describing.names import is_moment
from fuxi_plugins.datasets.labels import find_test_clusters
from fuxi_plugins.datasets.leaks import LEAK, auc_of_column
from fuxi_plugins.datasets.prepare import PreparedData, split_blocks
from fuxi_plugins.datasets.reading.files import read_header
from fuxi_plugins.datasets.row_codes import row_codes
from fuxi_plugins.datasets.side_tables import open_tables
from fuxi_plugins.datasets.sources.acquire import raw_folder
from fuxi_plugins.datasets.spec import SPLITS, DatasetSpec
from fuxi_plugins.datasets.splitting import NoMomentError, divide, moments
from fuxi_plugins.datasets.store import read_columns
from fuxi_plugins.datasets.unknown_ids import warnings
from fuxi_plugins.records.metrics import FEW_ROWS_OF_A_CLASS

MOST_REPEATED = 0.5  # of the test rows; more than that, with equal labels, is no new data


@dataclass(frozen=True)
class ColumnAudit:
    """One feature column.

    unknown: by split, the share of its ids that train does not know; nothing for numbers.
    drift: between train and test, from 0 to 1: of ids, the share of rows that would have to change their value
        (total variation); of numbers, the largest difference of the distribution functions (Kolmogorov-Smirnov); of
        vectors, that of the number that moved most.
    alone: AUC on test of predicting by this column alone, learned from train; None for sequences and vectors.
    """

    unknown: dict[str, float]
    drift: float
    alone: float | None


@dataclass(frozen=True)
class Audit:
    """What was found in a dataset.

    rows, positive_rate: by split.
    repeated: by split, the share of its rows, label and all, that stand in it twice or more, counted without the first.
    known_rows: by split, the share of its rows, label and all, that stand in train.
    known_groups: by split, the share of its rows whose group has rows in train; empty without groups.
    clusters: how many clusters test has, and which share of the rows the largest holds; None without ``cluster_id``.
    times: by split, the first and the last moment; empty where no column tells times.
    columns: by feature.
    warnings: what most likely is a mistake, a sentence each.
    """

    rows: dict[str, int]
    positive_rate: dict[str, float]
    repeated: dict[str, float]
    known_rows: dict[str, float]
    known_groups: dict[str, float]
    clusters: tuple[int, float] | None
    time_column: str | None
    times: dict[str, tuple[float, float]]
    columns: dict[str, ColumnAudit]
    warnings: list[str] = field(default_factory=list)


def audit(data: PreparedData, workspace: Workspace) -> Audit:
    """Looks at a prepared dataset, and at the times in its files.

    Raises:
        UserError: the files are no longer there or have changed their form.
    """
    spec = data.spec
    columns = {split: read_columns(data.split_folder(split)) for split in SPLITS}
    codes = {split: row_codes(data.split_folder(split)) for split in SPLITS}
    known = np.unique(codes["train"])
    others = ("valid", "test")
    groups = spec.group_id
    clusters = find_test_clusters(spec, data.card.fingerprint, workspace)
    time_column, times = _times(spec, raw_folder(spec, workspace))
    found = Audit(
        rows=data.card.rows,
        positive_rate=data.card.positive_rate,
        repeated={split: 1 - len(np.unique(codes[split])) / len(codes[split]) for split in SPLITS},
        known_rows={split: float(np.isin(codes[split], known).mean()) for split in others},
        known_groups={split: _share_known(columns["train"][groups], columns[split][groups]) for split in others}
        if groups
        else {},
        clusters=(int(clusters.max()) + 1, float(np.bincount(clusters).max() / len(clusters)))
        if clusters is not None
        else None,
        time_column=time_column,
        times=times,
        columns=_columns(data, columns),
    )
    found.warnings.extend(_warnings(data, found))
    return found


def _columns(data: PreparedData, columns: dict[str, dict[str, np.ndarray]]) -> dict[str, ColumnAudit]:
    label, group = data.spec.label_col.name, data.spec.group_id
    train, test = columns["train"], columns["test"]
    found = {}
    for column in data.spec.active_columns:
        for name in (name for name in column.names if name != group and column.type != "meta"):
            known, values = np.asarray(train[name]), np.asarray(test[name])
            alone = None
            if known.ndim == 1:
                alone = auc_of_column(pl.Series(known).cast(_kind(known)), np.asarray(train[label]),
                                      pl.Series(values).cast(_kind(known)), np.asarray(test[label]))  # fmt: skip
            found[name] = ColumnAudit(
                unknown={split: shares[name] for split, shares in data.unknown.items() if name in shares},
                drift=_distance(known, values),
                alone=alone,
            )
    return found


def _kind(values: np.ndarray) -> type[pl.DataType]:
    """Ids are names, whatever their numbers."""
    return pl.Float64 if values.dtype.kind == "f" else pl.String


def _distance(known: np.ndarray, values: np.ndarray) -> float:
    if known.dtype.kind == "f" and known.ndim == 2:  # vectors: the number that moved most
        return max(_distance(known[:, place], values[:, place]) for place in range(known.shape[1]))
    if known.dtype.kind == "f":
        known, values = np.sort(known), np.sort(values)
        points = np.concatenate([known, values])
        shares = [np.searchsorted(side, points, "right") / len(side) for side in (known, values)]
        return float(np.abs(shares[0] - shares[1]).max())
    if known.ndim == 2:  # entries of sequences, padding aside
        known, values = known[known != 0], values[values != 0]
    if not len(known) or not len(values):
        return float(len(known) != len(values))
    most = int(max(known.max(), values.max())) + 1
    shares = [np.bincount(side, minlength=most) / len(side) for side in (known, values)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def _share_known(known: np.ndarray, values: np.ndarray) -> float:
    return float(np.isin(values, np.unique(known)).mean())


def _times(spec: DatasetSpec, raw: Path) -> tuple[str | None, dict[str, tuple[float, float]]]:
    """The column of times, named by the split or by its usual name, and each split's first and last moment."""
    by_time = spec.split.column if spec.split and spec.split.by == "time" else None
    headers = [read_header(raw / spec.split_file(split), spec.file_format) for split in SPLITS]
    usual = (name for name in headers[0] if is_moment(name) and all(name in header for header in headers))
    for column in [by_time] if by_time else usual:
        try:
            return column, _spans(spec, raw, column)
        except NoMomentError:
            if by_time:
                raise
            # else only its name is a time's
    return None, {}


def _spans(spec: DatasetSpec, raw: Path, column: str) -> dict[str, tuple[float, float]]:
    """By split, the first and the last moment of a column.

    Raises:
        NoMomentError: a value is no moment.
    """
    tables = open_tables(spec, raw)
    division = divide(spec.split, raw / spec.train_data, spec.file_format, tables) if spec.split else None
    found = {}
    for split in SPLITS:
        needed = list(dict.fromkeys([column, *([spec.split.column] if spec.split and spec.split.column else [])]))
        blocks = split_blocks(spec, raw, split, needed if spec.is_divided(split) else [column], division)
        times = [moments(block, column) for block in blocks if block.frame.height]
        found[split] = (min(map(np.min, times)), max(map(np.max, times)))
    return found


def _warnings(data: PreparedData, found: Audit) -> list[str]:
    sentences = warnings(data.unknown)
    if data.card.valid_is_test:
        sentences.append("Validation is the test set, so whatever is chosen has seen the test labels.")
    sentences += [
        f"{name}: this column alone tells the label with an AUC of {column.alone:.4f}. It is an outcome and no "
        "feature, or the task is trivial."
        for name, column in found.columns.items()
        if column.alone is not None and column.alone > LEAK
    ]
    sentences += [
        f"{share:.1%} of the rows of {split} stand in train as well, label and all."
        for split, share in found.known_rows.items()
        if share > MOST_REPEATED
    ]
    for split in ("valid", "test"):
        rarer = round(found.rows[split] * min(found.positive_rate[split], 1 - found.positive_rate[split]))
        if rarer < FEW_ROWS_OF_A_CLASS:
            sentences.append(
                f"{split} has only {rarer} rows of the rarer class: large differences of models may be chance."
            )
    if found.times and found.times["train"][1] > found.times["test"][0]:
        sentences.append(
            f"By {found.time_column} train goes on after test has begun, so that models learn from the future of the "
            "rows that they are asked about."
        )
    return sentences

"""Boards -> the table of a paper: a row a model, a group of columns a dataset. A pure function, made without torch."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from fuxi_plugins.analysis.across import EACH_ITS_OWN, average_ranks
from fuxi_plugins.analysis.measures import Measure
from fuxi_plugins.analysis.statistics.noise import LEVEL
from fuxi_plugins.analysis.suite_board import SuiteBoard, require_each_dataset_once, require_models, whole_rows
from fuxi_plugins.analysis.uncertainty import ranked_by
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.metrics import Metric

RANK_DIGITS = 2


@dataclass(frozen=True)
class Column:
    dataset: str
    board: str  # the suite whose board the values are of
    measure: Measure
    best_baseline: str | None = None  # by which the stars of this column are given; None: the column has no stars


@dataclass(frozen=True)
class Entry:
    """One value of the table, or why there is none."""

    value: float | None
    std: float | None = None  # between seeds, of a metric; None for one seed
    seeds: int = 0
    reason: str = ""
    place: int | None = None  # 1: the best shown value of the column, 2: the second best; equal texts share it
    better: bool = False  # significantly better than the column's best baseline


@dataclass(frozen=True)
class Table:
    """
    Args:
        entries: by model, one a column.
        average_ranks: by model, over the datasets by the metric ``ranked_by``, among the models with a result on each
            of them; None for one dataset, without a metric that all datasets show, or where they were not asked for.
            Ranks on datasets of one log are averaged first.
        logs: by dataset, the name of its log.
        baselines: as they were named; relative columns are relative to the first.
        digits: decimals of a metric.
        notes: sentences that a reader must know.
    """

    columns: list[Column]
    entries: dict[str, list[Entry]]
    average_ranks: dict[str, Entry] | None
    baselines: list[str]
    digits: int
    notes: list[str]
    ranked_by: str | None = None
    logs: Mapping[str, str] = field(default_factory=dict)

    @property
    def models(self) -> list[str]:
        return list(self.entries)

    @property
    def datasets(self) -> list[str]:
        return list(dict.fromkeys(column.dataset for column in self.columns))

    def text(self, model: str, column: int) -> str:
        """A value as it is shown, or a dash."""
        value = self.entries[model][column].value
        return "–" if value is None else self.columns[column].measure.show(value, self.digits)

    def reasons(self) -> list[str]:
        """Why values are missing, each reason once."""
        missing = [entry for entries in self.entries.values() for entry in entries if entry.value is None]
        missing += [entry for entry in (self.average_ranks or {}).values() if entry.value is None]
        return list(dict.fromkeys(entry.reason for entry in missing))


def build_table(
    boards: Sequence[SuiteBoard],
    measures: Sequence[Measure] | Mapping[str, Sequence[Measure]],
    models: Sequence[str] = (),
    baselines: Sequence[str] = (),
    digits: int = 4,
    *,
    with_ranks: bool = True,
    logs: Mapping[str, str] = EACH_ITS_OWN,
) -> Table:
    """
    Args:
        boards: of one dataset each, with their uncertainty.
        measures: the columns of each dataset, or of each by its name.
        models: rows in this order. Default: all models of the boards, the best first.
        baselines: names of models. A star says that a model is significantly better than the best of them.
        digits: decimals of a metric.
        with_ranks: whether several datasets give average ranks, by the first metric that all of them show.
        logs: by dataset, the name of its log; a dataset that is not there is a log of its own.

    Raises:
        UserError: a dataset that stands twice, a name that no board has, or a relative measure without a baseline.
    """
    drawn_of = _measures_by_dataset(boards, measures)
    _check(boards, drawn_of, models, baselines)
    known = list(dict.fromkeys(name for board in boards for name in board.models))
    rows = list(models) or known
    columns: list[Column] = []
    entries: dict[str, list[Entry]] = {model: [] for model in rows}
    notes = [_how_sure(boards)] if baselines else []
    for board in boards:
        for measure in drawn_of[board.board.dataset]:
            best, better = _stars(board, measure, baselines)
            columns.append(Column(board.board.dataset, board.suite, measure, best))
            drawn = {model: _entry(board, model, measure, baselines) for model in rows}
            drawn = _with_places(drawn, partial(measure.shown_key, digits=digits))
            for model in rows:
                entries[model].append(replace(drawn[model], better=model in better))
        notes += [*_about_rows(board, rows), *board.board.outdated]
    metric = _shared_metric(list(drawn_of.values())) if with_ranks and len(boards) > 1 else None
    logs = {board.board.dataset: logs.get(board.board.dataset, board.board.dataset) for board in boards}
    ranks = _average_ranks(boards, rows, metric, list(logs.values())) if metric else None
    if not models:
        entries = {model: entries[model] for model in _order(entries, ranks, columns[0].measure.sort_key)}
    return Table(columns, entries, ranks, list(baselines), digits, notes, metric.name if metric else None, logs)


def _measures_by_dataset(
    boards: Sequence[SuiteBoard], measures: Sequence[Measure] | Mapping[str, Sequence[Measure]]
) -> dict[str, Sequence[Measure]]:
    """
    Raises:
        UserError: measures of a dataset that has no board, or none of one that has.
    """
    datasets = [board.board.dataset for board in boards]
    if not isinstance(measures, Mapping):
        return dict.fromkeys(datasets, measures)
    if wrong := [name for name in measures if name not in datasets]:
        raise UserError(f"metrics are named for {wrong[0]}, but the table is of {', '.join(datasets)}.")
    if missing := [name for name in datasets if not measures.get(name)]:
        raise UserError(f"no metrics are named for {missing[0]}; name some, or the same for all datasets.")
    return {name: measures[name] for name in datasets}


def _shared_metric(measures: Sequence[Sequence[Measure]]) -> Metric | None:
    """The first metric that stands in the columns of every dataset."""
    of_each = [{measure.metric.name for measure in listed} for listed in measures]
    return next((one.metric for one in measures[0] if all(one.metric.name in names for names in of_each)), None)


def _check(
    boards: Sequence[SuiteBoard],
    measures: Mapping[str, Sequence[Measure]],
    models: Sequence[str],
    baselines: Sequence[str],
) -> None:
    drawn = [measure for listed in measures.values() for measure in listed]
    if not boards or not drawn:
        raise UserError("a table needs at least one board and one metric.")
    require_each_dataset_once(boards)
    require_models(boards, [*models, *baselines])
    measured = {name for board in boards for name in board.board.metrics}
    for measure in drawn:
        if measure.metric.name not in measured:
            raise UserError(
                f"the boards must have measured {measure.metric.name}, but they measured {', '.join(sorted(measured))}."
            )
        if measure.relative and not baselines:
            raise UserError(f"{measure.name} is relative to a baseline, but none is named; name one with --baseline.")


def _entry(board: SuiteBoard, model: str, measure: Measure, baselines: Sequence[str]) -> Entry:
    name = measure.metric.name
    row = board.row(model)
    if row is None or name not in row.test:
        return Entry(None, reason=board.hole(model, measure.metric))
    summary = row.test[name]
    if not measure.relative:
        return Entry(summary.mean, summary.std, len(row.seeds))
    base = board.row(baselines[0])
    if base is None or name not in base.test:
        return Entry(None, reason=f"{baselines[0]} has no result on {board.board.dataset}")
    value = measure.value(summary.mean, base.test[name].mean)
    if value is None:
        return Entry(None, reason=f"{baselines[0]} is no better than chance")
    return Entry(value, seeds=len(row.seeds))


def _with_places(entries: dict[str, Entry], shown_key: Callable[[float], float]) -> dict[str, Entry]:
    """Marks the best and the second best of the values as they are shown; the smallest key is the best."""
    keys = {model: shown_key(entry.value) for model, entry in entries.items() if entry.value is not None}
    places = dict(zip(sorted(set(keys.values())), (1, 2), strict=False))
    return {
        model: replace(entry, place=places.get(keys[model])) if model in keys else entry
        for model, entry in entries.items()
    }


def _stars(board: SuiteBoard, measure: Measure, baselines: Sequence[str]) -> tuple[str | None, set[str]]:
    """The best baseline in a metric, and the models that are significantly better; no stars in relative columns."""
    metric = measure.metric.name
    if measure.relative or metric not in board.board.metrics:
        return None, set()
    ranked = ranked_by(board.board, metric)
    here = [row.display_name for row in ranked.ranked() if row.display_name in baselines]  # in the order of the ranks
    return (here[0] if here else None), {row.display_name for row in ranked.better_than_best_of(here)}


def _average_ranks(
    boards: Sequence[SuiteBoard], models: Sequence[str], metric: Metric, logs: Sequence[str]
) -> dict[str, Entry]:
    whole, _ = whole_rows(boards, models, metric)
    keys = [[metric.sort_key(row.test[metric.name].mean) for row in rows] for rows in whole.values()]
    ranks = dict(zip(whole, average_ranks(np.array(keys).T, logs).tolist(), strict=True)) if whole else {}
    entries = {
        model: Entry(ranks[model]) if model in ranks else Entry(None, reason="no result on every dataset")
        for model in models
    }
    return _with_places(entries, lambda rank: round(rank, RANK_DIGITS))


def _order(
    entries: Mapping[str, Sequence[Entry]], ranks: Mapping[str, Entry] | None, first_key: Callable[[float], float]
) -> list[str]:
    """Models by their average rank, else by the first column, whose best value has the smallest key; the rest last."""

    def key(model: str) -> float:
        value = ranks[model].value if ranks else entries[model][0].value
        if value is None:
            return math.inf
        return value if ranks else first_key(value)

    return sorted(entries, key=key)


def _how_sure(boards: Sequence[SuiteBoard]) -> str:
    """What the stars count."""
    without = [board.board.dataset for board in boards if board.board.evidence is None]
    said = f"Significance is two-sided, by Holm's procedure over all pairs of rows of each board, level {LEVEL:.0%}."
    if not without:
        return f"{said} It counts the sampling of test rows and the noise between seeds."
    return f"{said} On {', '.join(without)} it counts the noise between seeds only: the test labels were not at hand."


def _about_rows(board: SuiteBoard, models: Sequence[str]) -> list[str]:
    """Shown rows of which some runs are missing."""
    found = []
    for model in models:
        row = board.row(model)
        if row is not None and row.seeds and len(row.seeds) < row.expected_seeds:
            problems = "; ".join(row.problems)
            found.append(
                f"{model} on {board.board.dataset}: {len(row.seeds)} of {row.expected_seeds} seeds ({problems})."
            )
    return found

"""Records -> leaderboard: a pure function, worked out without torch."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fuxi_plugins.analysis.leaderboard import Cell, Leaderboard, Row, Summary
from fuxi_plugins.analysis.published import PublishedResult, published_result, published_runs
from fuxi_plugins.analysis.run_warnings import warnings_of
from fuxi_plugins.analysis.training_steps import few_steps
from fuxi_plugins.analysis.verdict import Verdict, judge, why_other_data
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.differences import differences
from fuxi_plugins.records.metrics import find_metric, main_metric
from fuxi_plugins.records.record import DEVIATING_SETTINGS, FinishedRun, Record, finished_runs


def build_leaderboard(
    dataset: str,
    records: Iterable[Record],
    cells: Sequence[Cell],
    results: Path,
    rank_by: str | None = None,
    left_out: Mapping[str, str] | None = None,
    unread: Mapping[tuple[str, int], str] | None = None,
) -> Leaderboard:
    """Ranks the models of a dataset by their mean on test; validation chooses a model's configuration.

    Args:
        dataset: whose board.
        records: any records; those that no cell expects are left out.
        cells: the runs that the board expects, finished or not.
        results: folder with the published results.
        rank_by: a metric that all records have. Default: the first of the table of metrics that they have.
        left_out: rows whose runs do not count, by their keys, with what is wrong with them.
        unread: experiment and seed of records that could not be read, with the reason.

    Raises:
        UserError: the runs learn different labels, none has finished, or they lack the metric.
    """
    cells = [cell for cell in cells if cell.dataset == dataset]
    found = {(record.experiment, record.seed): record for record in records if record.dataset == dataset}
    ours = [found[key] for cell in cells if (key := (cell.experiment, cell.seed)) in found]
    finished = finished_runs(ours)
    _require_one_label(dataset, finished)
    other_data = _of_other_data(finished)
    if not finished:
        why = "".join(f" {reason}" for reason in (unread or {}).values())
        raise UserError(f"the board of {dataset} has no finished run yet; 'fuxibench run SUITE' trains its rows.{why}")
    finished = [record for record in finished if (record.experiment, record.seed) not in other_data]
    found = {key: record for key, record in found.items() if key not in other_data}
    unread = {**(unread or {}), **other_data}
    metrics = [name for name in finished[0].metrics["test"] if all(name in r.metrics["test"] for r in finished)]
    rank_by = _measured(rank_by, metrics, dataset)
    left_out = left_out or {}
    display_names = dict.fromkeys(cell.display_name for cell in cells)
    rows = [
        row
        for display_name in display_names
        for row in _rows(display_name, cells, found, left_out, unread, results, rank_by)
    ]
    ranked = sorted((row for row in rows if row.seeds), key=lambda row: _sort_key(row.test, rank_by))
    numbered = [_with_rank(row, rank) for rank, row in enumerate(ranked, start=1)]
    return Leaderboard(
        dataset=dataset,
        data=finished[0].data,
        rank_by=rank_by,
        metrics=metrics,
        rows=numbered + [row for row in rows if not row.seeds],
    )


def _measured(asked: str | None, metrics: Sequence[str], dataset: str) -> str:
    """The metric to rank by, which all finished runs must have measured."""
    if not metrics:
        raise UserError(f"the runs of {dataset} have no metric in common, so that no board can rank them.")
    name = find_metric(asked).name if asked else main_metric(metrics)
    if name not in metrics:
        raise UserError(
            f"the board is to be ranked by {name}, but the records measure {', '.join(metrics)}. Runs measure what "
            "their experiments list in metrics; add it there and run them again."
        )
    return name


def _rows(
    display_name: str,
    cells: Sequence[Cell],
    found: Mapping[tuple[str, int], Record],
    left_out: Mapping[str, str],
    unread: Mapping[tuple[str, int], str],
    results: Path,
    rank_by: str,
) -> list[Row]:
    """The row of a model, and one more for each other digest among the runs of its experiment.

    Of a model's configurations, validation chooses one. A digest names settings and code, so that runs of two are never
    averaged: the one with the most seeds, the latest of equals, is the model's.
    """
    configurations: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.display_name == display_name:
            configurations.setdefault(cell.experiment, []).append(cell)
    runs = {name: _by_digest(listed, found, left_out) for name, listed in configurations.items()}
    candidates = [name for name in configurations if runs[name]]
    if candidates:
        chosen = min(candidates, key=lambda name: _sort_key(_summaries(runs[name][0], "valid"), rank_by))
    else:
        chosen = next(iter(configurations))
    listed = configurations[chosen]
    if chosen in left_out:
        problems = [f"left out: {left_out[chosen]}"]
    else:
        problems = [text for cell in listed if (text := _problem(cell, found, unread))]
    hparam_source = "tuned" if len(configurations) > 1 else listed[0].hparam_source
    common: dict[str, Any] = {"experiment": chosen, "variants": len(configurations), "hparam_source": hparam_source}
    if not runs[chosen]:
        return [
            Row(display_name, chosen, model="", rank=None, seeds=[], expected_seeds=len(listed), test={}, valid={},
                parameters=None, seconds_per_epoch=None, published=None, problems=problems, **common)
        ]  # fmt: skip
    first, *others = runs[chosen]
    rows = [_row(display_name, chosen, first, len(listed), problems, results, rank_by, common)]
    for other in others:
        seeds = ", ".join(str(record.seed) for record in other)
        differs = "; ".join(differences(first[0], other[0]))
        problems.append(f"seed {seeds}: run with other settings or code, so in a row of its own ({differs})")
        said = [f"differs from {display_name} in: {differs}"]
        rows.append(
            _row(f"{display_name} (seed {seeds})", own_key(other[0]), other, len(other), said, results, rank_by, common)
        )
    return rows


def own_key(record: Record) -> str:
    """Names the row of runs whose digest is not that of most of their experiment."""
    return f"{record.experiment}#{record.digest[:12]}"


def _by_digest(
    cells: Sequence[Cell], found: Mapping[tuple[str, int], Record], left_out: Mapping[str, str]
) -> list[list[FinishedRun]]:
    """The finished runs of one experiment by their digest; the most seeds first, of equals the latest."""
    groups: dict[str, list[FinishedRun]] = {}
    for cell in cells:
        record = found.get((cell.experiment, cell.seed))
        if isinstance(record, FinishedRun):
            groups.setdefault(record.digest, []).append(record)
    ordered = sorted(groups.values(), key=lambda group: (len(group), max(r.started for r in group)), reverse=True)
    return [
        group for place, group in enumerate(ordered)
        if (own_key(group[0]) if place else group[0].experiment) not in left_out
    ]  # fmt: skip


def _row(
    display_name: str,
    key: str,
    records: Sequence[FinishedRun],
    expected_seeds: int,
    problems: list[str],
    results: Path,
    rank_by: str,
    common: Mapping[str, Any],
) -> Row:
    first = records[0]
    test = _summaries(records, "test")
    name = first.published_as or first.display_name
    published = published_result(results, first.data.published_as, name)
    return Row(
        display_name=display_name + _deviating_settings(first),
        key=key,
        variant=first.variant,
        model=first.model,
        rank=None,
        seeds=[record.seed for record in records],
        expected_seeds=expected_seeds,
        test=test,
        valid=_summaries(records, "valid"),
        parameters=first.parameters,
        seconds_per_epoch=statistics.median(record.seconds.per_epoch for record in records),
        published=published,
        problems=problems,
        warnings=[f"seed {record.seed}: {text}" for record in records for text in warnings_of(record)],
        few_steps=min((steps for record in records if (steps := few_steps(record))), default=None),
        machines=_machines(records),
        cost=next((record.cost for record in records if record.cost), None),
        submitted_by=first.submitted_by,
        verdict=_verdict(first, test.get(rank_by), published, results, name, rank_by),
        **common,
    )


def _machines(records: Sequence[FinishedRun]) -> dict[str, list[int]]:
    """Seeds by the kind of machine, of which two differ in a run's last digits."""
    kinds: dict[str, list[int]] = {}
    for record in records:
        if machine := record.machine:
            torch = machine.versions.get("torch", "unknown")
            kind = f"{machine.device}, {machine.processor}, {machine.cpu or 'kernels unknown'}, torch {torch}"
            kinds.setdefault(kind, []).append(record.seed)
    return kinds


def _deviating_settings(record: FinishedRun) -> str:
    """The settings that no one should compare over without knowing, as `` [amp=bf16]``."""
    training = record.params.get("training", {})
    said = [f"{name}={training[name]}" for name in DEVIATING_SETTINGS if training.get(name)]
    return f" [{', '.join(said)}]" if said else ""


def _verdict(
    first: FinishedRun,
    summary: Summary | None,
    published: PublishedResult | None,
    results: Path,
    name: str,
    metric: str,
) -> Verdict | None:
    if summary is None or published is None or metric not in published.metrics:
        return None
    runs = published_runs(results, published.dataset, name, metric)
    other = why_other_data(first.dataset, published.dataset)
    return judge(list(summary.by_seed.values()), published.metrics[metric], runs, other)


def _summaries(records: Sequence[FinishedRun], split: str) -> dict[str, Summary]:
    summaries = {}
    for metric in records[0].metrics[split]:
        by_seed = {record.seed: record.metrics[split][metric] for record in records}
        values = sorted(by_seed.values(), key=find_metric(metric).sort_key)
        summaries[metric] = Summary(
            mean=statistics.fmean(values),
            std=float(np.std(values, ddof=1)) if len(values) > 1 else None,  # statistics.stdev counts in fractions
            best=values[0],
            worst=values[-1],
            by_seed=by_seed,
        )
    return summaries


def _sort_key(summaries: dict[str, Summary], rank_by: str) -> float:
    return find_metric(rank_by).sort_key(summaries[rank_by].mean)


def _with_rank(row: Row, rank: int) -> Row:
    return replace(row, rank=rank)


def _problem(cell: Cell, found: Mapping[tuple[str, int], Record], unread: Mapping[tuple[str, int], str]) -> str:
    key = (cell.experiment, cell.seed)
    record = found.get(key)
    if record is None and key in unread:
        return f"seed {cell.seed}: {unread[key]}"
    if record is None:
        return f"seed {cell.seed}: not run"
    return "" if isinstance(record, FinishedRun) else f"seed {cell.seed}: {record.status}: {record.reason}"


def _require_one_label(dataset: str, records: Sequence[FinishedRun]) -> None:
    by_label: dict[str, FinishedRun] = {}
    for record in records:
        by_label.setdefault(", ".join(record.data.learned_labels), record)
    if len(by_label) > 1:
        learned = "; ".join(f"{run.experiment} seed {run.seed} learns {label}" for label, run in by_label.items())
        raise UserError(
            f"the rows of a board of {dataset} must learn the same label, but {learned}. Make a suite for each label."
        )


def _of_other_data(records: Sequence[FinishedRun]) -> dict[tuple[str, int], str]:
    """Runs that cannot stand beside the latest one, for they saw other data; by experiment and seed, in words."""
    latest = max(records, key=lambda record: record.started, default=None)
    return {
        (record.experiment, record.seed): f"left out, for it ran on other data ({record.data.fingerprint[:12]})"
        for record in records
        if latest and record.data.fingerprint != latest.data.fingerprint
    }

"""Records -> leaderboard: a pure function, worked out without torch."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from fuxi_plugins.analysis.evidence import Evidence
from fuxi_plugins.analysis.published import PublishedResult, published_result, published_runs
from fuxi_plugins.analysis.run_warnings import alarms
from fuxi_plugins.analysis.statistics.inference import Interval
from fuxi_plugins.analysis.verdict import Verdict, judge, why_other_data
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.record import DECLARED_SETTINGS, Cost, DataCard, Parameters, Record


@dataclass(frozen=True)
class Cell:
    """A run that a board expects."""

    dataset: str
    experiment: str
    preset: str
    seed: int
    settings_from: str = "default"  # or "published" or "tuned": where the experiment's hyper-parameters come from


@dataclass(frozen=True)
class Summary:
    """A metric over seeds."""

    mean: float
    std: float | None  # sample standard deviation; None for a single seed
    best: float  # the highest AUC or lowest logloss of any seed
    worst: float


@dataclass(frozen=True)
class Row:
    """One preset on one dataset."""

    preset: str
    experiment: str
    model: str
    rank: int | None  # by the test mean; None when no seed has finished
    seeds: list[int]  # finished
    expected_seeds: int
    test: dict[str, Summary]
    valid: dict[str, Summary]
    parameters: Parameters | None
    seconds_per_epoch: float | None
    published: PublishedResult | None
    problems: list[str] = field(default_factory=list)  # failed or missing runs with their reasons
    variants: int = 1  # configurations among which validation chose this one
    settings_from: str = "default"
    intervals: dict[str, Interval] = field(default_factory=dict)  # by metric, of the test mean
    rank_range: tuple[int, int] | None = None  # ranks that the noise leaves possible
    calibration: dict[str, float] = field(default_factory=dict)
    alarms: list[str] = field(default_factory=list)  # sentinels that some run has tripped
    verdict: Verdict | None = None  # on the published value of the board's metric
    cost: Cost | None = None  # where it has been measured

    def difference(self, metric: str) -> float | None:
        """Ours less the published value."""
        if self.published is None or metric not in self.published.metrics or metric not in self.test:
            return None
        return self.test[metric].mean - self.published.metrics[metric]


@dataclass(frozen=True)
class Leaderboard:
    dataset: str
    data: DataCard
    rank_by: str
    metrics: list[str]
    rows: list[Row]
    ties: list[tuple[int, int]] = field(default_factory=list)  # first and last rank of models not told apart
    smallest_detectable: float | None = None  # difference in ``rank_by``, for the median pair
    evidence: Evidence | None = None  # of the sampling of test rows; without it only the seeds' noise is known


def build_leaderboard(
    dataset: str, records: Iterable[Record], cells: Sequence[Cell], results: Path, rank_by: str = "AUC"
) -> Leaderboard:
    """Ranks the presets of a dataset by their mean on test; which configuration stands for a preset is chosen
    by its mean on validation.

    Args:
        dataset: whose board.
        records: any records; those that no cell expects are left out.
        cells: the runs that the board expects, finished or not.
        results: folder with the published results.
        rank_by: ``AUC``, ``gAUC`` or ``logloss``.

    Raises:
        UserError: the records do not share one data fingerprint, or none has finished.
    """
    cells = [cell for cell in cells if cell.dataset == dataset]
    found = {(record.experiment, record.seed): record for record in records if record.dataset == dataset}
    ours = [found[key] for cell in cells if (key := (cell.experiment, cell.seed)) in found]
    finished = [record for record in ours if record.finished]
    if not finished:
        raise UserError(f"the board of {dataset} has no finished run yet.")
    _require_one_fingerprint(dataset, finished)
    rows = [_row(preset, cells, found, results, rank_by) for preset in dict.fromkeys(cell.preset for cell in cells)]
    ranked = sorted((row for row in rows if row.seeds), key=lambda row: _sort_key(row.test, rank_by))
    numbered = [_with_rank(row, rank) for rank, row in enumerate(ranked, start=1)]
    return Leaderboard(
        dataset=dataset,
        data=finished[0].data,
        rank_by=rank_by,
        metrics=list(finished[0].metrics["test"]),
        rows=numbered + [row for row in rows if not row.seeds],
    )


def higher_is_better(metric: str) -> bool:
    return metric != "logloss"


def _row(preset: str, cells: Sequence[Cell], found: dict[tuple[str, int], Record], results: Path, rank_by: str) -> Row:
    variants: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.preset == preset:
            variants.setdefault(cell.experiment, []).append(cell)

    def runs(experiment: str) -> list[Record]:
        present = (found.get((experiment, cell.seed)) for cell in variants[experiment])
        return [record for record in present if record is not None and record.finished]

    candidates = [experiment for experiment in variants if runs(experiment)]
    if not candidates:
        chosen = next(iter(variants))
    else:
        chosen = min(candidates, key=lambda experiment: _sort_key(_summaries(runs(experiment), "valid"), rank_by))
    records = runs(chosen)
    problems = [text for cell in variants[chosen] if (text := _problem(cell, found))]
    settings_from = "tuned" if len(variants) > 1 else variants[chosen][0].settings_from
    if not records:
        return Row(
            preset, chosen, "", None, [], len(variants[chosen]), {}, {}, None, None, None, problems,
            settings_from=settings_from,
        )  # fmt: skip
    first = records[0]
    test = _summaries(records, "test")
    name = first.published_as or preset
    published = published_result(results, first.data.published_as, name)
    return Row(
        preset=preset + _declared(first),
        experiment=chosen,
        model=first.model,
        rank=None,
        seeds=[record.seed for record in records],
        expected_seeds=len(variants[chosen]),
        test=test,
        valid=_summaries(records, "valid"),
        parameters=first.parameters,
        seconds_per_epoch=statistics.median(record.seconds.per_epoch for record in records),
        published=published,
        problems=problems,
        variants=len(variants),
        settings_from=settings_from,
        alarms=[f"seed {record.seed}: {text}" for record in records for text in alarms(record)],
        cost=next((record.cost for record in records if record.cost), None),
        verdict=_verdict(first, test.get(rank_by), len(records), published, results, name, rank_by),
    )


def _declared(record: Record) -> str:
    """The settings that no one should compare over without knowing, as `` [amp=bf16]``."""
    training = record.params.get("training", {})
    said = [f"{name}={training[name]}" for name in DECLARED_SETTINGS if training.get(name)]
    return f" [{', '.join(said)}]" if said else ""


def _verdict(
    first: Record,
    summary: Summary | None,
    seeds: int,
    published: PublishedResult | None,
    results: Path,
    name: str,
    metric: str,
) -> Verdict | None:
    if summary is None or published is None or metric not in published.metrics:
        return None
    runs = published_runs(results, published.dataset, name, metric)
    other = why_other_data(first.dataset, published.dataset)
    return judge(summary.mean, summary.std, seeds, published.metrics[metric], runs, other)


def _summaries(records: Sequence[Record], split: str) -> dict[str, Summary]:
    summaries = {}
    for metric in records[0].metrics[split]:
        values = sorted((record.metrics[split][metric] for record in records), reverse=higher_is_better(metric))
        summaries[metric] = Summary(
            mean=statistics.fmean(values),
            std=float(np.std(values, ddof=1)) if len(values) > 1 else None,  # statistics.stdev counts in fractions
            best=values[0],
            worst=values[-1],
        )
    return summaries


def _sort_key(summaries: dict[str, Summary], rank_by: str) -> float:
    if rank_by not in summaries:
        raise UserError(f"the board is to be ranked by {rank_by}, but the records measure {', '.join(summaries)}.")
    mean = summaries[rank_by].mean
    return -mean if higher_is_better(rank_by) else mean


def _with_rank(row: Row, rank: int) -> Row:
    return replace(row, rank=rank)


def _problem(cell: Cell, found: dict[tuple[str, int], Record]) -> str:
    record = found.get((cell.experiment, cell.seed))
    if record is None:
        return f"seed {cell.seed}: not run"
    return "" if record.finished else f"seed {cell.seed}: {record.status}: {record.reason}"


def _require_one_fingerprint(dataset: str, records: Sequence[Record]) -> None:
    by_fingerprint: dict[str, list[str]] = {}
    for record in records:
        by_fingerprint.setdefault(record.data.fingerprint, []).append(f"{record.experiment} seed {record.seed}")
    if len(by_fingerprint) > 1:
        groups = "; ".join(
            f"{fingerprint[:12]}: {names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}"
            for fingerprint, names in by_fingerprint.items()
        )
        raise UserError(
            f"the records of {dataset} come from different data and cannot share a table ({groups}). "
            "Repeat the runs of one group with --force, or move them out of the results folder."
        )

"""The reproduction ledger: for every published cell what the paper says, what BARS says and what we measured.

A cell is a model on a dataset. Facts stand in ``results/published``; ours are the records.
"""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import spearmanr

from fuxi_plugins.analysis.published import VALID_IS_TEST, PublishedResult, load_published, published_runs
from fuxi_plugins.analysis.statistics.inference import infer
from fuxi_plugins.analysis.statistics.noise import Interval
from fuxi_plugins.analysis.verdict import Verdict, judge, why_other_data
from fuxi_plugins.records.metrics import find_metric, main_metric
from fuxi_plugins.records.record import FinishedRun, Record, finished_runs

NOT_RUN = Verdict("not run", "")
NOT_PUBLISHED = Verdict("not published", "")


@dataclass(frozen=True)
class Ours:
    dataset: str
    experiment: str
    values: list[float]  # one a seed
    interval: Interval | None  # over seeds: the test rows are those of the published value

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def std(self) -> float | None:
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def seeds(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Entry:
    """One cell of the ledger, in one metric."""

    dataset: str  # the published name
    model: str
    metric: str
    paper: float | None
    bars: float | None  # BARS's leaderboard, or its log where that has more digits
    bars_mean: float | None  # of its runs, where it published several
    bars_best: float | None
    bars_runs: int
    valid_is_test: bool  # the published number was tuned on the test labels
    ours: Ours | None
    verdict: Verdict
    source: str

    @property
    def reference(self) -> float | None:
        """What ours is held against: a mean of several runs before a single run before a paper."""
        return next((value for value in (self.bars_mean, self.bars, self.paper) if value is not None), None)

    @property
    def gap(self) -> float | None:
        return self.ours.mean - self.reference if self.ours and self.reference is not None else None


@dataclass(frozen=True)
class Agreement:
    """How near the published values of a dataset and ours lie, over the models that have both."""

    dataset: str  # the published name
    models: int
    median_gap: float  # of the absolute gaps
    spearman: float  # between the two orders of the models


def agreements(entries: Iterable[Entry]) -> list[Agreement]:
    """One for each dataset of which at least three models have both values: fewer have no order to speak of."""
    pairs: dict[str, list[tuple[float, float]]] = {}  # the published value and ours
    for entry in entries:
        if entry.ours and entry.reference is not None:
            pairs.setdefault(entry.dataset, []).append((entry.reference, entry.ours.mean))
    return [
        Agreement(
            dataset,
            len(both),
            statistics.median(abs(mine - published) for published, mine in both),
            float(spearmanr(*zip(*both, strict=True)).statistic),
        )
        for dataset, both in pairs.items()
        if len(both) >= 3
    ]


def build_ledger(records: Iterable[Record], results: Path, metric: str = main_metric()) -> list[Entry]:
    """Every published cell, and every one of ours on a dataset that has published ones; those that we ran first."""
    ours = _ours(records, metric)
    cells: dict[tuple[str, str], list[PublishedResult]] = {}
    for row in load_published(results):
        if metric in row.metrics and not row.is_grid:
            cells.setdefault((row.dataset, row.model), []).append(row)
    entries = []
    for dataset, model in dict.fromkeys([*ours, *cells]):
        published = cells.get((dataset, model), [])
        entries += [
            _entry(dataset, model, metric, published, mine, results) for mine in ours.get((dataset, model), [None])
        ]
    return entries


def _entry(
    dataset: str, model: str, metric: str, published: list[PublishedResult], ours: Ours | None, results: Path
) -> Entry:
    runs = published_runs(results, dataset, model, metric)
    by_source = sorted(published, key=lambda row: row.rank_of_source)
    papers = [row for row in by_source if row.is_paper]
    bars = [row for row in by_source if row.source.startswith("BARS")]
    # The leaderboard's number is a run; the log's is the same run with more digits, unless it is a mean.
    single = next((row for row in bars if row.kind == "single run" and not row.is_leaderboard), None)
    single = single or next((row for row in bars if row.is_leaderboard), None)
    named = single or (papers[0] if papers else by_source[0] if by_source else None)
    reference = runs.mean if runs else named.metrics[metric] if named else None
    if ours is None:
        verdict = NOT_RUN
    elif reference is None:
        verdict = NOT_PUBLISHED
    else:
        other = why_other_data(ours.dataset, dataset)
        verdict = judge(ours.values, reference, runs, other)
    return Entry(
        dataset=dataset,
        model=model,
        metric=metric,
        paper=papers[0].metrics[metric] if papers else None,
        bars=single.metrics[metric] if single else None,
        bars_mean=runs.mean if runs else None,
        bars_best=min(runs.values, key=find_metric(metric).sort_key) if runs else None,
        bars_runs=len(runs.values) if runs else int(single is not None),
        valid_is_test=dataset in VALID_IS_TEST,
        ours=ours,
        verdict=verdict,
        source=named.source if named else "",
    )


def _ours(records: Iterable[Record], metric: str) -> dict[tuple[str, str], list[Ours]]:
    """Ours by published name, of the runs that are results: trials of a search and studies at other sizes are none."""
    # By published name, dataset, experiment and digest; runs of two digests are never averaged.
    runs: dict[tuple[str, str, str, str], list[FinishedRun]] = {}
    for record in finished_runs(records):
        published_as = record.data.published_as
        if published_as and record.role == "result" and metric in record.metrics["test"]:
            runs.setdefault((published_as, record.dataset, record.experiment, record.digest), []).append(record)
    cells: dict[tuple[str, str], list[Ours]] = {}
    for (published_as, dataset, experiment, _), group in runs.items():
        by_seed = {record.seed: record.metrics["test"][metric] for record in group}
        key = (published_as, group[0].published_as or group[0].preset)
        (interval,) = infer({experiment: by_seed}, find_metric(metric)).intervals
        cells.setdefault(key, []).append(Ours(dataset, experiment, list(by_seed.values()), interval))
    return cells

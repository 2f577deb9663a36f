"""The table of runs that BARS's result folders report."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from fuxi_plugins.analysis.published import published_result
from fuxi_plugins.core.cleaning import csv_text, markdown
from fuxi_plugins.records.metrics import Metric, find_metric, main_metric
from fuxi_plugins.submissions.bars_history import ReportedRun, by_folder

UNVERIFIED = (
    "Unverified: these numbers were read from result files of others. Without predictions nobody can recompute them, "
    "so they stand on no board."
)


def plain_rows(runs: Sequence[ReportedRun]) -> list[dict[str, object]]:
    """One row a run, with a plain name for each column."""
    metrics = list(dict.fromkeys(name for run in runs for name in run.test))
    return [
        {
            "tier": "unverified",
            "dataset": run.dataset,
            "model": run.model,
            "run": run.run,
            "seed": run.seed,
            "time": run.time,
            **{f"valid_{name}": run.valid.get(name) for name in metrics},
            **{f"test_{name}": run.test.get(name) for name in metrics},
            "experiment": run.experiment,
            "folder": run.folder,
        }
        for run in runs
    ]


def render_csv(runs: Sequence[ReportedRun]) -> str:
    rows = plain_rows(runs)
    return csv_text(list(rows[0]) if rows else [], (row.values() for row in rows))


@dataclass(frozen=True)
class Reported:
    """What one folder reports of a model on a dataset."""

    runs: list[ReportedRun]  # of one configuration
    configurations: int  # among which validation chose that one
    metric: Metric  # that its dataset is ordered by
    published: float | None

    @property
    def mean(self) -> float | None:
        return statistics.fmean(values) if (values := self.values(self.metric.name)) else None

    @property
    def difference(self) -> float | None:
        """The mean less the published value."""
        return None if self.mean is None or self.published is None else self.mean - self.published

    def values(self, metric: str) -> list[float]:
        return [run.test[metric] for run in self.runs if metric in run.test]


def reported(runs: Sequence[ReportedRun], results: Path) -> dict[str, list[Reported]]:
    """What the folders report, dataset by dataset, the best mean first.

    Args:
        results: folder with the published results.
    """
    found: dict[str, list[Reported]] = {}
    for dataset in dict.fromkeys(run.dataset for run in runs):
        own = [run for run in runs if run.dataset == dataset]
        metric = find_metric(main_metric([name for run in own for name in run.test]))
        for (_, model, _), group in by_folder(own).items():
            published = published_result(results, dataset, model)
            value = published.metrics.get(metric.name) if published else None
            chosen = _chosen(group, metric)
            number = len(group) if chosen is not group else 1
            found.setdefault(dataset, []).append(Reported(chosen, number, metric, value))
        found[dataset].sort(key=lambda one: (one.mean is None, one.mean is not None and one.metric.sort_key(one.mean)))
    return found


def _chosen(group: list[ReportedRun], metric: Metric) -> list[ReportedRun]:
    """The group, or where its lines are those of a search, the one with the best validation metric.

    Lines over several seeds say their seeds; several without are one for each configuration.
    """
    tried = [run for run in group if metric.name in run.valid]
    if len(group) == 1 or any(run.seed is not None for run in group) or not tried:
        return group
    return [min(tried, key=lambda run: metric.sort_key(run.valid[metric.name]))]


def agreement(runs: Sequence[ReportedRun], results: Path) -> str:
    """A sentence on how many folders report the published value, but for the last digit that is shown."""
    listed = [one for group in reported(runs, results).values() for one in group]
    compared = [one for one in listed if one.difference is not None]
    equal = [one for one in compared if abs(one.difference or 0) < 10**-one.metric.digits]
    return f"{len(equal)} of the {len(compared)} folders with a published value report that value."


def render_markdown(runs: Sequence[ReportedRun], results: Path) -> str:
    """One row a folder beside the published value.

    Args:
        results: folder with the published results.
    """
    parts = ["# Reported runs\n", f"{UNVERIFIED}\n", agreement(runs, results) + "\n"]
    for dataset, listed in reported(runs, results).items():
        metrics = list(dict.fromkeys(name for one in listed for run in one.runs for name in run.test))
        header = ["model", *metrics, "runs", "last run", f"published {listed[0].metric.name}", "difference", "folder"]
        table = tabulate(
            [[markdown(cell) for cell in _cells(one, metrics)] for one in listed],
            headers=header,
            tablefmt="pipe",
            disable_numparse=True,
            colalign=["left", *["right"] * (len(header) - 2), "left"],
        )
        parts.append(f"## {markdown(dataset)}\n\n{table}\n")
    return "\n".join(parts)


def _cells(one: Reported, metrics: Sequence[str]) -> list[str]:
    return [
        one.runs[0].model,
        *(_spread(name, one.values(name)) for name in metrics),
        str(len(one.runs)) + (f" (best of {one.configurations} by validation)" if one.configurations > 1 else ""),
        max(run.time for run in one.runs)[:10],
        "–" if one.published is None else one.metric.show(one.published),
        "–" if one.difference is None else one.metric.show_difference(one.difference),
        one.runs[0].folder,
    ]


def _spread(name: str, values: Sequence[float]) -> str:
    if not values:
        return "–"
    show = find_metric(name).show
    return show(statistics.fmean(values)) + (f" ± {show(statistics.stdev(values))}" if len(values) > 1 else "")

"""Published results, facts with their sources; shown beside ours, never ranked among them."""

import csv
import statistics
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fuxi_plugins.core.workspace import CATALOGUE
from fuxi_plugins.records.metrics import is_metric

PUBLISHED_FOLDER = "published"
PUBLISHED_FILE = "published_results.csv"
SEED_RUNS_FILE = "published_seed_runs.csv"

# What one table calls otherwise than the others.
MODEL_NAMES = {
    "YoutubeDNN": "DNN",
    "MLP": "DNN",
    "DCN-V2": "DCNv2",
    "CrossNet-V2": "CrossNetv2",
    "Wide&Deep": "WideDeep",
    "DeepCross": "DeepCrossing",
}
DATASET_NAMES = {"Avazu_x4": "Avazu_x4_001"}  # the RankElastor paper's; its authors' configs are of x4_001's setting
# BARS has no validation split of these: its configs name the test file twice, so tuning has seen the test labels.
VALID_IS_TEST = frozenset({"KuaiVideo_x1", "TaobaoAd_x1", "AmazonElectronics_x1", "MicroVideo1.7M_x1"})


@dataclass(frozen=True)
class PublishedResult:
    dataset: str
    model: str
    metrics: dict[str, float]
    source: str

    @property
    def kind(self) -> str:
        """How many runs stand behind the number, as far as its source says."""
        if "avg of" in self.source:
            number, what = self.source.split("avg of")[1].split()[:2]
            return f"mean of {number} {what.strip('),')}" + (" points" if what == "grid" else "")
        if self.is_paper:
            return "paper"
        return "single run"

    @property
    def is_paper(self) -> bool:
        return "arXiv" in self.source

    @property
    def is_leaderboard(self) -> bool:
        return self.source.startswith("BARS leader")

    @property
    def is_grid(self) -> bool:
        """A mean over different configurations is no result of any of them."""
        return "grid points" in self.source

    @property
    def rank_of_source(self) -> int:
        """Means of several seeds and full digits first: BARS's run logs, then its leaderboard, then papers."""
        return next(
            (i for i, prefix in enumerate(("BARS run", "BARS leader", "arXiv")) if self.source.startswith(prefix)),
            3,
        )


@dataclass(frozen=True)
class PublishedRuns:
    """Published runs of one cell, one by one."""

    values: list[float]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def variance(self) -> float:
        return statistics.variance(self.values)


@cache
def load_published(results: Path) -> tuple[PublishedResult, ...]:
    """Every published result in ``results/published``, or of the shipped tables where there is no such folder."""
    return tuple(
        PublishedResult(
            dataset=DATASET_NAMES.get(row["dataset"], row["dataset"]),
            model=MODEL_NAMES.get(row["model"], row["model"]),
            metrics=_metrics(row),
            source=row["source"],
        )
        for row in read_published(results, PUBLISHED_FILE)
    )


def published_result(results: Path, dataset: str | None, model: str) -> PublishedResult | None:
    """The published result to print beside ours: the one with most runs and digits behind it."""
    found = [row for row in load_published(results) if (row.dataset, row.model) == (dataset, model)]
    return min((row for row in found if not row.is_grid), key=lambda row: row.rank_of_source, default=None)


def published_runs(results: Path, dataset: str, model: str, metric: str) -> PublishedRuns | None:
    """BARS's runs of a cell over several seeds, where it published them."""
    values = _seed_runs(results).get((dataset, model, metric), ())
    return PublishedRuns(list(values)) if len(values) > 1 and (dataset, model) not in _grids(results) else None


@cache
def _grids(results: Path) -> frozenset[tuple[str, str]]:
    """Dataset and model of the cells whose published runs are those of a search."""
    return frozenset((row.dataset, row.model) for row in load_published(results) if row.is_grid)


@cache
def _seed_runs(results: Path) -> dict[tuple[str, str, str], tuple[float, ...]]:
    found: dict[tuple[str, str, str], tuple[float, ...]] = {}
    for row in read_published(results, SEED_RUNS_FILE):
        for metric, value in _metrics(row).items():
            key = (row["dataset"], MODEL_NAMES.get(row["model"], row["model"]), metric)
            found[key] = (*found.get(key, ()), value)
    return found


def _metrics(row: dict[str, str]) -> dict[str, float]:
    """The columns of a published table that are metrics, where they are filled."""
    return {name: float(value) for name, value in row.items() if value and is_metric(name)}


def read_published(results: Path, name: str) -> list[dict[str, str]]:
    path = published_file(results, name)
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def published_file(results: Path, name: str) -> Path:
    """A table in ``results/published``, or the shipped one where there is no such folder."""
    own = results / PUBLISHED_FOLDER
    return (own if own.is_dir() else CATALOGUE / "results" / PUBLISHED_FOLDER) / name

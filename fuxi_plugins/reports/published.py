"""Published results, facts with their sources; shown beside ours, never ranked among them."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PUBLISHED_FILE = "published/published_results.csv"


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
            return f"mean of {self.source.split('avg of')[1].split()[0]} seeds"
        if "arXiv" in self.source:
            return "paper"
        return "single run"

    @property
    def rank_of_source(self) -> int:
        """Means of several seeds and full digits first: BARS's run logs, then its leaderboard, then papers."""
        return next(
            (i for i, prefix in enumerate(("BARS run", "BARS leader", "arXiv")) if self.source.startswith(prefix)),
            3,
        )


@cache
def load_published(results: Path) -> tuple[PublishedResult, ...]:
    """Every published result in ``results/published``; none when the folder is missing."""
    path = results / PUBLISHED_FILE
    if not path.exists():
        return ()
    with path.open(newline="", encoding="utf-8") as file:
        return tuple(
            PublishedResult(
                dataset=row["dataset"],
                model=row["model"],
                metrics={name: float(row[name]) for name in ("AUC", "logloss", "gAUC") if row[name]},
                source=row["source"],
            )
            for row in csv.DictReader(file)
        )


def published_result(results: Path, dataset: str | None, model: str) -> PublishedResult | None:
    """The published result to print beside ours: the one with most runs and digits behind it."""
    found = [row for row in load_published(results) if row.dataset == dataset and row.model == model]
    return min(found, key=lambda row: row.rank_of_source, default=None)

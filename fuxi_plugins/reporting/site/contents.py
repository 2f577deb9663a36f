"""What the site shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fuxi_plugins.analysis.leaderboard import Leaderboard
from fuxi_plugins.analysis.ledger import Entry
from fuxi_plugins.analysis.tuning_results import Search
from fuxi_plugins.records.record import Record


@dataclass(frozen=True)
class NamedBoard:
    """A suite's board of one dataset."""

    stem: str  # as its files in results/leaderboards are called
    suite: str
    title: str
    board: Leaderboard


@dataclass(frozen=True)
class Contents:
    """Everything that the site shows."""

    boards: Sequence[NamedBoard]
    records: Sequence[Record]
    ledger: Sequence[Entry]
    summaries: Mapping[str, str] = field(default_factory=dict)  # what a model is, by its class's name
    sentences: Sequence[str] = ()  # of comparisons, for the first page
    tuning_results: Sequence[Search] = ()
    paper: Path | None = None  # the folder of the paper's tables and figures with our runs, a page of its own

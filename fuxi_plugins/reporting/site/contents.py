"""What the site shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fuxi_plugins.analysis.across import Across
from fuxi_plugins.analysis.leaderboard import Leaderboard
from fuxi_plugins.analysis.ledger import Entry
from fuxi_plugins.analysis.tuning_results import Search
from fuxi_plugins.datasets.source import Source
from fuxi_plugins.models.citation import Paper, Passage
from fuxi_plugins.records.record import Record

# What a board is for: "board" compares models on real data, "synthetic" tries things out on synthetic data, "study"
# varies one thing at a time, and "search" looks for settings.
Kind = Literal["board", "synthetic", "study", "search"]


LOGOS = (".svg", ".png", ".jpg", ".jpeg", ".webp")  # endings of images


@dataclass(frozen=True)
class NamedBoard:
    """A suite's board of one dataset."""

    stem: str  # as its files in results/leaderboards are called
    suite: str
    title: str
    board: Leaderboard
    kind: Kind = "board"
    description: str = ""


@dataclass(frozen=True)
class ModelCard:
    """What is known of a model beside its results."""

    summary: str = ""  # in one line
    passages: Sequence[Passage] = ()  # its formulas and what its docstring says of them
    paper: Paper | None = None
    code: Path | None = None  # the file of its class; of a model of this package alone


@dataclass(frozen=True)
class DatasetCard:
    """What is known of a dataset beside the results on it."""

    title: str
    note: str = ""
    source: Source | None = None
    config: str = ""  # its entry of dataset_config, as YAML
    fields: str = ""  # how many of each type a model sees


@dataclass(frozen=True)
class Frame:
    """What stands around the content of every page."""

    title: str = "fuxibench"
    about: str = ""  # Markdown, at the end of the first page
    logo: Path | None = None  # an image, beside the title


DEFAULT_FRAME = Frame()


@dataclass(frozen=True)
class Contents:
    """Everything that the site shows."""

    boards: Sequence[NamedBoard]
    records: Sequence[Record]
    ledger: Sequence[Entry]
    main: Sequence[NamedBoard] = ()  # those of the first page, one a dataset
    across: Across | None = None  # the models that stand on all of these, where there are at least two
    models: Mapping[str, ModelCard] = field(default_factory=dict)  # by the name of a class or of a variant
    datasets: Mapping[str, DatasetCard] = field(default_factory=dict)
    # Source files of models that lie in files of their own, as the runs kept them, by dataset, experiment and seed.
    sources: Mapping[tuple[str, str, int], Sequence[Path]] = field(default_factory=dict)
    tuning_results: Sequence[Search] = ()
    paper: Path | None = None  # the folder of the paper's tables and figures with our runs, a page of its own
    frame: Frame = DEFAULT_FRAME

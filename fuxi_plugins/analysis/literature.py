"""Values that papers, benchmarks and reruns publish of models on named splits, each with its source.

``results/published/literature.csv`` has one value a row, as its source prints it; ``literature_sources.csv`` says what
the sources are. The rows of ``published_results.csv`` that come from a source of that list are facts too.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fuxi_plugins.analysis.published import (
    DATASET_NAMES,
    MODEL_NAMES,
    PUBLISHED_FILE,
    published_file,
    read_published,
)
from fuxi_plugins.core.errors import UserError, did_you_mean
from fuxi_plugins.records.metrics import all_metrics, find_metric, is_metric

FACTS_FILE = "literature.csv"
SOURCES_FILE = "literature_sources.csv"
FACT_COLUMNS = ("dataset", "model", "metric", "value", "std", "seeds", "source", "place", "note")
SOURCE_COLUMNS = ("source", "kind", "title", "year", "url", "read", "proposes", "quotes", "trained_out")
KINDS = ("paper", "benchmark", "reproduction")
OWN_SPLIT = "(own split)"  # ends the dataset's name where the source drew a split of its own

_NUMBER = re.compile(r"(?:\d*\.)?\d+%?")
_DEVIATION = re.compile(r"(?:\d*\.)?\d+(?:E-\d+)?%?")
_YEAR = re.compile(r"20\d\d")
_COUNT = re.compile(r"[1-9]\d*")


@dataclass(frozen=True)
class Source:
    """Where values come from.

    Args:
        id: as the facts name it.
        kind: a paper by the authors of a model, a benchmark, or a reproduction, which is a rerun by others.
        title: of the paper, or what the rerun is.
        year: None where the source does not say.
        url: where it can be read.
        read: what was read of it, such as the full text or the logs in a repository.
        proposes: the models that are its authors' own.
        quotes: (dataset, model) whose values it repeats from another source of the list, to all its digits.
        trained_out: whether it trained its models to the end. One epoch does not give a model's value.
    """

    id: str
    kind: str
    title: str
    year: int | None
    url: str
    read: str
    proposes: frozenset[str] = frozenset()
    quotes: frozenset[tuple[str, str]] = frozenset()
    trained_out: bool = True


@dataclass(frozen=True)
class Fact:
    """One published value.

    Args:
        dataset: the split.
        model: by the project's name of it.
        metric: by the project's name of it.
        printed: the value as the source prints it, which may be in percent.
        source: where it comes from.
        place: the table, file or log in the source.
        std: over seeds, as printed; empty where the source prints none.
        seeds: runs behind the value; None where the source does not say.
        note: what else the source says, such as the size of the embeddings.
    """

    dataset: str
    model: str
    metric: str
    printed: str
    source: Source
    place: str
    std: str = ""
    seeds: int | None = None
    note: str = ""

    @property
    def value(self) -> float:
        return float(self.printed.rstrip("%")) / (100 if self.printed.endswith("%") else 1)

    @property
    def shown(self) -> str:
        """The value with the digits that its source prints, but never in percent.

        >>> Fact("Frappe_x1", "DCN", "AUC", "98.39%", Source("A", "paper", "", None, "", ""), "table 2").shown
        '0.9839'
        """
        decimals = len(self.printed.rstrip("%").partition(".")[2]) + (2 if self.printed.endswith("%") else 0)
        return f"{self.value:.{decimals}f}"

    @property
    def is_own(self) -> bool:
        """The source proposes the model."""
        return self.model in self.source.proposes

    @property
    def is_repeated(self) -> bool:
        """The source has not measured the value but repeats it."""
        return (self.dataset, self.model) in self.source.quotes

    @property
    def is_baseline(self) -> bool:
        """The source has trained the model, to the end, and does not propose it."""
        return self.source.trained_out and not self.is_own and not self.is_repeated


@dataclass(frozen=True)
class Literature:
    sources: tuple[Source, ...]
    facts: tuple[Fact, ...]


@cache
def load_literature(results: Path) -> Literature:
    """All facts in ``results/published``, or in the shipped tables where there is no such folder.

    Raises:
        UserError: a row has a wrong column, number, metric, kind or name, has no source or no place, or stands twice.
    """
    sources = {}
    for row in _rows(results, SOURCES_FILE, SOURCE_COLUMNS):
        if row["source"] in sources:
            raise row.error(f"the source {row['source']} stands there already")
        sources[row["source"]] = _source(row)
    facts: dict[tuple[str, str, str, str], Fact] = {}
    for fact in _more_facts(results, sources.values()):
        facts[_key(fact)] = fact
    for row in _rows(results, FACTS_FILE, FACT_COLUMNS):
        fact = _fact(row, sources)
        if _key(fact) in facts:
            raise row.error(f"{' '.join(_key(fact))} stands there already, or in {PUBLISHED_FILE}")
        facts[_key(fact)] = fact
    for source in sources.values():
        _check_names(source, [fact for fact in facts.values() if fact.source is source])
    return Literature(tuple(sources.values()), tuple(facts.values()))


def _key(fact: Fact) -> tuple[str, str, str, str]:
    return (fact.source.id, fact.dataset, fact.model, fact.metric)


def _more_facts(results: Path, sources: Iterable[Source]) -> Iterable[Fact]:
    """The facts in ``published_results.csv``, whose column ``source`` begins with the source's id."""
    for row in read_published(results, PUBLISHED_FILE):
        for source in sources:
            if f"{row['source']} ".startswith(f"{source.id} "):
                dataset = DATASET_NAMES.get(row["dataset"], row["dataset"])
                model = MODEL_NAMES.get(row["model"], row["model"])
                for metric in filter(is_metric, row):
                    if row[metric]:
                        yield Fact(dataset, model, metric, row[metric], source, row["source"])


@dataclass(frozen=True)
class _Row:
    """One line of a file, and what is said when it is wrong."""

    file: str
    line: int
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    def error(self, message: str) -> UserError:
        return UserError(f"{self.file}, line {self.line}: {message}{'' if message.endswith('?') else '.'}")

    def filled(self, *columns: str) -> None:
        for column in columns:
            if not self[column].strip():
                raise self.error(f"{column} must not be empty")

    def matching(self, column: str, form: re.Pattern[str], words: str) -> str:
        if not form.fullmatch(self[column]):
            raise self.error(f"{column} must be {words}, but is {self[column]!r}")
        return self[column]


def _rows(results: Path, name: str, columns: Sequence[str]) -> Iterable[_Row]:
    path = published_file(results, name)
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file, strict=True)
        header = next(reader, [])
        if header != list(columns):
            raise UserError(f"{name}: the columns must be {', '.join(columns)}, but are {', '.join(header)}.")
        for cells in reader:
            row = _Row(name, reader.line_num, dict(zip(columns, cells, strict=False)))
            if len(cells) != len(columns):
                raise row.error(f"there must be {len(columns)} cells, but there are {len(cells)}")
            yield row


def _source(row: _Row) -> Source:
    row.filled("source", "title", "read")
    if row["kind"] not in KINDS:
        raise row.error(f"kind must be one of {', '.join(KINDS)}, but is {row['kind']!r}")
    quotes = [tuple(item.split("/")) for item in _items(row["quotes"])]
    if not all(len(pair) == 2 for pair in quotes):
        raise row.error(f"quotes must be dataset/model;dataset/model, but is {row['quotes']!r}")
    return Source(
        id=row["source"],
        kind=row["kind"],
        title=row["title"],
        year=int(row.matching("year", _YEAR, "a year or empty")) if row["year"] else None,
        url=row.matching("url", re.compile(r"https://\S+"), "an address that begins with https://"),
        read=row["read"],
        proposes=frozenset(_items(row["proposes"])),
        quotes=frozenset((dataset, model) for dataset, model in quotes),
        trained_out=row.matching("trained_out", re.compile("yes|no"), "yes or no") == "yes",
    )


def _items(cell: str) -> list[str]:
    return cell.split(";") if cell else []


def _fact(row: _Row, sources: dict[str, Source]) -> Fact:
    row.filled("dataset", "model", "source", "place")
    for column, names in (("dataset", DATASET_NAMES), ("model", MODEL_NAMES)):
        if row[column] in names:
            raise row.error(f"{column} must be {names[row[column]]!r}, the name used here, but is {row[column]!r}")
    if not is_metric(row["metric"]):
        suggestion = did_you_mean(row["metric"], (metric.name for metric in all_metrics()))
        raise row.error(f"there is no metric {row['metric']!r}{suggestion}")
    if row["source"] not in sources:
        raise row.error(f"{SOURCES_FILE} has no source {row['source']!r}{did_you_mean(row['source'], sources)}")
    if row["dataset"].endswith(OWN_SPLIT) and not row["note"]:
        raise row.error("the note must describe a split that the source drew itself, but is empty")
    fact = Fact(
        dataset=row["dataset"],
        model=row["model"],
        metric=row["metric"],
        printed=row.matching("value", _NUMBER, "a number as printed, such as 0.8142 or 81.42%"),
        source=sources[row["source"]],
        place=row["place"],
        std=row.matching("std", _DEVIATION, "a number or empty") if row["std"] else "",
        seeds=int(row.matching("seeds", _COUNT, "a number of runs or empty")) if row["seeds"] else None,
        note=row["note"],
    )
    low, high = find_metric(fact.metric).bounds
    if not low <= fact.value <= high:
        raise row.error(f"{fact.metric} is {find_metric(fact.metric).show_bounds()}, but value is {fact.printed}")
    return fact


def _check_names(source: Source, facts: Sequence[Fact]) -> None:
    """What a source proposes or repeats is among its facts; a misspelled name would make a baseline of it."""
    if not facts:
        raise UserError(f"{SOURCES_FILE}: no value comes from {source.id}; a source without one is no source.")
    models = {fact.model for fact in facts}
    for model in source.proposes - models:
        raise UserError(
            f"{SOURCES_FILE}: {source.id} proposes {model}, but has no value of it{did_you_mean(model, models) or '.'}"
        )
    for dataset, model in source.quotes - {(fact.dataset, fact.model) for fact in facts}:
        raise UserError(f"{SOURCES_FILE}: {source.id} repeats {dataset}/{model}, but has no such value.")

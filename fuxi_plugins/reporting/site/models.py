"""A model's page, written as a model card: what it is, where it stands, what it costs, how it trains."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fuxi_plugins.analysis.across import Across
from fuxi_plugins.models.citation import Paper, Passage
from fuxi_plugins.records.record import FinishedRun, Record, finished_runs
from fuxi_plugins.reporting.latex import bibtex
from fuxi_plugins.reporting.site.addresses import board_page, code_file, dataset_page
from fuxi_plugins.reporting.site.contents import Contents, ModelCard
from fuxi_plugins.reporting.site.curves import rank_dynamics, training_curves
from fuxi_plugins.reporting.site.intervals import board_scale, drawn_interval
from fuxi_plugins.reporting.site.views import INTERVAL_ENDS

MOST_NAMED = 10  # authors in the text of a page; the entry of the bibliography has all


def records_by_model(contents: Contents) -> dict[str, list[Record]]:
    """The records of every name that a row or a record has; a row of a board may have none yet.

    A row whose name says more than its records', as of training in bfloat16, has the records of its runs.
    """
    by_run = {(record.dataset, record.experiment, record.seed): record for record in contents.records}
    found: dict[str, list[Record]] = {}
    for named in contents.boards:
        for row in named.board.rows:
            runs = [by_run.get((named.board.dataset, row.experiment, seed)) for seed in row.seeds]
            found.setdefault(row.display_name, []).extend(record for record in runs if record)
    for record in contents.records:
        found.setdefault(record.display_name, []).append(record)
    return {name: _each_once(records) for name, records in found.items()}


def _each_once(records: Sequence[Record]) -> list[Record]:
    unique = {(record.dataset, record.experiment, record.seed): record for record in records}
    return [unique[key] for key in sorted(unique)]


def places_by_model(contents: Contents) -> dict[str, list[dict[str, Any]]]:
    """The rows of every name on the boards, each with its drawing."""
    found: dict[str, list[dict[str, Any]]] = {}
    for named in contents.boards:
        metric, ranked = named.board.rank_by, named.board.ranked()
        scale = board_scale(ranked, metric, INTERVAL_ENDS)
        board = {
            "named": named,
            "href": board_page(named.stem),
            "dataset_href": dataset_page(named.board.dataset),
            "metric": metric,
            "models": len(ranked),
        }
        for row in named.board.rows:
            chart = drawn_interval(row, metric, scale) if row.rank else ""
            found.setdefault(row.display_name, []).append({**board, "row": row, "chart": chart})
    return found


def model(
    display_name: str, records: Sequence[Record], places: Sequence[dict[str, Any]], contents: Contents
) -> dict[str, Any]:
    """The model card of a name, of its records and its places on boards alone."""
    name = model_class(display_name, records)
    card = contents.models.get(display_name) or contents.models.get(name) or ModelCard()
    finished = finished_runs(records)
    own = [record for record in finished if record.role != "trial"] or finished
    on_boards = {place["row"].experiment for place in places if place["named"].kind == "board"}
    curves = [
        {"experiment": experiment, "chart": chart, "names": [f"seed {run.seed}" for run in runs]}
        for experiment, runs in _by_experiment(own)
        if experiment in on_boards or not on_boards
        if (chart := training_curves(runs))
    ]
    probed = [rank_dynamics(*runs) for runs in _by_experiment(r for r in own if r.rank)]
    return {
        "display_name": display_name,
        "class": name,
        "card": card,
        "code": [(file.name, code_file(file)) for file in model_code(name, records, contents)],
        **_cited(display_name, card.paper),
        **_explained(card.passages),
        "average": _average(display_name, contents.across),
        "places": [place for place in places if place["named"].kind == "board"],
        "others": [place for place in places if place["named"].kind != "board"],
        "records": records,
        "curves": curves,
        "ranks": [one for one in probed if one["chart"]],
        "costs": [(place["named"].title, place["row"].cost) for place in places if place["row"].cost],
        "settings": own[0].params["model"] if own else {},
        "settings_of": own[0].experiment if own else "",
    }


def model_class(display_name: str, records: Sequence[Record]) -> str:
    """The class that a page of this name is about: the one that is called so where a run has it, else the newest run's.

    One class may play another's part, as RankElastor plays RankMixer in the formulation of RankElastor's authors.
    """
    classes = [record.model for record in sorted(records, key=lambda record: record.started)]
    return display_name if display_name in classes or not classes else classes[-1]


def model_code(name: str, records: Sequence[Record], contents: Contents) -> Sequence[Path]:
    """The source files of a class: those that its newest run has kept, else its file in this package.

    Args:
        records: runs, of other classes too.
    """
    own = [record for record in records if record.model == name]
    newest = max(own, key=lambda record: record.started, default=None)
    if newest and (kept := contents.sources.get((newest.dataset, newest.experiment, newest.seed))):
        return kept
    card = contents.models.get(name)
    return [card.code] if card and card.code else []


def _cited(display_name: str, paper: Paper | None) -> dict[str, str]:
    """The paper's authors, the first few of many, and its entry of a bibliography with all of them."""
    if paper is None:
        return {"by": "", "bibtex": ""}
    names = list(paper.authors)
    by = ", ".join(names) if len(names) <= MOST_NAMED else f"{', '.join(names[:MOST_NAMED])} and others"
    entry = bibtex(display_name, paper.title, paper.venue, paper.year, paper.url, names)
    return {"by": by, "bibtex": entry}


def _explained(passages: Sequence[Passage]) -> dict[str, list[Passage]]:
    """The equations with their text, and from the line on data on what else the docstring says."""
    start = next((place for place, one in enumerate(passages) if one.text.startswith("Data: ")), len(passages))
    return {"formulas": list(passages[:start]), "remarks": list(passages[start:])}


def _average(display_name: str, across: Across | None) -> dict[str, Any] | None:
    """The model's average rank over the datasets of the first page."""
    if across is None or display_name not in across.models:
        return None
    place = across.models.index(display_name)
    return {
        "rank": float(across.average_ranks[place]),
        "interval": across.rank_intervals[place],
        "models": len(across.models),
        "datasets": across.datasets,
        "how_many": across.how_many,
    }


def _by_experiment(records: Iterable[FinishedRun]) -> list[tuple[str, list[FinishedRun]]]:
    found: dict[str, list[FinishedRun]] = {}
    for record in records:
        found.setdefault(record.experiment, []).append(record)
    return list(found.items())

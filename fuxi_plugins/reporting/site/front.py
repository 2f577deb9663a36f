"""The first page: models over datasets; and the list of all boards."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from fuxi_plugins.analysis.across import Across
from fuxi_plugins.analysis.leaderboard import Row
from fuxi_plugins.analysis.measures import find_measure
from fuxi_plugins.analysis.suite_board import SuiteBoard
from fuxi_plugins.analysis.table import build_table
from fuxi_plugins.models.citation import Paper
from fuxi_plugins.records.metrics import find_metric
from fuxi_plugins.reporting.across import about_logs, limits
from fuxi_plugins.reporting.site.addresses import board_page, dataset_page, model_page
from fuxi_plugins.reporting.site.contents import Contents, Kind, NamedBoard
from fuxi_plugins.reporting.site.intervals import board_scale, drawn_interval
from fuxi_plugins.reporting.table import PaperTable

ENDS, NARROW_ENDS = (6, 92), (5, 65)  # pixels of the drawn scales
FEW = 4  # datasets whose intervals fit a laptop's screen beside the values; of more they stand below them
KINDS: dict[Kind, tuple[str, str]] = {
    "board": ("Boards", "Models on real data."),
    "synthetic": ("Synthetic data", "To try things out. The ranks say nothing about the models."),
    "study": ("Studies", "One thing is varied at a time, such as a part of a model, its size or a training option."),
    "search": ("Searches", "Several settings of the same models, compared on validation data."),
}


def front(contents: Contents) -> dict[str, Any]:
    """The table of the first page, the best first: the models on all main boards by their average rank, then others."""
    across, main = contents.across, contents.main
    ends = ENDS if len(main) <= FEW else NARROW_ENDS
    columns = [_column(named, ends) for named in main]
    cells = {column["dataset"]: _cells(column) for column in columns}
    return {
        "columns": columns,
        "models": [
            {
                "name": name,
                "href": model_page(name),
                "paper": _paper(name, contents),
                "average": average,
                "interval": across.rank_intervals[across.models.index(name)] if across and average else None,
                "cells": [cells[column["dataset"]].get(name) for column in columns],
            }
            for name, average in _in_order(main, across)
        ],
        "ranked": across.models if across else [],
        "how_many": across.how_many if across else f"{len(main)} dataset{'s' if len(main) > 1 else ''}",
        "limits": [*about_logs(across), *limits(across)] if across else [],
        "unit": across.unit if across else "dataset",
        "metrics": list(dict.fromkeys(column["metric"].name for column in columns)),
        "stacked": ends is NARROW_ENDS,
        "settings": _settings(main),
        "better": columns[0]["metric"].direction if columns else "",
        "others": [(kind, *said) for kind, said in KINDS.items() if any(b.kind == kind for b in contents.boards)],
    }


def front_table(contents: Contents, models: Sequence[str]) -> PaperTable | None:
    """The values of the first page as a paper's table with these models as rows.

    None where there is one dataset: its board has downloads of its own.
    """
    if len(contents.main) < 2:
        return None
    boards = [SuiteBoard(named.suite, named.board) for named in contents.main]
    measures = {named.board.dataset: [find_measure(named.board.rank_by)] for named in contents.main}
    across = contents.across
    logs = dict(zip(across.datasets, across.logs, strict=True)) if across else {}
    return PaperTable(build_table(boards, measures, models, with_ranks=across is not None, logs=logs))


def _settings(main: Sequence[NamedBoard]) -> str:
    """Where the hyper-parameters of the results come from, in words."""
    sources = Counter(row.hparam_source for named in main for row in named.board.ranked() if row.key == row.experiment)
    if len(sources) < 2:
        return "".join(f"All results have {source} hyper-parameters." for source in sources)
    (first, most), *others = sources.most_common()
    listed = [f"{most} results with {first} ones", *(f"{count} with {source} ones" for source, count in others)]
    return f"Hyper-parameters: {', '.join(listed)}."


def _paper(name: str, contents: Contents) -> Paper | None:
    """Of a row: a variant has that of its class."""
    classes = (row.model for named in contents.main for row in named.board.rows if row.display_name == name)
    card = contents.models.get(name) or contents.models.get(next(classes, name))
    return card.paper if card else None


def _column(named: NamedBoard, ends: tuple[int, int]) -> dict[str, Any]:
    board = named.board
    metric = find_metric(board.rank_by)
    return {
        "named": named,
        "dataset": board.dataset,
        "href": board_page(named.stem),
        "dataset_href": dataset_page(board.dataset),
        "metric": metric,
        "scale": board_scale(board.ranked(), metric.name, ends),
        "alike": {row.key for row in board.as_good_as_the_best()},
    }


def _cells(column: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By model: value, drawn interval and whether it is as good as the best."""
    metric, ranked = column["metric"], column["named"].board.ranked()
    return {
        row.display_name: {
            "value": row.test[metric.name].mean,
            "alike": row.key in column["alike"],
            "chart": drawn_interval(row, metric.name, column["scale"], published=False, among=len(ranked)),
        }
        for row in ranked
        if row.key == row.experiment  # runs with other settings or code stand on the board alone
    }


def _in_order(main: Sequence[NamedBoard], across: Across | None) -> list[tuple[str, float | None]]:
    """Models with their average ranks; those without one by the number of boards, then by their best rank."""
    ranks: dict[str, list[int]] = {}
    for named in main:
        for row in named.board.ranked():
            if row.rank and row.key == row.experiment:
                ranks.setdefault(row.display_name, []).append(row.rank)
    whole = dict(zip(across.models, across.average_ranks.tolist(), strict=True)) if across else {}
    rest = sorted((-len(found), min(found), name) for name, found in ranks.items() if name not in whole)
    return [*whole.items(), *((name, None) for _, _, name in rest)]


def listed_boards(boards: Sequence[NamedBoard]) -> list[dict[str, Any]]:
    """All boards by what they are for."""
    found = []
    for kind, (title, meaning) in KINDS.items():
        rows = [_listed(named) for named in boards if named.kind == kind]
        if rows:
            found.append({"kind": kind, "title": title, "meaning": meaning, "rows": rows})
    return found


def _listed(named: NamedBoard) -> dict[str, Any]:
    board = named.board
    first: Row = board.rows[0]
    return {
        "named": named,
        "href": board_page(named.stem),
        "dataset_href": dataset_page(board.dataset),
        "models": len(board.ranked()),
        "leader": first.display_name,
        "score": first.test[board.rank_by].mean,
        "alike": len(board.like_the_best()) if first.letters else None,  # too few seeds to compare it with any row
        "runs": sum(len(row.seeds) for row in board.rows),
        "expected": sum(row.expected_seeds for row in board.rows),
    }

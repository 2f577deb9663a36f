"""What each page shows, worked out before a template draws it."""

from collections.abc import Mapping, Sequence
from typing import Any

from fuxi_plugins.analysis.leaderboard import Row
from fuxi_plugins.analysis.run_warnings import warnings_of
from fuxi_plugins.analysis.tuning_results import Search
from fuxi_plugins.records.metrics import find_metric
from fuxi_plugins.records.record import Record
from fuxi_plugins.reporting.site.addresses import board_page, dataset_page, model_page, search_data
from fuxi_plugins.reporting.site.charts import Line, Point, lines, scatter
from fuxi_plugins.reporting.site.contents import Contents, NamedBoard
from fuxi_plugins.reporting.site.curves import loss_curves, monitored, training_curves
from fuxi_plugins.reporting.site.front import listed_boards
from fuxi_plugins.reporting.site.intervals import board_scale, drawn_interval, near_the_first

INTERVAL_ENDS = (7, 143)  # pixels of the drawn scale


def board(named: NamedBoard) -> dict[str, Any]:
    """A board's rows with their drawn intervals and letters of ties, and its plots."""
    board = named.board
    metric = board.rank_by
    ranked = board.ranked()
    like_the_best, bold = board.like_the_best(), board.as_good_as_the_best()
    near = near_the_first(ranked, metric)
    scale = board_scale(ranked, metric, INTERVAL_ENDS)
    drawn = [
        {
            "row": row,
            "like_the_best": row.rank == 1 or row in like_the_best,
            "bold": row in bold,
            "chart": drawn_interval(row, metric, scale) if row.rank else "",
            "interval": row.intervals.get(metric),
            "published": row.published.metrics.get(metric) if row.published else None,
            "difference": row.difference(metric),
            "href": model_page(row.display_name),
        }
        for row in board.rows
    ]
    return {
        "rows": drawn,
        "scale": (scale.low, scale.high),
        "others": [name for name in board.metrics if name != metric],
        "has_published": any(row.published for row in board.rows),
        "origins": sorted({row.hparam_source for row in board.rows}),
        "plots": _plots(near, metric),
        "beyond": [row.display_name for row in ranked if row not in near],
    }


def repeated_by(record: Record, suites: Mapping[str, str]) -> str:
    """The suite or experiment by which ``fuxibench run`` repeats a run.

    Args:
        suites: that show an experiment, by the experiment.
    """
    by_suite = record.suite or suites.get(record.experiment, record.experiment)
    return record.experiment if record.role == "result" else by_suite


def run(record: Record, repeated_by: str, code: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """A run's curves and the command that repeats it.

    Args:
        code: name and address of each source file of its model.
    """
    return {
        "chart": training_curves([record]),
        "losses": loss_curves(record),
        "code": code,
        "metric": monitored(record),
        "measures": _measures(record),
        "command": f"fuxibench run {repeated_by} --seeds {record.seed}",
        "warnings": warnings_of(record),
        "checkout": f"git checkout {record.commit}" if record.commit else "",
    }


def search(found: Search, titles: Mapping[str, str]) -> dict[str, Any]:
    """A search's curves, one a model, and the table below them."""
    metric = found.models[0].metric if found.models else ""
    series = [Line(model.display_name, list(enumerate(model.expected_best, start=1))) for model in found.models]
    return {
        "suite": found.suite,
        "title": titles.get(found.suite, found.suite),
        "metric": metric,
        "models": found.models,
        "chart": lines(series, "trials", f"valid {metric}"),
        "download": search_data(found.suite),
    }


def _measures(record: Record) -> list[str]:
    """Names of the effective ranks that a probed run has measured."""
    stages = list(record.rank.stages.values()) if record.rank else []
    return list(stages[0].token.trained) if stages else []


def _plots(rows: Sequence[Row], metric: str) -> list[dict[str, Any]]:
    """Quality against cost, where cost is known."""
    costs = [
        ("dense parameters", lambda row: row.parameters and row.parameters.dense, True),
        ("operations a row (FLOP)", lambda row: row.cost and row.cost.flops_per_row, True),
        ("seconds an epoch", lambda row: row.seconds_per_epoch, True),
    ]
    plots = []
    for title, cost, logarithmic in costs:
        points = [
            Point(float(cost(row)), row.test[metric].mean, row.display_name, "../" + model_page(row.display_name))
            for row in rows
            if cost(row)
        ]
        if len(points) > 1:
            chart = scatter(
                points, title, f"test {metric}", logarithmic=logarithmic, sort_key=find_metric(metric).sort_key
            )
            plots.append({"title": f"{metric} against {title}", "chart": chart})
    return plots


def dataset(name: str, contents: Contents) -> dict[str, Any]:
    """A dataset's source, rows and boards."""
    boards = [named for named in contents.boards if named.board.dataset == name]
    seen = next((named.board.data for named in boards), None)
    return {
        "name": name,
        "card": contents.datasets.get(name),
        "data": seen or next((r.data for r in contents.records if r.dataset == name and r.data), None),
        "kinds": listed_boards(boards),
    }


def search_index(contents: Contents, models: Sequence[str], datasets: Sequence[str]) -> list[tuple[str, str, str]]:
    """Name, page and kind of what the search box finds; a row of studies and searches alone is a variant.

    A run whose row says more, as ``DNN [amp=bf16]``, is found by that name alone.
    """
    whole = {row.display_name for named in contents.boards if named.kind == "board" for row in named.board.rows}
    rows = {row.display_name for named in contents.boards for row in named.board.rows}
    said_fuller = {name.partition(" [")[0] for name in rows if " [" in name} - rows
    found = [name for name in models if name not in said_fuller]
    return [
        *((name, model_page(name), "model" if name in whole or not whole else "variant") for name in found),
        *((name, dataset_page(name), "dataset") for name in datasets),
        *((named.title, board_page(named.stem), named.kind) for named in contents.boards),
    ]

"""What each page shows, worked out before a template draws it."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean
from typing import Any

from fuxi_plugins.analysis.leaderboard import Row
from fuxi_plugins.analysis.run_warnings import warnings_of
from fuxi_plugins.analysis.tuning_results import Search
from fuxi_plugins.records.metrics import find_metric, main_metric
from fuxi_plugins.records.record import FinishedRun, Record, finished_runs
from fuxi_plugins.reporting.notes import tie_sentence
from fuxi_plugins.reporting.site.addresses import board_page, model_page, search_data
from fuxi_plugins.reporting.site.charts import Line, Point, Scale, interval, lines, scatter
from fuxi_plugins.reporting.site.contents import NamedBoard

SHOWN_INTERVALS = 4  # widths of the first row's interval from its mean
DRAWN_MEASURE = "entropy"  # of the effective ranks that a probed run has
INTERVAL_ENDS = (8, 172)  # pixels of the drawn scale


def card(named: NamedBoard) -> dict[str, Any]:
    """A board on the first page."""
    board = named.board
    first = board.rows[0]
    return {
        "href": board_page(named.stem),
        "title": named.title,
        "data": board.data.title,
        "models": sum(row.rank is not None for row in board.rows),
        "unfinished": sum(len(row.seeds) < row.expected_seeds for row in board.rows),
        "leader": first.display_name,
        "score": first.test[board.rank_by].mean,
        "metric": board.rank_by,
        "tie": tie_sentence(board),
    }


def board(named: NamedBoard) -> dict[str, Any]:
    """A board's rows with their drawn intervals and letters of ties, and its plots."""
    board = named.board
    metric = board.rank_by
    ranked = board.ranked()
    like_the_best = board.like_the_best()
    near = near_the_first(ranked, metric)
    scale = Scale.over([value for row in near for value in _extent(row, metric)], *INTERVAL_ENDS)
    drawn = [
        {
            "row": row,
            "like_the_best": row.rank == 1 or row in like_the_best,
            "chart": _interval(row, metric, scale) if row.rank else "",
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
        "detectable": board.inference.smallest_detectable() if board.inference else None,
        "beyond": [row.display_name for row in ranked if row not in near],
    }


def near_the_first(rows: Sequence[Row], metric: str) -> list[Row]:
    """The rows that a scale must show: those within SHOWN_INTERVALS of the first.

    Were LR to stretch the scale of a board of deep models, their differences would vanish.
    """
    first = rows[0].test[metric].mean
    bounds = rows[0].intervals.get(metric)
    if bounds is None:
        return list(rows)
    return [row for row in rows if abs(row.test[metric].mean - first) <= SHOWN_INTERVALS * (bounds.high - bounds.low)]


def model(
    display_name: str, records: Sequence[Record], boards: "Sequence[NamedBoard]", summaries: Mapping[str, str]
) -> dict[str, Any]:
    """A model's places, runs and training curves."""
    places: list[dict[str, Any]] = [
        {"named": named, "row": row, "href": board_page(named.stem), "metric": named.board.rank_by}
        for named in boards
        for row in named.board.rows
        if row.display_name == display_name
    ]
    finished = finished_runs(records)
    own = [record for record in finished if record.role != "trial"] or finished
    curves = [
        {"experiment": name, "chart": _curves(runs), "names": [f"seed {run.seed}" for run in runs]}
        for name, runs in _by_experiment(own)
    ]
    name = next((record.model for record in records), display_name)
    return {
        "display_name": display_name,
        "class": name,
        "summary": summaries.get(name, ""),
        "places": places,
        "records": sorted(records, key=lambda r: (r.dataset, r.experiment, r.seed)),
        "curves": curves,
        "ranks": [_rank_dynamics(*probed) for probed in _by_experiment(r for r in own if r.rank)],
        "costs": [(place["named"].title, place["row"].cost) for place in places if place["row"].cost],
        "settings": own[0].params["model"] if own else {},
        "settings_of": own[0].experiment if own else "",
    }


def _by_experiment(records: Iterable[FinishedRun]) -> list[tuple[str, list[FinishedRun]]]:
    found: dict[str, list[FinishedRun]] = {}
    for record in records:
        found.setdefault(record.experiment, []).append(record)
    return list(found.items())


def _rank_dynamics(experiment: str, runs: Sequence[FinishedRun]) -> dict[str, Any]:
    """Effective ranks along the depth of an experiment's model, mean over its probed seeds, with their null lines."""
    stages = list(runs[0].ranks.stages)
    series = [
        Line(
            state,
            [
                (depth, mean(getattr(run.ranks.stages[stage].token, state)[DRAWN_MEASURE] for run in runs))
                for depth, stage in enumerate(stages, start=1)
            ],
        )
        for state in ("trained", "untrained", "gaussian")
    ]
    return {
        "experiment": experiment,
        "seeds": len(runs),
        "measure": DRAWN_MEASURE,
        "stages": stages,
        "names": [line.label for line in series],
        "chart": lines(series, "stage", f"effective rank ({DRAWN_MEASURE})"),
    }


def run(record: Record, suites: Mapping[str, str]) -> dict[str, Any]:
    """A run's training curve and the command that repeats it."""
    by_suite = record.suite or suites.get(record.experiment, record.experiment)
    target = record.experiment if record.role == "result" else by_suite
    return {
        "chart": _curves([record]),
        "metric": _monitored(record),
        "measures": _measures(record),
        "command": f"fuxibench run {target} --seeds {record.seed}",
        "warnings": warnings_of(record),
        "checkout": f"git checkout {record.commit}" if record.commit else "",
    }


def search(found: Search) -> dict[str, Any]:
    """A search's curves, one a model, and the table below them."""
    metric = found.models[0].metric if found.models else ""
    series = [Line(model.display_name, list(enumerate(model.expected_best, start=1))) for model in found.models]
    return {
        "suite": found.suite,
        "metric": metric,
        "models": found.models,
        "chart": lines(series, "trials", f"valid {metric}"),
        "download": search_data(found.suite),
    }


def _measures(record: Record) -> list[str]:
    """Names of the effective ranks that a probed run has measured."""
    stages = list(record.rank.stages.values()) if record.rank else []
    return list(stages[0].token.trained) if stages else []


def _curves(runs: Sequence[Record]) -> Any:
    metric = _monitored(runs[0])
    series = [
        Line(f"seed {r.seed}", [(e.epoch, e.valid[metric]) for e in r.history if metric in e.valid]) for r in runs
    ]
    return lines(series, "epoch", f"valid {metric}")


def _monitored(record: Record) -> str:
    monitor = record.params.get("training", {}).get("monitor", main_metric())
    return monitor if isinstance(monitor, str) else next(iter(monitor))


def _extent(row: Row, metric: str) -> list[float]:
    ends = [row.test[metric].mean]
    if metric in row.intervals:
        ends += [row.intervals[metric].low, row.intervals[metric].high]
    if row.published and metric in row.published.metrics:
        ends.append(row.published.metrics[metric])
    return ends


def _interval(row: Row, metric: str, scale: Scale) -> Any:
    mean, bounds = row.test[metric].mean, row.intervals.get(metric)
    published = row.published.metrics.get(metric) if row.published else None
    show = find_metric(metric).show_end
    text = f"{row.display_name}: {metric} {show(mean)}"
    if bounds:
        text += f", 95% interval {show(bounds.low)} to {show(bounds.high)}"
    if published is not None:
        text += f", published {show(published)}"
    return interval(mean, bounds.low if bounds else None, bounds.high if bounds else None, published, scale, text)


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

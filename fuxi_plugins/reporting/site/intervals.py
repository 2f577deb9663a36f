"""A board's rows as dots on intervals, on a scale that a few outliers do not set."""

from collections.abc import Sequence
from statistics import median_low

from markupsafe import Markup

from fuxi_plugins.analysis.leaderboard import Row
from fuxi_plugins.records.metrics import find_metric
from fuxi_plugins.reporting.site.charts import Scale, interval

SHOWN_DISTANCES = 2  # of the usual distance of rows, within which a row is near the first


def near_the_first(rows: Sequence[Row], metric: str) -> list[Row]:
    """The rows that a scale must show, at least half of them: near is within two widths of the first row's interval, or
    twice the median distance from it. Were LR to stretch the scale of a board of deep models, their differences would
    vanish."""
    if not rows:
        return []
    furthest = SHOWN_DISTANCES * max(_width(rows, metric), _median_gap(rows, metric))
    first = rows[0].test[metric].mean
    return [row for row in rows if abs(row.test[metric].mean - first) <= furthest]


def board_scale(rows: Sequence[Row], metric: str, ends: tuple[int, int]) -> Scale:
    """A scale for the means near the first, each with as much of its interval as the first row's is wide.

    Args:
        rows: the ranked ones; without any the scale is from 0 to 1.
        ends: pixels.
    """
    if not rows:
        return Scale(0.0, 1.0, *ends)
    width = _width(rows, metric)
    shown = []
    for row in near_the_first(rows, metric):
        mean, bounds = row.test[metric].mean, row.intervals.get(metric)
        shown += [max(bounds.low, mean - width), min(bounds.high, mean + width)] if bounds else [mean]
    return Scale.over(shown, *ends)


def _width(rows: Sequence[Row], metric: str) -> float:
    """Of the first row's interval; where it has none, the median distance of the others from it."""
    bounds = rows[0].intervals.get(metric)
    return bounds.high - bounds.low if bounds else _median_gap(rows, metric)


def _median_gap(rows: Sequence[Row], metric: str) -> float:
    """Median distance of the other rows from the first, of an even number the lower one."""
    first = rows[0].test[metric].mean
    return median_low([abs(row.test[metric].mean - first) for row in rows[1:]] or [0.0])


def drawn_interval(row: Row, metric: str, scale: Scale, *, published: bool = True, among: int = 0) -> Markup:
    """The drawing of a row; its tooltip has the numbers.

    Args:
        published: draw the published value too.
        among: ranked rows of the board; the tooltip then has the rank too.
    """
    mean, bounds = row.test[metric].mean, row.intervals.get(metric)
    value = row.published.metrics.get(metric) if published and row.published else None
    show = find_metric(metric).show_end
    text = f"{row.display_name}: {metric} {show(mean)}"
    if bounds:
        text += f", 95% interval {show(bounds.low)} to {show(bounds.high)}"
    if value is not None:
        text += f", published {show(value)}"
    if among and row.rank_range:
        text += f", rank {row.rank} of {among}, within noise {row.rank_range[0]} to {row.rank_range[1]}"
    low, high = (bounds.low, bounds.high) if bounds else (None, None)
    return interval(mean, low, high, value, scale, text, show(mean))

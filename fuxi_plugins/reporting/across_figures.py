"""Figures of models across datasets: critical differences, win rates, a heat map, and quality against cost."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from fuxi_plugins.analysis.across import Across, units_needed
from fuxi_plugins.analysis.tradeoff import COSTS, Tradeoff
from fuxi_plugins.core.cleaning import visible
from fuxi_plugins.reporting.paper.style import Drawing, drawing

_INK, _BAR = "#333333", "#0b3c5d"
_MOST_IN_CELLS = 16  # models; beyond it the numbers in a matrix cannot be read
_MOST_TICKS = 15
_PLACES = [(right, up) for up in (4, -11, 14, -21, 24) for right in (5, -5)]  # of a label beside its point


def figures(found: Across, costs: Tradeoff) -> list[Drawing]:
    return [critical_differences(found), win_rates(found), gaps(found), quality_and_cost(found, costs)]


def critical_differences(found: Across) -> Drawing:
    """Average ranks on a line; a thick bar joins models that are not told apart over logs (Demšar, 2006)."""
    models, averages = [_name(model) for model in found.models], found.average_ranks
    count = len(models)
    left = (count + 1) // 2  # names at the left are those of the better ranks
    groups = _groups(found.letters)
    depth = len(groups) * 0.35 + 0.5
    with drawing(6.6, 1.0 + 0.22 * (left + len(groups))) as figure:
        axes = figure.subplots()
        axes.set(xlim=(0.5, count + 0.5), ylim=(depth + left * 0.55 + 0.3, -1.6))
        axes.axis("off")
        axes.plot([1, count], [0, 0], color=_INK, linewidth=1)
        for tick in range(1, count + 1, math.ceil(count / _MOST_TICKS)):
            axes.plot([tick, tick], [0, -0.15], color=_INK, linewidth=0.8)
            axes.text(tick, -0.3, str(tick), ha="center", va="bottom", fontsize=7)
        if found.test == "nemenyi":  # bars of Wilcoxon's test have no such length
            if found.critical_difference < count - 1:
                axes.plot([1, 1 + found.critical_difference], [-1.1, -1.1], color=_BAR, linewidth=2)
            label = f"Nemenyi's critical difference: {found.critical_difference:.2f}"
            axes.text(1, -1.25, label, ha="left", va="bottom", fontsize=7)
        for place, (model, average) in enumerate(zip(models, averages, strict=True)):
            at_left = place < left
            level = depth + 0.55 * (place if at_left else count - 1 - place)
            edge = 0.5 if at_left else count + 0.5
            axes.plot([average, average, edge], [0, level, level], color=_INK, linewidth=0.7)
            label = f"{model} {average:.2f} " if at_left else f" {average:.2f} {model}"
            axes.text(edge, level, label, ha="right" if at_left else "left", va="center", fontsize=8)
        for row, members in enumerate(groups):
            ends = averages[members[0]] - 0.06, averages[members[-1]] + 0.06
            axes.plot(ends, [0.3 + 0.35 * row] * 2, color=_BAR, linewidth=3, solid_capstyle="round")
    few = found.units < units_needed(1)
    caption = (
        f"Average ranks by test {found.metric.name} over {found.how_many}, 1 is the best. Bars join "
        f"models that {found.test.capitalize()}'s test does not tell apart."
        + (f" So few {found.unit}s cannot tell any two models apart." if few and found.test == "wilcoxon" else "")
    )
    return Drawing("critical-differences", figure, caption)


def win_rates(found: Across) -> Drawing:
    """Share of datasets on which the row beats the column, averaged over logs."""
    names = [_name(model) for model in found.models]
    size = 1.6 + 0.32 * len(names)
    with drawing(size + 1.2, size) as figure:
        figure.set_layout_engine("compressed")  # squares leave room that the usual one gives away
        axes = figure.subplots()
        shown = found.wins.copy()
        np.fill_diagonal(shown, np.nan)
        image = axes.imshow(shown, cmap="RdBu", vmin=0, vmax=1)
        if len(names) <= _MOST_IN_CELLS:
            for (row, column), value in np.ndenumerate(shown):
                if row != column:
                    axes.text(column, row, f"{value:.2g}", ha="center", va="center", fontsize=6,
                              color="white" if abs(value - 0.5) > 0.35 else _INK)  # fmt: skip
        _label(axes, names, names)
        figure.colorbar(image, ax=axes, shrink=0.7, label="share of datasets won by the row")
    caption = (
        f"On which share of {found.how_many} the row has the better test {found.metric.name} than the column, by means "
        f"over seeds; a tie is half a win.{' Every log counts the same.' if found.unit == 'log' else ''}"
    )
    return Drawing("win-rates", figure, caption)


def gaps(found: Across) -> Drawing:
    """Models by datasets: how far each is from the dataset's best; colour is the rank."""
    names = [_name(model) for model in found.models]
    with drawing(1.8 + 0.95 * len(found.datasets), 0.9 + 0.24 * len(names)) as figure:
        axes = figure.subplots()
        axes.imshow(found.ranks.T, cmap="Blues_r", aspect="auto", vmin=0, vmax=len(names) + 1)
        for (dataset, model), gap in np.ndenumerate(found.gaps):
            dark = found.ranks[dataset, model] < len(names) / 2
            axes.text(dataset, model, found.metric.show_difference(gap) if gap else "best", ha="center", va="center",
                      fontsize=7, color="white" if dark else _INK)  # fmt: skip
        _label(axes, names, [_name(one) for one in found.datasets])
    caption = (
        f"How far each model is below the dataset's best in test {found.metric.name}. Darker: better rank on that "
        "dataset."
    )
    return Drawing("gaps-to-the-best", figure, caption)


def quality_and_cost(found: Across, costs: Tradeoff) -> Drawing:
    """Mean gap to the best against the geometric mean of the cost, with intervals over datasets and the front."""
    with drawing(6.6, 3.6) as figure:
        axes = figure.subplots()
        for place in range(len(found.models)):
            x, y, on = costs.cost[place], costs.quality[place], costs.front[place]
            colour = _BAR if on else "#8a949b"
            if on and (across := costs.cost_intervals[place]):  # those of all models would hide the points
                axes.plot([across.low, across.high], [y, y], color=colour, linewidth=0.6, alpha=0.5)
            if on and (along := costs.quality_intervals[place]):
                axes.plot([x, x], [along.low, along.high], color=colour, linewidth=0.6, alpha=0.5)
            axes.plot([x], [y], marker="o" if on else "x", color=colour, linestyle="none")
        front = sorted((costs.cost[place], costs.quality[place]) for place in np.flatnonzero(costs.front))
        axes.step(*zip(*front, strict=True), where="post", color=_BAR, linewidth=0.8, linestyle="--")
        low, high = costs.quality.min(), costs.quality.max()
        room = 0.1 * (high - low) or 1e-3
        axes.set_ylim(low - room, high + room)  # intervals over few logs reach far beyond
        axes.set_xlim(costs.cost.min() / 2, costs.cost.max() * 3)
        axes.set(xscale="log", xlabel=COSTS[costs.cost_name], ylabel=f"mean gap to the best, {found.metric.name}")
        _label_points(figure, axes, found, costs)
    caption = (
        f"Quality and cost over {found.how_many}: means, of the cost geometric ones. Dots: no other model is at least "
        f"as good in both; with 95% intervals by Student's t, {found.unit}s as units. The axes end at the points, so "
        f"that intervals of few {found.unit}s leave the figure. {costs.caveat}"
    ).strip()
    return Drawing("quality-and-cost", figure, caption)


def _label_points(figure: Figure, axes: Axes, found: Across, costs: Tradeoff) -> None:
    """Each model's name beside its point, the front first, at the first place where it covers no other name."""
    figure.draw_without_rendering()  # until then nobody knows where a point lies
    taken: list[Bbox] = []
    for place in sorted(range(len(found.models)), key=lambda one: not costs.front[one]):
        for across, up in _PLACES:
            label = axes.annotate(
                _name(found.models[place]), (costs.cost[place], costs.quality[place]), xytext=(across, up),
                textcoords="offset points", fontsize=7, color=_BAR if costs.front[place] else "#5b646b",
                ha="left" if across > 0 else "right",
            )  # fmt: skip
            box = label.get_window_extent()
            if not any(box.overlaps(other) for other in taken):
                break
            label.remove()
        else:  # so many points lie here that names would cover each other: models.csv has them
            continue
        taken.append(box)


def _label(axes: Axes, rows: list[str], columns: list[str]) -> None:
    axes.set_yticks(range(len(rows)), rows, fontsize=7)
    axes.set_xticks(range(len(columns)), columns, fontsize=7, rotation=45, ha="right", rotation_mode="anchor")
    axes.grid(visible=False)


def _groups(letters: list[str]) -> list[list[int]]:
    """The places of the models of each letter that more than one has."""
    singles = dict.fromkeys(letter for text in letters for letter in _split(text))
    found = [[place for place, text in enumerate(letters) if letter in _split(text)] for letter in singles]
    return [members for members in found if len(members) > 1]


def _split(text: str) -> list[str]:
    """``ab[53]`` -> a, b and [53]."""
    plain, *numbered = text.split("[")
    return [*plain, *(f"[{number}" for number in numbered)]


def _name(text: str) -> str:
    """As it is: matplotlib would take dollars for mathematics."""
    return visible(text).replace("$", r"\$")

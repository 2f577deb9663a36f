"""Inline SVG, drawn with classes that the style sheet colours; every text is escaped."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from fuxi_plugins.core.cleaning import html

WIDTH, HEIGHT = 640, 360  # of a plot
LEFT, RIGHT, TOP, BOTTOM = 80, 20, 16, 46  # its margins


@dataclass(frozen=True)
class Point:
    x: float
    y: float
    label: str
    href: str = ""


@dataclass(frozen=True)
class Line:
    label: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Scale:
    """Values to pixels, linear or logarithmic, with a little air at both ends."""

    low: float
    high: float
    start: float
    stop: float
    logarithmic: bool = False

    @classmethod
    def over(cls, values: Sequence[float], start: float, stop: float, logarithmic: bool = False) -> "Scale":
        low, high = min(values), max(values)
        if logarithmic:
            factor = (high / low) ** 0.08 if high > low else 2.0
            return cls(low / factor, high * factor, start, stop, True)
        air = 0.08 * (high - low) or abs(high) * 0.01 or 1.0
        return cls(low - air, high + air, start, stop)

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        if self.logarithmic:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return round(self.start + (value - low) / (high - low) * (self.stop - self.start), 1)

    def inside(self, value: float) -> float:
        """The pixel of a value, or of the end of the scale that it lies beyond."""
        return self(min(max(value, self.low), self.high))

    def ticks(self, count: int = 5) -> list[float]:
        if self.logarithmic:
            powers = range(math.floor(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)
            factors = (1,) if len(powers) > 3 else (1, 2, 5) if self.high > 20 * self.low else range(1, 10)
            found = [factor * 10.0**power for power in powers for factor in factors]
            return [value for value in found if self.low <= value <= self.high]
        raw = (self.high - self.low) / count
        step = 10 ** math.floor(math.log10(raw))
        step *= next(factor for factor in (1, 2, 5, 10) if factor * step >= raw)
        first = math.ceil(self.low / step)
        return [round(i * step, 12) for i in range(first, math.floor(self.high / step) + 1)]


def interval(
    mean: float, low: float | None, high: float | None, published: float | None, scale: Scale, text: str
) -> Markup:
    """A row's mean as a dot on its interval, its published value as a diamond, on the board's common scale.

    What lies beyond the scale is an arrow at its end.
    """
    parts = [_tag("line", x1=scale.start, x2=scale.stop, y1=11, y2=11, class_="rail")]
    if not scale.low <= mean <= scale.high:
        x, tip = (scale.start + 8, scale.start) if mean < scale.low else (scale.stop - 8, scale.stop)
        parts.append(_tag("path", d=f"M{x},6 L{tip},11 L{x},16 Z", class_="mean"))
        return _svg(parts, 180, 22, "interval", text)
    if low is not None and high is not None:
        parts.append(_tag("line", x1=scale.inside(low), x2=scale.inside(high), y1=11, y2=11, class_="interval-line"))
    if published is not None and scale.low <= published <= scale.high:
        x = scale(published)
        parts.append(_tag("path", d=f"M{x - 4},11 L{x},7 L{x + 4},11 L{x},15 Z", class_="published"))
    parts.append(_tag("circle", cx=scale(mean), cy=11, r=4, class_="mean"))
    return _svg(parts, 180, 22, "interval", text)


def higher_first(value: float) -> float:
    return -value


def scatter(
    points: Sequence[Point],
    x_title: str,
    y_title: str,
    *,
    logarithmic: bool = False,
    text: str = "",
    sort_key: Callable[[float], float] = higher_first,
) -> Markup:
    """Points with the front of those that no other point beats: better for less.

    Args:
        sort_key: of a point's y, the smaller the better.
    """
    if not points:
        return Markup("")
    x = Scale.over([p.x for p in points], LEFT, WIDTH - RIGHT, logarithmic)
    y = Scale.over([p.y for p in points], HEIGHT - BOTTOM, TOP)
    parts = _axes(x, y, x_title, y_title)
    front = pareto_front(points, sort_key)
    steps = " ".join(f"{x(p.x)},{y(p.y)}" for p in front)
    parts.append(_tag("polyline", points=steps, class_="front"))
    placed: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda p: -p.y):
        px, py = x(point.x), y(point.y)
        kind = "mean best" if point in front else "mean"
        mark = _tag("circle", cx=px, cy=py, r=5, class_=kind, inside=_tag("title", inside=point.label))
        parts.append(_tag("a", href=point.href, inside=mark) if point.href else mark)
        if len(points) <= 24:
            ty = _free_height(px, py + 4, placed)
            right = px > WIDTH - 130
            parts.append(
                _tag("text", x=px - 9 if right else px + 9, y=ty, class_="name" + (" left" if right else ""),
                     inside=point.label)
            )  # fmt: skip
    return _svg(parts, WIDTH, HEIGHT, "plot", text or f"{y_title} against {x_title}")


def lines(series: Sequence[Line], x_title: str, y_title: str, text: str = "") -> Markup:
    """One line a series, as a metric over epochs."""
    drawn = [line for line in series if line.points]
    if not drawn:
        return Markup("")
    x = Scale.over([px for line in drawn for px, _ in line.points], LEFT, WIDTH - RIGHT)
    y = Scale.over([py for line in drawn for _, py in line.points], HEIGHT - BOTTOM, TOP)
    parts = _axes(x, y, x_title, y_title)
    for index, line in enumerate(drawn):
        title = _tag("title", inside=line.label)
        kind = f"series s{index % 6}"
        coordinates = " ".join(f"{x(px)},{y(py)}" for px, py in line.points)
        parts.append(_tag("polyline", points=coordinates, class_=kind, inside=title))
        parts += [
            _tag("circle", cx=x(px), cy=y(py), r=2.5, class_=f"dot s{index % 6}", inside=_tag(
                "title", inside=f"{line.label}: {x_title} {px:g}, {y_title} {py:.5f}"))
            for px, py in line.points
        ]  # fmt: skip
    return _svg(parts, WIDTH, HEIGHT, "plot", text or f"{y_title} over {x_title}")


def pareto_front(points: Sequence[Point], sort_key: Callable[[float], float] = higher_first) -> list[Point]:
    """Points with a better y than every point of smaller or equal x, from the left."""
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p.x, sort_key(p.y))):
        if not front or sort_key(point.y) < sort_key(front[-1].y):
            front.append(point)
    return front


def _free_height(px: float, py: float, placed: list[tuple[float, float]]) -> float:
    """The nearest height at which a label meets no earlier one."""
    for shift in (0, 12, -12, 24, -24, 36, -36, 48, -48):
        if all(abs(px - ox) > 110 or abs(py + shift - oy) > 11 for ox, oy in placed):
            placed.append((px, py + shift))
            return py + shift
    return py


def _axes(x: Scale, y: Scale, x_title: str, y_title: str) -> list[Markup]:
    parts = []
    for tick in y.ticks():
        parts.append(_tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y(tick), y2=y(tick), class_="grid"))
        parts.append(_tag("text", x=LEFT - 8, y=y(tick) + 4, class_="tick left", inside=_number(tick)))
    for tick in x.ticks():
        parts.append(_tag("line", x1=x(tick), x2=x(tick), y1=TOP, y2=HEIGHT - BOTTOM, class_="grid"))
        parts.append(_tag("text", x=x(tick), y=HEIGHT - BOTTOM + 18, class_="tick middle", inside=_number(tick)))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(_tag("text", x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 8, class_="axis middle", inside=x_title))
    turned = f"rotate(-90 14 {middle})"
    parts.append(_tag("text", x=14, y=middle, class_="axis middle", transform=turned, inside=y_title))
    return parts


def _number(value: float) -> str:
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{suffix}"
    return f"{value:.4g}"


def _svg(parts: Sequence[Markup], width: int, height: int, kind: str, text: str) -> Markup:
    title = _tag("title", inside=text)
    body = Markup("").join([title, *parts])
    return _tag("svg", viewBox=f"0 0 {width} {height}", class_=kind, role="img", aria_label=text, inside=body)


def _tag(name: str, *, inside: str | Markup | None = None, **attributes: object) -> Markup:
    """An element whose attributes are escaped; ``class_`` and ``aria_label`` stand for class and aria-label."""
    named = {key.rstrip("_").replace("aria_", "aria-"): value for key, value in attributes.items()}
    text = "".join(
        f' {key}="{escape(html(value))}"' for key, value in named.items()
    )  # Markup.format is many times slower
    return Markup(f"<{name}{text}/>" if inside is None else f"<{name}{text}>{escape(html(inside))}</{name}>")

"""Inline SVG, drawn with classes that the style sheet colours; every text is escaped."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from fuxi_plugins.core.cleaning import html

WIDTH, HEIGHT = 640, 360  # of a plot
LEFT, RIGHT, TOP, BOTTOM = 80, 20, 16, 46  # its margins
LETTER, LINE = 7.8, 15  # of a label's letter and line in pixels, in the widest of the fonts that a system may choose
MARK = 6  # pixels from the middle of a point to its rim


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
    mean: float, low: float | None, high: float | None, published: float | None, scale: Scale, text: str, shown: str
) -> Markup:
    """A row's mean as a dot on its interval, its published value as a diamond, on the board's common scale.

    A mean beyond the scale is an arrow at its end with the value beside it; an interval that is cut ends in a chevron.

    Args:
        text: what the drawing says, for those who cannot see it.
        shown: the mean as the table shows it.
    """
    width = round(scale.start + scale.stop)
    parts = [_tag("line", x1=scale.start, x2=scale.stop, y1=11, y2=11, class_="rail")]
    if not scale.low <= mean <= scale.high:
        below = mean < scale.low
        tip, side = (scale.start, 1) if below else (scale.stop, -1)
        x = tip + 8 * side
        parts.append(_tag("path", d=f"M{x},6 L{tip},11 L{x},16 Z", class_="mean"))
        kind = "edge" if below else "edge left"
        parts.append(_tag("text", x=x + 4 * side, y=15, class_=kind, inside=shown))
        return _svg(parts, width, 22, "interval", text)
    if low is not None and high is not None:
        parts.append(_tag("line", x1=scale.inside(low), x2=scale.inside(high), y1=11, y2=11, class_="interval-line"))
        for cut, tip, side in ((low < scale.low, scale.start, 1), (high > scale.high, scale.stop, -1)):
            if cut:
                x = tip + 4 * side
                parts.append(_tag("polyline", points=f"{x},7 {tip},11 {x},15", class_="cut"))
    if published is not None and scale.low <= published <= scale.high:
        x = scale(published)
        parts.append(_tag("path", d=f"M{x - 4},11 L{x},7 L{x + 4},11 L{x},15 Z", class_="published"))
    parts.append(_tag("circle", cx=scale(mean), cy=11, r=4, class_="mean"))
    return _svg(parts, width, 22, "interval", text)


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
    ordered = sorted(points, key=lambda point: (point not in front, sort_key(point.y)))
    for point in ordered:
        kind = "mean best" if point in front else "mean"
        mark = _tag("circle", cx=x(point.x), cy=y(point.y), r=5, class_=kind, inside=_tag("title", inside=point.label))
        parts.append(_tag("a", href=point.href, aria_label=point.label, inside=mark) if point.href else mark)
    line = [(x(p.x), y(p.y)) for p in front]
    for label, box in place_labels([(x(p.x), y(p.y), p.label) for p in ordered], line):
        parts.append(_tag("text", x=box.left, y=box.bottom - 3, class_="name", inside=label))
    return _svg(parts, WIDTH, HEIGHT, "plot scatter", text or f"{y_title} against {x_title}", role="group")  # has links


def lines(series: Sequence[Line], x_title: str, y_title: str, text: str = "") -> Markup:
    """One line a series, as a metric over epochs; a series of one point is no line and not drawn."""
    drawn = [line for line in series if len(line.points) > 1]
    if not drawn:
        return Markup("")
    x = Scale.over([px for line in drawn for px, _ in line.points], LEFT, WIDTH - RIGHT)
    y = Scale.over([py for line in drawn for _, py in line.points], HEIGHT - BOTTOM, TOP)
    parts = _axes(x, y, x_title, y_title)
    for index, line in enumerate(series):
        if line not in drawn:
            continue
        title = _tag("title", inside=line.label)
        kind = f"series s{index % 6}"
        placed = [(x(px), y(py), px, py) for px, py in line.points]
        coordinates = " ".join(f"{cx},{cy}" for cx, cy, _, _ in placed)
        parts.append(_tag("polyline", points=coordinates, class_=kind, inside=title))
        said = escape(html(f"{line.label}: {x_title}")), escape(html(y_title))  # once, because points are many
        dots = [
            f'<circle cx="{cx}" cy="{cy}" r="2.5" class="dot s{index % 6}">'
            f"<title>{said[0]} {px:g}, {said[1]} {py:.5f}</title></circle>"
            for cx, cy, px, py in placed
        ]
        parts.append(Markup("".join(dots)))
    return _svg(parts, WIDTH, HEIGHT, "plot", text or f"{y_title} over {x_title}")


def pareto_front(points: Sequence[Point], sort_key: Callable[[float], float] = higher_first) -> list[Point]:
    """Points with a better y than every point of smaller or equal x, from the left."""
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p.x, sort_key(p.y))):
        if not front or sort_key(point.y) < sort_key(front[-1].y):
            front.append(point)
    return front


@dataclass(frozen=True)
class Box:
    """Where a label or a mark lies, in pixels; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "Box") -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def within(self, other: "Box") -> bool:
        across = other.left <= self.left and self.right <= other.right
        return across and other.top <= self.top and self.bottom <= other.bottom


def place_labels(
    marks: Sequence[tuple[float, float, str]], line: Sequence[tuple[float, float]] = ()
) -> list[tuple[str, Box]]:
    """Labels beside their marks, at places where they cover no mark, no other label and not the line.

    A mark for whose label there is no room has none; its name is in its tooltip.

    Args:
        marks: x, y and label of each, the most important first.
        line: the corners of a line through the plot.
    """
    plot = Box(LEFT, TOP, WIDTH, HEIGHT - BOTTOM)
    taken = [Box(x - MARK, y - MARK, x + MARK, y + MARK) for x, y, _ in marks]
    taken += [Box(x - 1, y - 1, x + 1, y + 1) for x, y in _along(line)]
    placed = []
    for x, y, label in marks:
        width = LETTER * len(label)
        for left, top in _places(x, y, width):
            box = Box(left, top, left + width, top + LINE)
            if box.within(plot) and not any(map(box.overlaps, taken)):
                taken.append(box)
                placed.append((label, box))
                break
    return placed


def _along(line: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Points of a line, at most 4 pixels apart."""
    for (x1, y1), (x2, y2) in itertools.pairwise(line):
        steps = math.ceil(math.dist((x1, y1), (x2, y2)) / 4)
        for step in range(1, steps):
            yield x1 + (x2 - x1) * step / steps, y1 + (y2 - y1) * step / steps


def _places(x: float, y: float, width: float) -> Iterator[tuple[float, float]]:
    """The upper left corners that a label beside a mark may have, the best first."""
    middle = y - LINE / 2
    for shift in (0, -8, 8, -14, 14):
        yield x + MARK + 3, middle + shift
        yield x - MARK - 3 - width, middle + shift
    for top in (y - MARK - LINE - 1, y + MARK + 1):
        yield x - width / 2, top


def _axes(x: Scale, y: Scale, x_title: str, y_title: str) -> list[Markup]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    ticks = []  # written out, because every page of a run has some forty of these lines and numbers
    for tick in y.ticks():
        at = y(tick)
        ticks.append(f'<line x1="{LEFT}" x2="{right}" y1="{at}" y2="{at}" class="grid"/>')
        ticks.append(f'<text x="{LEFT - 8}" y="{at + 4}" class="tick left">{_number(tick)}</text>')
    for tick in x.ticks():
        at = x(tick)
        ticks.append(f'<line x1="{at}" x2="{at}" y1="{TOP}" y2="{bottom}" class="grid"/>')
        ticks.append(f'<text x="{at}" y="{bottom + 18}" class="tick middle">{_number(tick)}</text>')
    middle = (TOP + bottom) / 2
    turned = f"rotate(-90 14 {middle})"
    return [
        Markup("".join(ticks)),
        _tag("text", x=(LEFT + right) / 2, y=HEIGHT - 8, class_="axis middle", inside=x_title),
        _tag("text", x=14, y=middle, class_="axis middle", transform=turned, inside=y_title),
    ]


def _number(value: float) -> str:
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{suffix}"
    return f"{value:.4g}"


def _svg(parts: Sequence[Markup], width: int, height: int, kind: str, text: str, role: str = "img") -> Markup:
    title = _tag("title", inside=text)
    body = Markup("".join([title, *parts]))  # each of them is markup; Markup's own join would look at each again
    size = {"width": width, "height": height, "viewBox": f"0 0 {width} {height}"}
    return _tag("svg", **size, class_=kind, role=role, aria_label=text, inside=body)


def _tag(name: str, *, inside: str | Markup | None = None, **attributes: object) -> Markup:
    """An element whose attributes are escaped; ``class_`` and ``aria_label`` stand for class and aria-label."""
    # Markup.format is many times slower than these strings, and most attributes are numbers.
    written = ((key, v if isinstance(v, int | float) else escape(html(v))) for key, v in attributes.items())
    text = "".join(f' {key.rstrip("_").replace("aria_", "aria-")}="{value}"' for key, value in written)
    return Markup(f"<{name}{text}/>" if inside is None else f"<{name}{text}>{escape(html(inside))}</{name}>")

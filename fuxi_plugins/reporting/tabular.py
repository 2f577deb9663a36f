"""LaTeX tables that fit the width of an article's text.

Text is measured by the metrics of Computer Modern, which is wider than the fonts of most styles. A table that is too
wide gets a smaller font and narrower gaps; if that is not enough, its columns go into several panels, one below the
other. Sizes are in points and do not depend on the article's.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from fuxi_plugins.core.cleaning import latex

WIDTHS = {"one": 240.0, "two": 504.0}  # of one column and of the whole text, in points (acmart sigconf: 241 and 506)

# Font sizes with the width of a digit of the Computer Modern font that is cut for that size; and gaps between columns.
_DIGIT = {10: 5.0, 9: 4.625, 8: 4.25, 7: 3.986}
_ONE_PANEL = [(10, 12.0), (9, 10.0), (9, 7.0), (8, 7.0), (8, 5.0), (7, 5.0), (7, 4.0)]  # in the order of preference
_PANELS = [(8, 5.0), (7, 4.0)]
_BOLD = 1.17  # of the plain width
_MARK = 0.45  # ems of each character of a superscript
_LONGEST, _SHORTEST = 0.35, 0.2  # of the table's width; a longer text is broken


@dataclass(frozen=True)
class TexCell:
    """Plain text with its emphasis; ``mark`` is the LaTeX of a superscript, such as ``*`` or ``\\dagger``.

    A cell with ``space_for`` leaves as much room as that mark needs, so that numbers stand in line.
    """

    text: str
    bold: bool = False
    underlined: bool = False
    mark: str = ""
    space_for: str = ""


@dataclass(frozen=True)
class TexColumn:
    heading: str
    cells: Sequence[TexCell]
    align: str = "r"
    group: str = ""  # a heading that neighbours of the same group share


@dataclass(frozen=True)
class Setting:
    """How a table is set.

    Args:
        size: of the font, in points.
        gap: between columns, in points.
        longest: text in one line, in ems.
    """

    size: int
    gap: float
    longest: float

    @property
    def em(self) -> float:
        """In points: twice the width of a digit, and a little more, for letters shrink less than digits do."""
        return _em(self.size)


def tabular(columns: Sequence[TexColumn], width: float, stubs: int = 1) -> list[str]:
    """The lines of a table, set to fit.

    Args:
        columns: all of the same number of cells.
        width: in points.
        stubs: columns at the left, which every panel repeats.
    """
    setting, panels = fit(columns, width, stubs)
    lines = [r"\begingroup", rf"\fontsize{{{setting.size}}}{{{1.2 * setting.size:.1f}}}\selectfont"]
    lines.append(rf"\setlength{{\tabcolsep}}{{{setting.gap / 2:g}pt}}")
    for place, panel in enumerate(panels):
        lines += [r"\par\smallskip"] if place else []
        lines += _panel([columns[index] for index in panel], stubs, setting.longest)
    return [*lines, r"\endgroup"]


def fit(columns: Sequence[TexColumn], width: float, stubs: int = 1) -> tuple[Setting, list[list[int]]]:
    """The largest setting that fits in one panel, else one that fits in several; and the columns of each panel."""
    panels = [list(range(len(columns)))]
    for size, gap in _ONE_PANEL:
        setting = _setting(size, gap, _LONGEST * width)
        if panel_width(columns, setting) <= width:
            return setting, panels
    setting = _setting(*_PANELS[-1], _SHORTEST * width)
    for longest in (_LONGEST, _SHORTEST):
        for size, gap in _PANELS:
            setting = _setting(size, gap, longest * width)
            panels = _panels(columns, width, stubs, setting)
            if all(panel_width([columns[index] for index in panel], setting) <= width for panel in panels):
                return setting, panels
    return setting, panels


def _setting(size: int, gap: float, longest: float) -> Setting:
    return Setting(size, gap, longest / _em(size))


def _em(size: int) -> float:
    return 2.02 * _DIGIT[size]


def _panels(columns: Sequence[TexColumn], width: float, stubs: int, setting: Setting) -> list[list[int]]:
    """Whole groups together as long as they fit; a group that is too wide alone is divided."""
    left = list(range(stubs))

    def fits(panel: Sequence[int]) -> bool:
        return panel_width([columns[index] for index in [*left, *panel]], setting) <= width

    panels: list[list[int]] = [[]]
    for group in _groups(columns, stubs):
        if fits([*panels[-1], *group]):
            panels[-1] += group
            continue
        if panels[-1]:
            panels.append([])
        for index in group:
            if panels[-1] and not fits([*panels[-1], index]):
                panels.append([])
            panels[-1].append(index)
    return [[*left, *panel] for panel in panels]


def _groups(columns: Sequence[TexColumn], start: int) -> list[list[int]]:
    """Places of neighbours that share a group; a column without one stands alone."""
    groups: list[list[int]] = []
    for index in range(start, len(columns)):
        group = columns[index].group
        if groups and group and columns[groups[-1][-1]].group == group:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def _panel(columns: Sequence[TexColumn], stubs: int, limit: float) -> list[str]:
    lines = [r"\begin{tabular}{@{}" + "".join(column.align for column in columns) + "@{}}", r"\toprule"]
    if any(column.group for column in columns):
        lines += _group_headings(columns, stubs, limit)
    headings = [_stacked(_heading(column, limit), column.align, latex) for column in columns]
    lines += [_row(headings), r"\midrule"]
    for row in zip(*(column.cells for column in columns), strict=True):
        lines.append(_row(_cell(cell, column.align, limit) for cell, column in zip(row, columns, strict=True)))
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def _group_headings(columns: Sequence[TexColumn], stubs: int, limit: float) -> list[str]:
    cells, rules, place = [""] * stubs, [], stubs + 1
    for group in _groups(columns, stubs):
        name, last = columns[group[0]].group, place + len(group) - 1
        text = _stacked(_wrapped(name, limit), "c", latex)
        cells.append(rf"\multicolumn{{{len(group)}}}{{c}}{{{text}}}" if name else "")
        rules += [rf"\cmidrule(lr){{{place}-{last}}}"] if name else []
        place = last + 1
    return [_row(cells), " ".join(rules)]


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(cell: TexCell, align: str, limit: float) -> str:
    def emphasised(text: str) -> str:
        source = latex(text)
        source = rf"\underline{{{source}}}" if cell.underlined else source
        return rf"\textbf{{{source}}}" if cell.bold else source

    source = _stacked(_wrapped(cell.text, limit), align, emphasised)
    if cell.mark:
        return source + f"$^{{{cell.mark}}}$"
    return source + (rf"\phantom{{$^{{{cell.space_for}}}$}}" if cell.space_for else "")


def _stacked(lines: Sequence[str], align: str, source: Callable[[str], str]) -> str:
    if len(lines) == 1:
        return source(lines[0])
    return rf"\shortstack[{align}]{{" + r"\\".join(map(source, lines)) + "}"


def _heading(column: TexColumn, limit: float) -> list[str]:
    """In lines that make the column no wider than its cells or the longest word do."""
    widest = max((_cell_width(cell, limit) for cell in column.cells), default=0)
    words = max((text_width(word) for word in column.heading.split()), default=0)
    return _wrapped(column.heading, min(max(widest, words), limit))


def _wrapped(text: str, limit: float) -> list[str]:
    """Lines of at most ``limit`` ems, broken at spaces, or within a word that is longer than a line."""
    if text_width(text) <= limit:
        return [text]
    lines = [""]
    for word in re.findall(r"\S+\s*", text):
        if lines[-1] and text_width(lines[-1] + word.rstrip()) > limit:
            lines.append("")
        for character in word:
            if lines[-1] and not character.isspace() and text_width(lines[-1] + character) > limit:
                lines.append("")
            lines[-1] += character
    return [line.rstrip() for line in lines]


def panel_width(columns: Sequence[TexColumn], setting: Setting) -> float:
    """Of one panel, in points; at least its true width."""
    own = [setting.em * _column_width(column, setting.longest) for column in columns]
    total = 0.0
    for group in _groups(columns, 0):
        together = sum(own[index] for index in group) + setting.gap * (len(group) - 1)
        heading = max(map(text_width, _wrapped(columns[group[0]].group, setting.longest)))
        total += max(together, setting.em * heading)
    return total + setting.gap * (len(_groups(columns, 0)) - 1)


def _column_width(column: TexColumn, limit: float) -> float:
    cells = [_cell_width(cell, limit) for cell in column.cells]
    return max([*cells, *map(text_width, _heading(column, limit))])


def _cell_width(cell: TexCell, limit: float) -> float:
    widest = max(map(text_width, _wrapped(cell.text, limit)))
    mark = len(re.sub(r"\\[a-z]+", "x", cell.mark or cell.space_for))
    return widest * (_BOLD if cell.bold else 1) + (_MARK * mark + 0.1 if mark else 0)


@lru_cache(maxsize=2**16)  # a cell is measured for every width that the table is tried at
def text_width(text: str) -> float:
    """Of what LaTeX prints for the text, in ems of Computer Modern at 10 points; at least its true width.

    >>> text_width("0.7301")
    2.778
    """
    shown = re.sub(r"\\text[a-z]+\{\}|\$\\?[a-z-]+\$", "M", latex(text))  # symbols are no wider than an M
    shown = re.sub(r"\{([\[*])\}", r"\1", shown)
    return round(sum(_widths().get(character, 1.0) for character in shown.replace("\\", "")), 3)


@cache
def _widths() -> dict[str, float]:
    """Of characters, in ems, from the metrics of cmr10 that matplotlib brings."""
    import matplotlib  # takes long to load, and only LaTeX needs it

    metrics = Path(matplotlib.get_data_path(), "fonts", "afm", "cmr10.afm").read_text()
    found = re.findall(r"^C (\d+) ; WX ([\d.]+)", metrics, re.MULTILINE)
    widths = {chr(int(code)): float(width) / 1000 for code, width in found if chr(int(code)).isascii()}
    return widths | {"_": 0.4}  # a rule, no character of the font

"""Draws the pictures of the README and of the documentation from the records, into docs/images.

\b
    python scripts/make_figures.py

``front.svg`` is the top of the site's first table; ``reading.svg`` is a board with intervals, letters and rank ranges.
Where the README and the first page of the documentation show one, they say in its place what is drawn.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import click
from matplotlib.axes import Axes

from fuxi_plugins.analysis.leaderboard import Leaderboard, Row
from fuxi_plugins.core.files import replacing
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.experiments.suite import find_suite
from fuxi_plugins.records.metrics import find_metric
from fuxi_plugins.reporting.boards import suite_board
from fuxi_plugins.reporting.paper.style import Drawing, drawing
from fuxi_plugins.reporting.site.contents import Contents
from fuxi_plugins.reporting.site.gather import gather
from fuxi_plugins.reporting.site.intervals import board_scale

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
PAGES = (ROOT / "README.md", ROOT / "docs" / "index.md")
SHOWN = 12  # models of the first table
IN_A_LINE = 3  # datasets of the first table
READING = "ml100k_board"
INK, BLUE, SOFT = "#1c2024", "#0b6bcb", "#5b636b"


def front(contents: Contents) -> Drawing:
    """The first models by their average rank, with their test metric and its interval on each dataset."""
    found, main = contents.across, contents.main
    assert found is not None, "the first table needs two datasets"
    models, whole = found.models[:SHOWN], len(found.models)
    lines = [main[start : start + IN_A_LINE] for start in range(0, len(main), IN_A_LINE)]
    with drawing(2.4 + 2.6 * IN_A_LINE, (0.7 + 0.24 * len(models)) * len(lines)) as figure:
        grid = figure.subplots(len(lines), 1 + IN_A_LINE, width_ratios=[1.35] + [2] * IN_A_LINE, squeeze=False)
        for line, (names, *panels) in zip(lines, grid, strict=True):
            _columns(names, [[f"{rank:.1f}", name] for rank, name in zip(found.average_ranks, models, strict=False)],
                     ["average rank", "model"], [0.45, 0.55])  # fmt: skip
            for axes, named in zip(panels, line, strict=False):
                rows = {row.display_name: row for row in named.board.ranked()}
                _intervals(axes, named.board, [rows[name] for name in models])
            for axes in panels[len(line) :]:
                axes.axis("off")
    metrics = {named.board.rank_by for named in main}
    caption = (
        f"The first {len(models)} of the {whole} models with results on all {found.how_many}, by average rank over "
        f"{found.unit}s; and their test {' and '.join(sorted(metrics))} on each dataset, mean over seeds, with 95% "
        "intervals. Bold: not significantly worse than the dataset's best."
    )
    return Drawing("front", figure, caption)


def reading(board: Leaderboard) -> Drawing:
    """A board's ranked rows: rank range, letters, model, and the mean on its interval."""
    rows = board.ranked()
    texts = [[_rank(row), row.letters, row.display_name] for row in rows]
    with drawing(6.6, 0.7 + 0.26 * len(rows)) as figure:
        names, axes = figure.subplots(1, 2, width_ratios=[1.2, 2])
        _columns(names, texts, ["rank", "letters", "model"], [0.0, 0.34, 0.6])
        _intervals(axes, board, rows)
    return Drawing("reading", figure, f"{board.data.title}: rank with rank range, letters, and 95% intervals.")


def _rank(row: Row) -> str:
    low, high = row.rank_range or (row.rank, row.rank)
    return f"{row.rank}" if low == high else f"{row.rank} ({low}–{high})"


def _columns(axes: Axes, rows: Sequence[Sequence[str]], heads: Sequence[str], places: Sequence[float]) -> None:
    """Text in columns; the first is right of its place where it is a number."""
    axes.axis("off")
    axes.set(ylim=(len(rows) - 0.5, -1.2), xlim=(0, 1))
    for place, head in zip(places, heads, strict=True):
        align = "right" if head == "average rank" else "left"
        axes.text(place - 0.05 * (align == "right"), -0.8, head, ha=align, va="center", fontsize=8, color=SOFT)
        for level, row in enumerate(rows):
            axes.text(
                place - 0.05 * (align == "right"), level, row[heads.index(head)], ha=align, va="center", color=INK
            )


def _intervals(axes: Axes, board: Leaderboard, rows: Sequence[Row]) -> None:
    """A row's mean on its interval, with the value beside it; outliers are arrows at the edge."""
    metric = find_metric(board.rank_by)
    scale = board_scale(rows, metric.name, (0, 1))
    alike = {row.key for row in board.as_good_as_the_best()}
    width = scale.high - scale.low
    axes.set(ylim=(len(rows) - 0.5, -1.2), xlim=(scale.low, scale.high + 0.42 * width), yticks=[])
    axes.set_xticks(scale.ticks(4))
    axes.spines["left"].set_visible(False)
    axes.text(scale.low, -0.8, f"{board.dataset}, test {metric.name}", va="center", fontsize=8, color=SOFT)
    for level, row in enumerate(rows):
        mean, reach = row.test[metric.name].mean, row.intervals.get(metric.name)
        bold = "bold" if row.key in alike else "normal"
        axes.text(scale.high + 0.06 * width, level, metric.show(mean), va="center", color=INK, weight=bold)
        if not scale.low <= mean <= scale.high:
            axes.plot([scale.low], [level], marker="<", color=BLUE)
            continue
        if reach:
            ends = [max(reach.low, scale.low), min(reach.high, scale.high)]
            axes.plot(ends, [level, level], color=BLUE, linewidth=2, alpha=0.55)
        axes.plot([mean], [level], marker="o", color=BLUE)


def drawings() -> list[Drawing]:
    workspace = Workspace.locate(ROOT / "benchmark_configs", ROOT / "results")
    suite = find_suite(READING, workspace)
    return [front(gather(workspace)), reading(suite_board(suite, suite.datasets[0], workspace))]


def with_caption(text: str, drawn: Drawing) -> str:
    """A page's text, where the picture's caption is what readers get who do not see it."""
    return re.sub(rf"!\[[^]]*\](?=\([\w/]*{drawn.name}\.svg\))", lambda _: f"![{drawn.caption}]", text)


@click.command(help=__doc__)
def main() -> None:
    for drawn in drawings():
        with replacing(IMAGES / f"{drawn.name}.svg") as temporary:
            temporary.write_bytes(drawn.svg(transparent=False))
        for page in PAGES:
            page.write_text(with_caption(page.read_text(encoding="utf-8"), drawn), encoding="utf-8")


if __name__ == "__main__":
    main()

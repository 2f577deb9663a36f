"""Puts boards into docs/results.md between the markers that name them, and below them the sentences that they say.

The README and the page also get one table over the main board of every real dataset: RankElastor and RankMixer beside
their rivals. Tables and sentences are of boards that are rebuilt from the records. A file of a board that its records
no longer give is refused, so that the page never differs from ``results/leaderboards``.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from tabulate import tabulate

from fuxi_plugins.analysis.compare import compare_on_board
from fuxi_plugins.analysis.comparisons import comparisons
from fuxi_plugins.analysis.leaderboard import Row
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.experiments.suite import find_suite
from fuxi_plugins.records.metrics import find_metric
from fuxi_plugins.reporting.boards import board_file, suite_boards
from fuxi_plugins.reporting.formats import render
from fuxi_plugins.reporting.site.contents import NamedBoard
from fuxi_plugins.reporting.site.gather import gather

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "results.md"
README = ROOT / "README.md"
MARKED = re.compile(r"(<!-- board: (\w+) -->\n).*?(<!-- end -->)", flags=re.DOTALL)
# The project's model and those it is held against; a sentence each on every dataset with runs of both.
SUBJECT, RIVALS = "RankElastor", ("RankMixer", "DCNv2", "FinalMLP")
SAID = re.compile(r"(<!-- said -->\n).*?(<!-- end -->)", flags=re.DOTALL)
# The pairs of the table over all datasets.
PAIRS = (("RankElastor", "RankMixer"), ("RankElastor", "DCNv2"), ("RankElastor", "FinalMLP"), ("RankMixer", "DCNv2"))
STANDING = re.compile(r"(<!-- standing -->\n).*?(<!-- end -->)", flags=re.DOTALL)


def page_boards(text: str, workspace: Workspace) -> list[NamedBoard]:
    """The boards whose markers stand in the text and that have been written, each of one dataset."""
    named = []
    for _, name, _ in MARKED.findall(text):
        if not (workspace.results / "leaderboards" / f"{name}.md").exists():
            continue
        suite = find_suite(name, workspace)
        (board,) = suite_boards(suite, workspace)
        named.append(NamedBoard(board_file(suite, board.dataset, workspace, "x").stem, name, suite.title, board))
    return named


def table(named: NamedBoard, workspace: Workspace) -> str:
    """The table of a board's Markdown, without its title and notes."""
    path = workspace.results / "leaderboards" / f"{named.stem}.md"
    text = render(named.board, named.title, "md")
    if path.read_text(encoding="utf-8") != text:
        sys.exit(f"{path} is not what its records say: run 'fuxibench leaderboard {named.suite}' first.")
    return "".join(line for line in text.splitlines(keepends=True) if line.startswith("|"))


def updated(text: str, workspace: Workspace) -> str:
    """The page's text with its tables and sentences made anew."""
    boards = page_boards(text, workspace)
    tables = {named.suite: table(named, workspace) for named in boards}
    said = "".join(f"- {sentence}\n" for sentence in sentences(boards, workspace))
    text = MARKED.sub(lambda match: match[1] + tables[match[2]] + match[3] if match[2] in tables else match[0], text)
    return SAID.sub(lambda match: match[1] + said + match[2], text)


def sentences(boards: Sequence[NamedBoard], workspace: Workspace) -> list[str]:
    """What ``fuxibench compare`` says of the project's model beside its rivals, on the datasets of these boards.

    Of real data only: a generator's effects were chosen, so an order on them says nothing of the models.
    """
    datasets = sorted({named.board.dataset for named in boards if not named.board.data.synthetic})
    found = [comparisons(SUBJECT, rival, dataset, None, workspace)[0] for rival in RIVALS for dataset in datasets]
    return [" ".join([one.sentence, *one.caveats]) for one in found]


def standing(boards: Sequence[NamedBoard]) -> str:
    """A row a dataset: by how much the first model of each pair is above the second in the metric of the board.

    Bold, with the word better or worse: significant, adjusted for all pairs of that board. A dash: not both were run.
    """
    lines = []
    for named in boards:
        rows = {row.display_name: row for row in named.board.ranked()}
        cells = [_standing_cell(named, rows, *pair) for pair in PAIRS]
        if any(cell != "–" for cell in cells):
            seeds = min(len(rows[name].seeds) for pair in PAIRS for name in pair if name in rows)
            lines.append([f"`{named.board.dataset}`", _link(named), named.board.rank_by, seeds, *cells])
    heads = ["dataset", "leaderboard", "metric", "seeds", *(f"{a} − {b}" for a, b in PAIRS)]
    return tabulate(lines, heads, tablefmt="pipe", disable_numparse=True) + "\n"


def _link(named: NamedBoard) -> str:
    return f"[{len(named.board.ranked())} models](results/leaderboards/{named.stem}.md)"


def _standing_cell(named: NamedBoard, rows: Mapping[str, Row], a: str, b: str) -> str:
    if not {a, b} <= set(rows):
        return "–"
    compared = compare_on_board(named.board, named.stem, rows[a], rows[b])
    assert compared is not None, "both rows are ranked"
    metric = find_metric(compared.metric)
    shown = metric.show_difference_end(compared.effect)
    if not compared.difference.significant:
        return shown
    return f"**{shown} {'better' if (compared.effect > 0) == metric.higher_is_better else 'worse'}**"


def with_standing(text: str, workspace: Workspace) -> str:
    """The text with the table over all datasets made anew."""
    if not STANDING.search(text):
        return text
    table = standing([named for named in gather(workspace).main if not named.board.data.synthetic])
    return STANDING.sub(lambda match: match[1] + table + match[2], text)


@click.command(help=__doc__)
def main() -> None:
    workspace = Workspace.locate(ROOT / "benchmark_configs", ROOT / "results")
    README.write_text(with_standing(README.read_text(encoding="utf-8"), workspace), encoding="utf-8")
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8"), workspace), encoding="utf-8")


if __name__ == "__main__":
    main()

"""A leaderboard as a LaTeX table of booktabs that fits the text of an article.

The best mean is bold. As in the papers of this field, a star marks what is significantly better than the best baseline,
where the baselines are named. A dagger marks what is not significantly different from the best.
"""

from collections.abc import Sequence

from fuxi_plugins.analysis.leaderboard import Leaderboard
from fuxi_plugins.core.cleaning import latex, latex_comment
from fuxi_plugins.records.metrics import find_metric
from fuxi_plugins.reporting.notes import notes
from fuxi_plugins.reporting.tabular import WIDTHS, TexCell, TexColumn, tabular

_LEFT = ("letters", "model", "verdict")


def booktabs(
    board: Leaderboard, title: str, header: Sequence[str], rows: Sequence[Sequence[str]], baselines: Sequence[str] = ()
) -> str:
    """The table; ``rows`` are the board's, after a first one of the best possible scores where that is known.

    Raises:
        UserError: a baseline that no ranked row is.
    """
    extra = len(rows) - len(board.rows)
    starred = {row.key for row in board.better_than_best_of(baselines)}
    tied = {row.key for row in board.like_the_best()}
    best = {f"{metric} mean ± std": _best_row(board, metric) for metric in board.metrics}
    lines = [latex_comment(line) for line in [f"{title}: {board.data.title}", *notes(board)]]
    lines += map(latex_comment, _legend(baselines, bool(tied)))
    columns = []
    for place, name in enumerate(header):
        cells = [TexCell(row[place]) for row in rows[:extra]]
        for index, (row, texts) in enumerate(zip(board.rows, rows[extra:], strict=True)):
            star = row.key in starred and name == f"{board.rank_by} mean ± std"
            dagger = row.key in tied and name == "model"
            mark = "*" if star else r"\dagger" if dagger else ""
            cells.append(TexCell(texts[place], bold=best.get(name) == index, mark=mark))
        columns.append(TexColumn(name, cells, "l" if name in _LEFT else "r"))
    lines += tabular(columns, WIDTHS["two"], stubs=1 + header.index("model"))
    return "\n".join(lines) + "\n"


def _legend(baselines: Sequence[str], any_tied: bool) -> list[str]:
    lines = ["bold: best mean; letters: rows share one if and only if they are not significantly different"]
    if any_tied:
        lines.append(r"$^{\dagger}$: not significantly different from the best")
    if baselines:
        lines.append(f"$^{{*}}$: significantly better than the best baseline (of {', '.join(baselines)})")
    return lines


def _best_row(board: Leaderboard, metric: str) -> int | None:
    keys = {
        i: find_metric(metric).sort_key(row.test[metric].mean) for i, row in enumerate(board.rows) if metric in row.test
    }
    return min(keys, key=keys.__getitem__, default=None)


def bibtex(key: str, title: str, how: str, year: int, url: str = "", authors: Sequence[str] = ()) -> str:
    """An entry of a bibliography; without authors where none are known.

    >>> print(bibtex("FM", "Factorization Machines", "ICDM", 2010, "https://example.org", ["Steffen Rendle"]))
    @misc{FM,
      author = {Steffen Rendle},
      title = {{Factorization Machines}},
      howpublished = {ICDM},
      year = {2010},
      url = {https://example.org},
    }
    """
    fields = [
        ("author", latex(" and ".join(authors))),
        ("title", f"{{{latex(title)}}}"),
        ("howpublished", latex(how)),
        ("year", str(year)),
        ("url", url),
    ]
    lines = [f"  {name} = {{{value}}}," for name, value in fields if value]
    return "\n".join([f"@misc{{{''.join(c for c in key if c.isalnum() or c in '-_')},", *lines, "}"])

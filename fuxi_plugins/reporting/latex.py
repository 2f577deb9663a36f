"""A leaderboard as a LaTeX table of booktabs: the best in bold, what is tied with rank 1 starred."""

from collections.abc import Sequence

from fuxi_plugins.analysis.leaderboard import Leaderboard, higher_is_better
from fuxi_plugins.reporting.notes import notes

_ESCAPES = {
    **{character: "\\" + character for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "–": "--",
    "×": r"$\times$",
}


def booktabs(board: Leaderboard, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The table; ``rows`` are the board's, after a first one of the best possible scores where that is known."""
    extra = len(rows) - len(board.rows)
    lines = [f"% {_one_line(line)}" for line in [f"{title}: {board.data.title}", *notes(board)]]
    lines.append(r"% bold: best mean; $^{*}$: not separable from rank 1")
    lines.append(r"\begin{tabular}{" + "".join("l" if name in ("model", "verdict") else "r" for name in header) + "}")
    lines += [r"\toprule", _row(map(escape, header)), r"\midrule"]
    lines += [_row(map(escape, row)) for row in rows[:extra]]
    best = {f"{metric} mean ± std": _best_row(board, metric) for metric in board.metrics}
    tied = board.rows[0].rank_range[1] if board.rows and board.rows[0].rank_range else 1
    for index, (row, texts) in enumerate(zip(board.rows, rows[extra:], strict=True)):
        drawn = [
            rf"\textbf{{{escape(text)}}}" if best.get(name) == index else escape(text)
            for name, text in zip(header, texts, strict=True)
        ]
        if row.rank and tied > 1 and (row.rank == 1 or row.rank_range[0] == 1):
            drawn[header.index("model")] += "$^{*}$"
        lines.append(_row(drawn))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def escape(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(_ESCAPES.get(character, character) for character in _one_line(text))


def _best_row(board: Leaderboard, metric: str) -> int | None:
    means = {i: row.test[metric].mean for i, row in enumerate(board.rows) if metric in row.test}
    return (max if higher_is_better(metric) else min)(means, key=means.get, default=None)


def _row(cells) -> str:
    return " & ".join(cells) + r" \\"


def _one_line(text: str) -> str:
    return " ".join(text.split())

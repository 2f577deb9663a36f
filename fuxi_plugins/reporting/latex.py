"""A leaderboard as a LaTeX table of booktabs.

The best mean is bold. As in the papers of this field, a star marks what is significantly better than the best baseline,
where the baselines are named. A dagger marks what is not significantly different from the best.
"""

from collections.abc import Sequence

from fuxi_plugins.analysis.leaderboard import Leaderboard
from fuxi_plugins.core.cleaning import latex, latex_comment
from fuxi_plugins.records.metrics import find_metric
from fuxi_plugins.reporting.notes import notes


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
    lines = [latex_comment(line) for line in [f"{title}: {board.data.title}", *notes(board)]]
    lines += map(latex_comment, _legend(baselines, bool(tied)))
    left = ("letters", "model", "verdict")
    lines.append(r"\begin{tabular}{" + "".join("l" if name in left else "r" for name in header) + "}")
    lines += [r"\toprule", _row(map(latex, header)), r"\midrule"]
    lines += [_row(map(latex, row)) for row in rows[:extra]]
    best = {f"{metric} mean ± std": _best_row(board, metric) for metric in board.metrics}
    for index, (row, texts) in enumerate(zip(board.rows, rows[extra:], strict=True)):
        drawn = [
            rf"\textbf{{{latex(text)}}}" if best.get(name) == index else latex(text)
            for name, text in zip(header, texts, strict=True)
        ]
        if row.key in starred:
            drawn[header.index(f"{board.rank_by} mean ± std")] += "$^{*}$"
        if row.key in tied:
            drawn[header.index("model")] += r"$^{\dagger}$"
        lines.append(_row(drawn))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


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


def _row(cells) -> str:
    return " & ".join(cells) + r" \\"

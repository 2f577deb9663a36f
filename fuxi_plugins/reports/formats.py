"""A leaderboard as Markdown, LaTeX, CSV, JSON or a table on the terminal.

A column is one entry of :func:`columns`; every format draws the same ones.
"""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

from tabulate import tabulate

from fuxi_plugins.reports.leaderboard import Leaderboard, Row, Summary

FORMATS = ("md", "csv", "tex", "json")


@dataclass(frozen=True)
class Column:
    title: str
    text: Callable[[Row], str]


def columns(board: Leaderboard) -> tuple[Column, ...]:
    """The columns of a board: those about published values or chosen configurations only where there are any."""
    measured = [
        Column(f"{metric} mean ± std", lambda row, metric=metric: _spread(row.test.get(metric)))
        for metric in board.metrics
    ]
    published = [
        Column(f"published {board.rank_by}", lambda row: _published(row, board.rank_by)),
        Column("difference", lambda row: _signed(row.difference(board.rank_by))),
    ]
    return (
        Column("rank", lambda row: str(row.rank or "–")),
        Column("model", lambda row: row.preset),
        *measured,
        Column(f"best {board.rank_by}", lambda row: _digits(row.test, board.rank_by, "best")),
        Column(f"valid {board.rank_by}", lambda row: _digits(row.valid, board.rank_by, "mean")),
        Column("seeds", lambda row: _seeds(row)),
        Column("dense parameters", lambda row: f"{row.parameters.dense:,}" if row.parameters else "–"),
        Column("embedding parameters", lambda row: f"{row.parameters.embedding:,}" if row.parameters else "–"),
        Column("s / epoch", lambda row: f"{row.seconds_per_epoch:.2f}" if row.seconds_per_epoch else "–"),
        *(published if any(row.published for row in board.rows) else []),
        *([Column("chosen configuration", _chosen)] if any(row.variants > 1 for row in board.rows) else []),
    )


def cells(board: Leaderboard) -> tuple[list[str], list[list[str]]]:
    """Header and rows of text; where the best possible scores are known, they stand in a first row without rank."""
    drawn = columns(board)
    rows = [[column.text(row) for column in drawn] for row in board.rows]
    if board.data.bayes:
        known = {f"{metric} mean ± std": f"{value:.5f}" for metric, value in board.data.bayes.items()}
        named = {"rank": "–", "model": "Bayes (the true probabilities)"}
        rows.insert(0, [{**named, **known}.get(column.title, "") for column in drawn])
    return [column.title for column in drawn], rows


def notes(board: Leaderboard) -> list[str]:
    """What a reader of the table must know."""
    data = board.data
    rows = ", ".join(
        f"{split} {count:,} ({data.positive_rate[split]:.2%} positive)" for split, count in data.rows.items()
    )
    lines = [
        f"Rows: {rows}. Data fingerprint `{data.fingerprint[:16]}`.",
        f"Ranked by mean test {board.rank_by} over seeds; epochs and configurations were chosen on validation.",
    ]
    if data.synthetic:
        lines.append("The data are synthetic; the Bayes row is what their true probabilities score on the test rows.")
    if data.valid_is_test:
        lines.append("Validation is the test set in this split, so early stopping has seen the test labels.")
    if data.note:
        lines.append(" ".join(data.note.split()))
    for row in board.rows:
        if row.problems:
            lines.append(f"{row.preset} ({row.experiment}): {'; '.join(row.problems)}.")
    kinds = {row.published.kind for row in board.rows if row.published}
    if kinds:
        lines.append(f"Published: {data.published_as} of BARS (github.com/reczoo/BARS); {', '.join(sorted(kinds))}.")
    return lines


def render(board: Leaderboard, title: str, form: str) -> str:
    """The board in one of :data:`FORMATS`."""
    header, rows = cells(board)
    if form == "md":
        table = tabulate(rows, headers=header, tablefmt="pipe", disable_numparse=True, colalign=_alignment(header))
        listed = "\n".join(f"- {line}" for line in notes(board))
        return f"# {title}\n\n{board.data.title} (`{board.dataset}`)\n\n{table}\n\n{listed}\n"
    if form == "tex":
        table = tabulate(rows, headers=header, tablefmt="latex_booktabs", disable_numparse=True)
        comments = "\n".join(f"% {line}" for line in [f"{title}: {board.data.title}", *notes(board)])
        return f"{comments}\n{table}\n"
    if form == "csv":
        return _csv(board)
    if form == "json":
        return json.dumps({"title": title, **_plain(board), "notes": notes(board)}, indent=1) + "\n"
    raise ValueError(f"the formats are {', '.join(FORMATS)}, not {form!r}")


def _csv(board: Leaderboard) -> str:
    """Full precision, one plain name a column, for programs."""
    buffer = io.StringIO()
    table = [_flat(row, board) for row in board.rows]
    writer = csv.DictWriter(buffer, fieldnames=list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return buffer.getvalue()


def _flat(row: Row, board: Leaderboard) -> dict[str, object]:
    flat: dict[str, object] = {
        "dataset": board.dataset,
        "rank": row.rank,
        "preset": row.preset,
        "model": row.model,
        "experiment": row.experiment,
        "seeds": " ".join(map(str, row.seeds)),
        "expected_seeds": row.expected_seeds,
    }
    for split, summaries in (("test", row.test), ("valid", row.valid)):
        for metric in board.metrics:
            summary = summaries.get(metric)
            for statistic in ("mean", "std", "best"):
                flat[f"{split}_{metric}_{statistic}"] = getattr(summary, statistic) if summary else None
    flat["dense_parameters"] = row.parameters.dense if row.parameters else None
    flat["embedding_parameters"] = row.parameters.embedding if row.parameters else None
    flat["seconds_per_epoch"] = row.seconds_per_epoch
    flat[f"published_{board.rank_by}"] = row.published.metrics.get(board.rank_by) if row.published else None
    flat["published_source"] = row.published.source if row.published else None
    flat["difference"] = row.difference(board.rank_by)
    flat["variants"] = row.variants
    flat["problems"] = "; ".join(row.problems)
    return flat


def _plain(board: Leaderboard) -> dict:
    rows = [
        {**asdict(row), "parameters": row.parameters.model_dump() if row.parameters else None} for row in board.rows
    ]
    return {
        "dataset": board.dataset,
        "data": board.data.model_dump(),
        "rank_by": board.rank_by,
        "metrics": board.metrics,
        "rows": rows,
    }


def _spread(summary: Summary | None) -> str:
    if summary is None:
        return "–"
    return f"{summary.mean:.5f}" + (f" ± {summary.std:.5f}" if summary.std is not None else "")


def _digits(summaries: dict[str, Summary], metric: str, statistic: str) -> str:
    return f"{getattr(summaries[metric], statistic):.5f}" if metric in summaries else "–"


def _seeds(row: Row) -> str:
    return str(len(row.seeds)) if len(row.seeds) == row.expected_seeds else f"{len(row.seeds)} of {row.expected_seeds}"


def _chosen(row: Row) -> str:
    """What a grid varied, as its experiments' names say it, and among how many."""
    varied = row.experiment.partition("@")[2].replace(",", ", ")
    return f"{varied} (of {row.variants})" if row.variants > 1 else "–"


def _published(row: Row, metric: str) -> str:
    if row.published is None or metric not in row.published.metrics:
        return "–"
    return f"{row.published.metrics[metric]:.5f}"


def _signed(difference: float | None) -> str:
    return "–" if difference is None else f"{difference:+.5f}"


def _alignment(header: list[str]) -> list[str]:
    return ["left" if title in ("model", "chosen configuration") else "right" for title in header]

"""A leaderboard as Markdown, LaTeX, CSV, JSON or a table on the terminal.

A column is one entry of :func:`columns`; every format draws the same ones.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

from tabulate import tabulate

from fuxi_plugins.analysis.leaderboard import Leaderboard, Row
from fuxi_plugins.core.cleaning import csv_text, json_value, markdown
from fuxi_plugins.records.metrics import find_metric
from fuxi_plugins.records.parts import Cost
from fuxi_plugins.reporting.latex import booktabs
from fuxi_plugins.reporting.notes import notes

FORMATS = ("md", "csv", "tex", "json")
EQUAL_SIZE = 0.02  # from the reference's dense parameters, at most, where rows are made equally large


@dataclass(frozen=True)
class Column:
    title: str
    text: Callable[[Row], str]


def columns(board: Leaderboard) -> tuple[Column, ...]:
    """The columns of a board: those about published values or chosen configurations only where there are any."""
    measured = [Column(f"{metric} mean ± std", partial(_spread, metric=metric)) for metric in board.metrics]
    published = [
        Column(f"published {board.rank_by}", lambda row: _published(row, board.rank_by)),
        Column("difference", lambda row: _difference(row, board.rank_by)),
    ]
    verdict = Column("verdict", lambda row: row.verdict.word if row.verdict else "–")
    verdicts = {row.verdict.word for row in board.rows if row.verdict}
    origins = {row.hparam_source for row in board.rows}
    return (
        Column("rank", _rank),
        *([Column("letters", lambda row: row.letters or "–")] if board.inference and board.inference.compared else []),
        Column("model", lambda row: row.display_name + (" ⚠" if row.warnings else "")),
        *measured,
        Column(f"{board.rank_by} 95% interval", lambda row: _interval(row, board.rank_by)),
        Column(f"valid {board.rank_by}", lambda row: _valid(row, board.rank_by)),
        Column("seeds", lambda row: _seeds(row)),
        Column("dense parameters", lambda row: f"{row.parameters.dense:,}" if row.parameters else "–"),
        *_size_columns(board),
        Column("embedding parameters", lambda row: f"{row.parameters.embedding:,}" if row.parameters else "–"),
        Column("s / epoch", lambda row: f"{row.seconds_per_epoch:.2f}" if row.seconds_per_epoch else "–"),
        *_cost_columns(board),
        *([Column("settings", lambda row: row.hparam_source)] if len(origins) > 1 else []),
        *(published if any(row.published for row in board.rows) else []),
        *([verdict] if verdicts - {"not comparable"} else []),  # if none is comparable, a note says so
        *([Column("chosen configuration", _chosen)] if any(row.variants > 1 for row in board.rows) else []),
    )


def _size_columns(board: Leaderboard) -> tuple[Column, ...]:
    """Dense parameters as a ratio to the reference's, where a row is more than 2% from it."""
    sizes = board.relative_sizes()
    if all(abs(size - 1) <= EQUAL_SIZE for size in sizes.values()):
        return ()
    return (Column(f"of {board.reference}'s", lambda row: f"{sizes[row.key]:.2f}" if row.key in sizes else "–"),)


def _cost_columns(board: Leaderboard) -> tuple[Column, ...]:
    """What the models cost, where that was measured; times only if all were measured on the same hardware."""
    measured = [row.cost for row in board.rows if row.cost]
    if not measured:
        return ()

    def column(title: str, text: Callable[[Cost], str]) -> Column:
        return Column(title, lambda row: text(row.cost) if row.cost else "–")

    operations = column("kFLOP / row", lambda cost: f"{cost.flops_per_row / 1e3:,.0f}")
    if len({cost.hardware for cost in measured}) > 1:
        return (operations,)
    return (
        operations,
        column("rows / s training", lambda cost: f"{cost.training_rows_per_second:,.0f}"),
        column("rows / s inference", lambda cost: f"{cost.inference_rows_per_second:,.0f}"),
        column("p99 ms at 1", lambda cost: f"{cost.latency['1'].p99_ms:.2f}"),
        column("peak MB", lambda cost: f"{cost.peak_bytes / 2**20:,.0f}"),
    )


def cells(board: Leaderboard, *, unverified: bool = True) -> tuple[list[str], list[list[str]]]:
    """Header and rows of text; where the best possible scores are known, they stand in a first row without rank.

    Args:
        unverified: whether the rows that nobody has verified stand below the others.
    """
    drawn = columns(board)
    marked = [replace(row, display_name=f"{row.display_name} (unverified)") for row in board.unverified]
    rows = [[column.text(row) for column in drawn] for row in [*board.rows, *(marked if unverified else [])]]
    if board.data.bayes:
        known = {f"{name} mean ± std": find_metric(name).show(value) for name, value in board.data.bayes.items()}
        named = {"rank": "–", "model": "Bayes (the true probabilities)"}
        rows.insert(0, [{**named, **known}.get(column.title, "") for column in drawn])
    return [column.title for column in drawn], rows


def render(board: Leaderboard, title: str, form: str, baselines: Sequence[str] = ()) -> str:
    """The board in one of :data:`FORMATS`.

    Args:
        baselines: names of rows; LaTeX stars what is significantly better than the best of them.

    Raises:
        UserError: a baseline that no ranked row is.
    """
    header, rows = cells(board, unverified=form != "tex")
    if form == "md":
        rows = [[markdown(cell) for cell in row] for row in rows]
        table = tabulate(rows, headers=header, tablefmt="pipe", disable_numparse=True, colalign=_alignment(header))
        listed = "\n".join(f"- {markdown(line)}" for line in notes(board))
        named = f"{markdown(board.data.title)} (`{board.dataset}`)"
        return f"# {markdown(title)}\n\n{named}\n\n{table}\n\n{listed}\n"
    if form == "tex":
        return booktabs(board, title, header, rows, baselines)
    if form in ("csv", "json"):
        return render_all([board], title, form, baselines)
    raise ValueError(f"the formats are {', '.join(FORMATS)}, not {form!r}")


def render_all(boards: Sequence[Leaderboard], title: str, form: str, baselines: Sequence[str] = ()) -> str:
    """The boards of a suite in one text: a csv has one header, JSON is a list when there are several."""
    if form == "csv":
        return _csv(boards)
    if form == "json":
        plain = [{"title": title, **_plain(board), "notes": notes(board)} for board in boards]
        return json.dumps(json_value(plain if len(plain) > 1 else plain[0]), indent=1) + "\n"
    return "\n".join(render(board, title, form, baselines) for board in boards)


def _csv(boards: Sequence[Leaderboard]) -> str:
    """Full precision, one plain name a column, for programs; a column that a board lacks is empty there."""
    table = [row for board in boards for row in plain_rows(board)]
    names = list(dict.fromkeys(name for row in table for name in row))
    return csv_text(names, ([row.get(name) for name in names] for row in table))


def plain_rows(board: Leaderboard) -> list[dict[str, object]]:
    """The rows in full precision, one plain name a column, as numbers and text.

    Where others sent rows, the column ``tier`` says of each whether it was made here, verified here, or neither.
    """
    if not board.unverified and not any(row.submitted_by for row in board.rows):
        return [_flat(row, board) for row in board.rows]
    tiers = [(row, "verified" if row.submitted_by else "own") for row in board.rows]
    tiers += [(row, "unverified") for row in board.unverified]
    return [{**_flat(row, board), "tier": tier, "submitted_by": row.submitted_by} for row, tier in tiers]


def _flat(row: Row, board: Leaderboard) -> dict[str, object]:
    flat: dict[str, object] = {
        "dataset": board.dataset,
        "rank": row.rank,
        "display_name": row.display_name,
        "model": row.model,
        "experiment": row.experiment,
        "seeds": " ".join(map(str, row.seeds)),
        "expected_seeds": row.expected_seeds,
    }
    for split, summaries in (("test", row.test), ("valid", row.valid)):
        for metric in board.metrics:
            summary = summaries.get(metric)
            for statistic in ("mean", "std", "best", "worst"):
                flat[f"{split}_{metric}_{statistic}"] = getattr(summary, statistic) if summary else None
    for metric in board.metrics:
        for end in ("low", "high"):
            flat[f"test_{metric}_{end}"] = getattr(row.intervals.get(metric), end, None)
    flat["best_rank"], flat["worst_rank"] = row.rank_range or (None, None)
    flat["letters"] = row.letters
    for name in dict.fromkeys(name for one in board.rows for name in one.calibration):
        flat[name] = row.calibration.get(name)
    flat["dense_parameters"] = row.parameters.dense if row.parameters else None
    flat["embedding_parameters"] = row.parameters.embedding if row.parameters else None
    flat["seconds_per_epoch"] = row.seconds_per_epoch
    flat[f"published_{board.rank_by}"] = row.published.metrics.get(board.rank_by) if row.published else None
    flat["published_source"] = row.published.source if row.published else None
    flat["difference"] = row.difference(board.rank_by)
    flat["verdict"] = row.verdict.word if row.verdict else None
    flat["verdict_reason"] = row.verdict.reason if row.verdict else None
    flat["hparam_source"] = row.hparam_source
    flat["variants"] = row.variants
    flat["warnings"] = "; ".join(row.warnings)
    flat["problems"] = "; ".join(row.problems)
    return flat


# Of the data card; most data have none of them.
_SAID_IF_THERE = ("label", "further_labels", "unlabelled", "weighted_by", "warnings")


def _plain_row(row: Row) -> dict[str, object]:
    """The row's fields; those that most rows have nothing to say of only where there is something."""
    plain = {**asdict(row), "parameters": row.parameters.model_dump() if row.parameters else None}
    del plain["cost"], plain["few_steps"], plain["submitted_by"]
    plain |= {"few_steps": row.few_steps} if row.few_steps else {}
    plain |= {"submitted_by": row.submitted_by} if row.submitted_by else {}
    return plain | ({"cost": row.cost.model_dump()} if row.cost else {})


def _plain(board: Leaderboard) -> dict[str, object]:
    data = board.data.model_dump()
    return {
        "dataset": board.dataset,
        "data": {name: value for name, value in data.items() if value or name not in _SAID_IF_THERE},
        "rank_by": board.rank_by,
        "metrics": board.metrics,
        "not_significantly_different_from_best": [row.display_name for row in board.like_the_best()],
        "smallest_detectable_difference": board.inference.smallest_detectable() if board.inference else None,
        "rows": [_plain_row(row) for row in board.rows],
        **({"unverified": [_plain_row(row) for row in board.unverified]} if board.unverified else {}),
    }


def _spread(row: Row, metric: str) -> str:
    summary, show = row.test.get(metric), find_metric(metric).show
    if summary is None:
        return "–"
    return show(summary.mean) + (f" ± {show(summary.std)}" if summary.std is not None else "")


def _valid(row: Row, metric: str) -> str:
    return find_metric(metric).show(row.valid[metric].mean) if metric in row.valid else "–"


def _rank(row: Row) -> str:
    """The rank by the mean, and the ranks that the noise leaves possible."""
    if row.rank is None:
        return "–"
    low, high = row.rank_range or (row.rank, row.rank)
    return str(row.rank) if low == high else f"{row.rank} ({low}–{high})"


def _interval(row: Row, metric: str) -> str:
    interval, show = row.intervals.get(metric), find_metric(metric).show_end
    return f"{show(interval.low)}–{show(interval.high)}" if interval else "–"


def _seeds(row: Row) -> str:
    return str(len(row.seeds)) if len(row.seeds) == row.expected_seeds else f"{len(row.seeds)} of {row.expected_seeds}"


def _chosen(row: Row) -> str:
    """What a grid varied, and among how many configurations."""
    varied = row.variant.replace(",", ", ")
    return f"{varied} (of {row.variants})" if row.variants > 1 else "–"


def _published(row: Row, metric: str) -> str:
    if row.published is None or metric not in row.published.metrics:
        return "–"
    return find_metric(metric).show(row.published.metrics[metric])


def _difference(row: Row, metric: str) -> str:
    difference = row.difference(metric)
    return "–" if difference is None else find_metric(metric).show_difference(difference)


def _alignment(header: list[str]) -> list[str]:
    texts = ("letters", "model", "chosen configuration", "settings", "verdict")
    return ["left" if title in texts else "right" for title in header]

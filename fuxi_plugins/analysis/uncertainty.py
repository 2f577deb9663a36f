"""Leaderboard + evidence -> the leaderboard with intervals, possible ranks and letters."""

from collections.abc import Sequence
from dataclasses import replace

from fuxi_plugins.analysis.evidence import Evidence
from fuxi_plugins.analysis.leaderboard import Leaderboard, Row
from fuxi_plugins.analysis.statistics.inference import Inference, infer
from fuxi_plugins.records.metrics import find_metric


def with_uncertainty(board: Leaderboard, evidence: Evidence | None) -> Leaderboard:
    """Says how sure the board is. Without evidence only the noise between seeds is known, and the board says so."""
    ranked = [row for row in board.rows if row.rank]
    inferences = {metric: infer_rows(ranked, metric, evidence) for metric in board.metrics}
    intervals = {metric: dict(zip(found.names, found.intervals, strict=True)) for metric, found in inferences.items()}
    rows = [
        replace(
            row,
            intervals={metric: one for metric, found in intervals.items() if (one := found[row.key])},
            calibration=evidence.calibration_of(row.key, row.test[board.rank_by].by_seed) if evidence else {},
        )
        for row in ranked
    ]
    return _compared(replace(board, evidence=evidence), rows, inferences[board.rank_by])


def ranked_by(board: Leaderboard, metric: str) -> Leaderboard:
    """The board ranked and compared by another of its metrics; it must have its uncertainty already."""
    if metric == board.rank_by:
        return board
    key = find_metric(metric).sort_key
    ranked = sorted(board.ranked(), key=lambda row: key(row.test[metric].mean))
    ranked = [replace(row, rank=rank) for rank, row in enumerate(ranked, start=1)]
    inference = infer_rows(ranked, metric, board.evidence)
    return _compared(replace(board, rank_by=metric), ranked, inference)


def _compared(board: Leaderboard, ranked: Sequence[Row], inference: Inference) -> Leaderboard:
    """The board with these ranked rows, and what the inference says of them."""
    letters, ranges = inference.letters(), inference.rank_ranges()
    rows = [replace(row, rank_range=ranges[row.key], letters=letters[row.key]) for row in ranked]
    return replace(board, rows=rows + [row for row in board.rows if not row.rank], inference=inference)


def infer_rows(rows: Sequence[Row], metric: str, evidence: Evidence | None) -> Inference:
    """What may be said of a board's rows in one metric; their names are the rows' keys."""
    sampling = evidence.sampling_of(metric, [row.key for row in rows]) if evidence else None
    return infer({row.key: row.test[metric].by_seed for row in rows}, find_metric(metric), sampling)

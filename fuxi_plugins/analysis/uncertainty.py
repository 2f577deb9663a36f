"""Leaderboard + evidence -> the leaderboard with intervals, possible ranks and ties."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fuxi_plugins.analysis.evidence import Evidence
from fuxi_plugins.analysis.leaderboard import Leaderboard, Row, higher_is_better
from fuxi_plugins.analysis.statistics.inference import Interval, Sample, rank_ranges, tie_groups
from fuxi_plugins.analysis.statistics.moderation import moderate


def with_certainty(board: Leaderboard, evidence: Evidence | None) -> Leaderboard:
    """Says how sure the board is. Without evidence only the noise between seeds is known, and the board says so."""
    ranked = [row for row in board.rows if row.rank]
    samples = {metric: sample(ranked, metric, evidence) for metric in board.metrics}
    intervals = {
        metric: [interval and _possible(interval, metric) for interval in samples[metric].intervals()]
        for metric in board.metrics
    }
    differences = samples[board.rank_by].differences()
    separable = differences.separable()
    better = differences.effects if higher_is_better(board.rank_by) else -differences.effects
    ranges = rank_ranges(separable, better)
    rows = [
        replace(
            row,
            intervals={metric: found[i] for metric, found in intervals.items() if found[i]},
            rank_range=ranges[i],
            calibration=evidence.calibration[row.experiment] if evidence else {},
        )
        for i, row in enumerate(ranked)
    ]
    return replace(
        board,
        rows=rows + [row for row in board.rows if not row.rank],
        ties=tie_groups(separable),
        smallest_detectable=differences.smallest_detectable(),
        evidence=evidence,
    )


def _possible(interval: Interval, metric: str) -> Interval:
    """The part of it that the metric can reach: Student's distribution does not know that no AUC is above 1."""
    return Interval(max(interval.low, 0.0), min(interval.high, 1.0) if higher_is_better(metric) else interval.high)


def sample(rows: list[Row], metric: str, evidence: Evidence | None) -> Sample:
    """What is known of the rows' noise in one metric; of that between seeds the rows inform each other."""
    seed_variances, seed_freedom = moderate(*seed_noise(rows, metric))
    return Sample(
        means=np.array([row.test[metric].mean for row in rows]),
        seed_variances=seed_variances,
        seed_freedom=seed_freedom,
        seeds=np.array([len(row.seeds) for row in rows]),
        sampling=evidence.covariance(metric, [row.experiment for row in rows]) if evidence else None,
        units=evidence.units if evidence else None,
    )


def seed_noise(rows: Sequence[Row], metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Each row's variance between seeds, 0 of one seed, and its degrees of freedom; (M,) both."""
    variances = np.array([(row.test[metric].std or 0.0) ** 2 for row in rows])
    return variances, np.array([len(row.seeds) - 1 for row in rows])

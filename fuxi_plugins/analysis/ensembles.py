"""Seed ensembles: the mean of the probabilities that a row's seeds predict, scored as one model.

They cost no training, only stored predictions, and as many models at serving time as there are seeds. So they stand
beside a board's single models and are never ranked among them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fuxi_plugins.analysis.evidence import TestRows
from fuxi_plugins.analysis.leaderboard import Leaderboard
from fuxi_plugins.analysis.statistics.inference import Sampling, infer
from fuxi_plugins.analysis.statistics.influence import sampling_covariance
from fuxi_plugins.analysis.statistics.noise import Interval
from fuxi_plugins.records.metrics import Scored, find_metric, sampling_components
from fuxi_plugins.records.record import FinishedRun


@dataclass(frozen=True)
class Ensemble:
    """The seeds of one row of a board, together."""

    display_name: str  # of the row
    seeds: list[int]
    test: dict[str, float]  # by metric
    intervals: dict[str, Interval | None]  # 95%, of the sampling of test rows alone: these very models, other rows
    gains: dict[str, float]  # over the mean of the seeds' own values


def mean_prediction(predictions: Sequence[np.ndarray]) -> np.ndarray:
    """(N,) float64 from the probabilities (N,) of each seed; the same bits in whatever order they are given."""
    return np.sort(np.array(predictions, np.float64), axis=0).mean(axis=0)


def find_ensembles(
    board: Leaderboard,
    runs: Mapping[str, Sequence[FinishedRun]],
    scores: Callable[[FinishedRun], np.ndarray],
    test: TestRows,
) -> list[Ensemble]:
    """An ensemble of each ranked row of a board, the best first by the board's metric.

    Args:
        runs: the finished records by the rows' keys.
        scores: gives the (N,) predictions of a record.
        test: the labels of the test rows.
    """
    positives = int(np.count_nonzero(test.labels))
    rarer = min(positives, len(test.labels) - positives)
    units = rarer if test.clusters is None else min(rarer, len(np.unique(test.clusters)))
    found = []
    for row in board.ranked():
        mean = mean_prediction([scores(record) for record in runs[row.key]])
        scored = Scored(test.labels, mean, test.groups, test.columns)
        values = {name: find_metric(name).value(scored) for name in board.metrics}
        intervals = {name: _interval(name, value, scored, test, units) for name, value in values.items()}
        gains = {name: value - row.test[name].mean for name, value in values.items()}
        found.append(Ensemble(row.display_name, sorted(row.seeds), values, intervals, gains))
    key = find_metric(board.rank_by).sort_key
    return sorted(found, key=lambda one: key(one.test[board.rank_by]))


def _interval(name: str, value: float, scored: Scored, test: TestRows, units: int) -> Interval | None:
    """The interval that a board's row with one seed would have."""
    metric = find_metric(name)
    psi = sampling_components(metric, scored, test.clusters)
    sampling = Sampling(sampling_covariance([psi[None]]), units)
    return infer({"ensemble": {0: value}}, metric, sampling).intervals[0]

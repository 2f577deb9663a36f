"""What the labels say about a board's certainty, without the labels: a small JSON file beside the board.

Sampling errors need the labels of the test rows, which licences forbid to pass on. Their covariances between models do
not: they are worked out where the data are at hand and kept with the digests of the predictions that they came from, so
that any machine can rebuild the board, and changed predictions are never taken for those that were measured.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from fuxi_plugins.analysis.statistics.calibration import calibration
from fuxi_plugins.analysis.statistics.influence import (
    auc_influence,
    bootstrap_draws,
    group_auc_influence,
    logloss_influence,
    sampling_covariance,
    within_groups,
)
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.record import Frozen, Record

DRAWS = 2000  # of the cluster bootstrap
TOLERANCE = 1e-6  # between a record's metric and the one its predictions give
DIGITS = 6  # significant ones that are kept

Digests = dict[str, dict[str, str]]  # experiment -> seed -> sha256 of its predictions file


class Evidence(Frozen):
    """Sampling covariances of a board's models, in the order of ``predictions``."""

    dataset: str
    fingerprint: str
    rows: int
    groups: int | None  # groups of rows that are not independent, as those of one user; None: rows are
    predictions: Digests
    sampling: dict[str, list[list[float]]]  # by metric: lower triangle of the covariance of means over seeds
    calibration: dict[str, dict[str, float]]  # by experiment, mean over seeds

    @property
    def units(self) -> int:
        """How many things vary independently."""
        return self.groups or self.rows

    def covers(self, fingerprint: str, digests: Digests) -> bool:
        """Whether this is evidence about these very predictions."""
        return self.fingerprint == fingerprint and digests.items() <= self.predictions.items()

    def covariance(self, metric: str, experiments: Sequence[str]) -> np.ndarray | None:
        """(M, M) of the experiments' means, or None for a metric that was not measured."""
        if metric not in self.sampling:
            return None
        full = np.zeros((len(self.predictions),) * 2)
        for i, row in enumerate(self.sampling[metric]):
            full[i, : i + 1] = full[: i + 1, i] = row
        places = [list(self.predictions).index(name) for name in experiments]
        return full[np.ix_(places, places)]


def measure_evidence(
    runs: Mapping[str, Sequence[Record]],
    digests: Digests,
    scores: Callable[[Record], np.ndarray],
    labels: np.ndarray,
    groups: np.ndarray | None,
) -> Evidence:
    """Works out the evidence of a board, and on the way whether its records tell the truth.

    Args:
        runs: the finished records of each experiment of one dataset.
        digests: of their predictions.
        scores: gives the (N,) predictions of a record.
        labels: (N,) of the test rows.
        groups: (N,) from 0 to G - 1, or None.

    Raises:
        UserError: a record's metric is not what its predictions give.
    """
    first = next(iter(runs.values()))[0]
    count = int(groups.max()) + 1 if groups is not None else None
    draws = bootstrap_draws(count, DRAWS) if count else None
    components: dict[str, list[np.ndarray]] = {metric: [] for metric in first.metrics["test"]}
    calibrated = {}
    for experiment, records in runs.items():
        seeds = [np.asarray(scores(record), np.float64) for record in records]
        for metric, listed in components.items():
            listed.append(
                np.array(
                    [
                        _components(metric, record, own, labels, groups, draws)
                        for record, own in zip(records, seeds, strict=True)
                    ]
                )
            )
        measured = [calibration(labels, own) for own in seeds]
        calibrated[experiment] = {name: _rounded(np.mean([m[name] for m in measured])) for name in measured[0]}
    return Evidence(
        dataset=first.dataset,
        fingerprint=first.data.fingerprint,
        rows=len(labels),
        groups=count,
        predictions=digests,
        sampling={metric: _triangle(sampling_covariance(listed)) for metric, listed in components.items()},
        calibration=calibrated,
    )


def read_evidence(path: Path) -> Evidence | None:
    """The evidence in a file; None when there is no file.

    Raises:
        UserError: the file is not evidence.
    """
    if not path.exists():
        return None
    try:
        return Evidence.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise UserError(f"{path} does not hold the statistics of a board: {error.errors()[0]['msg']}.") from error


def render_evidence(evidence: Evidence) -> str:
    return evidence.model_dump_json(indent=1) + "\n"


def _components(
    metric: str,
    record: Record,
    scores: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray | None,
    draws: np.ndarray | None,
) -> np.ndarray:
    """psi of one run, checked against its record."""
    if metric == "gAUC":
        value, psi = group_auc_influence(labels, scores, groups, draws)
    else:
        value, psi = (auc_influence if metric == "AUC" else logloss_influence)(labels, scores)
        psi = psi if groups is None else within_groups(psi, groups)
    said = record.metrics["test"][metric]
    if abs(float(value) - said) > TOLERANCE:
        raise UserError(
            f"the record of {record.experiment} seed {record.seed} says test {metric} {said:.6f}, but its predictions "
            f"give {float(value):.6f}. One of the two was changed; run it again with --force."
        )
    return psi


def _triangle(covariance: np.ndarray) -> list[list[float]]:
    return [[_rounded(value) for value in row[: i + 1]] for i, row in enumerate(covariance)]


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")

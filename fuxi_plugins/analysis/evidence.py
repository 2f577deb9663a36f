"""What the test labels say about how sure a board is, without the labels: a small JSON file beside the board.

Sampling errors need the labels of the test rows, which licences forbid to pass on. Their covariances between models do
not. They are measured where the data are at hand and kept with the metrics of the runs and the digests of the
predictions that they came from. So any machine can rebuild the board, and a record or a file of predictions that was
changed afterwards is noticed.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from fuxi_plugins.analysis.statistics.inference import Sampling
from fuxi_plugins.analysis.statistics.influence import sampling_covariance
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.metrics import Scored, calibration, find_metric, sampling_components, within_clusters
from fuxi_plugins.records.parts import Frozen, Metrics
from fuxi_plugins.records.record import FinishedRun

METHOD = 2  # how evidence is measured; raised when the same predictions would give other numbers
TOLERANCE = 1e-6  # between a record's metric and the one its predictions give
DIGITS = 6  # significant ones that are kept

# A column is named as one that rows might have to be clustered by where its values repeat, there are enough of them for
# a standard error, and that error grows by so much.
FEWEST_VALUES = 30
NOTABLE_GROWTH = 1.2

Digests = dict[str, dict[int, str]]  # experiment -> seed -> sha256 of its predictions file


class MeasuredRun(Frozen):
    """What a run said when it was measured."""

    predictions: str  # sha256 of the file
    metrics: dict[str, Metrics]  # the record's, by split


class Evidence(Frozen):
    """Sampling covariances of some experiments on one dataset, in the order of ``runs``."""

    method: int = METHOD
    dataset: str
    fingerprint: str
    rows: int  # of the test set
    positives: int
    clusters: int | None  # of test rows that are not independent, as those of one user; None: rows are independent
    clustered_by: str | None  # the column that names them
    growth: dict[str, float]  # of the standard error, by columns that rows are not clustered by although it would grow
    runs: dict[str, dict[int, MeasuredRun]]  # by experiment and seed
    sampling: dict[str, list[list[float]]]  # by metric: lower triangle of the covariance of means over seeds
    calibration: dict[str, dict[str, float]]  # by experiment, mean over seeds

    @property
    def units(self) -> int:
        """How many things vary independently: test rows of the rarer class, or clusters where these are fewer."""
        rarer = min(self.positives, self.rows - self.positives)
        return min(self.clusters or rarer, rarer)

    @property
    def units_in_words(self) -> str:
        """``38 clusters of rows (date)``, or ``30 rows of the rarer class``."""
        if self.clusters == self.units:
            return f"{self.units:,} clusters of rows ({self.clustered_by})"
        return f"{self.units:,} rows of the rarer class"

    def covers(self, fingerprint: str, runs: Mapping[str, Sequence[FinishedRun]]) -> bool:
        """Whether this is about all of these runs. It may be about more seeds: sampling errors are the experiment's."""
        return self.fingerprint == fingerprint and all(
            {record.seed for record in records} <= set(self.runs.get(experiment, ()))
            for experiment, records in runs.items()
        )

    def calibration_of(self, experiment: str, seeds: Collection[int]) -> dict[str, float]:
        """The means over these seeds; empty where they were measured of others as well."""
        return self.calibration[experiment] if set(seeds) == set(self.runs[experiment]) else {}

    def problem(self, key: str, record: FinishedRun, digest: str | None) -> str:
        """How a record or its predictions differ from what was measured; "" where they do not.

        Args:
            key: of the record's row.
            digest: sha256 of the run's predictions, or None where the file is missing.
        """
        measured = self.runs.get(key, {}).get(record.seed)
        if measured is None or self.fingerprint != record.data.fingerprint:
            return ""
        where = f"{record.experiment} seed {record.seed}"
        if digest not in (None, measured.predictions):
            return (
                f"the predictions of {where} are not those that were measured: sha256 {digest[:16]} now, "
                f"{measured.predictions[:16]} then"
            )
        for split, metrics in measured.metrics.items():
            for name, value in metrics.items():
                said = record.metrics.get(split, {}).get(name)
                if said != value:
                    return f"the record of {where} says {split} {name} {said}, but {value} when it was measured"
        return ""

    def sampling_of(self, metric: str, experiments: Sequence[str]) -> Sampling | None:
        """The sampling errors of the experiments' means, or None for a metric that was not measured."""
        if metric not in self.sampling:
            return None
        full = np.zeros((len(self.runs),) * 2)
        for i, row in enumerate(self.sampling[metric]):
            full[i, : i + 1] = full[: i + 1, i] = row
        places = [list(self.runs).index(name) for name in experiments]
        return Sampling(full[np.ix_(places, places)], self.units)

    def values(self, metric: str) -> dict[str, dict[int, float]]:
        """The test metric of every run, by experiment and seed."""
        return {
            experiment: {seed: run.metrics["test"][metric] for seed, run in by_seed.items()}
            for experiment, by_seed in self.runs.items()
        }

    def only(self, experiments: Sequence[str]) -> "Evidence":
        """The part of it that is about some experiments, in their order."""
        triangles = {}
        for metric in self.sampling:
            found = self.sampling_of(metric, experiments)
            triangles[metric] = _triangle(found.covariance) if found else []
        return self.model_copy(
            update={
                "runs": {name: self.runs[name] for name in experiments},
                "sampling": triangles,
                "calibration": {name: self.calibration[name] for name in experiments},
            }
        )


@dataclass(frozen=True)
class TestRows:
    """What measuring needs to know of the test rows.

    Args:
        labels: (N,) of 0 and 1.
        groups: (N,) from 0 to G - 1, for metrics within groups, or None.
        clusters: (N,) from 0 to C - 1, of rows that are not independent, or None.
        clustered_by: the column that names the clusters.
        columns: (N,) integers each, the categorical columns by name.
    """

    __test__ = False  # for pytest, which takes the name for that of a test

    labels: np.ndarray
    groups: np.ndarray | None = None
    clusters: np.ndarray | None = None
    clustered_by: str | None = None
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)


def measure_evidence(
    runs: Mapping[str, Sequence[FinishedRun]],
    digests: Digests,
    scores: Callable[[FinishedRun], np.ndarray],
    test: TestRows,
) -> tuple[Evidence | None, dict[str, str]]:
    """Measures the evidence of a board from predictions and labels, and whether its records tell the truth.

    Args:
        runs: the finished records of each experiment, all of one dataset.
        digests: of their predictions.
        scores: gives the (N,) predictions of a record.

    Returns:
        Evidence about the experiments whose records agree with their predictions, or None if none does; and what is
        wrong with the others, by experiment.
    """
    first = next(iter(runs.values()))[0]
    components: dict[str, list[np.ndarray]] = {metric: [] for metric in first.metrics["test"]}
    calibrated, problems = {}, {}
    for experiment, records in runs.items():
        scored = [Scored(test.labels, scores(record), test.groups, test.columns) for record in records]
        wrong = next((text for pair in zip(records, scored, strict=True) if (text := _disagreement(*pair))), "")
        if wrong:
            problems[experiment] = wrong
            continue
        for metric, listed in components.items():
            listed.append(np.array([_components(metric, own, test.clusters) for own in scored]))
        measured = [calibration(own) for own in scored]
        calibrated[experiment] = {name: _rounded(float(np.mean([m[name] for m in measured]))) for name in measured[0]}
    if not calibrated:
        return None, problems
    evidence = Evidence(
        dataset=first.dataset,
        fingerprint=first.data.fingerprint,
        rows=len(test.labels),
        positives=int(np.count_nonzero(test.labels)),
        clusters=None if test.clusters is None else len(np.unique(test.clusters)),
        clustered_by=test.clustered_by,
        growth={} if test.clusters is not None else _growth(next(iter(components.values())), test),
        runs={
            name: {r.seed: MeasuredRun(predictions=digests[name][r.seed], metrics=r.metrics) for r in runs[name]}
            for name in calibrated
        },
        sampling=_sampling(components),
        calibration=calibrated,
    )
    return evidence, problems


def _sampling(components: Mapping[str, list[np.ndarray]]) -> dict[str, list[list[float]]]:
    """The covariance of each metric, as :class:`Evidence` keeps it.

    Without those that are not finite: of a metric within groups it is not where one group alone has both classes.
    """
    covariances = {metric: sampling_covariance(listed) for metric, listed in components.items()}
    return {name: _triangle(covariance) for name, covariance in covariances.items() if np.isfinite(covariance).all()}


def read_evidence(path: Path) -> Evidence | None:
    """The evidence in a file; None when there is no file, or one that another method of measuring has written.

    Raises:
        UserError: the file is not evidence.
    """
    if not path.exists():
        return None
    text = path.read_bytes()
    try:
        if _Method.model_validate_json(text).method != METHOD:
            return None
        return Evidence.model_validate_json(text)
    except ValidationError as error:
        raise UserError(f"{path} does not hold the statistics of a board: {error.errors()[0]['msg']}.") from error


def render_evidence(evidence: Evidence) -> str:
    return evidence.model_dump_json(indent=1) + "\n"


class _Method(Frozen, extra="ignore"):
    method: int = 1  # which the first files do not say


def _disagreement(record: FinishedRun, scored: Scored) -> str:
    """What a record says otherwise than its predictions; "" if nothing."""
    for name, said in record.metrics["test"].items():
        value = find_metric(name).value(scored)
        if not abs(value - said) <= TOLERANCE:
            return (
                f"the record of {record.experiment} seed {record.seed} says test {name} {said:.6f}, but its "
                f"predictions give {value:.6f}"
            )
    return ""


def _components(metric: str, scored: Scored, clusters: np.ndarray | None) -> np.ndarray:
    """psi of one run, by cluster where rows are not independent."""
    try:
        return sampling_components(find_metric(metric), scored, clusters)
    except ValueError as error:
        raise UserError(f"the sampling error of {metric} cannot be measured: {error}.") from error


def _growth(components: Sequence[np.ndarray], test: TestRows) -> dict[str, float]:
    """How many times larger the standard error is when rows are clustered by a column, for the median model.

    Only columns with enough values that repeat, by which it grows by NOTABLE_GROWTH or more.
    """
    found = {}
    for name, column in test.columns.items():
        clusters = np.unique(column, return_inverse=True)[1]
        count = int(clusters.max()) + 1
        if count < FEWEST_VALUES or 2 * count > len(clusters):
            continue
        psis = [psi.mean(0) for psi in components if psi.shape[1] == len(clusters)]  # not those within groups
        ratios = [np.linalg.norm(within_clusters(psi, clusters)) / np.linalg.norm(psi) for psi in psis if psi.any()]
        if ratios and (ratio := float(np.median(ratios))) >= NOTABLE_GROWTH:
            found[name] = round(ratio, 1)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _triangle(covariance: np.ndarray) -> list[list[float]]:
    return [[_rounded(value) for value in row[: i + 1]] for i, row in enumerate(covariance)]


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")

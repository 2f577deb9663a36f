"""Differences between variants, by the one inference that boards use, and curves of scaling."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fuxi_plugins.analysis.power import OF_INTEREST, Needed, what_would_decide
from fuxi_plugins.analysis.statistics.inference import Difference, Inference, infer
from fuxi_plugins.records.record import FinishedRun
from fuxi_plugins.reporting.paper.study import Study

COVERAGE = 0.95


@dataclass(frozen=True)
class Effect:
    """One variant less another."""

    by_seed: list[float]  # of the seeds that both have
    difference: Difference
    needed: Needed | None  # what would decide it; None where it is decided, or nothing is known of the noise
    test_rows: int | None = None  # whose sampling is counted
    of_seeds_alone: bool = False  # although test rows are counted: with so few seeds their part is estimated at 0

    @property
    def mean(self) -> float:
        return self.difference.effect

    @property
    def known(self) -> bool:
        """Whether its noise is known; not where a variant has one seed and no others say how seeds differ."""
        return self.difference.adjusted_p is not None

    @property
    def significant(self) -> bool:
        return self.difference.significant

    def __format__(self, spec: str) -> str:
        """The mean and its interval, each in a number's format."""
        interval = self.difference.interval
        ends = f" [{interval.low:{spec}}, {interval.high:{spec}}]" if interval else ""
        return f"{self.mean:{spec}}{ends}"

    def __str__(self) -> str:
        return f"{self:+.5f}"


def auc(record: FinishedRun) -> float:
    return record.metrics["test"]["AUC"]


def auc_effect(study: Study, variant: str, reference: str) -> Effect | None:
    """Test AUC of a variant less that of another, as the study's board has it; None where one has no finished run."""
    if not study.records.get(variant) or not study.records.get(reference):
        return None
    return _auc_effect(study, study.inference("AUC"), variant, reference)


def planned_auc_effects(study: Study, variant: str, references: Sequence[str]) -> dict[str, Effect]:
    """Test AUC of a variant less that of each reference, these being the only comparisons. All have finished runs."""
    inference = study.inference("AUC").planned([(variant, reference) for reference in references])
    return {reference: _auc_effect(study, inference, variant, reference) for reference in references}


def _auc_effect(study: Study, inference: Inference, variant: str, reference: str) -> Effect:
    test_rows = study.evidence.rows if study.evidence else None
    return _effect(inference, _by_seed(study.records, auc), variant, reference, OF_INTEREST, test_rows)


def effect_of(
    runs: Mapping[str, Sequence[FinishedRun]],
    measure: Callable[[FinishedRun], float],
    variant: str,
    reference: str,
    of_interest: float = OF_INTEREST,
) -> Effect:
    """One variant less another in a quantity that only the noise between seeds moves."""
    values = _by_seed(runs, measure)
    return _effect(infer(values), values, variant, reference, of_interest)


def effect_against_zero(by_seed: Mapping[int, float], of_interest: float) -> Effect:
    """A quantity that has one value a seed, less 0: a row without noise."""
    values = {"quantity": dict(by_seed), "zero": dict.fromkeys(by_seed, 0.0)}
    return _effect(infer(values), values, "quantity", "zero", of_interest)


def _by_seed(
    runs: Mapping[str, Sequence[FinishedRun]], measure: Callable[[FinishedRun], float]
) -> dict[str, dict[int, float]]:
    return {variant: {record.seed: measure(record) for record in records} for variant, records in runs.items()}


def _effect(
    inference: Inference,
    values: Mapping[str, Mapping[int, float]],
    variant: str,
    reference: str,
    of_interest: float,
    test_rows: int | None = None,
) -> Effect:
    ours, theirs = values[variant], values[reference]
    shared = [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]
    needed = what_would_decide(inference, variant, reference, of_interest)
    place = inference.names.index(variant), inference.names.index(reference)
    of_seeds_alone = test_rows is not None and not inference.noise.variances[0][place] > 0
    return Effect(shared, inference.difference(variant, reference), needed, test_rows, of_seeds_alone)


@dataclass(frozen=True)
class PowerLaw:
    """y = c N^exponent, by least squares of the logarithms."""

    exponent: float
    scale: float  # c
    low: float | None  # bootstrap interval of the exponent; None where a draw cannot be fitted
    high: float | None

    def __call__(self, sizes: np.ndarray) -> np.ndarray:
        return self.scale * np.asarray(sizes, float) ** self.exponent


def fit_power_law(
    sizes: Sequence[float] | np.ndarray, values: Sequence[float], draws: int = 2000, seed: int = 0
) -> PowerLaw | None:
    """A power law through runs of several sizes, with a bootstrap interval that draws runs within sizes of several
    seeds, and residuals of the fit where a size has one seed only.

    None with fewer than three sizes.
    """
    n, y = np.asarray(sizes, float), np.asarray(values, float)
    distinct = np.unique(n)
    if len(distinct) < 3:
        return None
    exponent, intercept = np.polyfit(np.log(n), np.log(y), 1)
    fitted = intercept + exponent * np.log(n)
    residuals = (np.log(y) - fitted) * (len(y) / (len(y) - 2)) ** 0.5
    random = np.random.default_rng(seed)
    several = all((n == size).sum() > 1 for size in distinct)
    found = []
    for _ in range(draws):
        if several:
            rows = np.concatenate([random.choice(np.flatnonzero(n == s), (n == s).sum()) for s in distinct])
            found.append(np.polyfit(np.log(n[rows]), np.log(y[rows]), 1)[0])
        else:
            found.append(np.polyfit(np.log(n), fitted + random.choice(residuals, len(y)), 1)[0])
    low, high = np.quantile(found, [0.5 - COVERAGE / 2, 0.5 + COVERAGE / 2])
    return PowerLaw(float(exponent), float(np.exp(intercept)), float(low), float(high))

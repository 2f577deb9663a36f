"""Effects paired by seed, and curves of scaling."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student_t

from fuxi_plugins.records.record import Record

COVERAGE = 0.95


@dataclass(frozen=True)
class Effect:
    """One arm less another, seed by seed."""

    values: list[float]
    mean: float
    low: float | None  # of the interval; None for a single seed
    high: float | None

    @property
    def verdict(self) -> str:
        if self.low is None or self.high is None:
            return "one seed: undecided"
        if self.low > 0:
            return "above"
        return "below" if self.high < 0 else "undecided"

    def __format__(self, spec: str) -> str:
        """The mean and its interval, each in a number's format."""
        reach = f" [{self.low:{spec}}, {self.high:{spec}}]" if self.low is not None else ""
        return f"{self.mean:{spec}}{reach}"

    def __str__(self) -> str:
        return f"{self:+.5f}"


def auc(record: Record) -> float:
    return record.metrics["test"]["AUC"]


def paired_effect(
    arm: Sequence[Record], reference: Sequence[Record], measure: Callable[[Record], float]
) -> Effect | None:
    """The arm less the reference, over the seeds that both have, with Student's interval of the mean.

    None without a common seed.
    """
    theirs = {record.seed: measure(record) for record in reference}
    values = [measure(record) - theirs[record.seed] for record in arm if record.seed in theirs]
    if not values:
        return None
    mean = float(np.mean(values))
    if len(values) == 1:
        return Effect(values, mean, None, None)
    reach = float(student_t.ppf(0.5 + COVERAGE / 2, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5)
    return Effect(values, mean, mean - reach, mean + reach)


@dataclass(frozen=True)
class PowerLaw:
    """y = c N^exponent, by least squares of the logarithms."""

    exponent: float
    scale: float  # c
    low: float | None  # bootstrap interval of the exponent; None where a draw cannot be fitted
    high: float | None

    def __call__(self, sizes: np.ndarray) -> np.ndarray:
        return self.scale * np.asarray(sizes, float) ** self.exponent


def fit_power_law(sizes: Sequence[float], values: Sequence[float], draws: int = 2000, seed: int = 0) -> PowerLaw | None:
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

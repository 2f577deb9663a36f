"""Intervals and comparisons from two sources of noise: which rows were drawn for the test, which seeds for training.

The variance of a model's mean over n seeds is C + s² / n: C is the sampling variance over test rows of that mean, s²
the variance between seeds on the same rows. Two models share the rows, so the variance of their difference is
C_aa + C_bb - 2 C_ab + s²_a / n_a + s²_b / n_b. Degrees of freedom are Satterthwaite's.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

LEVEL = 0.05  # of tests; intervals cover 1 - LEVEL
POWER = 0.8


@dataclass(frozen=True)
class Interval:
    low: float
    high: float


@dataclass(frozen=True)
class Sample:
    """What is known of one metric of M models.

    Args:
        means: (M,) over seeds.
        seed_variances: (M,) of one seed's value; 0 where there is one seed only.
        seeds: (M,) number of seeds.
        sampling: (M, M) covariance of the means over test rows, or None where it is not known.
        units: rows or groups of rows that vary independently.
    """

    means: np.ndarray
    seed_variances: np.ndarray
    seeds: np.ndarray
    sampling: np.ndarray | None
    units: int | None

    def intervals(self) -> list[Interval | None]:
        """A 1 - LEVEL interval for each mean; None where nothing is known of its noise."""
        rows = np.zeros(len(self.means)) if self.sampling is None else np.diag(self.sampling)
        variance, freedom = self._joined(rows, [self._of_seeds()])
        return [
            _interval(float(mean), float(v), float(f)) for mean, v, f in zip(self.means, variance, freedom, strict=True)
        ]

    def differences(self) -> "Differences":
        """Every model against every other, paired by test row."""
        if self.sampling is None:
            rows = np.zeros((len(self.means),) * 2)
        else:
            own = np.diag(self.sampling)
            rows = np.maximum(own[:, None] + own[None, :] - 2 * self.sampling, 0)
        variance, freedom = self._of_seeds()
        parts = [(variance[:, None], freedom[:, None]), (variance[None, :], freedom[None, :])]
        total, freedom = self._joined(rows, parts)
        return Differences(self.means[:, None] - self.means[None, :], total, freedom)

    def _of_seeds(self) -> tuple[np.ndarray, np.ndarray]:
        return self.seed_variances / self.seeds, np.maximum(self.seeds - 1, 1).astype(float)

    def _joined(self, rows: np.ndarray, parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
        """Sum of the variances, and Satterthwaite's degrees of freedom of the sum."""
        parts = [(rows, np.array(float((self.units or 2) - 1))), *parts]
        total = sum(variance for variance, _ in parts)
        with np.errstate(invalid="ignore", divide="ignore"):
            freedom = total**2 / sum(variance**2 / freedom for variance, freedom in parts)
        return total, np.where(total > 0, freedom, 1.0)


@dataclass(frozen=True)
class Differences:
    """(M, M) differences of means, their variances and degrees of freedom."""

    effects: np.ndarray
    variances: np.ndarray
    freedom: np.ndarray

    def p_values(self) -> np.ndarray:
        """(M, M) two-sided p values; 1 where nothing is known of the noise."""
        with np.errstate(invalid="ignore", divide="ignore"):
            t = np.abs(self.effects) / np.sqrt(self.variances)
        return np.where(self.variances > 0, 2 * stdtr(self.freedom, -t), 1.0)

    def separable(self) -> np.ndarray:
        """(M, M), true where Holm's procedure over all pairs tells two models apart at LEVEL."""
        count = len(self.effects)
        above = np.triu_indices(count, 1)
        told_apart = np.zeros((count, count), bool)
        told_apart[above] = holm(self.p_values()[above]) < LEVEL
        return told_apart | told_apart.T

    def interval(self, a: int, b: int) -> Interval | None:
        return _interval(float(self.effects[a, b]), float(self.variances[a, b]), float(self.freedom[a, b]))

    def smallest_detectable(self) -> float | None:
        """The difference that one planned comparison at LEVEL finds with POWER, for the median pair of models."""
        above = np.triu_indices(len(self.effects), 1)
        variances, freedom = self.variances[above], self.freedom[above]
        known = variances > 0
        if not known.any():
            return None
        reach = stdtrit(freedom[known], 1 - LEVEL / 2) + stdtrit(freedom[known], POWER)
        return float(np.median(reach * np.sqrt(variances[known])))


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's adjusted p values (Scandinavian Journal of Statistics 6, 1979), in the order given."""
    p_values = np.asarray(p_values, np.float64)
    order = np.argsort(p_values)
    adjusted = np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1))
    back = np.empty(len(order))
    back[order] = np.minimum(adjusted, 1)
    return back


def seeds_interval(mean: float, std: float | None, seeds: int) -> Interval | None:
    """Student's interval of a mean over seeds on fixed test rows; None for one seed."""
    return _interval(mean, std**2 / seeds, seeds - 1) if std is not None else None


def rank_ranges(separable: np.ndarray, effects: np.ndarray) -> list[tuple[int, int]]:
    """The ranks each model may have: below all that are told apart as better, above all that are as worse."""
    better = separable & (effects < 0)  # [a, b]: b has the higher mean
    worse = separable & (effects > 0)
    return [(1 + int(b), len(separable) - int(w)) for b, w in zip(better.sum(1), worse.sum(1), strict=True)]


def tie_groups(separable: np.ndarray) -> list[tuple[int, int]]:
    """Runs of neighbouring ranks, first and last from 1, in which no two models are told apart, as long as can be.

    Args:
        separable: (M, M) in the order of the ranks.
    """
    groups: list[tuple[int, int]] = []
    for first in range(len(separable)):
        last = first
        while last + 1 < len(separable) and not separable[first : last + 1, last + 1].any():
            last += 1
        if last > first and (not groups or last + 1 > groups[-1][1]):
            groups.append((first + 1, last + 1))
    return groups


def _interval(mean: float, variance: float, freedom: float) -> Interval | None:
    if not variance > 0:
        return None
    reach = float(stdtrit(freedom, 1 - LEVEL / 2)) * variance**0.5
    return Interval(mean - reach, mean + reach)

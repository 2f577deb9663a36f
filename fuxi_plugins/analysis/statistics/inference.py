"""Intervals and comparisons from two sources of noise: which rows were drawn for the test, which seeds for training.

The variance of a model's mean over n seeds is C + s² / n: C is the sampling variance over test rows of that mean, s²
the variance between seeds on the same rows. Two models share the rows, so the variance of their difference is
C_aa + C_bb - 2 C_ab + s²_a / n_a + s²_b / n_b.

Each part v_i of such a variance is an estimate with degrees of freedom of its own. An interval reaches
sqrt(sum t_i² v_i) to either side, t_i being Student's quantile for part i, and covers the truth at least as often as it
says, at every level and whatever the parts' shares (Banerjee, Sankhya 22, 1960). A p value is the level whose interval
ends at zero. Satterthwaite's one t for all parts is nearly exact for a single comparison, but far out in the tails,
where a procedure for all pairs of models looks, it errs several times as often as it says.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from fuxi_plugins.analysis.statistics.roots import falling_root

LEVEL = 0.05  # of tests; intervals cover 1 - LEVEL
POWER = 0.8
SMALLEST_P = 1e-100  # to which p values are worked out


@dataclass(frozen=True)
class Interval:
    low: float
    high: float


@dataclass(frozen=True)
class Noise:
    """The independent parts of variances.

    Args:
        variances: (P, ...) of P parts.
        freedom: (P, ...) their degrees of freedom; has no meaning where the variance is 0.
    """

    variances: np.ndarray
    freedom: np.ndarray

    @classmethod
    def of(cls, *parts: tuple[np.ndarray, np.ndarray]) -> "Noise":
        """Of pairs (variances, degrees of freedom) whose shapes broadcast together."""
        shape = np.broadcast_shapes(*(array.shape for part in parts for array in part))
        return cls(*(np.array([np.broadcast_to(array, shape) for array in kind]) for kind in zip(*parts, strict=True)))

    def reach(self, level: float | np.ndarray) -> np.ndarray:
        """(...) How far an interval of ``1 - level`` reaches to either side."""
        with np.errstate(over="ignore"):  # of few degrees of freedom at a tiny level
            squares = np.where(self.variances > 0, stdtrit(self.freedom, level / 2) ** 2, 0) * self.variances
        return np.sqrt(squares.sum(0))

    def __getitem__(self, place: tuple) -> "Noise":
        return Noise(self.variances[:, *place], self.freedom[:, *place])


@dataclass(frozen=True)
class Sample:
    """What is known of one metric of M models.

    Args:
        means: (M,) over seeds.
        seed_variances: (M,) of one seed's value; 0 where nothing is known of it.
        seed_freedom: (M,) degrees of freedom of these variances.
        seeds: (M,) number of seeds.
        sampling: (M, M) covariance of the means over test rows, or None where it is not known.
        units: rows or groups of rows that vary independently.
    """

    means: np.ndarray
    seed_variances: np.ndarray
    seed_freedom: np.ndarray
    seeds: np.ndarray
    sampling: np.ndarray | None
    units: int | None

    def intervals(self) -> list[Interval | None]:
        """A 1 - LEVEL interval for each mean; None where nothing is known of its noise."""
        rows = np.zeros(len(self.means)) if self.sampling is None else np.diag(self.sampling)
        reaches = Noise.of((rows, self._freedom_of_rows), (self._of_seeds, self.seed_freedom)).reach(LEVEL)
        return [_interval(float(mean), float(reach)) for mean, reach in zip(self.means, reaches, strict=True)]

    def differences(self) -> "Differences":
        """Every model against every other, paired by test row."""
        own = np.zeros(len(self.means)) if self.sampling is None else np.diag(self.sampling)
        shared = 0 if self.sampling is None else self.sampling
        noise = Noise.of(
            (np.maximum(own[:, None] + own[None, :] - 2 * shared, 0), self._freedom_of_rows),
            (self._of_seeds[:, None], self.seed_freedom[:, None]),
            (self._of_seeds[None, :], self.seed_freedom[None, :]),
        )
        return Differences(self.means[:, None] - self.means[None, :], noise)

    @property
    def _of_seeds(self) -> np.ndarray:
        return self.seed_variances / self.seeds

    @property
    def _freedom_of_rows(self) -> np.ndarray:
        return np.array((self.units or 2) - 1)


@dataclass(frozen=True)
class Differences:
    """(M, M) differences of means and their noise."""

    effects: np.ndarray
    noise: Noise

    def p_values(self) -> np.ndarray:
        """(M, M) two-sided p values; 1 where nothing is known of the noise."""
        above = np.triu_indices(len(self.effects), 1)
        sizes, noise = np.abs(self.effects[above]), self.noise[above]
        lowest = np.full(sizes.shape, np.log(SMALLEST_P))
        logs = falling_root(lambda log: noise.reach(np.exp(log)) - sizes, lowest, np.zeros(sizes.shape))
        p = np.ones_like(self.effects)
        p[above] = np.where((noise.variances > 0).any(0), np.exp(logs), 1.0)
        return np.minimum(p, p.T)

    def separable(self) -> np.ndarray:
        """(M, M), true where Holm's procedure over all pairs tells two models apart at LEVEL."""
        above = np.triu_indices(len(self.effects), 1)
        told_apart = np.zeros(self.effects.shape, bool)
        told_apart[above] = holm(self.p_values()[above]) < LEVEL
        return told_apart | told_apart.T

    def interval(self, a: int, b: int) -> Interval | None:
        return _interval(float(self.effects[a, b]), float(self.noise[a, b].reach(LEVEL)))

    def smallest_detectable(self) -> float | None:
        """The difference that one planned comparison at LEVEL finds with POWER, for the median pair of models."""
        noise = self.noise[np.triu_indices(len(self.effects), 1)]
        known = (noise.variances > 0).any(0)
        if not known.any():
            return None
        return float(np.median((noise.reach(LEVEL) + noise.reach(2 * (1 - POWER)))[known]))


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
    if std is None:
        return None
    return _interval(mean, float(Noise.of((np.array(std**2 / seeds), np.array(seeds - 1))).reach(LEVEL)))


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


def _interval(mean: float, reach: float) -> Interval | None:
    return Interval(mean - reach, mean + reach) if reach > 0 else None

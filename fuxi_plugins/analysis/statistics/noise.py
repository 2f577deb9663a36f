"""Variances that are sums of estimates, and the intervals and p values that follow from them.

Each part v_i of a variance is an estimate with degrees of freedom of its own. An interval extends sqrt(sum t_i² v_i) to
either side, t_i being Student's quantile for part i. It covers the truth at least as often as it says, at every level
and whatever the shares of the parts (Banerjee, Sankhya 22, 1960). A p value is the level whose interval ends at zero.
Satterthwaite's single t for all parts is nearly exact for one comparison, but far out in the tails, where a procedure
for all pairs of models looks, it errs several times as often as it says.
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
        dof: (P, ...) their degrees of freedom; has no meaning where the variance is 0.
    """

    variances: np.ndarray
    dof: np.ndarray

    @classmethod
    def of(cls, *parts: tuple[np.ndarray, np.ndarray]) -> "Noise":
        """Makes it of pairs (variances, degrees of freedom) whose shapes broadcast together."""
        shape = np.broadcast_shapes(*(array.shape for part in parts for array in part))
        return cls(*(np.array([np.broadcast_to(array, shape) for array in kind]) for kind in zip(*parts, strict=True)))

    @property
    def known(self) -> np.ndarray:
        """(...) Whether anything is known of the noise."""
        return np.asarray((self.variances > 0).any(0))

    def half_width(self, level: float | np.ndarray) -> np.ndarray:
        """(...) How far an interval of ``1 - level`` extends to either side."""
        with np.errstate(over="ignore"):  # of few degrees of freedom at a tiny level
            squares = np.where(self.variances > 0, stdtrit(self.dof, level / 2) ** 2, 0) * self.variances
        return np.sqrt(squares.sum(0))

    def p_values(self, effects: np.ndarray) -> np.ndarray:
        """(...) Two-sided p values of effects (...); 1 where nothing is known of the noise."""
        sizes = np.abs(effects)
        lowest = np.full(sizes.shape, np.log(SMALLEST_P))
        logs = falling_root(lambda log: self.half_width(np.exp(log)) - sizes, lowest, np.zeros(sizes.shape))
        return np.where(self.known, np.exp(logs), 1.0)

    def detectable(self, level: float = LEVEL) -> np.ndarray:
        """(...) The effect that a test at this level finds with POWER."""
        return self.half_width(level) + self.half_width(2 * (1 - POWER))

    def __getitem__(self, place: tuple[np.ndarray | int, ...]) -> "Noise":
        return Noise(self.variances[:, *place], self.dof[:, *place])


def interval_around(mean: float, half_width: float) -> Interval | None:
    """Symmetric; None where nothing is known of the noise."""
    return Interval(mean - half_width, mean + half_width) if half_width > 0 else None

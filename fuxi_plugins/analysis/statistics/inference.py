"""The one place where it is decided how sure a mean is and which rows differ significantly.

A row has a value of a metric for each seed. As an estimate of the value expected over seeds and over test sets of this
size, the mean over n seeds has the variance C + s² / n: C is the sampling variance of the mean over test rows, s² the
variance between seeds on the same rows. Two rows share the test rows, so the variance of their difference is
C_aa + C_bb - 2 C_ab + s²_a / n_a + s²_b / n_b. Boards, ``compare``, the ledger and the report on the paper all ask
:func:`infer`, and a pair has one answer in a given set of rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import expit, logit

from fuxi_plugins.analysis.statistics.letters import compact_letters
from fuxi_plugins.analysis.statistics.moderation import inform_each_other, moderate, stands_apart
from fuxi_plugins.analysis.statistics.noise import LEVEL, Interval, Noise, interval_around
from fuxi_plugins.records.metrics import Metric

# An interval of an AUC counts this much of one more test row of each class, ranked by chance (docs/statistics.md says
# how it was chosen). Without it, a model that happens to rank a few rows perfectly would have no sampling error.
PSEUDO_ROW = 0.3


@dataclass(frozen=True)
class Sampling:
    """Sampling of the test rows.

    Args:
        covariance: (M, M) of the rows' means.
        units: what varies independently: the test rows of the rarer class, or the clusters of test rows.
    """

    covariance: np.ndarray
    units: int


@dataclass(frozen=True)
class Difference:
    """One row less another."""

    effect: float
    interval: Interval | None  # 95%, of this one comparison; None where the noise is not known
    p: float | None  # two-sided, of this one comparison
    adjusted_p: float | None  # by Holm's procedure over all pairs that are compared
    significant: bool  # adjusted_p < LEVEL


@dataclass(frozen=True)
class Inference:
    """What may be said of a set of rows in one metric; rows are in the order in which they were given.

    Args:
        names: of M rows.
        means: (M,) over seeds.
        seeds: (M,) their number.
        intervals: 95%, of each mean.
        effects: (M, M), the row less the column, in the numbers by which the metric compares (``Metric.compared``).
        noise: of the effects.
        comparable: (M, M), false where one row has a single seed of unknown noise.
        pooled: (M,), rows whose variance between seeds is drawn from all rows that inform each other.
        different_outcomes: (M,), rows whose seeds lie so far apart that a mean does not describe them.
        metric: in which the rows are compared; None: a quantity without bounds of which more is better.
    """

    names: list[str]
    means: np.ndarray
    seeds: np.ndarray
    intervals: list[Interval | None]
    effects: np.ndarray
    noise: Noise
    comparable: np.ndarray
    pooled: np.ndarray
    different_outcomes: np.ndarray
    metric: Metric | None

    @property
    def higher_is_better(self) -> bool:
        return self.metric is None or self.metric.higher_is_better

    @property
    def p_values(self) -> np.ndarray:
        """(M, M), each of one comparison alone; NaN where not comparable."""
        return self._tests[0]

    @property
    def adjusted(self) -> np.ndarray:
        """(M, M) p values by Holm's procedure over all pairs that are compared; NaN for others."""
        return self._tests[1]

    @cached_property
    def _tests(self) -> tuple[np.ndarray, np.ndarray]:
        """Worked out when asked for: it is what takes longest, and of most metrics only the intervals are shown."""
        return _tests(self.effects, self.noise, self.comparable)

    @property
    def significant(self) -> np.ndarray:
        """(M, M), symmetric; all that is said of ranks and ties follows from this matrix."""
        return np.nan_to_num(self.adjusted, nan=1.0) < LEVEL

    @property
    def compared(self) -> int:
        """The number of pairs that were tested."""
        return int(np.triu(self.comparable, 1).sum())

    @property
    def undecided(self) -> int:
        """The number of pairs that were tested and are not significant."""
        return self.compared - int(np.triu(self.significant, 1).sum())

    def difference(self, a: str, b: str) -> Difference:
        """Row ``a`` less row ``b``."""
        place = self.names.index(a), self.names.index(b)
        effect = float(self.effects[place])
        if not self.comparable[place]:
            return Difference(effect, None, None, None, significant=False)
        interval = interval_around(effect, float(self.noise[place].half_width(LEVEL)))
        p, adjusted = float(self.p_values[place]), float(self.adjusted[place])
        return Difference(effect, interval, p, adjusted, significant=bool(self.significant[place]))

    def planned(self, pairs: Sequence[tuple[str, str]]) -> "Inference":
        """The same rows with these pairs alone compared, for a question that named them before there were results.

        Noise and intervals stay; Holm's procedure is over these pairs and not over all of the board's.
        """
        places = np.array([[self.names.index(name) for name in pair] for pair in pairs])
        asked = np.zeros_like(self.comparable)
        asked[places[:, 0], places[:, 1]] = True
        return replace(self, comparable=self.comparable & (asked | asked.T))

    def contrast(self, weights: np.ndarray) -> tuple[float, Noise]:
        """A sum of the rows' values, each times its weight, and its noise: that of test rows, then that of each row.

        Args:
            weights: (M,), which add up to 0.

        Returns:
            The sum, in the numbers by which the metric compares, and the noise (1,) of M + 1 parts.
        """
        # As the weights add up to 0, the variances of the pairs' differences say all of the rows' covariance.
        of_test_rows = max(0.0, float(-weights @ self.noise.variances[0] @ weights) / 2)
        variances = np.array([of_test_rows, *(weights**2 * self.noise.variances[1].diagonal())])
        dof = np.array([self.noise.dof[0, 0, 0], *self.noise.dof[1].diagonal()])
        return float(weights @ self.effects[:, 0]), Noise(variances[:, None], dof[:, None])

    def order(self) -> np.ndarray:
        """(M,) places of the rows from the best mean to the worst."""
        compared = self.effects[:, 0]  # which differ from the rows' own numbers by a constant
        return np.argsort(-compared if self.higher_is_better else compared, kind="stable")

    def letters(self) -> dict[str, str]:
        """Letters by row: two rows share one if and only if they do not differ significantly. They follow the ranks.

        A row that is compared with nothing has none.
        """
        order = [place for place in self.order() if self.comparable[place, place]]
        letters = compact_letters(self.significant[np.ix_(order, order)])
        return dict.fromkeys(self.names, "") | {
            self.names[place]: found for place, found in zip(order, letters, strict=True)
        }

    def rank_ranges(self) -> dict[str, tuple[int, int]]:
        """The ranks that each row may have: below all that are significantly better, above all that are worse."""
        below = self.effects < 0 if self.higher_is_better else self.effects > 0
        better, worse = (self.significant & below).sum(1), (self.significant & ~below).sum(1)
        return {
            name: (1 + int(b), len(self.names) - int(w)) for name, b, w in zip(self.names, better, worse, strict=True)
        }

    def like_the_best(self) -> list[str]:
        """Rows that are not significantly different from the first by its mean, without that one, best first.

        Rows that are not compared with it are left out.
        """
        best, *others = self.order()
        alike = self.comparable[best] & ~self.significant[best]
        return [self.names[place] for place in others if alike[place]]

    def not_compared(self) -> list[str]:
        """Rows of a single seed whose noise is not known."""
        return [name for name, known in zip(self.names, self.comparable.diagonal(), strict=True) if not known]

    def smallest_detectable(self) -> float | None:
        """The difference that one planned comparison finds with a power of 80%, for the median pair of rows."""
        known = np.triu(self.comparable & self.noise.known, 1)
        return float(np.median(self.noise[np.nonzero(known)].detectable())) if known.any() else None


def infer(
    values: Mapping[str, Mapping[int, float]], metric: Metric | None = None, sampling: Sampling | None = None
) -> Inference:
    """Works out intervals of all rows and comparisons of all pairs of rows.

    Three or more rows with several seeds inform each other of the noise between seeds (``moderation``). A row with a
    single seed takes its noise from them; where there are too few, it is compared with nothing.

    Args:
        values: of the metric, by row and seed.
        metric: None: a quantity without bounds of which more is better.
        sampling: of the test rows, with the rows in the order of ``values``; None: only the noise between seeds counts.
    """
    listed = [np.array(list(by_seed.values()), np.float64) for by_seed in values.values()]
    seeds = np.array([len(own) for own in listed])
    means = np.array([own.mean() for own in listed])
    own_variances = np.array([own.var(ddof=1) if len(own) > 1 else 0.0 for own in listed])
    informing = inform_each_other(own_variances, seeds - 1)
    seed_variances, seed_dof = moderate(own_variances, seeds - 1)
    apart = stands_apart(own_variances, seeds - 1)
    pooled = np.full(len(listed), informing.any()) & ~apart
    of_seeds = seed_variances / seeds
    slopes, compared = np.ones(len(means)), means
    if metric is not None:
        slopes = np.array([metric.slope(mean) for mean in means.tolist()])
        compared = np.array([metric.compared(mean) for mean in means.tolist()])
    covariance = np.zeros((len(listed),) * 2) if sampling is None else sampling.covariance * np.outer(slopes, slopes)
    row_dof = np.array(max(1, (sampling.units if sampling else 2) - 1))

    own = np.diag(covariance)
    noise = Noise.of(
        (np.maximum(own[:, None] + own[None, :] - 2 * covariance, 0), row_dof),
        (of_seeds[:, None], seed_dof[:, None]),
        (of_seeds[None, :], seed_dof[None, :]),
    )
    effects = compared[:, None] - compared[None, :]
    noise_known = (seeds > 1) | pooled
    comparable = noise_known[:, None] & noise_known[None, :]
    return Inference(
        names=list(values),
        means=means,
        seeds=seeds,
        intervals=_intervals(means, Noise.of((own, row_dof), (of_seeds, seed_dof)), metric, sampling),
        effects=effects,
        noise=noise,
        comparable=comparable,
        pooled=pooled,
        different_outcomes=apart,
        metric=metric,
    )


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's adjusted p values (Scandinavian Journal of Statistics 6, 1979), in the order given."""
    p_values = np.asarray(p_values, np.float64)
    order = np.argsort(p_values)
    adjusted = np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1))
    back = np.empty(len(order))
    back[order] = np.minimum(adjusted, 1)
    return back


def _tests(effects: np.ndarray, noise: Noise, comparable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(M, M) p values and Holm's adjusted ones, of each pair once; NaN where it is not comparable."""
    pairs = np.nonzero(np.triu(comparable, 1))
    alone = noise[pairs].p_values(effects[pairs])
    found = []
    for listed in (alone, holm(alone)):
        square = np.full(effects.shape, np.nan)
        square[pairs] = listed
        found.append(np.fmin(square, square.T))
    return found[0], found[1]


def _intervals(
    means: np.ndarray, noise: Noise, metric: Metric | None, sampling: Sampling | None
) -> list[Interval | None]:
    """95% intervals, None where nothing is known of the noise.

    Those of an AUC, and of what else lies between 0 and a best value of 1, are made on the logit scale and hold the
    mean: there few test rows and values near the bound do less harm. Others are symmetric, and end at the bounds.
    """
    low, high = metric.bounds if metric else (-np.inf, np.inf)
    if metric is None or metric.bounds != (0, 1) or not metric.higher_is_better:
        half_widths = noise.half_width(LEVEL).tolist()
        found = [interval_around(mean, half) for mean, half in zip(means.tolist(), half_widths, strict=True)]
        return [one and Interval(max(one.low, low), min(one.high, high)) for one in found]
    variances, centres = noise.variances.copy(), means
    if sampling is not None:
        weight = PSEUDO_ROW / (sampling.units + PSEUDO_ROW)
        centres = means + weight * (0.5 - means)
        variances[0] += weight**2 / PSEUDO_ROW * (means - 0.5) ** 2
    half_widths = Noise(variances, noise.dof).half_width(LEVEL)
    inside = np.clip(centres, 1e-12, 1 - 1e-12)
    on_logits = half_widths / (inside * (1 - inside))
    lows, highs = (
        np.minimum(expit(logit(inside) - on_logits), means),
        np.maximum(expit(logit(inside) + on_logits), means),
    )
    return [
        Interval(low, high) if half_width > 0 else None
        for low, high, half_width in zip(lows.tolist(), highs.tolist(), half_widths.tolist(), strict=True)
    ]

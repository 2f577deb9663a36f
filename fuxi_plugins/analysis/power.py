"""Forecasts from a board, or from a pilot of it, which differences a test set shows with how many seeds.

The noise of a difference has two parts (``statistics/inference``): the sampling of test rows, which no number of seeds
makes smaller, and the noise between seeds, which n seeds divide by n. A difference counts as shown if a test finds it
with a power of 80%.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fuxi_plugins.analysis.statistics.inference import Inference
from fuxi_plugins.analysis.statistics.noise import LEVEL, POWER, Noise
from fuxi_plugins.analysis.statistics.roots import falling_root

SEEDS = (2, 3, 5, 10, 20, 50)  # for which a forecast is made
MOST_SEEDS = 200  # that anybody would train
MOST_ROWS = 1e6  # times as many test rows, up to which a number is looked for
OF_INTEREST = 0.001  # the smallest difference of interest, in AUC and in log loss; papers on CTR models call it large


@dataclass(frozen=True)
class Needed:
    """What it takes that a test finds a difference with a power of 80%.

    Args:
        difference: its size.
        observed: whether it is the difference that was observed; otherwise the smallest of interest.
        seeds: the fewest seeds of each row, from 2 to ``MOST_SEEDS``, that are enough; infinity: no such number is.
        rows: how many times the test rows it takes by any number of seeds; 1: those at hand are enough.
        at_hand: seeds of each row that are there; of two rows with different numbers, the smaller.
        shown: the smallest difference that the seeds at hand show.
    """

    difference: float
    observed: bool
    seeds: float
    rows: float
    at_hand: int
    shown: float

    def phrase(
        self, test_rows: int | None = None, whose: str = "of each", quantity: str = "difference", digits: str = "g"
    ) -> str:
        """Part of a sentence.

        Args:
            test_rows: their number now, or None where it is not known.
            whose: seeds are counted.
            quantity: what the difference is called.
            digits: the format of its size.

        >>> Needed(0.0014, observed=True, seeds=12, rows=1, at_hand=3, shown=0.003).phrase()
        'about 12 seeds of each would show this difference'
        >>> Needed(0.001, observed=False, seeds=np.inf, rows=5.31, at_hand=3, shown=0.01).phrase(10_000)
        'no number of seeds shows a difference of 0.001, which takes at least 5.3 times as many test rows (53,000)'
        """
        article = "an" if quantity[0] in "aeiou" else "a"
        what = f"this {quantity}" if self.observed else f"{article} {quantity} of {self.difference:{digits}}"
        if self.seeds <= self.at_hand:
            return f"the seeds at hand would have shown {what}"
        if np.isfinite(self.seeds):
            return f"about {self.seeds:.0f} seeds {whose} would show {what}"
        if self.rows > 1:
            times = f"{_two_digits(self.rows):,g} times"
            rows = "" if test_rows is None else f" ({_two_digits(self.rows * test_rows):,.0f})"
            return f"no number of seeds shows {what}, which takes at least {times} as many test rows{rows}"
        return f"more than {MOST_SEEDS} seeds {whose} are needed to show {what}"

    def sentence(self, test_rows: int | None = None, whose: str = "of each") -> str:
        """The phrase as a sentence that names the power."""
        said = self.phrase(test_rows, whose)
        return f"{said[0].upper()}{said[1:]} (power {POWER:.0%})."


def _two_digits(value: float) -> float:
    return float(f"{value:.2g}")


def fewest_seeds(
    noise: Callable[[np.ndarray], Noise], differences: np.ndarray | float, pairs: int, level: float = LEVEL
) -> np.ndarray:
    """(P,) the fewest seeds, from 2 to ``MOST_SEEDS``, with which a test shows each difference; infinity: none.

    Args:
        noise: of P differences with (P,) seeds; more seeds must not increase it.
        pairs: P.
    """
    low, high = np.full(pairs, 1), np.full(pairs, MOST_SEEDS + 1)  # too few, and enough or one more than the most
    while (high - low > 1).any():
        middle = (low + high) // 2
        enough = noise(np.maximum(middle, 2)).detectable(level) <= differences
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(high > MOST_SEEDS, np.inf, np.maximum(high, 2))


def fewest_rows(
    noise: Callable[[float, np.ndarray], Noise], difference: float, pairs: int, level: float = LEVEL
) -> np.ndarray:
    """(P,) how many times the test rows it takes to show each difference by any number of seeds.

    Args:
        noise: of P differences with a number of seeds and (P,) times the rows.
        pairs: P.
    """
    ends = np.zeros(pairs), np.full(pairs, np.log(MOST_ROWS))
    return np.exp(falling_root(lambda log: noise(np.inf, np.exp(log)).detectable(level) - difference, *ends))


def with_more(noise: Noise, had: np.ndarray, seeds: float | np.ndarray, rows: float | np.ndarray = 1.0) -> Noise:
    """(P,) the noise of differences with another number of seeds a row, and ``rows`` times as many test rows.

    Args:
        noise: (P,); its first part is the sampling of test rows, the K others are the rows' noise between seeds.
        had: (K, P) seeds of these rows.
    """
    variances = np.array([noise.variances[0] / rows, *(noise.variances[1:] * had / seeds)])
    dof = np.array([noise.dof[0] * rows, *(noise.dof[1:] + (seeds - had))])  # the rest is what other rows told
    return Noise(variances, np.maximum(dof, 1))


def needed_for(noise: Noise, had: np.ndarray, difference: float, level: float = LEVEL, *, observed: bool) -> Needed:
    """What it takes to show one difference.

    Args:
        noise: (1,), and ``had`` (K, 1), as of :func:`with_more`.
        observed: whether the difference was observed.
    """

    def more(seeds: float | np.ndarray, rows: float | np.ndarray = 1.0) -> Noise:
        return with_more(noise, had, seeds, rows)

    (seeds,) = fewest_seeds(more, difference, 1, level)
    too_small = bool(more(np.inf).detectable(level)[0] > difference)
    rows = float(fewest_rows(more, difference, 1, level)[0]) if too_small else 1.0
    return Needed(difference, observed, float(seeds), rows, int(had.min()), float(noise.detectable(level)[0]))


def what_would_decide(inference: Inference, a: str, b: str, of_interest: float = OF_INTEREST) -> Needed | None:
    """What it takes to find the difference of two rows, in the test of all pairs that has not found it.

    The difference is the observed one, or the smallest of interest where that is larger. The level is that of Holm's
    step at which this set of rows has stopped: its 5% are shared by the pairs that are not significant.

    Returns:
        None where the difference is significant, or where nothing is known of its noise.
    """
    place = inference.names.index(a), inference.names.index(b)
    if inference.significant[place] or not (inference.comparable & inference.noise.known)[place]:
        return None
    effect = abs(float(inference.effects[place]))
    pair = Power(inference, np.array(place)[:, None])
    return pair.needed(max(effect, of_interest), LEVEL / inference.undecided, observed=effect >= of_interest)


@dataclass(frozen=True)
class Forecast:
    """What a number of seeds a row would show.

    Args:
        seeds: of each row; infinity leaves the sampling of test rows alone.
        planned: the smallest difference that one planned comparison of the median pair finds.
        all_pairs: the same where all pairs are tested (level divided by their number, Holm's first step).
        found: pairs, of all, whose observed difference such tests of all pairs would find.
    """

    seeds: float
    planned: float
    all_pairs: float
    found: int


@dataclass(frozen=True)
class Power:
    """What a set of rows on one test set can show.

    Args:
        inference: about the rows.
        pairs: (2, P) places of the pairs whose noise is known.
    """

    inference: Inference
    pairs: np.ndarray

    @classmethod
    def of(cls, inference: Inference) -> "Power | None":
        """The power of all pairs whose noise is known, or None where there is none."""
        known = np.triu(inference.comparable & inference.noise.known, 1)
        return cls(inference, np.array(np.nonzero(known))) if known.any() else None

    @property
    def effects(self) -> np.ndarray:
        """(P,) sizes of the observed differences."""
        return np.abs(self.inference.effects[tuple(self.pairs)])

    @property
    def level_of_all(self) -> float:
        return LEVEL / self.pairs.shape[1]

    @property
    def noise_now(self) -> Noise:
        """(P,) noise of the differences with the seeds and test rows at hand."""
        return self.inference.noise[tuple(self.pairs)]

    def noise(self, seeds: float | np.ndarray, rows: float | np.ndarray = 1.0) -> Noise:
        """(P,) noise of the differences with another number of seeds a row, and ``rows`` times as many test rows."""
        return with_more(self.noise_now, self.inference.seeds[self.pairs], seeds, rows)

    def forecasts(self) -> list[Forecast]:
        """Forecasts for each of ``SEEDS``, and for so many that only the test rows matter."""
        found = []
        for seeds in (*SEEDS, np.inf):
            noise = self.noise(seeds)
            of_all = noise.detectable(self.level_of_all)
            planned = float(np.median(noise.detectable()))
            found.append(Forecast(seeds, planned, float(np.median(of_all)), int((self.effects >= of_all).sum())))
        return found

    def seeds_needed(self, effects: np.ndarray | float, level: float = LEVEL) -> np.ndarray:
        """(P,) the fewest seeds, from 2 to ``MOST_SEEDS``, with which each pair shows a difference; infinity: none."""
        return fewest_seeds(self.noise, effects, self.pairs.shape[1], level)

    def rows_needed(self, effect: float, level: float = LEVEL) -> np.ndarray:
        """(P,) times as many test rows with which each pair shows a difference, by any number of seeds."""
        return fewest_rows(self.noise, effect, self.pairs.shape[1], level)

    def needed(self, difference: float, level: float = LEVEL, *, observed: bool = False) -> Needed:
        """What the median pair needs to show a difference, of those pairs whose noise is known."""
        sizes = self.noise_now.detectable(level)
        median = np.argsort(sizes, kind="stable")[[len(sizes) // 2]]
        had = self.inference.seeds[self.pairs[:, median]]
        return needed_for(self.noise_now[(median,)], had, difference, level, observed=observed)

    def against(self, name: str) -> list[tuple[str, float, bool, float]]:
        """Of each other row: its name, ``name``'s difference from it, whether that is significant now, seeds needed.

        The seeds are those with which one planned comparison would find the difference that was observed.
        """
        place = self.inference.names.index(name)
        needed = self.seeds_needed(self.effects)
        found = []
        for one, other, seeds in zip(*self.pairs.tolist(), needed.tolist(), strict=True):
            if place in (one, other):
                against = other if place == one else one
                effect = float(self.inference.effects[place, against])
                significant = bool(self.inference.significant[place, against])
                found.append((self.inference.names[against], effect, significant, seeds))
        return found

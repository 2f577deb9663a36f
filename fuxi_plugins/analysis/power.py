"""Which differences a test set can show with how many seeds, foretold from a board or a pilot of it.

The noise of a difference has two parts (``statistics/inference``): the sampling of test rows, which no number of seeds
makes smaller, and the noise between seeds, which n seeds divide by n. A difference counts as shown if a test finds it
with a power of 80%.
"""

from dataclasses import dataclass

import numpy as np

from fuxi_plugins.analysis.statistics.inference import Inference
from fuxi_plugins.analysis.statistics.noise import LEVEL, Noise
from fuxi_plugins.analysis.statistics.roots import falling_root

SEEDS = (2, 3, 5, 10, 20, 50)  # for which a forecast is made
MOST_SEEDS = 200  # that anybody would train
MOST_ROWS = 1e6  # times as many test rows, up to which a number is looked for


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
        """None where no pair's noise is known."""
        known = np.triu(inference.comparable & inference.noise.known, 1)
        return cls(inference, np.array(np.nonzero(known))) if known.any() else None

    @property
    def effects(self) -> np.ndarray:
        """(P,) sizes of the observed differences."""
        return np.abs(self.inference.effects[tuple(self.pairs)])

    @property
    def level_of_all(self) -> float:
        return LEVEL / self.pairs.shape[1]

    def noise(self, seeds: float, rows: float | np.ndarray = 1.0) -> Noise:
        """(P,) noise of the differences with another number of seeds a row, and ``rows`` times as many test rows."""
        now = self.inference.noise[tuple(self.pairs)]
        had = self.inference.seeds[self.pairs]
        variances = np.array([now.variances[0] / rows, *(now.variances[1:] * had / seeds)])
        dof = np.array([now.dof[0] * rows, *(now.dof[1:] + (seeds - had))])  # the rest is what other rows told
        return Noise(variances, np.maximum(dof, 1))

    def forecasts(self) -> list[Forecast]:
        """For each of ``SEEDS``, and for so many that only the test rows matter."""
        found = []
        for seeds in (*SEEDS, np.inf):
            noise = self.noise(seeds)
            of_all = noise.detectable(self.level_of_all)
            planned = float(np.median(noise.detectable()))
            found.append(Forecast(seeds, planned, float(np.median(of_all)), int((self.effects >= of_all).sum())))
        return found

    def seeds_needed(self, effects: np.ndarray | float, level: float = LEVEL) -> np.ndarray:
        """(P,) the fewest seeds, from 2 to ``MOST_SEEDS``, with which each pair shows a difference; infinity: none."""
        needed = np.full(self.pairs.shape[1], np.inf)
        for seeds in range(2, MOST_SEEDS + 1):
            shown = self.noise(seeds).detectable(level) <= effects
            needed[shown & np.isinf(needed)] = seeds
            if np.isfinite(needed).all():
                break
        return needed

    def rows_needed(self, effect: float) -> np.ndarray:
        """(P,) times as many test rows with which each pair shows a difference, by any number of seeds."""
        ends = np.zeros(self.pairs.shape[1]), np.full(self.pairs.shape[1], np.log(MOST_ROWS))
        return np.exp(falling_root(lambda log: self.noise(np.inf, np.exp(log)).detectable() - effect, *ends))

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

"""Ours against the published value: reproduced, above, below, or not comparable, and why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fuxi_plugins.analysis.power import OF_INTEREST, Needed, fewest_seeds
from fuxi_plugins.analysis.published import PublishedRuns
from fuxi_plugins.analysis.statistics.noise import LEVEL, Noise

ROUNDING = 5e-5  # published values are read to the fourth decimal


@dataclass(frozen=True)
class Verdict:
    word: str  # "reproduced", "above", "below" or "not comparable"
    reason: str


def judge(values: Sequence[float], published: float, runs: PublishedRuns | None, other_data: str = "") -> Verdict:
    """Whether a published value is one that our seeds would give.

    Both are of the same test rows and, if it is reproduced, of one model, so the sampling of test rows is the same on
    both sides and cancels. What is left is the noise between seeds: of two means where the published runs are known
    one by one, else of our mean and of one more run like ours.

    Args:
        values: ours, one a seed.
        published: the value.
        runs: the published runs, where there are several.
        other_data: why the data are not the published ones, if they are not.
    """
    if other_data:
        return Verdict("not comparable", other_data)
    seeds = len(values)
    if seeds < 2:
        return Verdict("not comparable", "one seed of ours does not say how much seeds differ")
    if runs:
        published = runs.mean
    noise = _noise_by_seeds(float(np.var(values, ddof=1)), runs)
    behind = f"{len(runs.values)} published runs" if runs else "one published run"
    half_width = max(ROUNDING, float(noise(np.array(seeds)).half_width(LEVEL)))
    gap = float(np.mean(values)) - published
    reason = f"gap {gap:+.5f}, noise between seeds ±{half_width:.5f} ({seeds} seeds of ours, {behind})"
    if abs(gap) > half_width:
        return Verdict("above" if gap > 0 else "below", reason)
    return Verdict("reproduced", f"{reason}; {_needed(noise, seeds)}")


def _noise_by_seeds(variance: float, runs: PublishedRuns | None) -> Callable[[np.ndarray], Noise]:
    """The noise of our mean less the published value, with any number of our seeds.

    Args:
        variance: between our seeds.
    """

    def noise(seeds: np.ndarray) -> Noise:
        if runs is None:
            return Noise.of((variance / seeds + variance, seeds - 1))
        theirs = np.array(runs.variance / len(runs.values)), np.array(len(runs.values) - 1)
        return Noise.of((variance / seeds, seeds - 1), theirs)

    return noise


def _needed(noise: Callable[[np.ndarray], Noise], seeds: int) -> str:
    """How many of our seeds show the smallest gap of interest."""
    (needed,) = fewest_seeds(noise, OF_INTEREST, pairs=1)
    most = float(noise(np.array(np.inf)).detectable())
    if most > OF_INTEREST:
        return f"no number of seeds of ours shows a gap of {OF_INTEREST:g}: the published runs differ too much"
    shown = float(noise(np.array(seeds)).detectable())
    return Needed(OF_INTEREST, False, float(needed), 1, seeds, shown).phrase(whose="of ours")


def why_other_data(dataset: str, published_as: str) -> str:
    """A published split keeps its name, in lower case, here; any other name says that it is another split."""
    if dataset.casefold() == published_as.casefold():
        return ""
    return f"{dataset} is not {published_as} row by row"

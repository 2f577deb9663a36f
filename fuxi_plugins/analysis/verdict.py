"""Ours against the published value: reproduced, above, below, or not comparable, and why."""

from dataclasses import dataclass

from scipy.special import stdtrit

from fuxi_plugins.analysis.published import PublishedRuns
from fuxi_plugins.analysis.statistics.inference import LEVEL

ROUNDING = 5e-5  # published values are read to the fourth decimal


@dataclass(frozen=True)
class Verdict:
    word: str  # "reproduced", "above", "below" or "not comparable"
    reason: str


def judge(
    mean: float, std: float | None, seeds: int, published: float, runs: PublishedRuns | None, other_data: str = ""
) -> Verdict:
    """Whether a published value is one that our seeds would give.

    The test rows are the same in both, so only the noise between seeds counts: the reach of a difference of two
    means where the published runs are known one by one, else that of our mean and one run more like ours.

    Args:
        mean, std, seeds: of ours.
        published: value.
        runs: the published runs, where there are several.
        other_data: why the data are not the published ones, if they are not.
    """
    if other_data:
        return Verdict("not comparable", other_data)
    if std is None:
        return Verdict("not comparable", "one seed of ours does not say how much seeds differ")
    if runs:
        published = runs.mean
        parts = [(std**2 / seeds, seeds - 1), (runs.variance / len(runs.values), len(runs.values) - 1)]
        behind = f"{len(runs.values)} published runs"
    else:
        parts = [(std**2 / seeds + std**2, seeds - 1)]
        behind = "one published run"
    variance = sum(part for part, _ in parts)
    freedom = variance**2 / sum(part**2 / df for part, df in parts) if variance else 1
    reach = max(ROUNDING, float(stdtrit(freedom, 1 - LEVEL / 2)) * variance**0.5)
    gap = mean - published
    reason = f"gap {gap:+.5f}, reach of the seeds' noise {reach:.5f} ({seeds} seeds of ours, {behind})"
    word = "reproduced" if abs(gap) <= reach else "above" if gap > 0 else "below"
    return Verdict(word, reason)


def why_other_data(dataset: str, published_as: str) -> str:
    """A published split keeps its name, in lower case, here; any other name says that it is another split."""
    if dataset.casefold() == published_as.casefold():
        return ""
    return f"{dataset} is not {published_as} row by row"

"""Whether runs with a higher effective rank have a higher test AUC: Spearman's correlation within datasets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from fuxi_plugins.analysis.statistics.noise import LEVEL, Interval
from fuxi_plugins.records.record import FinishedRun

FEWEST_RUNS = 3
FEWEST_MODELS = 5  # from which on drawing models anew says something of their differences
DRAWS = 1000


@dataclass(frozen=True)
class Correlation:
    """
    Args:
        runs, models: how many.
        rho: Spearman's correlation; NaN where all ranks or all AUCs are equal.
        interval: 95%, by a bootstrap that draws models and keeps the runs of one model together. None where there are
            fewer than ``FEWEST_MODELS``.
    """

    runs: int
    models: int
    rho: float
    interval: Interval | None


def last_share(record: FinishedRun) -> float:
    """The entropy rank of a row's tokens after the last block, over that of independent normal numbers."""
    last = list(record.ranks.row_families.values())[-1]
    return last.trained["entropy"] / last.gaussian["entropy"]


def rank_against_auc(runs: Mapping[str, Sequence[FinishedRun]], seed: int = 0) -> dict[str, Correlation]:
    """The correlation on each dataset, and in the last entry that of all, with ranks made within each dataset.

    Args:
        runs: finished runs with effective ranks, each once, by dataset.
        seed: of the bootstrap.
    """
    datasets = {name: _Runs.of(listed) for name, listed in runs.items() if len(listed) >= FEWEST_RUNS}
    found = {name: _correlation([one], seed) for name, one in datasets.items()}
    if len(datasets) > 1:
        found["all, within datasets"] = _correlation(list(datasets.values()), seed)
    return found


@dataclass(frozen=True)
class _Runs:
    """
    Args:
        models: (R,) of each run.
        values: (2, R) rank and AUC.
    """

    models: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, records: Sequence[FinishedRun]) -> "_Runs":
        # A model at another size is not another model.
        names = np.array([record.display_name.split(" ")[0] for record in records])
        ranks = [last_share(record) for record in records]
        return cls(names, np.array([ranks, [record.metrics["test"]["AUC"] for record in records]]))

    def drawn(self, models: np.ndarray) -> np.ndarray:
        """(2, ...) the runs of these models, of each as often as it is named."""
        places = np.concatenate([np.flatnonzero(self.models == model) for model in models])
        return self.values[:, places]


def _correlation(datasets: Sequence[_Runs], seed: int) -> Correlation:
    models = sorted({str(name) for one in datasets for name in one.models})
    count = sum(len(one.models) for one in datasets)
    interval = None
    if len(models) >= FEWEST_MODELS:
        random = np.random.default_rng(seed)
        draws = []
        for _ in range(DRAWS):
            chosen = random.choice(models, len(models))  # the same of all datasets
            draws.append(_within([one.drawn(chosen) for one in datasets]))
        low, high = np.nanquantile(draws, [LEVEL / 2, 1 - LEVEL / 2])
        interval = Interval(float(low), float(high))
    return Correlation(count, len(models), _within([one.values for one in datasets]), interval)


def _within(datasets: Sequence[np.ndarray]) -> float:
    """Spearman's correlation of (2, R) values, whose ranks are made, and centred, within each dataset.

    NaN where one of the two does not vary.
    """
    ranked = [np.apply_along_axis(rankdata, 1, values) for values in datasets if values.shape[1]]
    ranked = [(ranks - ranks.mean(1, keepdims=True)) / ranks.shape[1] for ranks in ranked]
    x, y = np.concatenate(ranked, axis=1)
    size = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / size if size else float("nan")

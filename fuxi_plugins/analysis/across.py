"""Models over several datasets: average ranks, who beats whom how often, and what so few datasets can tell.

Datasets are the independent units here: all intervals and tests take one number of each model from each dataset. How
sure that number is on its own dataset is what the board says.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from fuxi_plugins.analysis.leaderboard import Row
from fuxi_plugins.analysis.statistics.inference import holm
from fuxi_plugins.analysis.statistics.letters import compact_letters
from fuxi_plugins.analysis.statistics.noise import LEVEL, Interval, interval_around
from fuxi_plugins.analysis.suite_board import SuiteBoard, require_each_dataset_once, require_models, whole_rows
from fuxi_plugins.analysis.uncertainty import ranked_by
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.metrics import Metric

Test = Literal["wilcoxon", "nemenyi"]
_DRAWS = 2**14  # of signs, beyond which Wilcoxon's p is estimated instead of worked out
_AT_ONCE = 2**20  # sums of ranks that are in memory together


@dataclass(frozen=True)
class Across:
    """M models with a result on each of D datasets, the best average rank first.

    Args:
        values: (D, M) means over seeds.
        ranks: (D, M), 1 is the best; equal values share the mean of their ranks.
        rank_intervals: 95%, of the average ranks, by Student's t over datasets.
        wins: (M, M) share of datasets on which the row is better than the column; a tie is half a win.
        significant_wins: (M, M) number of datasets on whose boards the row is significantly better than the column.
        p_values, adjusted: (M, M) of Wilcoxon's signed-rank test over datasets, and Holm's over all pairs.
        friedman_p: of the hypothesis that all models are equal; None for fewer than three models.
        critical_difference: of average ranks, by Nemenyi's test.
        letters: two models share one if and only if ``test`` does not tell them apart.
        left_out: models that lack a result somewhere, with the reason.
        outdated: what was changed after the runs, a sentence each.
    """

    metric: Metric
    datasets: list[str]
    models: list[str]
    rows: list[list[Row]]
    values: np.ndarray
    ranks: np.ndarray
    rank_intervals: list[Interval | None]
    wins: np.ndarray
    significant_wins: np.ndarray
    p_values: np.ndarray
    adjusted: np.ndarray
    friedman_p: float | None
    critical_difference: float
    test: Test
    letters: list[str]
    left_out: dict[str, str]
    outdated: list[str]

    @property
    def average_ranks(self) -> np.ndarray:
        return self.ranks.mean(0)

    @property
    def gaps(self) -> np.ndarray:
        """(D, M) how far each model is from the best on each dataset, in the metric; 0 is the best, below is worse."""
        keys = np.vectorize(self.metric.sort_key)(self.values)
        return keys.min(1, keepdims=True) - keys


def across(boards: Sequence[SuiteBoard], metric: Metric, models: Sequence[str] = (), test: Test = "wilcoxon") -> Across:
    """
    Args:
        boards: of at least two datasets, one each, with their uncertainty.
        models: to compare. Default: all.
        test: by which models are told apart over datasets: Wilcoxon's signed-rank test with Holm's procedure, as
            Benavoli, Corani and Mangili recommend (JMLR 17, 2016, "Should we really use post-hoc tests based on
            mean-ranks?"), or Nemenyi's of average ranks (Demšar, JMLR 7, 2006).

    Raises:
        UserError: fewer than two datasets, or fewer than two models with a result on all of them.
    """
    require_each_dataset_once(boards)
    require_models(boards, models)
    if len(boards) < 2:
        raise UserError("models are compared across at least two datasets; name more boards.")
    named = list(models) or list(dict.fromkeys(name for board in boards for name in board.models))
    found, left_out = whole_rows(boards, named, metric)
    if len(found) < 2:
        why = "; ".join(f"{model} {text}" for model, text in list(left_out.items())[:3])
        raise UserError(
            f"at least two models must have a result on each of {', '.join(b.board.dataset for b in boards)}; "
            f"{len(found)} {'has' if len(found) == 1 else 'have'} ({why})."
        )
    values = np.array([[row.test[metric.name].mean for row in rows] for rows in found.values()]).T
    keys = np.vectorize(metric.sort_key)(values)
    order = np.argsort(average_ranks(keys), kind="stable")
    names = [list(found)[place] for place in order]
    keys, values = keys[:, order], values[:, order]
    ranks = rank_matrix(keys)
    p_values, adjusted = wilcoxon_holm(keys)
    critical = nemenyi(*keys.shape)
    averages = ranks.mean(0)
    apart = adjusted < LEVEL if test == "wilcoxon" else np.abs(averages[:, None] - averages) >= critical
    return Across(
        metric=metric,
        datasets=[board.board.dataset for board in boards],
        models=names,
        rows=[found[name] for name in names],
        values=values,
        ranks=ranks,
        rank_intervals=[_within(one, 1, len(names)) for one in mean_intervals(ranks)],
        wins=win_rates(keys),
        significant_wins=_significant_wins(boards, metric, names),
        p_values=p_values,
        adjusted=adjusted,
        friedman_p=float(stats.friedmanchisquare(*keys.T).pvalue) if len(names) > 2 else None,
        critical_difference=critical,
        test=test,
        letters=compact_letters(apart),
        left_out=left_out,
        outdated=[sentence for board in boards for sentence in board.board.outdated],
    )


def rank_matrix(keys: np.ndarray) -> np.ndarray:
    """(D, M) ranks within each row of keys (D, M); the smallest key has rank 1, equal ones share their mean rank."""
    return stats.rankdata(keys, axis=1)


def average_ranks(keys: np.ndarray) -> np.ndarray:
    """(M,) over the rows of keys (D, M)."""
    return rank_matrix(keys).mean(0)


def win_rates(keys: np.ndarray) -> np.ndarray:
    """(M, M) share of the rows of keys (D, M) in which the model has the smaller key; equal ones count half."""
    ours, theirs = keys[:, :, None], keys[:, None, :]
    return ((ours < theirs) + (ours == theirs) / 2).mean(0)


def wilcoxon_holm(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(M, M) p values of Wilcoxon's signed-rank test over the rows of keys (D, M), and Holm's; 1 on the diagonal.

    Two-sided; differences of zero are split between the two sides. p is exact up to 14 datasets: all 2^D signs of the
    differences are gone through.
    """
    datasets, models = keys.shape
    first, second = np.triu_indices(models, 1)
    differences = (keys[:, first] - keys[:, second]).T
    alone = _exact_p(differences) if 2**datasets <= _DRAWS else np.array(list(map(_drawn_p, differences)))
    found = []
    for listed in (alone, holm(alone)):
        square = np.ones((models, models))
        square[first, second] = square[second, first] = listed
        found.append(square)
    return found[0], found[1]


def _exact_p(differences: np.ndarray) -> np.ndarray:
    """(P,) p values of Wilcoxon's signed-rank test of differences (P, D), by all 2^D signs that they may have.

    A zero's rank counts half on both sides whatever the signs, so it changes no comparison and is left out.
    """
    datasets = differences.shape[1]
    ranks = stats.rankdata(np.abs(differences), axis=1) * (differences != 0)  # (P, D), multiples of 1/2: sums are exact
    signs = np.array(list(itertools.product((0.0, 1.0), repeat=datasets)))  # (2^D, D), 1 where it is positive
    seen = (ranks * (differences > 0)).sum(1)
    p_values = []
    step = max(1, _AT_ONCE // len(signs))
    for start in range(0, len(ranks), step):
        sums = ranks[start : start + step] @ signs.T  # (at most step, 2^D)
        here = seen[start : start + step, None]
        p_values.append(2 * np.minimum((sums <= here).mean(1), (sums >= here).mean(1)))
    return np.minimum(1.0, np.concatenate(p_values))


def _drawn_p(differences: np.ndarray) -> float:
    """The p value of one pair's differences (D,), by signs that are drawn."""
    if not differences.any():
        return 1.0
    signs = stats.PermutationMethod(n_resamples=_DRAWS, rng=np.random.default_rng(0))
    return float(stats.wilcoxon(differences, zero_method="zsplit", method=signs).pvalue)


def nemenyi(datasets: int, models: int) -> float:
    """The smallest difference of average ranks that Nemenyi's test finds significant (Demšar, 2006, section 3.2.2)."""
    quantile = stats.studentized_range.ppf(1 - LEVEL, models, np.inf) / math.sqrt(2)
    return float(quantile * math.sqrt(models * (models + 1) / (6 * datasets)))


def smallest_p(datasets: int) -> float:
    """The smallest two-sided p that Wilcoxon's signed-rank test can give: all differences have one sign."""
    return min(1.0, 2.0 ** (1 - datasets))


def datasets_needed(pairs: int) -> int:
    """With fewer datasets, no pair of so many can be significant by Wilcoxon's test and Holm's procedure."""
    return next(n for n in itertools.count(1) if pairs * smallest_p(n) < LEVEL)


def mean_intervals(values: np.ndarray) -> list[Interval | None]:
    """95% intervals of the means of (D, M) over D independent datasets, by Student's t; None where all are equal."""
    datasets = len(values)
    errors = values.std(0, ddof=1) / math.sqrt(datasets)
    half_widths = stats.t.ppf(1 - LEVEL / 2, datasets - 1) * errors
    return [
        interval_around(mean, half) for mean, half in zip(values.mean(0).tolist(), half_widths.tolist(), strict=True)
    ]


def _within(interval: Interval | None, low: float, high: float) -> Interval | None:
    return interval and Interval(max(interval.low, low), min(interval.high, high))


def _significant_wins(boards: Sequence[SuiteBoard], metric: Metric, models: Sequence[str]) -> np.ndarray:
    """(M, M) the number of boards on which the model of the row is ahead of that of the column, significantly."""
    wins = np.zeros((len(models),) * 2, int)
    for named in boards:
        ranked = SuiteBoard(named.suite, ranked_by(named.board, metric.name))
        inference = ranked.board.inference
        if inference is None:
            continue
        rows = [(place, row) for place, row in enumerate(map(ranked.row, models)) if row and row.rank]
        here = [place for place, _ in rows]
        there = [inference.names.index(row.key) for _, row in rows]
        ranks = np.array([row.rank for _, row in rows])
        ahead = ranks[:, None] < ranks
        wins[np.ix_(here, here)] += ahead & inference.significant[np.ix_(there, there)]
    return wins

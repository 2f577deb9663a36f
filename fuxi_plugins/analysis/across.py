"""Models over several datasets: average ranks, who beats whom how often, and what so few datasets can tell.

Logs are the independent units here. Two splits of one log share rows, users and items, so a model's numbers on them are
averaged first: all intervals and tests take one number of each model from each log. How sure a number is on its own
dataset is what the board says.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
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
EACH_ITS_OWN: Mapping[str, str] = MappingProxyType({})  # no two datasets are of one log
_DRAWS = 2**14  # of signs, beyond which Wilcoxon's p is estimated instead of worked out
_AT_ONCE = 2**20  # sums of ranks that are in memory together


@dataclass(frozen=True)
class Across:
    """M models with a result on each of D datasets of L logs, the best average rank first.

    Args:
        logs: of each dataset, the name of its log.
        values: (D, M) means over seeds.
        ranks: (D, M), 1 is the best; equal values share the mean of their ranks.
        rank_intervals: 95%, of the average ranks, by Student's t over logs.
        wins: (M, M) mean over logs of the share of datasets on which the row is better than the column; a tie is half
            a win.
        significant_wins: (M, M) number of datasets on whose boards the row is significantly better than the column.
        p_values, adjusted: (M, M) of Wilcoxon's signed-rank test over logs, and Holm's over all pairs.
        friedman_p: of the hypothesis that all models are equal, over logs; None for fewer than three models.
        critical_difference: of average ranks, by Nemenyi's test over logs. It takes ranks for those of single datasets;
            ranks that are averaged within a log vary less, so it errs on the side of caution.
        letters: two models share one if and only if ``test`` does not tell them apart.
        left_out: models that lack a result somewhere, with the reason.
        outdated: what was changed after the runs, a sentence each.
    """

    metric: Metric
    datasets: list[str]
    logs: list[str]
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
        """(M,) over logs."""
        return log_means(self.ranks, self.logs).mean(0)

    @property
    def datasets_by_log(self) -> list[list[str]]:
        """The datasets of each log."""
        found: dict[str, list[str]] = {}
        for dataset, log in zip(self.datasets, self.logs, strict=True):
            found.setdefault(log, []).append(dataset)
        return list(found.values())

    @property
    def units(self) -> int:
        """How many independent numbers there are of each model."""
        return len(self.datasets_by_log)

    @property
    def unit(self) -> str:
        """What such a number is of, in a word: a dataset, or a log where several datasets are of one."""
        return "dataset" if self.units == len(self.datasets) else "log"

    @property
    def how_many(self) -> str:
        """``9 datasets of 5 logs``, or ``2 datasets`` of two logs."""
        return f"{len(self.datasets)} datasets" + (f" of {self.units} logs" if self.unit == "log" else "")

    @property
    def gaps(self) -> np.ndarray:
        """(D, M) how far each model is from the best on each dataset, in the metric; 0 is the best, below is worse."""
        keys = np.vectorize(self.metric.sort_key)(self.values)
        return keys.min(1, keepdims=True) - keys


def across(
    boards: Sequence[SuiteBoard],
    metric: Metric,
    models: Sequence[str] = (),
    test: Test = "wilcoxon",
    logs: Mapping[str, str] = EACH_ITS_OWN,
) -> Across:
    """
    Args:
        boards: of datasets of at least two logs, one each, with their uncertainty.
        models: to compare. Default: all.
        test: by which models are told apart over logs: Wilcoxon's signed-rank test with Holm's procedure, as
            Benavoli, Corani and Mangili recommend (JMLR 17, 2016, "Should we really use post-hoc tests based on
            mean-ranks?"), or Nemenyi's of average ranks (Demšar, JMLR 7, 2006).
        logs: by dataset, the name of its log; a dataset that is not there is a log of its own.

    Raises:
        UserError: fewer than two datasets or logs, or fewer than two models with a result on all of them.
    """
    require_each_dataset_once(boards)
    require_models(boards, models)
    datasets = [board.board.dataset for board in boards]
    if len(datasets) < 2:
        raise UserError("models are compared across at least two datasets; name more boards.")
    log_names = [logs.get(dataset, dataset) for dataset in datasets]
    if len(set(log_names)) < 2:
        raise UserError(
            f"models are compared across at least two logs, but {', '.join(datasets)} are of one; name more boards. "
            "'fuxibench splits' compares two splits of a log."
        )
    named = list(models) or list(dict.fromkeys(name for board in boards for name in board.models))
    found, left_out = whole_rows(boards, named, metric)
    if len(found) < 2:
        why = "; ".join(f"{model} {text}" for model, text in list(left_out.items())[:3])
        raise UserError(
            f"at least two models must have a result on each of {', '.join(datasets)}; "
            f"{len(found)} {'has' if len(found) == 1 else 'have'} ({why})."
        )
    values = np.array([[row.test[metric.name].mean for row in rows] for rows in found.values()]).T
    keys = np.vectorize(metric.sort_key)(values)
    order = np.argsort(average_ranks(keys, log_names), kind="stable")
    names = [list(found)[place] for place in order]
    keys, values = keys[:, order], values[:, order]
    ranks = rank_matrix(keys)
    by_log = log_means(ranks, log_names)
    p_values, adjusted = wilcoxon_holm(log_means(keys, log_names))
    critical = nemenyi(*by_log.shape)
    averages = by_log.mean(0)
    apart = adjusted < LEVEL if test == "wilcoxon" else np.abs(averages[:, None] - averages) >= critical
    return Across(
        metric=metric,
        datasets=datasets,
        logs=log_names,
        models=names,
        rows=[found[name] for name in names],
        values=values,
        ranks=ranks,
        rank_intervals=[_within(one, 1, len(names)) for one in mean_intervals(by_log)],
        wins=win_rates(keys, log_names),
        significant_wins=_significant_wins(boards, metric, names),
        p_values=p_values,
        adjusted=adjusted,
        friedman_p=friedman(by_log) if len(names) > 2 else None,
        critical_difference=critical,
        test=test,
        letters=compact_letters(apart),
        left_out=left_out,
        outdated=[sentence for board in boards for sentence in board.board.outdated],
    )


def rank_matrix(keys: np.ndarray) -> np.ndarray:
    """(D, M) ranks within each row of keys (D, M); the smallest key has rank 1, equal ones share their mean rank."""
    return stats.rankdata(keys, axis=1)


def log_means(values: np.ndarray, logs: Sequence[str]) -> np.ndarray:
    """(L, ...) means of the rows of values (D, ...) that are of one log, in the order of the logs' first rows.

    >>> log_means(np.array([[1.0, 2.0], [3.0, 3.0], [2.0, 1.0]]), ["films", "flights", "films"]).tolist()
    [[1.5, 1.5], [3.0, 3.0]]
    """
    names = np.array(logs)
    return np.array([values[names == log].mean(0) for log in dict.fromkeys(logs)])


def average_ranks(keys: np.ndarray, logs: Sequence[str]) -> np.ndarray:
    """(M,) ranks by keys (D, M), averaged within each log and then over logs."""
    return log_means(rank_matrix(keys), logs).mean(0)


def win_rates(keys: np.ndarray, logs: Sequence[str]) -> np.ndarray:
    """(M, M) share of the rows of keys (D, M) in which the model has the smaller key; equal ones count half.

    The share is taken within each log and averaged over logs.
    """
    ours, theirs = keys[:, :, None], keys[:, None, :]
    return log_means((ours < theirs) + (ours == theirs) / 2, logs).mean(0)


def friedman(ranks: np.ndarray) -> float:
    """p of Friedman's test that all models are equal, by their ranks (L, M), which it ranks anew on each log."""
    if (ranks == ranks[:, :1]).all():  # where the statistic is 0 / 0
        return 1.0
    return float(stats.friedmanchisquare(*ranks.T).pvalue)


def wilcoxon_holm(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(M, M) p values of Wilcoxon's signed-rank test over the rows of keys (L, M), and Holm's; 1 on the diagonal.

    Two-sided; differences of zero are split between the two sides. p is exact up to 14 rows: all 2^L signs of the
    differences are gone through.
    """
    units, models = keys.shape
    first, second = np.triu_indices(models, 1)
    differences = (keys[:, first] - keys[:, second]).T
    alone = _exact_p(differences) if 2**units <= _DRAWS else np.array(list(map(_drawn_p, differences)))
    found = []
    for listed in (alone, holm(alone)):
        square = np.ones((models, models))
        square[first, second] = square[second, first] = listed
        found.append(square)
    return found[0], found[1]


def _exact_p(differences: np.ndarray) -> np.ndarray:
    """(P,) p values of Wilcoxon's signed-rank test of differences (P, L), by all 2^L signs that they may have.

    A zero's rank counts half on both sides whatever the signs, so it changes no comparison and is left out.
    """
    units = differences.shape[1]
    ranks = stats.rankdata(np.abs(differences), axis=1) * (differences != 0)  # (P, L), multiples of 1/2: sums are exact
    signs = np.array(list(itertools.product((0.0, 1.0), repeat=units)))  # (2^L, L), 1 where it is positive
    seen = (ranks * (differences > 0)).sum(1)
    p_values = []
    step = max(1, _AT_ONCE // len(signs))
    for start in range(0, len(ranks), step):
        sums = ranks[start : start + step] @ signs.T  # (at most step, 2^L)
        here = seen[start : start + step, None]
        p_values.append(2 * np.minimum((sums <= here).mean(1), (sums >= here).mean(1)))
    return np.minimum(1.0, np.concatenate(p_values))


def _drawn_p(differences: np.ndarray) -> float:
    """The p value of one pair's differences (L,), by signs that are drawn."""
    if not differences.any():
        return 1.0
    signs = stats.PermutationMethod(n_resamples=_DRAWS, rng=np.random.default_rng(0))
    return float(stats.wilcoxon(differences, zero_method="zsplit", method=signs).pvalue)


def nemenyi(units: int, models: int) -> float:
    """The smallest difference of average ranks that Nemenyi's test finds significant (Demšar, 2006, section 3.2.2)."""
    quantile = stats.studentized_range.ppf(1 - LEVEL, models, np.inf) / math.sqrt(2)
    return float(quantile * math.sqrt(models * (models + 1) / (6 * units)))


def smallest_p(units: int) -> float:
    """The smallest two-sided p that Wilcoxon's signed-rank test can give: all differences have one sign."""
    return min(1.0, 2.0 ** (1 - units))


def units_needed(pairs: int) -> int:
    """With fewer logs, no pair of so many can be significant by Wilcoxon's test and Holm's procedure."""
    return next(n for n in itertools.count(1) if pairs * smallest_p(n) < LEVEL)


def mean_intervals(values: np.ndarray) -> list[Interval | None]:
    """95% intervals of the means of (L, M) over L independent logs, by Student's t; None where all are equal."""
    units = len(values)
    errors = values.std(0, ddof=1) / math.sqrt(units)
    half_widths = stats.t.ppf(1 - LEVEL / 2, units - 1) * errors
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

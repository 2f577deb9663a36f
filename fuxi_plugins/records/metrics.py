"""The metrics of a split, exactly as FuxiCTR defines them, over whole arrays instead of one process a group."""

import re
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

NDCG = re.compile(r"NDCG\(k=([1-9][0-9]*)\)")


def evaluate_metrics(
    labels: np.ndarray, scores: np.ndarray, names: Sequence[str], groups: np.ndarray | None = None
) -> dict[str, float]:
    """Metrics by name.

    Args:
        labels: (N,) of 0 and 1.
        scores: (N,) predicted probabilities.
        names: among ``AUC`` and ``logloss``, and those within groups: ``gAUC``, ``avgAUC``, ``MRR``, ``NDCG(k=5)``.
        groups: (N,) integers; needed for the metrics within groups.

    Raises:
        ValueError: a metric of another name, or one within groups without groups.
    """
    labels, scores = np.asarray(labels, np.float64), np.asarray(scores, np.float64)
    grouped = None
    values = {}
    for name in names:
        if name == "AUC":
            values[name] = auc(labels, scores)
        elif name == "logloss":
            values[name] = logloss(labels, scores)
        elif measure := within_groups(name):
            if groups is None:
                raise ValueError(f"{name} needs the dataset's group_id, which this dataset does not have")
            grouped = grouped or Grouped(labels, scores, groups)
            values[name] = measure(grouped)
        else:
            raise ValueError(f"the metrics are AUC, logloss, gAUC, avgAUC, MRR and NDCG(k=...), not {name!r}")
    return values


def within_groups(name: str) -> "Callable[[Grouped], float] | None":
    """The metric of that name, if it is one within groups."""
    if ndcg := NDCG.fullmatch(name):
        return lambda grouped: grouped.ndcg(int(ndcg[1]))
    return {"gAUC": Grouped.gauc, "avgAUC": Grouped.average_auc, "MRR": Grouped.mrr}.get(name)


def auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """The share of pairs of a positive and a negative that are in the right order, ties counting half.

    NaN when there is one class only.
    """
    positives, negatives = np.sort(scores[labels == 1]), np.sort(scores[labels != 1])
    if not len(positives) or not len(negatives):
        return float("nan")
    below = np.searchsorted(negatives, positives, "left").sum(dtype=np.int64)
    not_above = np.searchsorted(negatives, positives, "right").sum(dtype=np.int64)
    return float((below + not_above) / (2 * len(positives) * len(negatives)))


def logloss(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean binary cross entropy; like scikit-learn, it keeps probabilities an epsilon of float64 from 0 and 1."""
    epsilon = np.finfo(np.float64).eps
    of_label = np.clip(np.where(labels == 1, scores, 1 - scores), epsilon, 1 - epsilon)
    return float(-np.log(of_label).mean())


def group_auc(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> float:
    """gAUC alone."""
    return Grouped(labels, scores, groups).gauc()


class Grouped:
    """Rows sorted by group and, within it, by score, from the lowest; tied rows in the order of the file.

    Args:
        labels, scores: (N,).
        groups: (N,) integers.
    """

    def __init__(self, labels: np.ndarray, scores: np.ndarray, groups: np.ndarray):
        by_score = np.argsort(scores, kind="stable")
        order = by_score[np.argsort(groups[by_score], kind="stable")]
        groups = groups[order]
        self.scores = scores[order]
        self.positive = labels[order] == 1
        self.starts = np.flatnonzero(np.concatenate(([True], groups[1:] != groups[:-1])))  # (G,)
        self.sizes = np.diff(self.starts, append=len(groups))  # (G,)

    @cached_property
    def positives(self) -> np.ndarray:
        return np.add.reduceat(self.positive, self.starts, dtype=np.int64)  # (G,)

    @cached_property
    def place(self) -> np.ndarray:
        """The place of each row in its group, from 0 for the lowest score."""
        return np.arange(len(self.scores)) - np.repeat(self.starts, self.sizes)

    @cached_property
    def from_top(self) -> np.ndarray:
        """The place of each row in its group, from 0 for the highest score."""
        return np.repeat(self.sizes, self.sizes) - 1 - self.place

    @cached_property
    def aucs(self) -> tuple[np.ndarray, np.ndarray]:
        """AUC of each group that has both classes, and which groups these are."""
        new_run = np.concatenate(([True], self.scores[1:] != self.scores[:-1]))
        new_run[self.starts] = True
        runs = np.flatnonzero(new_run)  # of tied rows
        lengths = np.diff(runs, append=len(self.scores))
        midranks = np.repeat(self.place[runs] + (lengths + 1) / 2, lengths)  # from 1; tied rows share one
        rank_sums = np.add.reduceat(midranks * self.positive, self.starts)
        negatives = self.sizes - self.positives
        both = (self.positives > 0) & (negatives > 0)
        wins = rank_sums - self.positives * (self.positives + 1) / 2
        return wins[both] / (self.positives[both] * negatives[both]), both

    def gauc(self) -> float:
        """AUC within each group, averaged with the groups' sizes as weights (Zhou et al., KDD 2018, DIN).

        Groups with one class only have no AUC and do not count. NaN when no group has both classes.
        """
        values, both = self.aucs
        return float(np.average(values, weights=self.sizes[both])) if len(values) else float("nan")

    def average_auc(self) -> float:
        """The same with equal weights."""
        values, _ = self.aucs
        return float(values.mean()) if len(values) else float("nan")

    def mrr(self) -> float:
        """Mean over groups of the mean reciprocal place of their positives; 0 for a group without any."""
        reciprocal = np.add.reduceat(self.positive / (self.from_top + 1), self.starts)
        return float((reciprocal / (self.positives + 1e-12)).mean())

    def ndcg(self, k: int) -> float:
        """Mean over groups of the discounted gain among the k highest scores, as a share of the greatest possible."""
        discounts = 1 / np.log2(np.arange(2, k + 2))
        counted = self.positive & (self.from_top < k)
        gains = np.zeros(len(self.scores))
        gains[counted] = discounts[self.from_top[counted]]
        ideal = np.concatenate(([0.0], np.cumsum(discounts)))[np.minimum(self.positives, k)]
        return float((np.add.reduceat(gains, self.starts) / (ideal + 1e-12)).mean())

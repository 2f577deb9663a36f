"""Metrics of order: AUC over all rows, and metrics within groups exactly as FuxiCTR defines them.

A metric within groups is a mean of one number a group, with weights. Whole groups are what is sampled.
"""

import numpy as np

from fuxi_plugins.records.metrics.scored import Grouped, Scored

PerGroup = tuple[np.ndarray, np.ndarray]  # weights (G,) and values (G,); a group of weight 0 does not count


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


def auc_influence(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUC and the structural components of DeLong, DeLong and Clarke-Pearson (Biometrics 44, 1988).

    ``psi @ psi`` is exactly their S10 / m + S01 / n. Midranks give the components in O(N log N) (Sun and Xu, IEEE
    Signal Processing Letters 21, 2014).

    Args:
        labels: (N,) of 0 and 1, at least two of each.
        scores: (..., N) in any monotone scale; several models or seeds at once.

    Returns:
        AUC (...) and psi (..., N).

    Raises:
        ValueError: fewer than two rows of a class.
    """
    from scipy.stats import rankdata  # takes half a second to load, which boards whose evidence is kept can spare

    labels, scores = np.asarray(labels), np.asarray(scores)
    positive = labels > 0.5
    m, n = np.count_nonzero(positive), np.count_nonzero(~positive)
    if min(m, n) < 2:
        raise ValueError(f"at least two rows of each class are needed, but there are {m} positive and {n} negative")
    ranks = rankdata(scores, axis=-1)
    # The share of the other class that each row is ranked rightly against, half a point for a tie.
    of_positives = (ranks[..., positive] - rankdata(scores[..., positive], axis=-1)) / n
    of_negatives = 1 - (ranks[..., ~positive] - rankdata(scores[..., ~positive], axis=-1)) / m
    area = of_positives.mean(-1)
    psi = np.empty(scores.shape)
    psi[..., positive] = (of_positives - area[..., None]) / np.sqrt(m * (m - 1))
    psi[..., ~positive] = (of_negatives - area[..., None]) / np.sqrt(n * (n - 1))
    return area, psi


def group_aucs(data: Scored) -> PerGroup:
    """AUC of each group, with the groups' sizes as weights (Zhou et al., KDD 2018, DIN).

    A group of one class has no AUC and weight 0.
    """
    rows = data.grouped
    return rows.sizes * rows.has_both_classes, _areas(rows)


def equal_group_aucs(data: Scored) -> PerGroup:
    """The same with equal weights."""
    rows = data.grouped
    return rows.has_both_classes.astype(np.float64), _areas(rows)


def reciprocal_ranks(data: Scored) -> PerGroup:
    """The mean reciprocal place of each group's positives; 0 for a group without any."""
    rows = data.grouped
    sums = np.add.reduceat(rows.positive / (rows.from_top + 1), rows.starts)
    return np.ones(len(rows.sizes)), sums / (rows.positives + 1e-12)


def discounted_gains(data: Scored, k: int) -> PerGroup:
    """The discounted gain among the k highest scores of each group, as a share of the greatest possible.

    Places beyond the largest group do not exist, so that no k needs more than the rows do.
    """
    rows = data.grouped
    k = min(k, int(rows.sizes.max()))
    discounts = 1 / np.log2(np.arange(2, k + 2))
    counted = rows.positive & (rows.from_top < k)
    gains = np.zeros(len(rows.scores))
    gains[counted] = discounts[rows.from_top[counted]]
    ideal = np.concatenate(([0.0], np.cumsum(discounts)))[np.minimum(rows.positives, k)]
    return np.ones(len(rows.sizes)), np.add.reduceat(gains, rows.starts) / (ideal + 1e-12)


def mean_of_groups(per_group: PerGroup) -> float:
    """The weighted mean; NaN when no group counts."""
    weights, values = per_group
    counted = weights > 0
    return float(np.average(values[counted], weights=weights[counted])) if counted.any() else float("nan")


def influence_of_groups(per_group: PerGroup) -> np.ndarray:
    """psi (G,) of a weighted mean: that of a ratio of two sums over groups (the delta method).

    The factor C / (C - 1), of C groups that count, makes the variance of equal weights exactly the unbiased one.

    With fewer than two groups that count it is NaN: how groups differ is then not known.
    """
    weights, values = per_group
    counted = int(np.count_nonzero(weights))
    if counted < 2:
        return np.full(len(weights), np.nan)
    shares = weights / weights.sum()
    return shares * (values - shares @ values) * np.sqrt(counted / (counted - 1))


def _areas(rows: Grouped) -> np.ndarray:
    """(G,) AUC of each group, 0 where it has none."""
    new_run = np.concatenate(([True], rows.scores[1:] != rows.scores[:-1]))
    new_run[rows.starts] = True
    runs = np.flatnonzero(new_run)  # of tied rows
    lengths = np.diff(runs, append=len(rows.scores))
    midranks = np.repeat(rows.place[runs] + (lengths + 1) / 2, lengths)  # from 1; tied rows share one
    rank_sums = np.add.reduceat(midranks * rows.positive, rows.starts)
    both = rows.has_both_classes
    positives, negatives = rows.positives[both], (rows.sizes - rows.positives)[both]
    areas = np.zeros(len(rows.sizes))
    areas[both] = (rank_sums[both] - positives * (positives + 1) / 2) / (positives * negatives)
    return areas

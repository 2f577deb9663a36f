"""The metrics of a split, exactly as FuxiCTR defines them, over arrays instead of one process a group."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata
from sklearn.metrics import log_loss, roc_auc_score


def evaluate_metrics(
    labels: np.ndarray, scores: np.ndarray, names: Sequence[str], groups: np.ndarray | None = None
) -> dict[str, float]:
    """Metrics by name.

    Args:
        labels: (N,) of 0 and 1.
        scores: (N,) predicted probabilities.
        names: among ``AUC``, ``logloss`` and ``gAUC``.
        groups: (N,) integers; needed for ``gAUC``.

    Raises:
        ValueError: a metric of another name, or ``gAUC`` without groups.
    """
    labels, scores = np.asarray(labels, np.float64), np.asarray(scores, np.float64)
    values = {}
    for name in names:
        if name == "AUC":
            values[name] = float(roc_auc_score(labels, scores))
        elif name == "logloss":
            values[name] = float(log_loss(labels, scores))
        elif name == "gAUC":
            if groups is None:
                raise ValueError("gAUC needs the dataset's group_id, which this dataset does not have")
            values[name] = group_auc(labels, scores, groups)
        else:
            raise ValueError(f"the metrics are AUC, logloss and gAUC, not {name!r}")
    return values


def group_auc(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> float:
    """AUC within each group, averaged with the groups' sizes as weights (Zhou et al., KDD 2018, DIN).

    Groups with one class only have no AUC and do not count. NaN when no group has both classes.
    """
    group_index = np.unique(groups, return_inverse=True)[1]
    # Ranks of the rows within their group: rank over (group, score) less the rows of the groups before.
    order = np.lexsort((scores, group_index))
    sizes = np.bincount(group_index)
    first = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    sorted_groups, sorted_scores = group_index[order], scores[order]
    run = np.concatenate(([True], (np.diff(sorted_groups) != 0) | (np.diff(sorted_scores) != 0)))
    run_of_row = np.cumsum(run) - 1  # tied rows of a group share a run
    midranks = rankdata(run_of_row, method="average") - first[sorted_groups]
    positive = labels[order] == 1
    positives = np.bincount(sorted_groups, weights=positive)
    rank_sums = np.bincount(sorted_groups, weights=midranks * positive)
    negatives = sizes - positives
    both = (positives > 0) & (negatives > 0)
    if not both.any():
        return float("nan")
    wins = rank_sums - positives * (positives + 1) / 2
    return float(np.average((wins[both] / (positives[both] * negatives[both])), weights=sizes[both]))

"""What each test row, or each group of rows, adds to the sampling error of a metric.

Every function returns ``(value, psi)``. ``psi`` is scaled so that the sampling variance of the metric is ``psi @ psi``
and the covariance of two models on the same rows is ``psi_a @ psi_b``.
"""

import numpy as np

SMALLEST_PROBABILITY = np.finfo(np.float64).eps  # what scikit-learn's log_loss clips at


def auc_influence(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUC and the structural components of DeLong, DeLong and Clarke-Pearson (Biometrics 44, 1988).

    ``psi @ psi`` is exactly their S10 / m + S01 / n. Midranks give the components in O(N log N) (Sun and Xu, IEEE
    Signal Processing Letters 21, 2014).

    Args:
        labels: (N,) of 0 and 1, at least two of each.
        scores: (..., N) in any monotone scale; several models or seeds at once.

    Returns:
        AUC (...) and psi (..., N).
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
    auc = of_positives.mean(-1)
    psi = np.empty(scores.shape)
    psi[..., positive] = (of_positives - auc[..., None]) / np.sqrt(m * (m - 1))
    psi[..., ~positive] = (of_negatives - auc[..., None]) / np.sqrt(n * (n - 1))
    return auc, psi


def logloss_influence(labels: np.ndarray, scores: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean logarithmic loss; its error is that of a mean of N rows."""
    loss = row_losses(labels, scores)
    count = len(loss)
    return float(loss.mean()), (loss - loss.mean()) / np.sqrt(count * (count - 1))


def row_losses(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(N,) logarithmic losses, probabilities clipped as scikit-learn clips them."""
    scores = np.clip(np.asarray(scores, np.float64), SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return -np.where(np.asarray(labels) > 0.5, np.log(scores), np.log1p(-scores))


def group_auc_influence(
    labels: np.ndarray, scores: np.ndarray, groups: np.ndarray, draws: np.ndarray
) -> tuple[float, np.ndarray]:
    """gAUC and its cluster bootstrap: whole groups are drawn again, so rows of one user stay together.

    Args:
        labels: (N,) of 0 and 1.
        scores: (N,).
        groups: (N,) integers from 0 to G - 1.
        draws: (B, G), how often each group was drawn; the same for all models, so that differences are paired.

    Returns:
        gAUC, and the B redrawn values, centred and scaled as ``psi`` is.
    """
    weights, areas = group_areas(labels, scores, groups)
    redrawn = (draws @ (weights * areas)) / (draws @ weights)
    value = float(weights @ areas / weights.sum())
    return value, (redrawn - redrawn.mean()) / np.sqrt(len(redrawn) - 1)


def group_areas(labels: np.ndarray, scores: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight (G,) and AUC (G,) of each group; a group of one class has weight 0, as in FuxiCTR's gAUC."""
    positive = np.asarray(labels) > 0.5
    order = np.lexsort((scores, groups))
    sizes = np.bincount(groups)
    before = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    # Midranks within a group: tied scores share the mean of their places.
    sorted_groups, sorted_scores = groups[order], np.asarray(scores)[order]
    starts = np.flatnonzero(
        np.r_[True, (sorted_groups[1:] != sorted_groups[:-1]) | (sorted_scores[1:] != sorted_scores[:-1])]
    )
    lengths = np.diff(np.r_[starts, len(order)])
    places = np.repeat(starts + (lengths + 1) / 2, lengths) - before[sorted_groups]
    positives = np.bincount(groups, positive, len(sizes))
    pairs = positives * (sizes - positives)
    rank_sums = np.bincount(sorted_groups, places * positive[order], len(sizes))
    mixed = pairs > 0
    areas = np.zeros(len(sizes))
    areas[mixed] = (rank_sums[mixed] - positives[mixed] * (positives[mixed] + 1) / 2) / pairs[mixed]
    return np.where(mixed, sizes, 0).astype(float), areas


def bootstrap_draws(groups: int, draws: int, seed: int = 0) -> np.ndarray:
    """(draws, groups) counts of a bootstrap over groups, the same for the same arguments."""
    random = np.random.Generator(np.random.PCG64(seed))
    return random.multinomial(groups, np.full(groups, 1 / groups), size=draws).astype(np.float64)


def within_groups(psi: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Sums psi over each group (G,): rows of one user are not independent (Obuchowski, Biometrics 53, 1997).

    Args:
        psi: (N,) of rows.
        groups: (N,) integers from 0 to G - 1.
    """
    sums = np.bincount(groups, psi)
    return sums * np.sqrt(len(sums) / (len(sums) - 1))


def sampling_covariance(components: list[np.ndarray]) -> np.ndarray:
    """(M, M) covariance over test rows of the models' means over seeds, the seeds' own noise left out.

    A seed's predictions differ from another's in every row; that part of ``psi`` is noise of the seed and stands in the
    variance between seeds already. Two seeds share none of it, so their covariance is free of it: the variance of a
    model is the mean covariance of its pairs of seeds. With one seed nothing can be told apart, and all counts.

    Args:
        components: psi of each model, (seeds, K) each.
    """
    means = np.array([psi.mean(0) for psi in components])
    covariance = means @ means.T
    for model, psi in enumerate(components):
        seeds = len(psi)
        if seeds > 1:
            own = np.sum(psi * psi) / seeds  # mean variance of one seed
            covariance[model, model] = max(0.0, (seeds * covariance[model, model] - own) / (seeds - 1))
    return covariance

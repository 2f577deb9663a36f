"""Do predicted probabilities mean what they say?"""

import numpy as np

from fuxi_plugins.analysis.statistics.influence import row_losses

BINS = 20


def calibration(labels: np.ndarray, scores: np.ndarray, bins: int = BINS) -> dict[str, float]:
    """Calibration of predicted probabilities.

    Args:
        labels: (N,) of 0 and 1, of both classes.
        scores: (N,) probabilities.
        bins: of equal mass, for the calibration error.

    Returns:
        ``ECE``: expected calibration error, the mean over bins of equal mass of |mean prediction - positive rate|;
        ``normalised_entropy``: logloss over the entropy of the positive rate (He et al., ADKDD 2014), below 1 when the
        model says more than the base rate; ``predicted_over_observed``: sum of predictions over number of positives.
    """
    labels, scores = np.asarray(labels, np.float64), np.asarray(scores, np.float64)
    rate = labels.mean()
    entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    return {
        "ECE": expected_calibration_error(labels, scores, bins),
        "normalised_entropy": float(row_losses(labels, scores).mean() / entropy),
        "predicted_over_observed": float(scores.sum() / labels.sum()),
    }


def expected_calibration_error(labels: np.ndarray, scores: np.ndarray, bins: int = BINS) -> float:
    """Mean |prediction - rate| over ``bins`` bins of equal mass; tied scores are spread in the order of the rows."""
    order = np.argsort(scores, kind="stable")
    gaps = np.asarray(scores, np.float64)[order] - np.asarray(labels, np.float64)[order]
    return float(sum(abs(part.sum()) for part in np.array_split(gaps, bins)) / len(gaps))

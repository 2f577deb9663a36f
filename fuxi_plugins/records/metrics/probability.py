"""Metrics of the probabilities themselves: how likely they make the labels, and whether they are calibrated.

Each is a function of means over rows. Its psi is that of the mean of ``terms``, its linear terms (the delta method).
"""

from dataclasses import dataclass

import numpy as np

from fuxi_plugins.records.metrics.scored import Scored

SMALLEST_PROBABILITY = np.finfo(np.float64).eps  # what scikit-learn's log_loss clips at
BINS = 20  # of equal mass, for the expected calibration error
SMOOTHING = 0.01  # clicks a row that field-RCE adds, so that values without a click can be divided by (Pan et al.)


def influence_of_mean(terms: np.ndarray) -> np.ndarray:
    """psi (N,) of the mean of independent numbers; its variance is exactly the unbiased one."""
    count = len(terms)
    return (terms - terms.mean()) / np.sqrt(count * (count - 1))


def logloss(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean binary cross entropy; like scikit-learn, it keeps probabilities an epsilon of float64 from 0 and 1."""
    return float(row_losses(labels, scores).mean())


def row_losses(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(N,) binary cross entropies."""
    of_label = np.clip(np.where(labels == 1, scores, 1 - scores), SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return -np.log(of_label)


def logloss_influence(data: Scored) -> np.ndarray:
    return influence_of_mean(row_losses(data.labels, data.scores))


def normalised_entropy(data: Scored) -> float:
    """Logloss over the entropy of the share of positives (He et al., ADKDD 2014); NaN for one class."""
    entropy = _entropy(data.labels.mean())
    return logloss(data.labels, data.scores) / entropy if entropy else float("nan")


def normalised_entropy_influence(data: Scored) -> np.ndarray:
    rate, losses = data.labels.mean(), row_losses(data.labels, data.scores)
    entropy, slope = _entropy(rate), np.log((1 - rate) / rate)
    return influence_of_mean(losses / entropy - losses.mean() * slope * data.labels / entropy**2)


def predicted_over_observed(data: Scored) -> float:
    """Sum of the predictions over the number of positives; NaN without positives."""
    clicks = data.labels.sum()
    return float(data.scores.sum() / clicks) if clicks else float("nan")


def predicted_over_observed_influence(data: Scored) -> np.ndarray:
    ratio = predicted_over_observed(data)
    return influence_of_mean((data.scores - ratio * data.labels) / data.labels.mean())


def expected_calibration_error(data: Scored, bins: int = BINS) -> float:
    """Mean over bins of equal mass of |mean prediction - share of positives|, weighted by the bins' rows.

    Tied scores are spread over bins in the order of the rows (Naeini, Cooper and Hauskrecht, AAAI 2015, with the bins
    of equal mass of Nguyen and O'Connor, EMNLP 2015).
    """
    return float((_sides_of_bins(data, bins) * (data.scores - data.labels)).mean())


def expected_calibration_error_influence(data: Scored, bins: int = BINS) -> np.ndarray:
    """With the bins and the sign of each bin's gap held fixed, ECE is the mean of sign * (prediction - label).

    This is the error of ECE about its expected value on a test set of this size, which is above 0 even for a
    perfectly calibrated model. The variance is right where the gaps of bins are larger than their noise. Where they
    are not, it is too large, never too small: of a number x with noise, Var |x| is at most Var x. A bootstrap would
    not do better: it adds the noise of drawing to the gaps once more, and with it to their absolute values.
    """
    return influence_of_mean(_sides_of_bins(data, bins) * (data.scores - data.labels))


def field_error(data: Scored, field: str) -> float:
    """Field-level relative calibration error (Pan et al., WWW 2020): mean over the values of a field, weighted by
    their rows, of |sum of predictions - positives| / (positives + SMOOTHING * rows)."""
    by_value = _ByValue.of(data, field)
    return float((np.abs(by_value.gap) / by_value.smoothed)[by_value.of_row].mean())


def field_error_influence(data: Scored, field: str) -> np.ndarray:
    """What is said of ECE holds here, with the values of the field as bins."""
    by_value = _ByValue.of(data, field)
    gap, smoothed = by_value.gap[by_value.of_row], by_value.smoothed[by_value.of_row]
    relative = np.abs(gap) / smoothed
    of_gap = np.sign(gap) * (data.scores - data.labels - gap) / smoothed
    of_clicks = -relative * (data.labels + SMOOTHING - smoothed) / smoothed
    return influence_of_mean(relative + of_gap + of_clicks)


@dataclass(frozen=True)
class _ByValue:
    """The rows by the V values of a field."""

    of_row: np.ndarray  # (N,) from 0 to V - 1
    gap: np.ndarray  # (V,) mean of prediction - label
    smoothed: np.ndarray  # (V,) share of positives + SMOOTHING

    @classmethod
    def of(cls, data: Scored, field: str) -> "_ByValue":
        if field not in data.fields:
            raise ValueError(
                f"field-RCE({field}) needs the categorical field {field!r}, which is not among those at hand"
            )
        of_row = np.unique(data.fields[field], return_inverse=True)[1]
        rows = np.bincount(of_row)
        gap = np.bincount(of_row, data.scores - data.labels) / rows
        return cls(of_row, gap, np.bincount(of_row, data.labels) / rows + SMOOTHING)


def _sides_of_bins(data: Scored, bins: int) -> np.ndarray:
    """(N,) 1 where a row's bin predicts more than it clicks, -1 where it predicts less."""
    order = np.argsort(data.scores, kind="stable")
    gaps = (data.scores - data.labels)[order]
    sides = np.empty(len(gaps))
    parts = np.array_split(gaps, bins)
    sides[order] = np.repeat([np.sign(part.sum()) for part in parts], [len(part) for part in parts])
    return sides


def _entropy(rate: float) -> float:
    return float(-(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))) if 0 < rate < 1 else 0.0

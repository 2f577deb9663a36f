"""How well one column alone tells the label: near 1 where the column is an outcome and no feature."""

import numpy as np
import polars as pl

from fuxi_plugins.datasets.statistics import number
from fuxi_plugins.records.metrics.ranking import auc

LEAK = 0.99  # AUC of one column alone from which it is taken to tell the label


def auc_of_column(known: pl.Series, known_labels: np.ndarray, values: pl.Series, labels: np.ndarray) -> float:
    """AUC, from 0.5 to 1, of predicting by one column alone.

    A number predicts by its order, in whichever direction is better; a missing one is as the mean. An id predicts by
    the share of positives that its ``known`` rows have, drawn towards the share of all by one row.

    Args:
        known, known_labels: rows from which the shares are learned, (N,) each.
        values, labels: rows that are predicted, (M,) each; labels are 0 or 1. NaN if they are of one class.
    """
    if labels.min() == labels.max():
        return float("nan")
    if known.dtype.is_numeric():
        mean = number(known.mean() or 0.0)
        scores = values.cast(pl.Float64).fill_null(mean).fill_nan(mean)
        reached = auc(labels, scores.to_numpy())
        return max(reached, 1 - reached)
    overall = float(known_labels.mean())
    rates = (
        pl.DataFrame({"value": known, "label": pl.Series(known_labels, dtype=pl.Float64)})
        .group_by("value")
        .agg(((pl.col("label").sum() + overall) / (pl.len() + 1)).alias("rate"))
    )
    found = (
        values.alias("value").to_frame().join(rates, on="value", how="left", nulls_equal=True, maintain_order="left")
    )
    return max(auc(labels, found["rate"].fill_null(overall).to_numpy()), 0.5)

"""Sampling errors of metrics where rows are not independent of each other."""

import numpy as np

from fuxi_plugins.records.metrics.metric import Metric
from fuxi_plugins.records.metrics.scored import Scored

FEW_ROWS_OF_A_CLASS = 100  # or clusters of rows, below which a test set tells few models apart


def sampling_components(metric: Metric, data: Scored, clusters: np.ndarray | None = None) -> np.ndarray:
    """What each independent unit of the test set adds to a metric's sampling error.

    Args:
        clusters: (N,) integers from 0 to U - 1, of rows that vary together, such as those of one user. A cluster must
            hold whole groups if the metric is one within groups. None: rows are independent.

    Returns:
        psi (U,); the sampling variance is ``psi @ psi``. Without clusters, that of rows or groups as the metric has it.

    Raises:
        ValueError: too few rows, or a group of rows that lie in several clusters.
    """
    psi = metric.influence(data)
    if clusters is None:
        return psi
    return within_clusters(psi, data.grouped.of_groups(clusters) if metric.per_group else clusters)


def within_clusters(psi: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Sums psi (K,) over clusters (U,), whose parts are not independent (Obuchowski, Biometrics 53, 1997).

    psi comes with the factor K / (K - 1) of a variance of K independent numbers; with U of them it is U / (U - 1).
    """
    sums = np.bincount(clusters, psi)
    parts, units = len(psi), len(sums)
    return sums * np.sqrt(units / (units - 1) * (parts - 1) / parts)

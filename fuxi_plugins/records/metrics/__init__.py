"""The one table of metrics: names, directions, bounds, values and their sampling errors. numpy and scipy alone."""

from fuxi_plugins.records.metrics.metric import Family, Metric
from fuxi_plugins.records.metrics.sampling import FEW_ROWS_OF_A_CLASS, sampling_components, within_clusters
from fuxi_plugins.records.metrics.scored import Grouped, Scored
from fuxi_plugins.records.metrics.table import (
    TABLE,
    UnknownMetric,
    all_metrics,
    calibration,
    check_metrics,
    evaluate_metrics,
    find_metric,
    is_metric,
    main_metric,
    usual_group_metrics,
    usual_metrics,
)

__all__ = [
    "FEW_ROWS_OF_A_CLASS",
    "TABLE",
    "Family",
    "Grouped",
    "Metric",
    "Scored",
    "UnknownMetric",
    "all_metrics",
    "calibration",
    "check_metrics",
    "evaluate_metrics",
    "find_metric",
    "is_metric",
    "main_metric",
    "sampling_components",
    "usual_group_metrics",
    "usual_metrics",
    "within_clusters",
]

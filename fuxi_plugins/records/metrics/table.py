"""The one table of metrics. A new metric is one entry here; all else asks the table."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from fuxi_plugins.core.errors import UserError, did_you_mean
from fuxi_plugins.records.metrics import probability, ranking
from fuxi_plugins.records.metrics.metric import Family, Metric
from fuxi_plugins.records.metrics.scored import Scored

FUXICTR = "FuxiCTR (fuxictr/metrics.py)"
HIGHEST_LOGLOSS = -math.log(probability.SMALLEST_PROBABILITY)  # of a certainty that was wrong, every time


class UnknownMetric(UserError, ValueError):
    """A name that no metric has."""


def _within_groups(name: str, per_group: Callable[[Scored], ranking.PerGroup], meaning: str, source: str) -> Metric:
    """A metric that is a mean of one number a group."""
    return Metric(
        name=name,
        meaning=meaning,
        better="higher",
        bounds=(0.0, 1.0),
        value=lambda data: ranking.mean_of_groups(per_group(data)),
        influence=lambda data: ranking.influence_of_groups(per_group(data)),
        source=source,
        per_group=True,
    )


def _ndcg(k: str) -> Metric:
    return _within_groups(
        f"NDCG(k={k})",
        partial(ranking.discounted_gains, k=int(k)),
        f"Mean over groups of the discounted gain of the {k} highest scores, as a share of the greatest possible gain.",
        f"Järvelin and Kekäläinen, TOIS 2002; {FUXICTR}",
    )


def _field_error(field: str) -> Metric:
    return Metric(
        name=f"field-RCE({field})",
        meaning=f"Relative difference of predicted and observed clicks for each value of the field {field}, averaged "
        "over rows.",
        better="lower",
        bounds=(0.0, 1 / probability.SMOOTHING),
        value=partial(probability.field_error, field=field),
        influence=partial(probability.field_error_influence, field=field),
        source="Pan et al., WWW 2020 (Field-RCE, with their smoothing of 0.01)",
        field=field,
    )


TABLE: dict[str, Metric | Family] = {
    "AUC": Metric(
        name="AUC",
        meaning="Share of all pairs of a positive and a negative row in which the positive has the higher score.",
        better="higher",
        bounds=(0.0, 1.0),
        value=lambda data: ranking.auc(data.labels, data.scores),
        influence=lambda data: ranking.auc_influence(data.labels, data.scores)[1],
        source="DeLong, DeLong and Clarke-Pearson, Biometrics 1988; scikit-learn",
        chance=0.5,
        usual=True,
    ),
    "logloss": Metric(
        name="logloss",
        meaning="Mean negative logarithm of the probability that was predicted for the label.",
        better="lower",
        bounds=(0.0, HIGHEST_LOGLOSS),
        value=lambda data: probability.logloss(data.labels, data.scores),
        influence=probability.logloss_influence,
        source="scikit-learn (log_loss)",
        usual=True,
    ),
    "gAUC": replace(
        _within_groups(
            "gAUC",
            ranking.group_aucs,
            "AUC within each group, averaged with the groups' numbers of rows as weights.",
            f"Zhou et al., KDD 2018 (DIN); {FUXICTR}",
        ),
        chance=0.5,
        usual=True,
    ),
    "avgAUC": replace(
        _within_groups(
            "avgAUC",
            ranking.equal_group_aucs,
            "AUC within each group, averaged with equal weights.",
            f"Wu et al., ACL 2020 (MIND); {FUXICTR}",
        ),
        chance=0.5,
    ),
    "MRR": _within_groups(
        "MRR",
        ranking.reciprocal_ranks,
        "Mean over groups of the mean reciprocal rank of the group's positive rows.",
        f"Wu et al., ACL 2020 (MIND); {FUXICTR}",
    ),
    "NDCG(k=5)": Family(re.compile(r"NDCG\(k=([1-9][0-9]{0,8})\)"), _ndcg),
    "NE": Metric(
        name="NE",
        meaning="Normalised entropy: logloss divided by the entropy of the share of positives; below 1 the model says "
        "more than that share.",
        better="lower",
        bounds=(0.0, math.inf),
        value=probability.normalised_entropy,
        influence=probability.normalised_entropy_influence,
        source="He et al., ADKDD 2014",
        calibration=True,
    ),
    "RIG": Metric(
        name="RIG",
        meaning="Relative information gain: 1 - NE.",
        better="higher",
        bounds=(-math.inf, 1.0),
        value=lambda data: 1 - probability.normalised_entropy(data),
        influence=lambda data: -probability.normalised_entropy_influence(data),
        source="Graepel et al., ICML 2010; He et al., ADKDD 2014",
    ),
    "ECE": Metric(
        name="ECE",
        meaning=f"Expected calibration error: difference of predicted and observed share of clicks, averaged over "
        f"{probability.BINS} bins of equally many rows.",
        better="lower",
        bounds=(0.0, 1.0),
        value=probability.expected_calibration_error,
        influence=probability.expected_calibration_error_influence,
        source="Naeini, Cooper and Hauskrecht, AAAI 2015; Nguyen and O'Connor, EMNLP 2015 (bins of equal mass)",
        calibration=True,
    ),
    "PCOC": Metric(
        name="PCOC",
        meaning="Predicted clicks over observed clicks.",
        better=1.0,
        bounds=(0.0, math.inf),
        value=probability.predicted_over_observed,
        influence=probability.predicted_over_observed_influence,
        source="He et al., ADKDD 2014 (there called calibration)",
        calibration=True,
    ),
    "field-RCE(user_id)": Family(re.compile(r"field-RCE\(([\w-]{1,100})\)"), _field_error),
}


def find_metric(name: str) -> Metric:
    """The metric of that name.

    Raises:
        UnknownMetric: there is none.
    """
    entry = TABLE.get(name)
    if isinstance(entry, Metric):
        return entry
    families = (family for family in TABLE.values() if isinstance(family, Family))
    found = next((metric for family in families if (metric := family.find(name))), None)
    if found is None:
        raise UnknownMetric(
            f"there is no metric {name!r}{did_you_mean(name, TABLE) or '.'} The metrics are {', '.join(TABLE)}"
        )
    return found


def all_metrics() -> list[Metric]:
    """Every metric of the table, with an example of each that takes an argument."""
    return [find_metric(name) for name in TABLE]


def is_metric(name: str) -> bool:
    try:
        find_metric(name)
    except UnknownMetric:
        return False
    return True


def usual_metrics() -> list[str]:
    """What an experiment measures that does not choose its metrics."""
    return [metric.name for metric in all_metrics() if metric.usual and not metric.per_group]


def usual_group_metrics() -> list[str]:
    """What it measures besides on data with groups."""
    return [metric.name for metric in all_metrics() if metric.usual and metric.per_group]


def main_metric(measured: Iterable[str] = TABLE) -> str:
    """The metric that ranks a board when nobody names one: of those measured the first of the table, else the first."""
    measured = list(measured)
    return next((name for name in TABLE if name in measured), measured[0])


def evaluate_metrics(
    labels: np.ndarray,
    scores: np.ndarray,
    names: Sequence[str],
    groups: np.ndarray | None = None,
    fields: Mapping[str, np.ndarray] | None = None,
) -> dict[str, float]:
    """Metrics by name.

    Args:
        labels: (N,) of 0 and 1.
        scores: (N,) predicted probabilities.
        names: of metrics.
        groups: (N,) integers; needed by the metrics within groups.
        fields: (N,) integers each, by name; needed by the metrics of a field.

    Raises:
        UnknownMetric: a name that no metric has.
        ValueError: groups or a field that a metric needs are missing.
    """
    data = Scored(labels, scores, groups, fields)
    return {name: find_metric(name).value(data) for name in names}


def calibration(data: Scored) -> dict[str, float]:
    """The metrics that say whether probabilities mean what they say, of any predictions."""
    return {metric.name: metric.value(data) for metric in all_metrics() if metric.calibration and not metric.field}


def check_metrics(values: Mapping[str, float]) -> None:
    """Checks that a record's metrics can be what they say.

    Raises:
        UnknownMetric: a name that no metric has.
        ValueError: a value outside the metric's bounds.
    """
    for name, value in values.items():
        metric = find_metric(name)
        low, high = metric.bounds
        if not low <= value <= high:  # false of NaN too
            raise ValueError(f"{name} must be {metric.show_bounds()}, but is {value}")

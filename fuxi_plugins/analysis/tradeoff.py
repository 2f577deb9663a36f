"""Quality against cost over several datasets, and the models that no other one beats in both."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fuxi_plugins.analysis.across import Across, log_means, mean_intervals
from fuxi_plugins.analysis.leaderboard import Row
from fuxi_plugins.analysis.statistics.noise import Interval
from fuxi_plugins.core.errors import UserError

CostName = Literal["parameters", "flops", "seconds"]
COSTS: dict[CostName, str] = {
    "parameters": "dense parameters",
    "flops": "FLOPs of the forward pass for one row",
    "seconds": "seconds of training an epoch",
}


@dataclass(frozen=True)
class Tradeoff:
    """
    Args:
        quality: (M,) mean over logs of the gap to the best model of the dataset, in the metric; 0 is the best. Of
            several datasets of a log the mean counts, as everywhere here.
        quality_intervals, cost_intervals: 95%, by Student's t over logs; None where logs do not differ.
        cost: (M,) geometric mean over logs.
        front: (M,) whether no model is at least as good in both and better in one, by the means.
        caveat: a reason for doubt in the cost, or "".
    """

    cost_name: CostName
    quality: np.ndarray
    quality_intervals: list[Interval | None]
    cost: np.ndarray
    cost_intervals: list[Interval | None]
    front: np.ndarray
    caveat: str = ""


def tradeoff(found: Across, cost_name: CostName) -> Tradeoff:
    """
    Raises:
        UserError: the records of a model do not say its cost.
    """
    costs = np.array(
        [[_cost(row, model, dataset, cost_name) for row, dataset in zip(rows, found.datasets, strict=True)]
         for model, rows in zip(found.models, found.rows, strict=True)]
    ).T  # fmt: skip
    gaps, log_costs = log_means(found.gaps, found.logs), log_means(np.log(costs), found.logs)
    quality, cost = gaps.mean(0), np.exp(log_costs.mean(0))
    machines = {kind for rows in found.rows for row in rows for kind in row.machines}
    return Tradeoff(
        cost_name=cost_name,
        quality=quality,
        quality_intervals=mean_intervals(gaps),
        cost=cost,
        cost_intervals=[
            one and Interval(float(np.exp(one.low)), float(np.exp(one.high))) for one in mean_intervals(log_costs)
        ],
        front=pareto_front(quality, cost),
        caveat=f"The runs' times are of {len(machines)} kinds of machine and were not measured side by side."
        if cost_name == "seconds" and len(machines) > 1
        else "",
    )


def pareto_front(quality: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """(M,) true for those that no other beats: higher quality and lower cost, one of them strictly.

    >>> pareto_front(np.array([0.0, -1.0, -2.0]), np.array([5.0, 1.0, 1.0])).tolist()
    [True, True, False]
    """
    as_good = (quality[:, None] >= quality) & (cost[:, None] <= cost)
    better = (quality[:, None] > quality) | (cost[:, None] < cost)
    return np.asarray(~(as_good & better).any(0))


def _cost(row: Row, model: str, dataset: str, name: CostName) -> float:
    known: float | None
    if name == "parameters":
        known = row.parameters.dense if row.parameters else None
    elif name == "flops":
        known = row.cost.flops_per_row if row.cost else None
    else:
        known = row.seconds_per_epoch
    if not known:
        raise UserError(
            f"the records of {model} on {dataset} do not say its {COSTS[name]}; choose another cost "
            f"({', '.join(COSTS)}), or measure it with 'fuxibench cost'."
        )
    return float(known)

"""What a column of a paper's table may show: a metric, or how much a model improves on a baseline in one."""

import math
import re
from dataclasses import dataclass
from typing import Literal

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.metrics import Metric, all_metrics, find_metric, main_metric

Relative = Literal["", "RelaImpr", "Impr"]
_RELATIVE = re.compile(r"(RelaImpr|Impr)(?:\((.+)\))?")


@dataclass(frozen=True)
class Measure:
    """A column's quantity.

    Args:
        metric: that was measured.
        relative: "" for the metric itself. "RelaImpr" is the relative improvement on a base model beyond what chance
            reaches, (AUC - 0.5) / (AUC of the base - 0.5) - 1 (Yan et al., ICML 2014; Zhou et al., KDD 2018).
            "Impr" is the plain relative improvement, positive where the model is better.
    """

    metric: Metric
    relative: Relative = ""

    @property
    def name(self) -> str:
        if not self.relative:
            return self.metric.name
        return self.relative if self.metric.name == main_metric() else f"{self.relative}({self.metric.name})"

    @property
    def heading(self) -> str:
        return f"{self.name} (%)" if self.relative else self.name

    @property
    def formula(self) -> str:
        """How a relative measure is worked out, in words."""
        name = self.metric.name
        if self.relative == "RelaImpr":
            return f"({name} - {self.metric.chance:g}) / ({name} of the base - {self.metric.chance:g}) - 1"
        ratio = f"{name} / {name} of the base"
        return f"{ratio} - 1" if self.metric.higher_is_better else f"1 - {ratio}"

    def value(self, mean: float, base: float) -> float | None:
        """The quantity of a model's mean, given that of the base; None where the base leaves nothing to divide by."""
        if not self.relative:
            return mean
        chance = (self.metric.chance or 0.0) if self.relative == "RelaImpr" else 0.0
        if base == chance:
            return None
        gain = (mean - chance) / (base - chance) - 1
        return gain if self.metric.higher_is_better else -gain

    def sort_key(self, value: float) -> float:
        """The smaller the better."""
        return -value if self.relative else self.metric.sort_key(value)

    def show(self, value: float, digits: int) -> str:
        """A metric with so many decimals, an improvement in per cent with two."""
        return f"{100 * value:+.2f}" if self.relative else f"{value:.{digits}f}"

    def shown_key(self, value: float, digits: int) -> float:
        """:meth:`sort_key` of the value as it is shown: equal texts have equal keys."""
        shown = float(self.show(value, digits))
        return self.sort_key(shown)


def find_measure(name: str) -> Measure:
    """The measure of a name such as ``AUC``, ``RelaImpr``, ``RelaImpr(gAUC)`` or ``Impr(logloss)``.

    Raises:
        UserError: there is none.
    """
    found = _RELATIVE.fullmatch(name)
    if not found:
        return Measure(find_metric(name))
    metric = find_metric(found[2] or main_metric())
    if found[1] == "RelaImpr" and metric.chance is None:
        known = ", ".join(one.name for one in all_metrics() if one.chance is not None)
        raise UserError(
            f"RelaImpr needs a metric of which chance reaches a known value ({known}), but {metric.name} is not one "
            f"of them; Impr({metric.name}) is its relative improvement."
        )
    if metric.target is not None or not math.isfinite(metric.bounds[0]):
        raise UserError(f"{found[1]} needs a metric whose values have a ratio, but {metric.name} has none.")
    return Measure(metric, "RelaImpr" if found[1] == "RelaImpr" else "Impr")

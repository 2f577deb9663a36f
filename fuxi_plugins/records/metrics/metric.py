"""What a metric is: its name and meaning, which values are better, how it is computed and how sure a value is."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fuxi_plugins.records.metrics.scored import Scored


@dataclass(frozen=True)
class Metric:
    """One metric of predicted probabilities.

    Args:
        name: as settings, records and boards write it.
        meaning: one sentence.
        better: ``higher`` or ``lower`` values are better, or, if a number, values nearer to it.
        bounds: the smallest and the largest value that the metric can have.
        value: computes the metric.
        influence: says what each independent unit adds to the sampling error of the value. It returns psi (U,), one
            number a row, or one a group where ``per_group`` is set, in the order of the groups' numbers. psi is scaled
            so that ``psi @ psi`` is the sampling variance of the value, and ``psi_a @ psi_b`` the covariance of two
            models on the same rows.
        source: where the definition comes from.
        digits: decimals to show.
        chance: what scores without any information reach on all data; None where that depends on the data.
        per_group: it is computed within groups of rows, such as those of one user, and needs the dataset's group_id.
        field: the categorical field that it needs, or None.
        calibration: boards give it in their csv and json, whatever the experiments measure.
        usual: measured in every experiment that does not choose its metrics, where the data allow it.
    """

    name: str
    meaning: str
    better: Literal["higher", "lower"] | float
    bounds: tuple[float, float]
    value: Callable[[Scored], float]
    influence: Callable[[Scored], np.ndarray]
    source: str
    digits: int = 5
    chance: float | None = None
    per_group: bool = False
    field: str | None = None
    calibration: bool = False
    usual: bool = False

    @property
    def target(self) -> float | None:
        """The best value where neither the highest nor the lowest is best."""
        return None if isinstance(self.better, str) else self.better

    @property
    def direction(self) -> str:
        """Which values are better, in words.

        >>> from fuxi_plugins.records.metrics import find_metric
        >>> find_metric("AUC").direction, find_metric("PCOC").direction
        ('higher is better', 'nearest to 1 is best')
        """
        return f"{self.better} is better" if self.target is None else f"nearest to {self.target:g} is best"

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher :meth:`compared` number is better."""
        return self.better == "higher"

    @property
    def compared_name(self) -> str:
        return self.name if self.target is None else f"|{self.name} - {self.target:g}|"

    def compared(self, value: float) -> float:
        """The number by which models are compared: the value itself, or how far it is from the target."""
        return value if self.target is None else abs(value - self.target)

    def slope(self, value: float) -> float:
        """The derivative of :meth:`compared`: 1, or the side of the target on which the value lies."""
        return 1.0 if self.target is None else math.copysign(1.0, value - self.target)

    def sort_key(self, value: float) -> float:
        """The smaller the better."""
        return -self.compared(value) if self.higher_is_better else self.compared(value)

    def show(self, value: float) -> str:
        return f"{value:.{self.digits}f}"

    def show_end(self, value: float) -> str:
        """An end of an interval: it is less certain than the value and has one digit less."""
        return f"{value:.{self.digits - 1}f}"

    def show_difference(self, difference: float) -> str:
        return f"{difference:+.{self.digits}f}"

    def show_difference_end(self, difference: float) -> str:
        return f"{difference:+.{self.digits - 1}f}"

    def show_bounds(self) -> str:
        """The bounds in words.

        >>> from fuxi_plugins.records.metrics import find_metric
        >>> find_metric("AUC").show_bounds(), find_metric("NE").show_bounds(), find_metric("RIG").show_bounds()
        ('from 0 to 1', '0 or more', '1 or less')
        """
        low, high = self.bounds
        if math.isinf(high):
            return f"{low:g} or more"
        return f"{high:g} or less" if math.isinf(low) else f"from {low:g} to {high:g}"


@dataclass(frozen=True)
class Family:
    """Metrics that differ in one argument, which stands in the name.

    Args:
        pattern: of the whole name; its one group is the argument.
        make: the metric of an argument.
    """

    pattern: re.Pattern[str]
    make: Callable[[str], Metric]

    def find(self, name: str) -> Metric | None:
        found = self.pattern.fullmatch(name)
        return self.make(found[1]) if found else None

"""What a pass over a file's rows learns of its columns, in memory that grows with their vocabularies alone."""

from typing import Any

import polars as pl


def number(found: Any) -> float:
    """What polars finds of a column of numbers, such as its mean: its own types do not say that it is a number."""
    return float(found)


class Counts:
    """How often each value of a column occurs, block after block."""

    def __init__(self) -> None:
        self._parts: list[pl.DataFrame] = []
        self._merged = 0  # values in the first part
        self._waiting = 0  # values in the others

    def add(self, counted: pl.DataFrame) -> None:
        """Adds a block's ``value`` and ``len``."""
        self._parts.append(counted)
        self._waiting += counted.height
        if self._waiting > max(self._merged, 100_000):  # merged each time the vocabulary may have doubled
            self._merge()

    def frame(self) -> pl.DataFrame:
        """``value`` and ``len``, each value once."""
        self._merge()
        return self._parts[0]

    def _merge(self) -> None:
        if len(self._parts) > 1:
            self._parts = [pl.concat(self._parts).group_by("value").agg(pl.col("len").sum())]
        self._merged, self._waiting = self._parts[0].height, 0


class Moments:
    """Least, greatest, mean and standard deviation (of the whole, not of a sample) of a column of numbers."""

    def __init__(self) -> None:
        self.count, self.mean, self._squares = 0, 0.0, 0.0
        self.min, self.max = float("inf"), float("-inf")

    def add(self, values: pl.Series) -> None:
        """Adds a block's values, none of them missing (Chan, Golub and LeVeque 1979)."""
        rows, mean = len(values), number(values.mean())
        total, difference = self.count + rows, mean - self.mean
        self._squares += number(values.var(ddof=0)) * rows + difference**2 * self.count * rows / total
        self.mean += difference * rows / total
        self.count = total
        self.min, self.max = min(self.min, number(values.min())), max(self.max, number(values.max()))

    def as_fuxictr(self) -> dict[str, float]:
        if self.min == self.max:  # or rounding would leave a deviation, and make other values of test huge
            return {"min": self.min, "max": self.max, "mean": self.min, "std": 0.0, "count": self.count}
        std = (self._squares / self.count) ** 0.5
        return {"min": self.min, "max": self.max, "mean": self.mean, "std": std, "count": self.count}

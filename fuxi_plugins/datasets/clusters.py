"""Numbers for the clusters of a split: rows of one cluster, such as one user's, are not independent of each other."""

import numpy as np
import polars as pl


class Clusters:
    """Numbers each value of a column by its first occurrence, block after block; memory grows with the values."""

    def __init__(self) -> None:
        self._number: dict[object, int] = {}
        self._next = 0
        self._parts: list[np.ndarray] = []

    def add(self, values: pl.Series) -> None:
        """Adds a block's values. A row without a value is a cluster of its own."""
        for value in values.drop_nulls().unique(maintain_order=True):
            if value not in self._number:
                self._number[value] = self._take(1)[0]
        numbers = np.array([self._number.get(value, -1) for value in values], np.int64)
        missing = numbers < 0
        numbers[missing] = self._take(int(missing.sum()))
        self._parts.append(numbers)

    def numbers(self) -> np.ndarray:
        """(N,) int64: the cluster of each row that was added, from 0 to the number of clusters - 1."""
        return np.concatenate([np.empty(0, np.int64), *self._parts])

    def _take(self, count: int) -> range:
        self._next += count
        return range(self._next - count, self._next)

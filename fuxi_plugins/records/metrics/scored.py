"""Predictions beside the labels, and the same rows in groups."""

from collections.abc import Mapping
from functools import cached_property

import numpy as np


class Grouped:
    """Rows sorted by group and, within it, by score, from the lowest; tied rows in the order of the file.

    Args:
        labels, scores: (N,).
        groups: (N,) integers.
    """

    def __init__(self, labels: np.ndarray, scores: np.ndarray, groups: np.ndarray):
        by_score = np.argsort(scores, kind="stable")
        self.order = by_score[np.argsort(groups[by_score], kind="stable")]
        groups = groups[self.order]
        self.scores = scores[self.order]
        self.positive = labels[self.order] == 1
        self.starts = np.flatnonzero(np.concatenate(([True], groups[1:] != groups[:-1])))  # (G,)
        self.sizes = np.diff(self.starts, append=len(groups))  # (G,)

    @cached_property
    def positives(self) -> np.ndarray:
        return np.add.reduceat(self.positive, self.starts, dtype=np.int64)  # (G,)

    @cached_property
    def has_both_classes(self) -> np.ndarray:
        return (self.positives > 0) & (self.positives < self.sizes)  # (G,)

    @cached_property
    def place(self) -> np.ndarray:
        """(N,) place of each row in its group, from 0 for the lowest score."""
        return np.arange(len(self.scores)) - np.repeat(self.starts, self.sizes)

    @cached_property
    def from_top(self) -> np.ndarray:
        """(N,) place of each row in its group, from 0 for the highest score."""
        return np.repeat(self.sizes, self.sizes) - 1 - self.place

    def of_groups(self, column: np.ndarray) -> np.ndarray:
        """(G,) the value that a column (N,), in the order of the file, has in each group.

        Raises:
            ValueError: it has several in one group.
        """
        column = column[self.order]
        first = column[self.starts]
        if not np.array_equal(column, np.repeat(first, self.sizes)):
            raise ValueError("the rows of a group must lie in one cluster, but those of some groups lie in several")
        return first


class Scored:
    """The predictions of a split and what a metric may ask about its rows.

    Args:
        labels: (N,) of 0 and 1.
        scores: (N,) predicted probabilities.
        groups: (N,) integers, or None where the dataset has no groups.
        fields: (N,) integers each, the categorical fields that are at hand, by name.
    """

    def __init__(
        self,
        labels: np.ndarray,
        scores: np.ndarray,
        groups: np.ndarray | None = None,
        fields: Mapping[str, np.ndarray] | None = None,
    ):
        self.labels = np.asarray(labels, np.float64)
        self.scores = np.asarray(scores, np.float64)
        self.groups = groups
        self.fields = fields or {}

    @cached_property
    def grouped(self) -> Grouped:
        """The rows by group.

        Raises:
            ValueError: the dataset has no groups.
        """
        if self.groups is None:
            raise ValueError("a metric within groups needs the dataset's group_id, which this dataset does not have")
        return Grouped(self.labels, self.scores, np.asarray(self.groups))

"""What all tree models share: the rows that they are given, their settings, and when they stop."""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.models.needs import Needs

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Sequences = Literal["summary", "left_out"]

# Told of a round, of the predictions on valid after it (N,), and of the mean logloss on train; says whether to go on.
Follow = Callable[[int, np.ndarray, float], bool]


@dataclass(frozen=True)
class Table:
    """The rows of a split."""

    values: np.ndarray  # (N, m) float32, or float64 where an id is above 2**24; ids and numbers
    labels: np.ndarray  # (N,) of 0 and 1
    categorical: list[int]  # the columns of ids
    weights: np.ndarray | None = None  # (N,) of the rows of train, where the dataset has them


@dataclass
class TreeModel(ABC):
    """Settings that all tree models have; a subclass adds its library's.

    Args:
        learning_rate: by which each tree's values are multiplied.
        max_rounds: trees at most.
        early_stop_rounds: training ends when the monitored metric on valid has not improved for so many rounds; the
            best round counts.
        eval_rounds: rounds between two evaluations on valid.
        sequences: ``summary`` gives of each sequence its length, its last id, and how often the id of the field that
            it shares its embedding with is in it; ``left_out`` gives nothing.
    """

    package: ClassVar[str]  # to install and to import
    ids: ClassVar[str]  # what becomes of ids, for the record
    needs: ClassVar[Needs] = Needs()
    board_settings: ClassVar[Mapping[str, Any]] = {}
    tuning_space: ClassVar[Mapping[str, Any]] = {}  # as in a file of ranges

    learning_rate: Positive = 0.05
    max_rounds: Count = 1000
    early_stop_rounds: Count = 50
    eval_rounds: Count = 5
    sequences: Sequences = "summary"

    @classmethod
    def library(cls) -> Any:
        """The library's module.

        Raises:
            UserError: it is not installed, or cannot be loaded.
        """
        try:
            return importlib.import_module(cls.package)
        except ImportError as error:
            raise UserError(
                f"{cls.__name__} needs the package {cls.package}: pip install {cls.package}, or fuxibench[trees]"
            ) from error
        except OSError as error:  # what it rests on, such as libgomp, is missing
            raise UserError(f"{cls.__name__}: the package {cls.package} cannot be loaded: {error}") from error

    def is_due(self, round_number: int) -> bool:
        """Whether the round is followed by an evaluation."""
        return round_number % self.eval_rounds == 0 or round_number == self.max_rounds

    @abstractmethod
    def fit(self, train: Table, valid: Table, seed: int, threads: int, follow: Follow) -> None:
        """Grows trees until ``follow``, asked after each round that is due, says to stop."""

    @abstractmethod
    def predict(self, table: Table, rounds: int) -> np.ndarray:
        """Probabilities (N,) by the first trees."""

    @abstractmethod
    def count_leaves(self, rounds: int) -> int:
        """Of the first trees."""

"""CatBoost: gradient-boosted oblivious trees over ordered statistics of ids."""

import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from .base import Count, Follow, NotNegative, Share, Table, TreeModel


@dataclass
class CatBoost(TreeModel):
    """CatBoost adds oblivious trees to each other, and sees an id as how the rows before with it were labelled.

    Paper: CatBoost: Unbiased Boosting with Categorical Features, NeurIPS 2018, https://arxiv.org/abs/1706.09516.
    Authors: Liudmila Prokhorenkova, Gleb Gusev, Aleksandr Vorobev, Anna Veronika Dorogush, Andrey Gulin.

        y = sigmoid( sum_t f_t(x) ),  f_t a tree with one split a level, fitted to the gradient of the logloss

    Data: any features. Ids are CatBoost's own categories: target statistics of an id, and of combinations of ids, over
    the rows that come before in a random order, so that no row sees its own label. An id that train lacks has the
    prior alone.

    Deviations: of sequences a tree sees a summary.

    Args:
        depth: of a tree.
        l2_leaf_reg: of the leaves' values.
        random_strength: of the noise in the choice of splits.
        rsm: share of the columns that each split is chosen among.
        border_count: of splits of a numeric column.
        one_hot_max_size: with at most so many ids in a field, one id is split from the rest.
        max_ctr_complexity: ids in a combination at most.
    """

    package: ClassVar[str] = "catboost"
    ids: ClassVar[str] = "CatBoost's own categories (ordered target statistics, of combinations too)"
    tuning_space: ClassVar = {
        "learning_rate": {"low": 0.01, "high": 0.2, "log": True},
        "depth": [4, 6, 8, 10],
        "l2_leaf_reg": [1.0, 3.0, 10.0, 30.0],
        "random_strength": [0.5, 1.0, 2.0, 5.0],
        "max_ctr_complexity": [1, 2, 4],
    }

    depth: Count = 6
    l2_leaf_reg: NotNegative = 3.0
    random_strength: NotNegative = 1.0
    rsm: Share = 1.0
    border_count: Count = 254
    one_hot_max_size: Count = 2
    max_ctr_complexity: Count = 4

    def parameters(self, seed: int, threads: int) -> dict[str, Any]:
        """CatBoost's."""
        return {
            "loss_function": "Logloss",
            "iterations": self.max_rounds,
            "learning_rate": self.learning_rate,
            "depth": self.depth,
            "l2_leaf_reg": self.l2_leaf_reg,
            "random_strength": self.random_strength,
            "rsm": self.rsm,
            "border_count": self.border_count,
            "one_hot_max_size": self.one_hot_max_size,
            "max_ctr_complexity": self.max_ctr_complexity,
            "random_seed": seed,
            "thread_count": threads,
            "task_type": "CPU",
            "use_best_model": False,
            "allow_writing_files": False,
            "logging_level": "Silent",
        }

    def fit(self, train: Table, valid: Table, seed: int, threads: int, follow: Follow) -> None:
        library = self.library()
        watch = Watch(self, valid.labels, follow)
        self._booster = library.CatBoost({**self.parameters(seed, threads), "eval_metric": watch})
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Failed to import numba")
            self._booster.fit(self.pool(train), eval_set=self.pool(valid), callbacks=[watch])

    def pool(self, table: Table) -> Any:
        """CatBoost's form of the rows."""
        frame = pd.DataFrame(table.values)
        frame = frame.astype(dict.fromkeys(table.categorical, np.int64))
        return self.library().Pool(frame, table.labels, cat_features=table.categorical, weight=table.weights)

    def predict(self, table: Table, rounds: int) -> np.ndarray:
        return self._booster.predict(self.pool(table), prediction_type="Probability", ntree_end=rounds)[:, 1]

    def count_leaves(self, rounds: int) -> int:
        return int(self._booster.get_tree_leaf_counts()[:rounds].sum())


class Watch:
    """A metric and a callback of CatBoost's, which together tell of the predictions on valid after a round."""

    def __init__(self, model: CatBoost, labels: np.ndarray, follow: Follow):
        self.model, self.labels, self.follow = model, labels, follow
        self.round = 1  # of the trees under way
        self.latest = np.empty(0)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Watch":
        """Itself: CatBoost copies its parameters, and metric and callback must be one object."""
        return self

    def is_max_optimal(self) -> bool:
        return True

    def evaluate(self, approxes: Any, target: Any, weight: Any) -> tuple[float, float]:
        """CatBoost asks for train and for valid, without saying which."""
        if self.model.is_due(self.round) and np.array_equal(np.asarray(target), self.labels):
            self.latest = 1 / (1 + np.exp(-np.asarray(approxes[0])))
        return 0.0, 1.0

    def get_final_error(self, error: float, weight: float) -> float:
        return error

    def after_iteration(self, info: Any) -> bool:
        number, self.round = info.iteration, info.iteration + 1
        if not self.model.is_due(number):
            return True
        return self.follow(number, self.latest, float(info.metrics["learn"]["Logloss"][-1]))

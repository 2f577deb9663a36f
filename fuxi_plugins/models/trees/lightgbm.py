"""LightGBM: gradient-boosted trees that grow leaf by leaf."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .base import Count, Follow, NotNegative, Share, Table, TreeModel


@dataclass
class LightGBM(TreeModel):
    """LightGBM adds trees to each other, each grown at the leaf that gains most.

    Paper: LightGBM: A Highly Efficient Gradient Boosting Decision Tree, NeurIPS 2017,
    https://papers.nips.cc/paper/6907-lightgbm-a-highly-efficient-gradient-boosting-decision-tree.
    Authors: Guolin Ke, Qi Meng, Thomas Finley, Taifeng Wang, Wei Chen, Weidong Ma, Qiwei Ye, Tie-Yan Liu.

        y = sigmoid( sum_t f_t(x) ),  f_t a tree fitted to the gradient of the logloss after t - 1 trees

    Data: any features. Ids are LightGBM's own categories: a split sorts the ids of a node by their gradients and cuts
    the order in two, smoothed by ``cat_smooth`` and ``cat_l2``, with at most ``max_cat_threshold`` ids on the smaller
    side and at least ``min_data_per_group`` rows an id. An id that train lacks goes to the larger side.

    Deviations: of sequences a tree sees a summary. Without sampling of rows and columns the seed changes nothing.

    Args:
        num_leaves: of a tree.
        min_data_in_leaf: rows.
        feature_fraction, bagging_fraction: shares of the columns and of the rows that each tree is grown on.
        lambda_l1, lambda_l2: of the leaves' values.
        max_bin: of a numeric column.
        cat_smooth, cat_l2, max_cat_threshold, min_data_per_group: of splits by ids.
    """

    package: ClassVar[str] = "lightgbm"
    ids: ClassVar[str] = "LightGBM's own categories (min_data_per_group, cat_smooth, cat_l2)"
    board_settings: ClassVar = {"feature_fraction": 0.8, "bagging_fraction": 0.8}  # so that seeds differ
    tuning_space: ClassVar = {
        "learning_rate": {"low": 0.01, "high": 0.2, "log": True},
        "num_leaves": [15, 31, 63, 127, 255],
        "min_data_in_leaf": [20, 50, 100, 200, 500],
        "feature_fraction": [0.5, 0.7, 0.85, 1.0],
        "lambda_l2": [0.0, 1.0, 10.0, 100.0],
        "min_data_per_group": [20, 100, 500],
    }

    num_leaves: Count = 31
    min_data_in_leaf: Count = 20
    feature_fraction: Share = 1.0
    bagging_fraction: Share = 1.0
    lambda_l1: NotNegative = 0.0
    lambda_l2: NotNegative = 0.0
    max_bin: Count = 255
    cat_smooth: NotNegative = 10.0
    cat_l2: NotNegative = 10.0
    max_cat_threshold: Count = 32
    min_data_per_group: Count = 100

    def parameters(self, seed: int, threads: int) -> dict[str, Any]:
        """LightGBM's."""
        return {
            "objective": "binary",
            "metric": "binary_logloss",
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "min_data_in_leaf": self.min_data_in_leaf,
            "feature_fraction": self.feature_fraction,
            "bagging_fraction": self.bagging_fraction,
            "bagging_freq": int(self.bagging_fraction < 1),
            "lambda_l1": self.lambda_l1,
            "lambda_l2": self.lambda_l2,
            "max_bin": self.max_bin,
            "cat_smooth": self.cat_smooth,
            "cat_l2": self.cat_l2,
            "max_cat_threshold": self.max_cat_threshold,
            "min_data_per_group": self.min_data_per_group,
            "seed": seed,
            "num_threads": threads,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }

    def fit(self, train: Table, valid: Table, seed: int, threads: int, follow: Follow) -> None:
        library = self.library()
        rows = library.Dataset(train.values, train.labels, weight=train.weights, categorical_feature=train.categorical)
        held_out = library.Dataset(valid.values, valid.labels, reference=rows)
        latest = np.empty(0)

        def look(predictions: np.ndarray, dataset: Any) -> list:
            nonlocal latest
            latest = predictions if dataset is held_out else latest
            return []

        def after_round(state: Any) -> None:
            number = state.iteration + 1
            if self.is_due(number):
                loss = next(float(entry[2]) for entry in state.evaluation_result_list if entry[0] == "train")
                if not follow(number, latest, loss):
                    raise library.callback.EarlyStopException(state.iteration, [])

        self._booster = library.train(
            self.parameters(seed, threads),
            rows,
            self.max_rounds,
            valid_sets=[rows, held_out],
            valid_names=["train", "valid"],
            feval=look,
            callbacks=[after_round],
        )

    def predict(self, table: Table, rounds: int) -> np.ndarray:
        return self._booster.predict(table.values, num_iteration=rounds)

    def count_leaves(self, rounds: int) -> int:
        return sum(tree["num_leaves"] for tree in self._booster.dump_model(num_iteration=rounds)["tree_info"])

"""XGBoost: gradient-boosted trees with a penalty on the leaves."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .base import Count, Follow, NotNegative, Share, Table, TreeModel


@dataclass
class XGBoost(TreeModel):
    """XGBoost adds trees to each other, each fitted to gradient and curvature of the loss.

    Paper: XGBoost: A Scalable Tree Boosting System, KDD 2016, https://doi.org/10.1145/2939672.2939785.
    Authors: Tianqi Chen, Carlos Guestrin.

        y = sigmoid( sum_t f_t(x) ),  f_t a tree fitted to the second-order expansion of the logloss after t - 1 trees

    Data: any features, with fewer than 2^24 ids a field. Ids are XGBoost's own categories: a split sorts the ids of a
    node by their gradients and cuts the order in two, with at most ``max_cat_threshold`` ids on one side. Nothing
    smooths them but ``reg_lambda`` and ``min_child_weight``, so rare ids can be learned by heart. An id that train
    lacks follows the default branch.

    Deviations: of sequences a tree sees a summary. Without sampling of rows and columns the seed changes nothing.

    Args:
        max_depth: of a tree.
        min_child_weight: the least sum of curvatures in a leaf.
        subsample, colsample_bytree: shares of the rows and of the columns that each tree is grown on.
        reg_alpha, reg_lambda: L1 and L2 of the leaves' values.
        max_bin: of a numeric column.
        max_cat_to_onehot: with fewer ids than this in a field, one id is split from the rest.
        max_cat_threshold: of splits by ids.
    """

    package: ClassVar[str] = "xgboost"
    ids: ClassVar[str] = "XGBoost's own categories, with no smoothing beyond the leaves' regularisation"
    board_settings: ClassVar = {"colsample_bytree": 0.8, "subsample": 0.8}  # so that seeds differ
    tuning_space: ClassVar = {
        "learning_rate": {"low": 0.01, "high": 0.2, "log": True},
        "max_depth": [3, 4, 6, 8, 10],
        "min_child_weight": [1.0, 5.0, 20.0, 100.0],
        "colsample_bytree": [0.5, 0.7, 0.85, 1.0],
        "reg_lambda": [1.0, 10.0, 100.0],
        "max_cat_threshold": [16, 64, 256],
    }

    max_depth: Count = 6
    min_child_weight: NotNegative = 1.0
    subsample: Share = 1.0
    colsample_bytree: Share = 1.0
    reg_alpha: NotNegative = 0.0
    reg_lambda: NotNegative = 1.0
    max_bin: Count = 256
    max_cat_to_onehot: Count = 4
    max_cat_threshold: Count = 64

    def parameters(self, seed: int, threads: int) -> dict[str, Any]:
        """XGBoost's."""
        return {
            "objective": "binary:logistic",
            "eval_metric": "logloss",
            "tree_method": "hist",
            "device": "cpu",
            "learning_rate": self.learning_rate,
            "max_depth": self.max_depth,
            "min_child_weight": self.min_child_weight,
            "subsample": self.subsample,
            "colsample_bytree": self.colsample_bytree,
            "reg_alpha": self.reg_alpha,
            "reg_lambda": self.reg_lambda,
            "max_bin": self.max_bin,
            "max_cat_to_onehot": self.max_cat_to_onehot,
            "max_cat_threshold": self.max_cat_threshold,
            "seed": seed,
            "nthread": threads,
        }

    def fit(self, train: Table, valid: Table, seed: int, threads: int, follow: Follow) -> None:
        library = self.library()
        rows, held_out = self.matrix(train, threads), self.matrix(valid, threads)
        latest = np.empty(0)

        def look(predictions: np.ndarray, matrix: Any) -> tuple[str, float]:
            nonlocal latest
            latest = predictions if matrix is held_out else latest
            return "seen", 0.0

        def after_round(_: Any, booster: Any, epoch: int, losses: Any) -> bool:
            """Whether to stop."""
            number = epoch + 1
            return self.is_due(number) and not follow(number, latest, float(losses["train"]["logloss"][-1]))

        self._booster = library.train(
            self.parameters(seed, threads),
            rows,
            self.max_rounds,
            evals=[(rows, "train"), (held_out, "valid")],
            custom_metric=look,
            callbacks=[type("AfterRound", (library.callback.TrainingCallback,), {"after_iteration": after_round})()],
            verbose_eval=False,
        )
        self._threads = threads

    def matrix(self, table: Table, threads: int) -> Any:
        """XGBoost's form of the rows."""
        kinds = ["c" if column in table.categorical else "q" for column in range(table.values.shape[1])]
        return self.library().DMatrix(
            table.values,
            table.labels,
            weight=table.weights,
            feature_types=kinds,
            enable_categorical=True,
            nthread=threads,
        )

    def predict(self, table: Table, rounds: int) -> np.ndarray:
        return self._booster.predict(self.matrix(table, self._threads), iteration_range=(0, rounds))

    def count_leaves(self, rounds: int) -> int:
        return sum(tree.count("leaf=") for tree in self._booster[:rounds].get_dump())

"""Poly2: logistic regression on feature values and on their hashed pairs."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, ClassVar

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbeddingDict
from torch import Tensor, nn

from fuxi_plugins.layers import require_positive

from .base import CTRModel
from .fuxictr_layers import LinearPart
from .needs import Needs

CROSSES = "crosses"  # the name of the one column that the hashed pairs make
PADDING = 0  # the bucket without a weight
UNCROSSED = ("meta", "embedding")  # no features, and vectors, which have no ids


class Poly2(CTRModel):
    """Poly2 is logistic regression with a weight for every pair of feature values, in a table of hashed buckets.

    Paper: Simple and Scalable Response Prediction for Display Advertising, TIST 2014,
    https://doi.org/10.1145/2532128.
    Authors: Olivier Chapelle, Eren Manavoglu, Romer Rosales.

        y = sigmoid( w_0 + sum_i w_i x_i + sum_{i<j} v[h_ij(x_i, x_j)] )

    h hashes the fields i and j and their values to one of ``num_buckets`` buckets; pairs that meet in a bucket share
    its weight. Of a numeric field the number multiplies the weight, so v[h_ij(x_j)] x_i. The paper calls the pairs
    conjunctions and hashes all features into one table; "Field-aware Factorization Machines for CTR Prediction"
    (2016, Eq. 2) calls the model Poly2.

    Data: any features. A sequence is crossed behaviour by behaviour, summed, with every field that is no sequence. A
    vector is not crossed.

    Deviations: single values keep weights of their own, as in LR, and are not hashed. Adam trains it, not the paper's
    L-BFGS.

    Args:
        num_buckets: weights for pairs.
        cross_field: the pairs of fields, as ``[[user_id, item_id], [user_id, hour]]``; all unless given.
        regularizer: of all parameters; a number is L2, else ``l1(x)``, ``l2(x)`` or ``l1_l2(x,y)``.
    """

    needs = Needs(fields=2)
    small_settings: ClassVar = {"num_buckets": 1000}

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "Poly2",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        num_buckets: int = 2**18,
        cross_field: Sequence[Sequence[str]] | None = None,
        regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        require_positive(num_buckets=num_buckets)
        super().__init__(feature_map, model_id, gpu, regularizer, regularizer, **kwargs)
        self.lr_layer = LinearPart(feature_map, use_bias=True)
        self.crosses = HashedCrosses(feature_map, num_buckets, cross_field)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        return {"y_pred": self.output_activation(self.lr_layer(features) + self.crosses(features))}


class HashedCrosses(nn.Module):
    """The sum of the weights of a row's pairs; features of B rows -> (B, 1)."""

    def __init__(self, feature_map: FeatureMap, num_buckets: int, pairs: Sequence[Sequence[str]] | None):
        super().__init__()
        self.num_buckets = num_buckets
        self.specs = {name: spec for name, spec in feature_map.features.items() if spec["type"] not in UNCROSSED}
        self.pairs = self._named(pairs) if pairs else self._possible()
        # FuxiCTR's kind of table, so that it is initialised, regularised and counted as the tables of fields are.
        table = FeatureMap(feature_map.dataset_id, feature_map.data_dir)
        spec = {"source": "", "type": "categorical", "padding_idx": PADDING, "vocab_size": num_buckets + 1}
        table.features[CROSSES] = spec
        self.embedding_layer = FeatureEmbeddingDict(table, embedding_dim=1)

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        buckets, factors = [], []
        for number, (first, second) in enumerate(self.pairs):
            (a, weight_a), (b, weight_b) = self._values(features, first), self._values(features, second)
            known = (weight_a * weight_b) != 0
            buckets.append((1 + hashed(number, a, b, self.num_buckets)).where(known, PADDING))
            factors.append(weight_a * weight_b)
        weights = self.embedding_layer({CROSSES: torch.cat(buckets, dim=1)})[CROSSES].squeeze(-1)
        return (weights * torch.cat(factors, dim=1)).sum(dim=1, keepdim=True)

    def _values(self, features: Mapping[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
        """Ids and what their weights are multiplied by, (B, L) each, L being 1 but for sequences.

        A numeric field has one id, and padding is multiplied by 0.
        """
        spec, column = self.specs[name], features[name]
        column = column.view(len(column), -1)
        if spec["type"] == "numeric":
            return torch.zeros_like(column, dtype=torch.long), column.float()
        ids = column.long()
        return ids, (ids != spec.get("padding_idx", -1)).float()

    def _possible(self) -> list[tuple[str, str]]:
        """All pairs of fields, but those of two sequences."""
        is_sequence = {name for name, spec in self.specs.items() if spec["type"] == "sequence"}
        found = [pair for pair in combinations(self.specs, 2) if not is_sequence.issuperset(pair)]
        if not found:
            raise ValueError(f"two fields must be there to be crossed, but the fields are {', '.join(self.specs)}")
        return found

    def _named(self, pairs: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
        """The pairs that a setting names, each in the order of the dataset."""
        possible = self._possible()
        found = []
        for pair in pairs:
            ordered = tuple(name for name in self.specs if name in pair)
            if len(pair) != 2 or ordered not in possible:
                raise ValueError(
                    f"cross_field must name two fields a pair, of {', '.join(self.specs)}, and not two sequences, but "
                    f"one pair is {list(pair)}"
                )
            found.append((ordered[0], ordered[1]))
        if len(set(found)) < len(found):
            raise ValueError(f"cross_field must name each pair once, but is {[list(pair) for pair in pairs]}")
        return found


def hashed(pair: int, a: Tensor, b: Tensor, num_buckets: int) -> Tensor:
    """A bucket from 0 to ``num_buckets`` - 1 for the values a and b of a pair of fields; (B, L), (B, 1) -> (B, L).

    Two rounds of multiplying and folding modulo 2^64, the finalizer of SplitMix64 (Steele, Lea and Flood, 2014) with
    shifts that keep the sign: the same on every device.
    """
    of_pair = ((pair + 1) * 0x14D049BB133111EB + 2**63) % 2**64 - 2**63  # as int64 would overflow
    mixed = (a * 0x1E3779B97F4A7C15 + b) * 0x3F58476D1CE4E5B9 + of_pair
    mixed = (mixed ^ (mixed >> 30)) * 0x3F58476D1CE4E5B9
    mixed = (mixed ^ (mixed >> 27)) * 0x14D049BB133111EB
    return (mixed ^ (mixed >> 31)).remainder(num_buckets)

"""DeepIM: sums of products of fields, of every order up to a given one, beside an MLP."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from .base import CTRModel
from .fuxictr_layers import mlp_block
from .needs import Needs
from .pairs import symmetric_sums


class DeepIM(CTRModel):
    """DeepIM adds the logits of an MLP and of a linear map of the pooled products of 1, 2, ... fields.

    Paper: Deep Interaction Machine: A Simple but Effective Model for High-order Feature Interactions,
    CIKM 2020, https://doi.org/10.1145/3340531.3412077.

        y = sigmoid( w [s_1; ...; s_order] + b + MLP([e_1; ...; e_n]) ),  s_t = sum_{i_1<...<i_t} e_i1 * ... * e_it

    Data: at least as many fields as ``im_order``; a sequence must be pooled to one embedding.

    Departures: the paper and FuxiCTR get s_t from power sums, which cancel in floating point, FuxiCTR for orders
    up to 5; here the products are summed themselves, for any order. An empty ``hidden_units`` means no MLP (the
    paper's IM), which FuxiCTR writes as None.

    Args:
        im_order: the largest number of fields multiplied.
        im_batch_norm: BatchNorm of the s_t.
        hidden_units: widths of the MLP's hidden layers; empty for none.
        hidden_activations: one name for all hidden layers, or one for each.
        net_batch_norm: BatchNorm before each activation of the MLP.
        net_dropout: dropout after each activation of the MLP.
    """

    needs = Needs(fields=2)

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "DeepIM",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        im_order: int = 2,
        im_batch_norm: bool = False,
        hidden_units: Sequence[int] = (64, 64, 64),
        hidden_activations: str | Sequence[str] = "ReLU",
        net_dropout: float = 0.0,
        net_batch_norm: bool = False,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        if not 1 <= im_order <= feature_map.num_fields:
            raise ValueError(f"im_order must be from 1 to the {feature_map.num_fields} fields, but im_order={im_order}")
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.im_layer = InteractionMachine(embedding_dim, im_order, im_batch_norm)
        self.dnn = None
        if hidden_units:
            input_dim = feature_map.num_fields * embedding_dim
            self.dnn = mlp_block(input_dim, hidden_units, 1, hidden_activations, net_dropout, net_batch_norm)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        embeddings = self.embedding_layer(self.get_inputs(inputs))  # (B, n, k)
        logit = self.im_layer(embeddings)
        if self.dnn is not None:
            logit = logit + self.dnn(embeddings.flatten(1))
        return {"y_pred": self.output_activation(logit)}


class InteractionMachine(nn.Module):
    """w [BatchNorm]([s_1; ...; s_order]) + b, (B, n, k) -> (B, 1)."""

    def __init__(self, embedding_dim: int, order: int, batch_norm: bool):
        super().__init__()
        self.order = order
        self.bn = nn.BatchNorm1d(order * embedding_dim) if batch_norm else nn.Identity()
        self.fc = nn.Linear(order * embedding_dim, 1)

    def forward(self, embeddings: Tensor) -> Tensor:
        return self.fc(self.bn(torch.cat(symmetric_sums(embeddings, self.order), dim=1)))

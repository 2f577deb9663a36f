"""AOANet: generalized products of all pairs of vectors, in layers, with an MLP beside them."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from fuxi_plugins.layers import require_positive

from .base import CTRModel
from .fuxictr_layers import mlp_block


class AOANet(CTRModel):
    """AOANet learns the operation that multiplies a layer's vectors with the embeddings, and adds an MLP beside it.

    Paper: Architecture and Operation Adaptive Network for Online Recommendations, KDD 2021,
    https://doi.org/10.1145/3447548.3467133.
    Authors: Lang Lang, Zhenlong Zhu, Xuanye Liu, Jianxin Zhao, Jixing Xu, Minghui Shan.

        b^0_i = e_i,  b^{l+1}_o = ( W_o * sum_{i,j} alpha_{ij,o} e_j (b^l_i)^T ) h_o,  o = 1 ... num_subspaces
        y = sigmoid( w [MLP([e_1; ...; e_n]); b^L_1; b^L_2; ...] + b )

    Data: any features, all of ``embedding_dim``; a sequence must be pooled to one embedding.

    Deviations: the paper's search for the architecture is not here, as in FuxiCTR. FuxiCTR starts every alpha at
    1, W at the identity and h at 1; then the subspaces of any layer but the last get equal gradients and stay
    equal for ever. Here alpha starts at N(1, 0.1^2).

    Args:
        num_interaction_layers: layers of products.
        num_subspaces: vectors b that each layer makes.
        dnn_hidden_units: widths of the MLP's hidden layers.
        dnn_hidden_activations: one name for all hidden layers, or one for each.
        batch_norm: BatchNorm before each activation of the MLP.
        net_dropout: dropout after each activation of the MLP.
    """

    small_settings: ClassVar = {
        "num_interaction_layers": 2,
        "num_subspaces": 2,
        "embedding_dim": 4,
        "dnn_hidden_units": [8],
    }

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "AOANet",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        dnn_hidden_units: Sequence[int] = (64, 64, 64),
        dnn_hidden_activations: str | Sequence[str] = "ReLU",
        num_interaction_layers: int = 3,
        num_subspaces: int = 4,
        net_dropout: float = 0.0,
        batch_norm: bool = False,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        require_positive(num_interaction_layers=num_interaction_layers, num_subspaces=num_subspaces)
        if not dnn_hidden_units:
            raise ValueError("the MLP beside the products needs a hidden layer, but dnn_hidden_units is empty")
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        num_fields = feature_map.num_fields
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.dnn = mlp_block(
            feature_map.sum_emb_out_dim(), dnn_hidden_units, None, dnn_hidden_activations, net_dropout, batch_norm
        )
        inputs = [num_fields] + [num_subspaces] * (num_interaction_layers - 1)
        self.gin = nn.ModuleList(
            GeneralizedInteraction(input_vectors, num_subspaces, num_fields, embedding_dim) for input_vectors in inputs
        )
        self.fc = nn.Linear(dnn_hidden_units[-1] + num_subspaces * embedding_dim, 1)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        embeddings = self.embedding_layer(self.get_inputs(inputs))  # (B, n, k)
        vectors = embeddings
        for layer in self.gin:
            vectors = layer(embeddings, vectors)  # (B, num_subspaces, k)
        logit = self.fc(torch.cat([self.dnn(embeddings.flatten(1)), vectors.flatten(1)], dim=-1))
        return {"y_pred": self.output_activation(logit)}


class GeneralizedInteraction(nn.Module):
    """b'_o = ( W_o * sum_ij alpha_ijo e_j b_i^T ) h_o: e (B, n, k), b (B, i, k) -> (B, o, k)."""

    def __init__(self, input_vectors: int, output_vectors: int, num_fields: int, embedding_dim: int):
        super().__init__()
        self.num_fields = num_fields
        # The names and shapes are FuxiCTR's; the first axis of alpha runs over b_i, and for each over e_j.
        self.W = nn.Parameter(torch.eye(embedding_dim).repeat(output_vectors, 1, 1))
        self.alpha = nn.Parameter(torch.empty(input_vectors * num_fields, output_vectors).normal_(1.0, 0.1))
        self.h = nn.Parameter(torch.ones(output_vectors, embedding_dim, 1))

    def forward(self, embeddings: Tensor, vectors: Tensor) -> Tensor:
        # Summed in this order, the (k, k) outer products of the pairs need not be formed.
        alpha = self.alpha.view(-1, self.num_fields, self.alpha.shape[1])  # (i, n, o)
        left = torch.einsum("bnk,ino->boik", embeddings, alpha)
        right = torch.einsum("okl,bil->boik", self.W * self.h.transpose(1, 2), vectors)
        return (left * right).sum(dim=2)

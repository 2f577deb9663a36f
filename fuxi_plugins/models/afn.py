"""AFN: products of learned powers of the embeddings, by way of logarithms, with an MLP beside them."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from fuxi_plugins.layers import require_positive

from .base import CTRModel
from .fuxictr_layers import mlp_block


class AFN(CTRModel):
    """AFN learns the exponent of every field in each cross; AFN+ adds an MLP with embeddings of its own.

    Paper: Adaptive Factorization Network: Learning Adaptive-Order Feature Interactions, AAAI 2020,
    https://arxiv.org/abs/1909.03276.
    Authors: Weiyu Cheng, Yanyan Shen, Linpeng Huang.

        v_j = prod_i |e_i|^{w_ij} = exp( sum_i w_ij ln|e_i| ),  AFN(x) = MLP([v_1; ...; v_m])
        AFN:  y = sigmoid( AFN(x) ),  AFN+: y = sigmoid( w_1 AFN(x) + w_2 MLP'([e'_1; ...; e'_n]) + b )

    Data: any features, all of ``embedding_dim``; a sequence must be pooled to one embedding.

    Deviations: as in FuxiCTR, |e| is at least 1e-5 (in the paper 1e-7), AFN+ is the default, its weights are
    learned with all others, and BatchNorm after the logarithm and the exponential is there whatever
    ``batch_norm`` says.

    Args:
        logarithmic_neurons: m, the number of crosses.
        afn_hidden_units, afn_activations, afn_dropout: of the MLP over the crosses.
        ensemble_dnn: AFN+; without it, the settings of its MLP have no effect, as in FuxiCTR.
        dnn_hidden_units, dnn_activations, dnn_dropout: of the MLP beside it.
        batch_norm: BatchNorm before each activation of the MLPs.
    """

    board_settings: ClassVar = {"ensemble_dnn": False}

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "AFN",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        ensemble_dnn: bool = True,
        dnn_hidden_units: Sequence[int] = (64, 64, 64),
        dnn_activations: str | Sequence[str] = "ReLU",
        dnn_dropout: float = 0.0,
        afn_hidden_units: Sequence[int] = (64, 64, 64),
        afn_activations: str | Sequence[str] = "ReLU",
        afn_dropout: float = 0.0,
        logarithmic_neurons: int = 5,
        batch_norm: bool = True,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        require_positive(logarithmic_neurons=logarithmic_neurons)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        num_fields = feature_map.num_fields
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.coefficient_W = nn.Linear(num_fields, logarithmic_neurons, bias=False)
        self.log_batch_norm = nn.BatchNorm1d(num_fields)
        self.exp_batch_norm = nn.BatchNorm1d(logarithmic_neurons)
        self.dense_layer = mlp_block(
            logarithmic_neurons * embedding_dim, afn_hidden_units, 1, afn_activations, afn_dropout, batch_norm
        )
        self.ensemble_dnn = ensemble_dnn
        if ensemble_dnn:
            self.embedding_layer2 = FeatureEmbedding(feature_map, embedding_dim)
            self.dnn = mlp_block(
                num_fields * embedding_dim, dnn_hidden_units, 1, dnn_activations, dnn_dropout, batch_norm
            )
            self.fc = nn.Linear(2, 1)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        crosses = self.crosses(self.embedding_layer(features))  # (B, m, k)
        logit = self.dense_layer(crosses.flatten(1))
        if self.ensemble_dnn:
            beside = self.dnn(self.embedding_layer2(features).flatten(1))
            logit = self.fc(torch.cat([logit, beside], dim=-1))
        return {"y_pred": self.output_activation(logit)}

    def crosses(self, embeddings: Tensor) -> Tensor:
        """The logarithmic neurons, exp( W^T ln|E| ) with BatchNorm by field and by neuron; (B, n, k) -> (B, m, k)."""
        logs = self.log_batch_norm(embeddings.abs().clamp(min=1e-5).log())
        # All values of a neuron lie side by side, as one product leaves them and BatchNorm is fastest.
        exponents = self.coefficient_W.weight @ logs.permute(1, 2, 0).flatten(1)  # (m, k * B)
        crosses = self.exp_batch_norm(exponents.exp().unsqueeze(0)).squeeze(0)
        return crosses.unflatten(1, (embeddings.shape[2], -1)).permute(2, 0, 1)

"""APG_DeepFM: DeepFM whose MLP has its weights generated for every row."""

from collections.abc import Mapping, Sequence
from typing import Any

from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbeddingDict
from torch import Tensor, nn

from .apg import APGMLP, ConditionMode, Sizes, make_condition
from .base import CTRModel
from .fm import FactorizationMachine


class APG_DeepFM(CTRModel):
    """APG_DeepFM adds the logits of a factorization machine and of an MLP whose weights are generated from a condition.

    Paper: APG: Adaptive Parameter Generation Network for Click-Through Rate Prediction, NeurIPS 2022,
    https://arxiv.org/abs/2203.16218.

        h_l = act( h_{l-1} U_l S_l(z) V_l + b_l(z) ),  h_0 = [e_1; ...; e_n],  (b(z), vec(S(z))) = MLP_l(z)
        y = sigmoid( FM(x) + w h_L + b )

    The condition z is the layer's own input (``self-wise``), or the embeddings of some features for all layers.

    Data: any features, all of ``embedding_dim``; a sequence must be pooled to one embedding.

    Deviations: ``group-wise`` and ``mix-wise`` are one and the same here, as in FuxiCTR; they only tell how many
    features make the condition. The defaults of ``rank_k`` and ``overparam_p`` are smaller than FuxiCTR's 32 and 1024,
    so that they fit narrow data.

    Args:
        hidden_units, hidden_activations: of the MLP.
        net_dropout: dropout after each activation of the MLP.
        batch_norm: BatchNorm before each activation of the MLP.
        condition_mode: ``self-wise``, ``group-wise`` or ``mix-wise``.
        condition_features: the features that are the condition, unless it is ``self-wise``.
        new_condition_emb: whether they have embeddings of their own for it.
        rank_k: width of S, of all layers or of each; None generates a full matrix in place of U S V.
        overparam_p: U and V are products through this width, at least ``rank_k``; None for plain matrices.
        generate_bias: whether the biases depend on z.
        hypernet_config: ``hidden_units``, ``hidden_activations`` and ``dropout_rates`` of each MLP_l; no hidden layer
            unless given.
    """

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "APG_DeepFM",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        hidden_units: Sequence[int] = (64, 64, 64),
        hidden_activations: str | Sequence[str] = "ReLU",
        net_dropout: float = 0.0,
        batch_norm: bool = False,
        hypernet_config: Mapping[str, Any] | None = None,
        condition_features: Sequence[str] | None = None,
        condition_mode: ConditionMode = "self-wise",
        new_condition_emb: bool = False,
        rank_k: Sizes = 8,
        overparam_p: Sizes = 32,
        generate_bias: bool = True,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.embedding_layer = FeatureEmbeddingDict(feature_map, embedding_dim)
        self.fm = FactorizationMachine(feature_map)
        self.condition = make_condition(
            feature_map, embedding_dim, condition_mode, condition_features, new_condition_emb
        )
        self.mlp = APGMLP(
            feature_map.sum_emb_out_dim(),
            hidden_units,
            hidden_activations,
            net_dropout,
            batch_norm,
            self.condition.width if self.condition is not None else None,
            rank_k,
            overparam_p,
            generate_bias,
            hypernet_config,
        )
        self.fc = nn.Linear(hidden_units[-1], 1)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embedded = self.embedding_layer(features)
        condition = None if self.condition is None else self.condition(features, embedded)
        embeddings = self.embedding_layer.dict2tensor(embedded)  # (B, n, k)
        logit = self.fm(features, embeddings) + self.fc(self.mlp(embeddings.flatten(1), condition))
        return {"y_pred": self.output_activation(logit)}

"""APG_DCNv2: DCNv2 whose MLPs have their weights generated for every row."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbeddingDict
from torch import Tensor, nn

from fuxi_plugins.layers import require_one_of

from .apg import APGMLP, ConditionMode, Sizes, make_condition
from .base import CTRModel
from .dcnv2 import CrossNetMix, CrossNetV2, Structure


class APG_DCNv2(CTRModel):
    """APG_DCNv2 is a cross network with MLPs beside or after it, whose weights are generated from a condition.

    Paper: APG: Adaptive Parameter Generation Network for Click-Through Rate Prediction, NeurIPS 2022,
    https://arxiv.org/abs/2203.16218.

        h_l = act( h_{l-1} U_l S_l(z) V_l + b_l(z) ),  h_0 = x_0 = [e_1; ...; e_n],  (b(z), vec(S(z))) = MLP_l(z)
        x_{l+1} = x_0 * (W_l x_l + b_l) + x_l,  y = sigmoid( w [x_L; h_L] + b )

    The condition z is the layer's own input (``self-wise``), or the embeddings of some features for all layers. The
    cross network and its mixture of experts are those of DCNv2.

    Data: any features; a sequence must be pooled to one embedding.

    Deviations: ``group-wise`` and ``mix-wise`` are one and the same here, as in FuxiCTR; they only tell how many
    features make the condition. The defaults of ``rank_k`` and ``overparam_p`` are smaller than FuxiCTR's 32 and 1024,
    so that they fit narrow data.

    Args:
        model_structure: ``parallel`` an MLP beside the cross network, ``stacked`` one after it, ``stacked_parallel``
            both, ``crossnet_only`` none. Settings of an MLP that is left out have no effect, as in FuxiCTR.
        num_cross_layers: layers of the cross network.
        use_low_rank_mixture: the mixture of experts instead of full matrices.
        low_rank, num_experts: the rank of an expert's matrices, and their number.
        stacked_dnn_hidden_units, parallel_dnn_hidden_units: widths of the hidden layers of the two MLPs.
        dnn_activations: one name for all hidden layers, or one for each.
        net_dropout: dropout after each activation of the MLPs.
        batch_norm: BatchNorm before each activation of the MLPs.
        condition_mode: ``self-wise``, ``group-wise`` or ``mix-wise``.
        condition_features: the features that are the condition, unless it is ``self-wise``.
        new_condition_emb: whether they have embeddings of their own for it.
        rank_k: width of S, of all layers or of each; None generates a full matrix in place of U S V.
        overparam_p: U and V are products through this width, at least ``rank_k``; None for plain matrices.
        generate_bias: whether the biases depend on z.
        hypernet_config: ``hidden_units``, ``hidden_activations`` and ``dropout_rates`` of each MLP_l; no hidden layer
            unless given.
    """

    small_settings: ClassVar = {"parallel_dnn_hidden_units": [32, 16]}

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "APG_DCNv2",
        gpu: int = -1,
        model_structure: Structure = "parallel",
        use_low_rank_mixture: bool = False,
        low_rank: int = 32,
        num_experts: int = 4,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        stacked_dnn_hidden_units: Sequence[int] = (64, 64, 64),
        parallel_dnn_hidden_units: Sequence[int] = (64, 64, 64),
        dnn_activations: str | Sequence[str] = "ReLU",
        num_cross_layers: int = 3,
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
        require_one_of("model_structure", model_structure, Structure)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.embedding_layer = FeatureEmbeddingDict(feature_map, embedding_dim)
        self.condition = make_condition(
            feature_map, embedding_dim, condition_mode, condition_features, new_condition_emb
        )
        input_dim = feature_map.sum_emb_out_dim()
        if use_low_rank_mixture:
            self.crossnet: nn.Module = CrossNetMix(input_dim, num_cross_layers, low_rank, num_experts)
        else:
            self.crossnet = CrossNetV2(input_dim, num_cross_layers)

        def generated_mlp(hidden_units: Sequence[int]) -> APGMLP:
            if not hidden_units:
                raise ValueError(f"model_structure={model_structure!r} needs MLPs, but one has no hidden layer")
            return APGMLP(
                input_dim,
                hidden_units,
                dnn_activations,
                net_dropout,
                batch_norm,
                self.condition.width if self.condition is not None else None,
                rank_k,
                overparam_p,
                generate_bias,
                hypernet_config,
            )

        self.stacked_dnn = self.parallel_dnn = None
        final_dim = input_dim
        if model_structure in ("stacked", "stacked_parallel"):
            self.stacked_dnn = generated_mlp(stacked_dnn_hidden_units)
            final_dim = stacked_dnn_hidden_units[-1]
        if model_structure in ("parallel", "stacked_parallel"):
            self.parallel_dnn = generated_mlp(parallel_dnn_hidden_units)
            final_dim += parallel_dnn_hidden_units[-1]
        self.fc = nn.Linear(final_dim, 1)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embedded = self.embedding_layer(features)
        condition = None if self.condition is None else self.condition(features, embedded)
        x_0 = self.embedding_layer.dict2tensor(embedded, flatten_emb=True)  # (B, nk)
        out = self.crossnet(x_0)  # (B, nk)
        if self.stacked_dnn is not None:
            out = self.stacked_dnn(out, condition)
        if self.parallel_dnn is not None:
            out = torch.cat([out, self.parallel_dnn(x_0, condition)], dim=-1)
        return {"y_pred": self.output_activation(self.fc(out))}

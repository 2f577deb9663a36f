"""TransAct: a transformer over behaviours that are laid beside the target item, before a cross network and an MLP."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from fuxictr.features import FeatureMap
from torch import Tensor, nn

from fuxi_plugins.layers import require_one_of

from .base import CTRModel
from .dcnv2 import CrossNetV2
from .fuxictr_layers import mlp_block
from .histories import Fields, HistoryEmbedding, find_histories, gather, history_width, latest_last, width_of_others
from .needs import Needs

EmptyHistory = Literal["zero", "padding"]


class TransAct(CTRModel):
    """TransAct joins the target item to each behaviour, applies a transformer, and crosses its output with all else.

    Paper: TransAct: Transformer-based Realtime User Action Model for Recommendation at Pinterest, KDD 2023,
    https://arxiv.org/abs/2306.00248.
    Authors: Xue Xia, Pong Eksombatchai, Nikil Pancha, Dhruvil Deven Badani, Po-Wei Wang, Neng Gu, Saurabh Vishwas
    Joshi, Nazanin Farahpour, Zhiyuan Zhang, Andrew Zhai.

        X = Transformer([s_1 t; ...; s_L t]),  z = [X_1; ...; X_K; max_l X_l],  1 the latest behaviour
        x_0 = [e_1; ...; e_n; z],  y = sigmoid( w MLP_2([CrossNetV2(x_0); MLP(x_0)]) + b )

    There is no MLP_2 by default, so that the logit is a linear map of both parts.

    Data: a behaviour history that shares its embedding with a categorical field, in the order of time; other sequences
    must be pooled.

    Deviations: the paper embeds what kind of act each was, and masks a random window of the latest in training to
    spread the feed; such data is not here. FuxiCTR takes the places at the end, padded or not; here the K are the
    latest that are real, and 0 where there are fewer. The authors' code and FuxiCTR's map the maximum linearly once
    more, which ``max_pool_linear`` adds; the authors' takes it over padded places too. FuxiCTR lets a row without
    behaviours read one place of padding beside the item at hand, which is ``empty_history="padding"``.

    Args:
        target_item_field, sequence_item_field: the target items and their histories, one for one; a list within the
            list lays its fields side by side. All histories of the dataset unless given.
        first_k_cols: K.
        concat_max_pool: whether max_l X_l is there.
        max_pool_linear: whether max_l X_l, where it is there, goes through a linear map, one for each history.
        empty_history: what a row without behaviours has for its X: ``zero``, or what the transformer makes of one place
            of ``padding``.
        num_heads, transformer_layers, transformer_dropout, dim_feedforward: of the transformer.
        dcn_cross_layers, dcn_hidden_units, hidden_activations: of the cross network and of the MLP beside it.
        net_dropout: dropout after each activation of the MLP.
        batch_norm: BatchNorm before each activation of the MLP.
        mlp_hidden_units: of MLP_2, which has the same activations but neither dropout nor BatchNorm.
    """

    needs = Needs(history=True)
    board_settings: ClassVar = {"mlp_hidden_units": []}  # those of MLP are the common ones
    added_settings: ClassVar = ("max_pool_linear", "empty_history", "mlp_hidden_units")

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "TransAct",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        target_item_field: Fields | None = None,
        sequence_item_field: Fields | None = None,
        first_k_cols: int = 1,
        concat_max_pool: bool = True,
        max_pool_linear: bool = False,
        empty_history: EmptyHistory = "zero",
        num_heads: int = 1,
        transformer_layers: int = 1,
        transformer_dropout: float = 0.0,
        dim_feedforward: int = 64,
        dcn_cross_layers: int = 3,
        dcn_hidden_units: Sequence[int] = (64, 64, 64),
        hidden_activations: str | Sequence[str] = "ReLU",
        net_dropout: float = 0.0,
        batch_norm: bool = False,
        mlp_hidden_units: Sequence[int] = (),
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        require_one_of("empty_history", empty_history, EmptyHistory)
        histories = find_histories(feature_map, target_item_field, sequence_item_field)
        widths = [2 * history_width(feature_map, history, embedding_dim) for history in histories]
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.histories = histories
        self.first_k_cols, self.concat_max_pool = first_k_cols, concat_max_pool
        self.empty_history = empty_history
        self.embedding_layer = HistoryEmbedding(feature_map, embedding_dim, histories)
        self.transformers = nn.ModuleList(
            nn.TransformerEncoder(
                nn.TransformerEncoderLayer(width, num_heads, dim_feedforward, transformer_dropout, batch_first=True),
                transformer_layers,
                enable_nested_tensor=False,
            )
            for width in widths
        )
        mapped = concat_max_pool and max_pool_linear
        self.pooled_maps = nn.ModuleList(nn.Linear(w, w) if mapped else nn.Identity() for w in widths)
        input_dim = width_of_others(feature_map, histories, embedding_dim)
        input_dim += sum(widths) * (first_k_cols + concat_max_pool)
        self.crossnet = CrossNetV2(input_dim, dcn_cross_layers)
        self.dnn = mlp_block(input_dim, dcn_hidden_units, None, hidden_activations, net_dropout, batch_norm)
        width = input_dim + dcn_hidden_units[-1]
        self.mlp: nn.Module = nn.Identity()
        if mlp_hidden_units:
            self.mlp = mlp_block(width, mlp_hidden_units, None, hidden_activations, 0.0, batch_norm=False)
            width = mlp_hidden_units[-1]
        self.fc = nn.Linear(width, 1)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embedded, others = self.embedding_layer(features)
        found = [others]
        for history, transformer, pooled_map in zip(self.histories, self.transformers, self.pooled_maps, strict=True):
            found += self.read(transformer, pooled_map, *gather(history, embedded, features))
        x_0 = torch.cat(found, dim=-1)
        logit = self.fc(self.mlp(torch.cat([self.crossnet(x_0), self.dnn(x_0)], dim=-1)))
        return {"y_pred": self.output_activation(logit)}

    def read(
        self, transformer: nn.Module, pooled_map: nn.Module, target: Tensor, behaviours: Tensor, real: Tensor
    ) -> list[Tensor]:
        """The K latest places (B, 2m) each, then the maximum over the real ones."""
        behaviours, real = latest_last(behaviours.flip(1), real.flip(1))  # the latest first, padding behind
        if self.empty_history == "padding":
            real = torch.cat([real[:, :1] | ~real.any(dim=1, keepdim=True), real[:, 1:]], dim=1)
        has_any = real.any(dim=1, keepdim=True)
        places = torch.cat([behaviours, target.unsqueeze(1).expand_as(behaviours)], dim=-1)
        # A row without behaviours would be attention over nothing, which is no number; what it gives is cut below.
        read = transformer(places, src_key_padding_mask=~real & has_any)
        first = read[:, : self.first_k_cols] * real[:, : self.first_k_cols].unsqueeze(-1)
        if not self.concat_max_pool:
            return [first.flatten(1)]
        highest = read.masked_fill(~real.unsqueeze(-1), -torch.inf).amax(dim=1)
        return [first.flatten(1), pooled_map(torch.where(has_any, highest, 0.0))]

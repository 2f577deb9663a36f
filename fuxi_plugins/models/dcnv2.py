"""DCNv2: a cross network with matrix weights, with or beside MLPs."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from fuxi_plugins.layers import require_one_of

from .base import CTRModel
from .fuxictr_layers import mlp_block
from .stages import InputOf, Point, deep_layers

Structure = Literal["crossnet_only", "stacked", "parallel", "stacked_parallel"]


class DCNv2(CTRModel):
    """DCNv2 crosses the flat embeddings with themselves, layer by layer, through full or low-rank matrices.

    Paper: DCN V2: Improved Deep & Cross Network and Practical Lessons for Web-scale Learning to Rank Systems,
    WWW 2021, https://arxiv.org/abs/2008.13535.
    Authors: Ruoxi Wang, Rakesh Shivanna, Derek Z. Cheng, Sagar Jain, Dong Lin, Lichan Hong, Ed H. Chi.

        x_0 = [e_1; ...; e_n],  x_{l+1} = x_0 * (W_l x_l + b_l) + x_l,  y = sigmoid( w [cross; mlp] + b )

    The mixture of low-rank experts replaces W_l x_l + b_l; see ``CrossNetMix``.

    Data: any features; a sequence must be pooled to one embedding.

    Deviations: as in FuxiCTR, the gates of the mixture are a softmax, and all layers have the same gates.

    Args:
        model_structure: ``parallel`` an MLP beside the cross network, ``stacked`` one after it,
            ``stacked_parallel`` both, ``crossnet_only`` none. Settings of an MLP that is left out have
            no effect, as in FuxiCTR.
        num_cross_layers: layers of the cross network.
        use_low_rank_mixture: the mixture of experts instead of full matrices.
        low_rank, num_experts: the rank of an expert's matrices, and their number.
        stacked_dnn_hidden_units, parallel_dnn_hidden_units: widths of the hidden layers of the two MLPs.
        dnn_activations: one name for all hidden layers, or one for each.
        batch_norm: BatchNorm before each activation of the MLPs.
        net_dropout: dropout after each activation of the MLPs.
    """

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "DCNv2",
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
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        require_one_of("model_structure", model_structure, Structure)
        stacked = model_structure in ("stacked", "stacked_parallel")
        parallel = model_structure in ("parallel", "stacked_parallel")
        if (stacked and not stacked_dnn_hidden_units) or (parallel and not parallel_dnn_hidden_units):
            which = "stacked_dnn_hidden_units" if not stacked_dnn_hidden_units else "parallel_dnn_hidden_units"
            raise ValueError(f"model_structure={model_structure!r} needs an MLP, but {which} is empty")
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        input_dim = feature_map.sum_emb_out_dim()
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        if use_low_rank_mixture:
            self.crossnet: nn.Module = CrossNetMix(input_dim, num_cross_layers, low_rank, num_experts)
        else:
            self.crossnet = CrossNetV2(input_dim, num_cross_layers)
        self.stacked_dnn = self.parallel_dnn = None
        final_dim = input_dim
        if stacked:
            self.stacked_dnn = mlp_block(
                input_dim, stacked_dnn_hidden_units, None, dnn_activations, net_dropout, batch_norm
            )
            final_dim = stacked_dnn_hidden_units[-1]
        if parallel:
            self.parallel_dnn = mlp_block(
                input_dim, parallel_dnn_hidden_units, None, dnn_activations, net_dropout, batch_norm
            )
            final_dim += parallel_dnn_hidden_units[-1]
        self.fc = nn.Linear(final_dim, 1)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        x_0 = self.embedding_layer(self.get_inputs(inputs), flatten_emb=True)  # (B, nk)
        out = self.crossnet(x_0)  # (B, nk)
        if self.stacked_dnn is not None:
            out = self.stacked_dnn(out)
        if self.parallel_dnn is not None:
            out = torch.cat([out, self.parallel_dnn(x_0)], dim=-1)
        return {"y_pred": self.output_activation(self.fc(out))}

    def stages(self) -> dict[str, Point]:
        """x_1, x_2, ... of the cross network, (B, nk), then the hidden layers of the MLPs."""
        layers = list(getattr(self.crossnet, "cross_layers", ()))  # the mixture of experts has none
        points: list[Point] = [*(InputOf(layer) for layer in layers[1:]), self.crossnet]
        stages = {f"cross_{depth}": point for depth, point in enumerate(points, start=1)}
        for name, block in (("stacked", self.stacked_dnn), ("deep", self.parallel_dnn)):
            if block is not None:
                stages |= deep_layers(block, name)
        return stages


class CrossNetV2(nn.Module):
    """x_{l+1} = x_0 * (W_l x_l + b_l) + x_l, (B, d) -> (B, d)."""

    def __init__(self, width: int, num_layers: int):
        super().__init__()
        self.cross_layers = nn.ModuleList(nn.Linear(width, width) for _ in range(num_layers))

    def forward(self, x_0: Tensor) -> Tensor:
        x = x_0
        for layer in self.cross_layers:
            x = x_0 * layer(x) + x
        return x


class CrossNetMix(nn.Module):
    """x_{l+1} = x_0 * sum_e g_e(x_l) ( U_le tanh(C_le tanh(V_le^T x_l)) + b_l ) + x_l, (B, d) -> (B, d).

    g is the softmax over the E experts of a linear map of each, the same in all layers; U and V are (d, rank), C
    (rank, rank). They start as FuxiCTR starts them: by Xavier's rule for all experts at once, which takes E for one
    side of a matrix.
    """

    def __init__(self, width: int, num_layers: int, rank: int, num_experts: int):
        super().__init__()

        def matrices(rows: int) -> nn.ParameterList:
            """One (E, rows, rank) for each layer."""
            starts = (nn.init.xavier_normal_(torch.empty(num_experts, rows, rank)) for _ in range(num_layers))
            return nn.ParameterList(nn.Parameter(start) for start in starts)

        self.U_list, self.V_list, self.C_list = matrices(width), matrices(width), matrices(rank)
        self.gating = nn.ModuleList(nn.Linear(width, 1, bias=False) for _ in range(num_experts))
        self.bias = nn.ParameterList(nn.Parameter(torch.zeros(width, 1)) for _ in range(num_layers))

    def forward(self, x_0: Tensor) -> Tensor:
        x = x_0
        for u, v, c, bias in zip(self.U_list, self.V_list, self.C_list, self.bias, strict=True):
            low = torch.einsum("bd,edr->ber", x, v).tanh()
            low = torch.einsum("ber,esr->bes", low, c).tanh()
            experts = torch.einsum("ber,edr->bed", low, u) + bias.view(-1)  # (B, E, d)
            gates = torch.cat([gate(x) for gate in self.gating], dim=1).softmax(dim=1)  # (B, E)
            x = x_0 * torch.einsum("be,bed->bd", gates, experts) + x
        return x

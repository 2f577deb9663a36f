"""EDCN: a cross network and an MLP of equal depth that exchange what they found after every layer."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import CrossInteraction, FeatureEmbedding
from torch import Tensor, nn

from fuxi_plugins.layers import require_positive

from .base import CTRModel
from .fuxictr_layers import mlp_block

BridgeType = Literal["hadamard_product", "pointwise_addition", "concatenation", "attention_pooling"]


class EDCN(CTRModel):
    """EDCN joins a cross network and an MLP after every layer, and gates the fields that enter the next ones.

    Paper: Enhancing Explicit and Implicit Feature Interactions via Information Sharing for Parallel Deep CTR
    Models, CIKM 2021, https://dlp-kdd.github.io/assets/pdf/DLP-KDD_2021_paper_12.pdf.
    Authors: Bo Chen, Yichao Wang, Zhirong Liu, Ruiming Tang, Wei Guo, Hongkun Zheng, Weiwei Yao, Muyu Zhang, Xiuqiang
    He.

        x_0, h_0 = regulate_0([e_1; ...; e_n])
        c_l = x_0 (x_l^T w_l) + b_l + x_l,  d_l = ReLU(W_l h_l + v_l),  f_l = bridge_l(c_l, d_l)
        x_{l+1}, h_{l+1} = regulate_{l+1}(f_l),  y = sigmoid( w [c_L; d_L; f_L] + b )

    A regulation multiplies each field by a gate, once for the cross network and once for the MLP:
    softmax(g / temperature) over the fields. ``use_regulation: False`` leaves the gates out, and BatchNorm in.

    Data: any features, all of ``embedding_dim``; a sequence must be pooled to one embedding.

    Deviations: FuxiCTR's cross layers leave out ``+ x_l``, the paper's do not; ``cross_residual: False`` is
    FuxiCTR's. Its ``attention_pooling`` has an attention for each side but uses the first for both, here each
    side has its own. BatchNorm of the regulated fields is on by default, because the default bridge multiplies,
    and products of FuxiCTR's initial embeddings of 1e-4 vanish.

    Args:
        num_cross_layers: layers of the cross network and of the MLP.
        cross_residual: the term ``+ x_l`` of a cross layer.
        hidden_activations: of the MLP's layers.
        bridge_type: how f comes from c and d: their product, their sum, a linear map of both with ReLU, or
            attention_1(c) * c + attention_2(d) * d.
        use_regulation: the gates; without them ``temperature`` has no effect.
        temperature: of the gates; the lower, the fewer fields pass.
        batch_norm: BatchNorm after each regulation.
        net_dropout: dropout after each activation of the MLP.
    """

    small_settings: ClassVar = {"num_cross_layers": 2}
    added_settings: ClassVar = ("use_regulation",)

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "EDCN",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        num_cross_layers: int = 3,
        cross_residual: bool = True,
        hidden_activations: str = "ReLU",
        bridge_type: BridgeType = "hadamard_product",
        use_regulation: bool = True,
        temperature: float = 1.0,
        net_dropout: float = 0.0,
        batch_norm: bool = True,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        require_positive(num_cross_layers=num_cross_layers)
        if temperature <= 0:
            raise ValueError(f"temperature must be above 0, but temperature={temperature}")
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        num_fields = feature_map.num_fields
        width = num_fields * embedding_dim
        layers = range(num_cross_layers)
        self.cross_residual = cross_residual
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.dense_layers = nn.ModuleList(
            mlp_block(width, [width], None, hidden_activations, net_dropout, batch_norm=False) for _ in layers
        )
        self.cross_layers = nn.ModuleList(CrossInteraction(width) for _ in layers)
        self.bridge_modules = nn.ModuleList(Bridge(width, bridge_type) for _ in layers)
        self.regulation_modules = nn.ModuleList(
            Regulation(num_fields, embedding_dim, temperature if use_regulation else None, batch_norm) for _ in layers
        )
        self.fc = nn.Linear(3 * width, 1)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        bridged = cross = deep = self.embedding_layer(self.get_inputs(inputs)).flatten(1)  # (B, nk)
        x_0 = None
        parts = (self.regulation_modules, self.cross_layers, self.dense_layers, self.bridge_modules)
        for regulate, cross_layer, dense_layer, bridge in zip(*parts, strict=True):
            x, h = regulate(bridged)
            x_0 = x if x_0 is None else x_0
            cross = cross_layer(x_0, x)  # x_0 (x^T w) + b
            if self.cross_residual:
                cross = cross + x
            deep = dense_layer(h)
            bridged = bridge(cross, deep)
        logit = self.fc(torch.cat([cross, deep, bridged], dim=-1))
        return {"y_pred": self.output_activation(logit)}


class Regulation(nn.Module):
    """Gates over the fields, softmax(g / temperature), one set for each side; (B, nk) -> two of (B, nk).

    A temperature of None leaves the gates out.
    """

    def __init__(self, num_fields: int, embedding_dim: int, temperature: float | None, batch_norm: bool):
        super().__init__()
        self.embedding_dim = embedding_dim
        self.temperature = temperature
        if temperature is not None:
            self.g1 = nn.Parameter(torch.ones(num_fields))
            self.g2 = nn.Parameter(torch.ones(num_fields))
        self.bn1 = nn.BatchNorm1d(num_fields * embedding_dim) if batch_norm else nn.Identity()
        self.bn2 = nn.BatchNorm1d(num_fields * embedding_dim) if batch_norm else nn.Identity()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.temperature is None:
            return self.bn1(x), self.bn2(x)
        gates_1, gates_2 = ((g / self.temperature).softmax(dim=0) for g in (self.g1, self.g2))  # (n,)
        k = self.embedding_dim
        return self.bn1(x * gates_1.repeat_interleave(k)), self.bn2(x * gates_2.repeat_interleave(k))


class Bridge(nn.Module):
    """One vector from those of the two sides, (B, m), (B, m) -> (B, m)."""

    def __init__(self, width: int, bridge_type: BridgeType):
        super().__init__()
        self.bridge_type = bridge_type
        if bridge_type == "concatenation":
            self.concat_pooling = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU())
        elif bridge_type == "attention_pooling":
            self.attention1, self.attention2 = attention(width), attention(width)

    def forward(self, cross: Tensor, deep: Tensor) -> Tensor:
        if self.bridge_type == "hadamard_product":
            return cross * deep
        if self.bridge_type == "pointwise_addition":
            return cross + deep
        if self.bridge_type == "concatenation":
            return self.concat_pooling(torch.cat([cross, deep], dim=-1))
        return self.attention1(cross) * cross + self.attention2(deep) * deep


def attention(width: int) -> nn.Sequential:
    """softmax( P ReLU(W x + b) ), (B, m) -> (B, m)."""
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width, bias=False), nn.Softmax(dim=-1))

"""HFM: a factorization machine of circular convolutions; HFM+ with an MLP over them."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from .base import CTRModel
from .fuxictr_layers import LinearPart, mlp_block
from .needs import Needs
from .pairs import count_pairs, pair_index


class HFM(CTRModel):
    """HFM convolves the two embeddings of every pair in a circle; with an MLP over the results, it is HFM+.

    Paper: Holographic Factorization Machines for Recommendation, AAAI 2019,
    https://doi.org/10.1609/aaai.v33i01.33015143.
    Authors: Yi Tay, Shuai Zhang, Anh Tuan Luu, Siu Cheung Hui, Lina Yao, Tran Dang Quang Vinh.

        y = sigmoid( w_0 + sum_i w_i x_i + h^T sum_{i<j} v_i o v_j )         HFM
        y = sigmoid( w_0 + sum_i w_i x_i + MLP([v_i o v_j for all i < j]) )  HFM+
        convolution (a o b)_l = sum_m a_m b_(l-m), correlation (a o b)_l = sum_m a_m b_(l+m), indices modulo k

    Data: two or more fields; a sequence must be pooled to one embedding.

    Deviations: as in FuxiCTR, the MLP of HFM+ sees all pairs side by side and is there by default;
    ``use_dnn: false`` is HFM.

    Args:
        interaction_type: what o is: ``circular_convolution``, ``circular_correlation``, or for comparison
            ``hadamard_product``, element by element.
        use_dnn: HFM+ instead of HFM.
        hidden_units: widths of the MLP's hidden layers; of no effect in HFM, like the following.
        hidden_activations: one name for all hidden layers, or one for each.
        batch_norm: BatchNorm before each activation.
        net_dropout: dropout after each activation.
    """

    needs = Needs(fields=2)
    board_settings: ClassVar = {"use_dnn": False}

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "HFM",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        interaction_type: Literal[
            "circular_convolution", "circular_correlation", "hadamard_product"
        ] = "circular_convolution",
        use_dnn: bool = True,
        hidden_units: Sequence[int] = (64, 64),
        hidden_activations: str | Sequence[str] = "ReLU",
        batch_norm: bool = False,
        net_dropout: float = 0.0,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        products_dim = count_pairs(feature_map.num_fields) * embedding_dim
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.interaction_type, self.use_dnn = interaction_type, use_dnn
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.lr_layer = LinearPart(feature_map, use_bias=True)
        if use_dnn:
            self.dnn = mlp_block(products_dim, hidden_units, 1, hidden_activations, net_dropout, batch_norm)
        else:
            self.proj_h = nn.Linear(embedding_dim, 1, bias=False)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        products = holographic_products(self.embedding_layer(features), self.interaction_type)  # (B, P, k)
        second_order = self.dnn(products.flatten(1)) if self.use_dnn else self.proj_h(products.sum(dim=1))
        logit = self.lr_layer(features) + second_order
        return {"y_pred": self.output_activation(logit)}


def holographic_products(embeddings: Tensor, interaction_type: str) -> Tensor:
    """e_i o e_j of every pair: (B, n, k) -> (B, P, k).

    A circular convolution is a product of spectra; a correlation is one with the first spectrum conjugated.
    """
    first, second = pair_index(embeddings.shape[1], embeddings.device)
    if interaction_type == "hadamard_product":
        return embeddings[:, first] * embeddings[:, second]
    spectra = torch.fft.rfft(embeddings)  # (B, n, k // 2 + 1)
    left = spectra.conj() if interaction_type == "circular_correlation" else spectra
    return torch.fft.irfft(left[:, first] * spectra[:, second], n=embeddings.shape[-1])

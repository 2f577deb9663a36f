"""WideDeep: a linear part beside an MLP."""

from collections.abc import Mapping, Sequence
from typing import Any

from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor

from .base import CTRModel
from .fuxictr_layers import LinearPart, mlp_block


class WideDeep(CTRModel):
    """WideDeep adds the logits of a linear part, the wide side, and of an MLP over the embeddings, the deep side.

    Paper: Wide & Deep Learning for Recommender Systems, DLRS 2016, https://arxiv.org/abs/1606.07792.
    Authors: Heng-Tze Cheng, Levent Koc, Jeremiah Harmsen, Tal Shaked, Tushar Chandra, Hrishi Aradhye, Glen Anderson,
    Greg Corrado, Wei Chai, Mustafa Ispir, Rohan Anil, Zakaria Haque, Lichan Hong, Vihan Jain, Xiaobing Liu, Hemal Shah.

        y = sigmoid( sum_i w_i x_i + MLP([e_1; ...; e_n]) )

    Data: any features; a sequence must be pooled to one embedding. Crossed features are the dataset's to make.

    Deviations: as in FuxiCTR, one optimizer for both sides; the paper trains the wide side by FTRL.

    Args:
        hidden_units: widths of the MLP's hidden layers.
        hidden_activations: one name for all hidden layers, or one for each.
        batch_norm: BatchNorm before each activation.
        net_dropout: dropout after each activation.
    """

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "WideDeep",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        hidden_units: Sequence[int] = (64, 64, 64),
        hidden_activations: str | Sequence[str] = "ReLU",
        net_dropout: float = 0.0,
        batch_norm: bool = False,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.lr_layer = LinearPart(feature_map, use_bias=False)
        self.dnn = mlp_block(
            feature_map.sum_emb_out_dim(), hidden_units, 1, hidden_activations, net_dropout, batch_norm
        )
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embeddings = self.embedding_layer(features, flatten_emb=True)  # (B, nk)
        logit = self.lr_layer(features) + self.dnn(embeddings)
        return {"y_pred": self.output_activation(logit)}

"""FuxiCTR's layers, called so that they take every setting the native models allow, and two defects mended."""

from collections.abc import Mapping, Sequence

from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding, FeatureEmbeddingDict, LogisticRegression, MLP_Block
from fuxictr.pytorch.torch_utils import get_activation
from torch import Tensor, nn


class LinearPart(LogisticRegression):
    """FuxiCTR's first-order part, a weight for every feature value, with each of its tables initialised.

    The part shares no table between features, but FuxiCTR leaves the table of a feature with ``share_embedding`` as
    torch made it, N(0, 1): a history of fifty ids would add noise of standard deviation seven to the first logits.
    """

    def init_weights(self) -> None:
        """Starts all tables alike, at FuxiCTR's N(0, 1e-4) with zero for padding; FuxiCTR calls it last."""
        start_tables(self.embedding_layer)


class SelectedEmbedding(nn.Module):
    """FuxiCTR's embeddings of some features, side by side, in tables of their own that all start alike.

    Args:
        feature_map: FuxiCTR's.
        embedding_dim: of each, where the dataset does not say another.
        names: the features.

    Raises:
        ValueError: a name that is no feature's.
    """

    def __init__(self, feature_map: FeatureMap, embedding_dim: int, names: Sequence[str]):
        super().__init__()
        specs = {name: spec for name, spec in feature_map.features.items() if spec["type"] != "meta"}
        for name in names:
            if name not in specs:
                raise ValueError(f"the fields are {', '.join(specs)}, but {name!r} is named")
        self.width = selected_width(feature_map, embedding_dim, names)
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim, required_feature_columns=list(names))

    def init_weights(self) -> None:
        """FuxiCTR calls it last; see ``start_tables``."""
        start_tables(self.embedding_layer)

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """The features of a row -> (B, width), in the order of the dataset."""
        return self.embedding_layer(features, flatten_emb=True)


def selected_width(feature_map: FeatureMap, embedding_dim: int, names: Sequence[str]) -> int:
    """The width of the embeddings of those features side by side."""
    specs = [feature_map.features[name] for name in names]
    return sum(spec.get("emb_output_dim", spec.get("embedding_dim", embedding_dim)) for spec in specs)


def project_vectors(model: nn.Module) -> None:
    """Gives each column of vectors its projection in embedding layers of width 1, where FuxiCTR forgets it.

    Without it the first-order part of a model meets whole vectors among single weights. With it the part is linear in
    the numbers of a vector.
    """
    for layer in model.modules():
        if isinstance(layer, FeatureEmbeddingDict):
            for name in layer.embedding_layers:
                spec = layer._feature_map.features[name]
                if spec["type"] == "embedding" and name not in layer.feature_encoders:
                    layer.feature_encoders[name] = nn.Linear(spec["pretrain_dim"], 1, bias=False)


def start_tables(embeddings: FeatureEmbedding) -> None:
    """Starts every table at FuxiCTR's N(0, 1e-4) with zero for padding, those of ``share_embedding`` too."""
    for table in embeddings.embedding_layer.embedding_layers.values():
        if isinstance(table, nn.Embedding):
            nn.init.normal_(table.weight[1:], std=1e-4)


def mlp_block(
    input_dim: int,
    hidden_units: Sequence[int],
    output_dim: int | None,
    activations: str | Sequence[str],
    dropout: float,
    batch_norm: bool,
    bn_only_once: bool = False,
) -> MLP_Block:
    """FuxiCTR's MLP, (B, input_dim) -> (B, output_dim), or to the last hidden layer where output_dim is None.

    BatchNorm comes before each activation, or with ``bn_only_once`` before the first layer alone.

    FuxiCTR adds lists and asks ``isinstance(..., list)``, so a tuple would be an error or be taken for one
    activation.
    """
    return MLP_Block(
        input_dim=input_dim,
        hidden_units=list(hidden_units),
        hidden_activations=activations if isinstance(activations, str) else list(activations),
        output_dim=output_dim,
        dropout_rates=dropout,
        batch_norm=batch_norm,
        bn_only_once=bn_only_once,
    )


def activation_layers(activations: str | Sequence[str] | None, widths: Sequence[int]) -> list[nn.Module]:
    """An activation for every width, from one name for all of them or one for each; None does nothing."""
    if activations is None or isinstance(activations, str):
        names: list[str | None] = [activations] * len(widths)
    else:
        names = list(activations)
    if len(names) != len(widths):
        raise ValueError(
            f"a list of activations must name one for each of the {len(widths)} hidden layers, but it is {names}"
        )
    return [get_activation(name, width) or nn.Identity() for name, width in zip(names, widths, strict=True)]

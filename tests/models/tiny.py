"""A feature map, batches and models small enough for tests, with every kind of feature there is.

Fields: three categorical, one numeric, and one sequence, pooled, that shares its embedding with a categorical field.
Beside them a meta column, the group, which is no field.
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

VOCABULARY = 12
SEQUENCE_LENGTH = 4
CATEGORICAL = {"source": "", "type": "categorical", "padding_idx": 0, "vocab_size": VOCABULARY}
NUMERIC = {"source": "", "type": "numeric"}
POOLED_SEQUENCE = {
    "source": "",
    "type": "sequence",
    "padding_idx": 0,
    "vocab_size": VOCABULARY,
    "max_len": SEQUENCE_LENGTH,
    "feature_encoder": "layers.MaskedAveragePooling()",
}


def feature_map(embedding_dim: int = 10, root: Path | str = "") -> FeatureMap:
    """The map of the tiny dataset, five fields."""
    features = {
        "user": {**CATEGORICAL, "source": "user"},
        "item": {**CATEGORICAL, "source": "item"},
        "device": {**CATEGORICAL, "source": "user"},
        "price": {**NUMERIC, "source": "item"},
        "history": {**POOLED_SEQUENCE, "source": "user", "share_embedding": "item"},
        "group": {"source": "", "type": "meta"},
    }
    return make_feature_map("tiny", features, embedding_dim, group_id="group", root=root)


def plain_feature_map(categorical: int, embedding_dim: int, numeric: int = 0) -> FeatureMap:
    """That many fields in the shape of a published dataset, with tiny vocabularies."""
    features = {f"numeric_{i}": NUMERIC for i in range(numeric)}
    features |= {f"categorical_{i}": CATEGORICAL for i in range(categorical)}
    return make_feature_map("plain", features, embedding_dim)


def make_feature_map(
    dataset_id: str,
    features: dict[str, dict],
    embedding_dim: int,
    group_id: str | None = None,
    root: Path | str = "",
) -> FeatureMap:
    """What FuxiCTR's own ``FeatureMap.load`` leaves behind, without the file."""
    made = FeatureMap(dataset_id, str(root))
    made.features = OrderedDict((name, dict(spec)) for name, spec in features.items())
    made.labels = ["click"]
    made.group_id = group_id
    made.default_emb_dim = embedding_dim
    made.num_fields = made.get_num_fields()
    made.total_features = sum(spec.get("vocab_size", 0) for spec in features.values())
    made.set_column_index()
    return made


def columns(rows: int, seed: int = 0) -> dict[str, Tensor]:
    """Random rows of the tiny dataset; the label depends on the user, on user and item together, and on the price."""
    generator = torch.Generator().manual_seed(seed)

    def ids(*shape: int) -> Tensor:
        return torch.randint(1, VOCABULARY, shape, generator=generator)

    user, item, price = ids(rows), ids(rows), torch.randn(rows, 1, generator=generator)
    history = ids(rows, SEQUENCE_LENGTH)
    history[:, 1:][torch.rand(rows, SEQUENCE_LENGTH - 1, generator=generator) < 0.4] = 0  # padding
    user_side, item_side = user % 2 * 2 - 1, item % 2 * 2 - 1
    logit = 2.0 * user_side + 1.5 * user_side * item_side + 1.5 * price.view(-1)
    return {
        "user": user,
        "item": item,
        "device": ids(rows),
        "price": price,
        "history": history,
        "group": ids(rows),
        "click": (torch.rand(rows, generator=generator) < logit.sigmoid()).float(),
    }


def take(batch: dict[str, Tensor], rows: Any) -> dict[str, Tensor]:
    """Those rows of every column."""
    return {name: column[rows] for name, column in batch.items()}


def batches(rows: int, batch_size: int, seed: int = 0) -> list[dict[str, Tensor]]:
    """A loader in the least form that ``BaseModel.fit`` takes: a list of batches."""
    whole = columns(rows, seed)
    return [take(whole, slice(start, start + batch_size)) for start in range(0, rows, batch_size)]


def build(model_class: type, the_map: FeatureMap | None = None, root: Path | str = "", **settings: Any) -> Any:
    """A model on the CPU from a fixed seed, on the tiny map unless another is given."""
    run_settings = {"optimizer": "adam", "loss": "binary_crossentropy", "metrics": ["AUC", "logloss"], "verbose": 0}
    torch.manual_seed(0)
    the_map = the_map or feature_map(settings.get("embedding_dim", 10), root)
    return model_class(the_map, model_root=str(root), **run_settings, **settings)


@contextmanager
def in_float64() -> Iterator[None]:
    """FuxiCTR's layers call ``float()`` on numeric columns and labels, which here means float64."""
    single = Tensor.float
    Tensor.float = Tensor.double  # type: ignore[method-assign]
    try:
        yield
    finally:
        Tensor.float = single  # type: ignore[method-assign]


def randomize(model: nn.Module, scale: float = 0.1) -> None:
    """Moves every parameter off its initial value, so that no gain is 1 and no bias 0; padding stays zero."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(scale * torch.randn_like(parameter))
        for module in model.modules():
            if isinstance(module, nn.Embedding) and module.padding_idx is not None:
                module.weight[module.padding_idx].zero_()


def embedding_count(model: nn.Module) -> int:
    """The number of parameters in FuxiCTR's embedding layers, those of numeric fields among them."""
    layers = (module for module in model.modules() if isinstance(module, FeatureEmbedding))
    return sum(parameter.numel() for layer in layers for parameter in layer.parameters())


def dense_count(model: nn.Module) -> int:
    """The number of all other parameters."""
    return sum(parameter.numel() for parameter in model.parameters()) - embedding_count(model)

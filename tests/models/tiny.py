"""A feature map, batches and model settings small enough for tests, with every kind of feature there is.

Fields: three categorical, one numeric, one sequence that is pooled and shares its embedding with a categorical
field; and a meta column, the group, which is no field.
"""

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

VOCABULARY = 12
SEQUENCE_LENGTH = 4
NUM_FIELDS = 5


def feature_map(embedding_dim: int = 10, root: Path | str = "") -> FeatureMap:
    """The map of the tiny dataset."""
    categorical = {"source": "", "type": "categorical", "padding_idx": 0, "vocab_size": VOCABULARY}
    sequence = {
        "source": "",
        "type": "sequence",
        "padding_idx": 0,
        "vocab_size": VOCABULARY,
        "max_len": SEQUENCE_LENGTH,
        "share_embedding": "item",
        "feature_encoder": "layers.MaskedAveragePooling()",
    }
    return _finished(
        FeatureMap("tiny", str(root)),
        embedding_dim,
        {
            "user": dict(categorical),
            "item": dict(categorical),
            "device": dict(categorical),
            "price": {"source": "", "type": "numeric"},
            "history": sequence,
            "group": {"source": "", "type": "meta"},
        },
        group_id="group",
    )


def wide_feature_map(num_fields: int, embedding_dim: int, vocabulary: int = 2) -> FeatureMap:
    """A map of that many categorical fields alone, to count the parameters of a published configuration."""
    spec = {"source": "", "type": "categorical", "padding_idx": 0, "vocab_size": vocabulary}
    return _finished(FeatureMap("wide", ""), embedding_dim, {f"field_{i}": dict(spec) for i in range(num_fields)})


def _finished(
    feature_map: FeatureMap, embedding_dim: int, features: dict[str, dict], group_id: str | None = None
) -> FeatureMap:
    feature_map.features = OrderedDict(features)
    feature_map.labels = ["click"]
    feature_map.group_id = group_id
    feature_map.default_emb_dim = embedding_dim
    feature_map.num_fields = feature_map.get_num_fields()
    feature_map.total_features = sum(spec.get("vocab_size", 0) for spec in features.values())
    feature_map.set_column_index()
    return feature_map


def batch(rows: int, seed: int = 0) -> dict[str, Tensor]:
    """Random rows whose label depends on the user, on the pair of user and item, and on the price."""
    generator = torch.Generator().manual_seed(seed)

    def ids(*shape: int) -> Tensor:
        return torch.randint(1, VOCABULARY, shape, generator=generator)

    history = ids(rows, SEQUENCE_LENGTH)
    history[torch.rand(rows, SEQUENCE_LENGTH, generator=generator) < 0.3] = 0  # padding
    history[:, 0].clamp_(min=1)  # no history is empty
    columns = {
        "user": ids(rows),
        "item": ids(rows),
        "device": ids(rows),
        "price": torch.randn(rows, 1, generator=generator),
        "history": history,
        "group": ids(rows),
    }
    user, item = columns["user"] % 2 * 2 - 1, columns["item"] % 2 * 2 - 1
    logit = 2.0 * user + 1.5 * user * item + 1.5 * columns["price"].view(-1)
    columns["click"] = (torch.rand(rows, generator=generator) < logit.sigmoid()).float()
    return columns


class Loader:
    """A sized iterable of batches, as ``BaseModel.fit`` takes it."""

    def __init__(self, columns: dict[str, Tensor], batch_size: int):
        self.columns = columns
        self.batch_size = batch_size
        self.rows = len(columns["click"])

    def __len__(self) -> int:
        return -(-self.rows // self.batch_size)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for start in range(0, self.rows, self.batch_size):
            yield take(self.columns, slice(start, start + self.batch_size))


def take(columns: dict[str, Tensor], rows: Any) -> dict[str, Tensor]:
    """Those rows of every column."""
    return {name: column[rows] for name, column in columns.items()}


def build(model_class: type, settings: dict[str, Any] | None = None, root: Path | str = "", **more: Any) -> Any:
    """A model on the tiny map (or on ``feature_map=``), on the CPU, from a fixed seed."""
    settings = {"embedding_dim": 10, **(settings or {}), **more}
    embedding_dim = settings["embedding_dim"]
    the_map = settings.pop("feature_map", None) or feature_map(embedding_dim, root)
    if "embedding_dim" not in model_class.__init__.__annotations__:
        del settings["embedding_dim"]
    torch.manual_seed(0)
    return model_class(the_map, **FUXICTR_SETTINGS, model_root=str(root), **settings)


FUXICTR_SETTINGS = {
    "optimizer": "adam",
    "loss": "binary_crossentropy",
    "metrics": ["AUC", "logloss"],
    "verbose": 0,
}


def embedding_parameters(model: nn.Module) -> set[str]:
    """The names of all parameters inside FuxiCTR's embedding layers, numeric ones among them."""
    return {
        f"{prefix}.{name}"
        for prefix, module in model.named_modules()
        if isinstance(module, FeatureEmbedding)
        for name, _ in module.named_parameters()
    }


def dense_count(model: nn.Module) -> int:
    """The number of parameters outside the embedding layers."""
    embeddings = embedding_parameters(model)
    return sum(p.numel() for name, p in model.named_parameters() if name not in embeddings)

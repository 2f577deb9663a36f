"""Embedding tables of which each process of a run holds some rows, in the place of those of FuxiCTR's layers.

Each process holds its rows' weights, gradients and optimizer states. The lookups of a batch go to the owners of the
rows, which send the rows back; gradients take the same way home. See ``exchange``.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as processes
from fuxictr.pytorch.layers import FeatureEmbeddingDict
from fuxictr.pytorch.layers.embeddings import feature_embedding
from fuxictr.utils import not_in_whitelist
from torch import Tensor, nn

from fuxi_plugins.training.distributed.exchange import look_up_rows
from fuxi_plugins.training.distributed.initial_values import WholeTable
from fuxi_plugins.training.distributed.placement import Layout, Planner


class Shard(nn.Parameter):
    """The rows of a table that this process holds; no other process has them."""


class ShardedTable(nn.Embedding):
    """An ``nn.Embedding`` of ``num_embeddings`` rows, of which :attr:`shard` are here.

    A lookup is collective: all processes make the same ones in the same order, with their own ids.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None, layout: Layout):
        nn.Module.__init__(self)  # that of nn.Embedding makes all rows
        self.num_embeddings, self.embedding_dim, self.padding_idx = num_embeddings, embedding_dim, padding_idx
        self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse = None, 2.0, False, False
        self.layout = layout
        self.held = layout.held(processes.get_rank())
        self.shard: nn.Parameter = Shard(torch.empty(len(self.held), embedding_dim))
        self._ahead: list[tuple[Tensor, Tensor]] = []  # ids that were looked up together with those of other tables
        self.reset_parameters()

    @property
    def weight(self) -> WholeTable:  # type: ignore[override]
        """All rows, to be given initial values."""
        return WholeTable.of(self, range(self.num_embeddings))

    def forward(self, ids: Tensor) -> Tensor:
        """Ids of any shape -> rows (..., embedding_dim)."""
        if self._ahead and self._ahead[0][0] is ids:
            return self._ahead.pop(0)[1]
        return look_up_rows([(self, ids)])[0]


@contextmanager
def sharded_tables(sharding: str) -> Iterator[None]:
    """Within it, FuxiCTR's embedding layers create sharded tables."""
    planner = Planner(sharding, processes.get_world_size())

    class PlannedTable(ShardedTable):
        def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None):
            super().__init__(num_embeddings, embedding_dim, padding_idx, planner.layout(num_embeddings, embedding_dim))

    with patch.object(feature_embedding, "nn", _Namespace(PlannedTable)):
        yield


class _Namespace:
    """``torch.nn`` with another class of embedding tables."""

    def __init__(self, table: type[nn.Embedding]):
        self.Embedding = table

    def __getattr__(self, name: str) -> Any:
        return getattr(nn, name)


def sharded_tables_of(model: nn.Module) -> list[ShardedTable]:
    """The sharded tables of a model, each once."""
    return [module for module in model.modules() if isinstance(module, ShardedTable)]


def look_up_together(model: nn.Module) -> None:
    """Makes each of the model's embedding layers look up all its tables in one exchange."""
    for module in model.modules():
        if isinstance(module, FeatureEmbeddingDict):
            module.register_forward_pre_hook(_look_up_ahead, with_kwargs=True)
            module.register_forward_hook(_forget)


def _look_up_ahead(layer: FeatureEmbeddingDict, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    given = inspect.signature(layer.forward).bind(*args, **kwargs).arguments
    inputs, layers = given["inputs"], layer.embedding_layers
    sources, types = given.get("feature_source"), given.get("feature_type")
    tables, ids = {}, {}
    for name, column in inputs.items():
        spec = layer._feature_map.features[name]
        if sources and not_in_whitelist(spec["source"], sources):
            continue
        if types and not_in_whitelist(spec["type"], types):
            continue
        if name in layers and isinstance(layers[name], ShardedTable):
            tables[name], ids[name] = layers[name], column.long()  # FuxiCTR does that too and gets the same object
    found = look_up_rows([(tables[name], ids[name]) for name in ids])
    for name, rows in zip(ids, found, strict=True):
        tables[name]._ahead.append((ids[name], rows))
    return (), {**given, "inputs": {**inputs, **ids}}


def _forget(layer: FeatureEmbeddingDict, *_: Any) -> None:
    for table in layer.embedding_layers.values():
        if isinstance(table, ShardedTable):
            table._ahead.clear()

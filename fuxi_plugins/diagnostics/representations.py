"""Reads what a model computes at its stages, through forward hooks, and changes nothing about the model."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from fuxi_plugins.models.stages import InputOf, Point

RAW = "raw"  # the field embeddings, before anything is done to them


def stages_of(model: nn.Module) -> dict[str, Point]:
    """The points at which a model can be read: its field embeddings, then what its ``stages()`` names."""
    embeddings, stages = getattr(model, "embedding_layer", None), getattr(model, "stages", None)
    raw: dict[str, Point] = {} if embeddings is None else {RAW: embeddings}
    return raw if stages is None else raw | dict(stages())


@torch.no_grad()
def representations(model: nn.Module, batch: Mapping[str, Tensor], embedding_dim: int | None) -> dict[str, Tensor]:
    """What the model computes for a batch at each stage, in the order of its stages.

    The forward pass is the one of evaluation, without dropout, so it draws no random number; the model's mode is
    put back.

    Args:
        model: any FuxiCTR model.
        batch: as the loader gives it.
        embedding_dim: k, by which flat embeddings and crosses (B, nk) become one matrix a row, (B, n, k).

    Returns:
        (B, T, D) where a row is a matrix, and (B, width) where it is a vector.
    """
    read: dict[str, Tensor] = {}
    hooks = [_hook(point, partial(read.__setitem__, name)) for name, point in stages_of(model).items()]
    was_training = model.training
    try:
        model.eval()
        model.forward(batch)
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    return {name: _as_matrices(name, read[name], embedding_dim) for name in stages_of(model) if name in read}


def table_weights(model: nn.Module) -> dict[str, Tensor]:
    """The embedding tables of the model's field embeddings by field, (vocabulary, k), without row 0, the padding.

    Fields that share a table appear once, under the first of their names.
    """
    dictionary: Any = getattr(getattr(model, "embedding_layer", None), "embedding_layer", None)
    layers = getattr(dictionary, "embedding_layers", {})
    tables, seen = {}, set()
    for field, layer in layers.items():
        if isinstance(layer, nn.Embedding) and id(layer) not in seen:
            seen.add(id(layer))
            tables[field] = layer.weight.detach()[1:]
    return tables


def _hook(point: Point, keep: Callable[[Tensor], None]) -> RemovableHandle:
    if isinstance(point, InputOf):
        return point.module.register_forward_pre_hook(lambda module, inputs: keep(inputs[0].detach()))
    return point.register_forward_hook(lambda module, inputs, output: keep(output.detach()))


def _as_matrices(name: str, value: Tensor, embedding_dim: int | None) -> Tensor:
    """A vector of a row that is a list of field embeddings is read as the matrix of them."""
    is_fields = name == RAW or name.startswith("cross_")
    if value.dim() == 2 and is_fields and embedding_dim and value.shape[1] % embedding_dim == 0:
        return value.unflatten(1, (-1, embedding_dim))  # (B, n, k)
    return value

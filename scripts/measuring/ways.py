"""Ways to do one training step of a model, and what a step costs in each."""

import math
from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from fuxi_plugins.models.dcnv2 import DCNv2
from fuxi_plugins.models.dnn import DNN
from fuxi_plugins.models.rankelastor import RankElastor
from fuxi_plugins.models.rankmixer import RankMixer
from measuring import peers
from measuring.loops import with_loops

CRITEO = peers.Shape(peers.SMALL, numeric=13, embedding_dim=20)
_SHARED = {"tokenizer": "shared", "tokenizer_dropout": 0.1, "num_tokens": 26}
MODELS: dict[str, tuple[type, dict[str, Any]]] = {  # at criteo_dim_20
    "RankElastor": (RankElastor, {**_SHARED, "token_dim": 30, "num_blocks": 1}),
    "RankMixer": (
        RankMixer,
        {**_SHARED, "token_dim": 26, "num_blocks": 2, "formulation": "official_code", "ffn_hidden_units": [200, 200],
         "head": "mlp"},
    ),
    "DCNv2": (DCNv2, {"parallel_dnn_hidden_units": [400, 400, 400], "net_dropout": 0.1}),
    "DNN": (DNN, {"hidden_units": [1000, 1000, 1000], "net_dropout": 0.1}),
}  # fmt: skip


def build(model: str, **how: Any) -> nn.Module:
    """A model of the table with the fast step unless told otherwise; ``how`` is as for :func:`peers.build`."""
    model_class, settings = MODELS[model]
    shared = {"embedding_dim": 20, "embedding_regularizer": 1e-5}
    return peers.build(model_class, CRITEO, **{"fast": True, **how}, **shared, **settings)


def without_turned_products(model: nn.Module) -> nn.Module:
    """The model with linear layers as torch has them."""
    for layer in model.modules():
        if type(layer) is nn.Linear:
            vars(layer).pop("forward", None)
    return model


def token_loops(model: str) -> nn.Module:
    """FuxiCTR's step of the model with one stack of torch's modules a token."""
    made = with_loops(build(model, fast=False))
    made.compile("adam", "binary_crossentropy", 1e-3)  # an optimizer of the new weights
    return made


WAYS: dict[str, Callable[[str], nn.Module]] = {
    "exact": build,
    "plain-products": lambda model: without_turned_products(build(model)),
    "compiled": lambda model: build(model, compiled=True),
    "bf16": lambda model: build(model, bf16=True),
    "compiled-bf16": lambda model: build(model, compiled=True, bf16=True),
    "fuxictr": lambda model: build(model, fast=False),
    "token-loops": token_loops,  # of RankElastor and RankMixer
}


class BytesMoved(TorchDispatchMode):
    """Counts the bytes that torch's operations read and write, each tensor once an operation; views move none.

    Kernels that a compiler made are not seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.products = 0
        self.others = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if not func.is_view and "empty" not in name:
            moved = _bytes([args, kwargs]) + _bytes(out)
            if name in ("mm", "addmm", "bmm", "baddbmm"):
                self.products += moved
            else:
                self.others += moved
        return out


def _bytes(values: Any) -> int:
    """Of distinct elements: an expanded axis is read once."""
    return sum(
        _own_elements(leaf) * leaf.element_size() for leaf in tree_flatten(values)[0] if isinstance(leaf, Tensor)
    )


def _own_elements(tensor: Tensor) -> int:
    sizes: Iterable[tuple[int, int]] = zip(tensor.shape, tensor.stride(), strict=True) if not tensor.is_sparse else ()
    return math.prod(size for size, stride in sizes if stride != 0)

"""Ways to do one training step of a model."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fuxi_plugins.models.dcnv2 import DCNv2
from fuxi_plugins.models.dnn import DNN
from fuxi_plugins.models.rankelastor import RankElastor
from fuxi_plugins.models.rankmixer import RankMixer
from fuxi_plugins.training.devices import use_products
from measuring import peers
from measuring.loops import with_loops
from measuring.revisions import build_at

CRITEO = peers.Shape(peers.SMALL, numeric=13, embedding_dim=20)
AVAZU = peers.Shape(peers.AVAZU, numeric=0, embedding_dim=16)
_SHARED = {"tokenizer": "shared", "tokenizer_dropout": 0.1, "num_tokens": 26}
_AT_CRITEO = {"embedding_dim": 20, "embedding_regularizer": 1e-5}


@dataclass(frozen=True)
class Measured:
    """A model at the shape of a dataset, with the settings of its constructor."""

    model_class: type
    shape: peers.Shape
    settings: dict[str, Any]


MODELS = {
    "RankElastor": Measured(RankElastor, CRITEO, {**_AT_CRITEO, **_SHARED, "token_dim": 30, "num_blocks": 1}),
    "RankElastor-Avazu": Measured(
        RankElastor,
        AVAZU,
        {"embedding_dim": 16, "num_tokens": 24, "token_dim": 16, "num_blocks": 4, "tokenizer": "joint",
         "tokenizer_hidden_units": [800], "ffn_hidden_units": [16]},
    ),
    "RankMixer": Measured(
        RankMixer,
        CRITEO,
        {**_AT_CRITEO, **_SHARED, "token_dim": 26, "num_blocks": 2, "formulation": "official_code",
         "ffn_hidden_units": [200, 200], "head": "mlp"},
    ),
    "DCNv2": Measured(
        DCNv2, CRITEO, {**_AT_CRITEO, "parallel_dnn_hidden_units": [400, 400, 400], "net_dropout": 0.1}
    ),
    "DNN": Measured(DNN, CRITEO, {**_AT_CRITEO, "hidden_units": [1000, 1000, 1000], "net_dropout": 0.1}),
}  # fmt: skip


def build(model: str, **how: Any) -> nn.Module:
    """A model of the table with the fast step unless told otherwise; ``how`` is as for :func:`peers.build`."""
    measured = MODELS[model]
    return peers.build(measured.model_class, measured.shape, **{"fast": True, **how}, **measured.settings)


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


def switched(switch: Callable[[bool], None], model: str) -> nn.Module:
    """The model with a setting of the whole process, which is turned on for this model's steps alone."""
    made = build(model)
    step = made.train_step

    def switched_step(batch: dict[str, Tensor]) -> Tensor:
        switch(True)
        try:
            return step(batch)
        finally:
            switch(False)

    made.train_step = switched_step
    return made


WAYS: dict[str, Callable[[str], nn.Module]] = {
    "exact": build,
    "plain-products": lambda model: without_turned_products(build(model)),
    "quick-dropout": lambda model: build(model, quick_dropout=True),
    "compiled": lambda model: build(model, compiled=True),
    "bf16": lambda model: build(model, bf16=True),
    "compiled-bf16": lambda model: build(model, compiled=True, bf16=True),
    "bf16-products": partial(switched, use_products),
    "deterministic": partial(switched, torch.use_deterministic_algorithms),
    "fuxictr": lambda model: build(model, fast=False),
    "token-loops": token_loops,  # of RankElastor and RankMixer
}


EARLIER: dict[str, dict[str, Any]] = {
    "exact": {},
    "bf16": {"bf16": True},
}  # ways of which an earlier commit has its own


def make(way: str, model: str) -> Any:
    """The model in a way of the table, or in that way by the code of an earlier commit, as ``bf16@COMMIT``."""
    name, _, revision = way.partition("@")
    if revision:
        measured = MODELS[model]
        return build_at(revision, measured.model_class.__name__, measured.shape, {**measured.settings, **EARLIER[name]})
    return WAYS[way](model)

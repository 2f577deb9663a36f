"""Models on torch's meta device, where a tensor has a shape but no values: what fails, and how large a model is."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbeddingDict
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from fuxi_plugins.models.operations import operations
from fuxi_plugins.models.registry import load_model_class
from fuxi_plugins.records.parts import Parameters

ROWS_COUNTED = 64  # of the batch whose operations are counted


class StaysOnMeta:
    """Mixed in front of a model class, so that its constructor neither draws initial values nor moves to a device."""

    def reset_parameters(self) -> None:
        pass

    def model_to_device(self) -> None:
        pass


class _WithoutValues(TorchFunctionMode):
    """Skips what fills a tensor with random values: here there are none, and trying takes most of the time."""

    FILLING = (Tensor.normal_, Tensor.uniform_, nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_)

    def __torch_function__(
        self, function: Callable, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function in self.FILLING:
            return args[0] if args else kwargs["tensor"]
        return function(*args, **kwargs)


@contextmanager
def on_meta() -> Iterator[None]:
    """Within it, new tensors are on the meta device and stay without values."""
    with torch.device("meta"), _WithoutValues():
        yield


def count_parameters(model: nn.Module) -> Parameters:
    """Trainable parameters, those of the embedding tables (FuxiCTR's, first-order weights among them) apart."""
    tables = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, FeatureEmbeddingDict)
        for parameter in module.parameters()
    }
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    embedding = sum(parameter.numel() for parameter in trainable if id(parameter) in tables)
    return Parameters(dense=sum(parameter.numel() for parameter in trainable) - embedding, embedding=embedding)


def dense_parameters(model: str, settings: Mapping[str, Any], embedding_dims: Sequence[int]) -> int:
    """How many dense parameters a model has on a dataset that need not be there.

    Args:
        model: a name of the registry.
        settings: of its constructor, without ``embedding_dim``.
        embedding_dims: of the dataset's fields. Their kind and vocabulary change the embedding tables alone.
    """
    return count_parameters(_on_fields(model, settings, embedding_dims)).dense


def forward_operations(model: str, settings: Mapping[str, Any], embedding_dims: Sequence[int]) -> float:
    """Floating-point operations a row of a model's forward pass, on a dataset that need not be there.

    Args:
        model, settings, embedding_dims: as of :func:`dense_parameters`. A history counts as the one vector that its
            items are pooled to.
    """
    built = _on_fields(model, settings, embedding_dims)
    built.device = torch.device("meta")
    columns = [*built.feature_map.features, *built.feature_map.labels]
    batch = {name: torch.zeros(ROWS_COUNTED, dtype=torch.long, device="meta") for name in columns}
    return operations(built, batch)[0] / ROWS_COUNTED


def _on_fields(model: str, settings: Mapping[str, Any], embedding_dims: Sequence[int]) -> Any:
    """The model on the meta device, over one categorical column for each field."""
    features = FeatureMap("fields", "")
    field = {"source": "", "type": "categorical", "padding_idx": 0, "vocab_size": 2}
    features.features = OrderedDict(
        (f"field_{place}", {**field, "embedding_dim": width}) for place, width in enumerate(embedding_dims)
    )
    features.num_fields = features.get_num_fields()
    features.labels = ["label"]
    features.set_column_index()
    model_class = type("Meta", (StaysOnMeta, load_model_class(model)), {})
    training = {"optimizer": "adam", "loss": "binary_crossentropy", "metrics": [], "model_root": "unused", "verbose": 0}
    with on_meta():
        return model_class(features, **training, **settings)

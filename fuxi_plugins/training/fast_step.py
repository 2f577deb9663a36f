"""FuxiCTR's training step with less work and the same result, up to the rounding of float32.

What FuxiCTR does at every step over whole embedding tables, this does in fewer passes over them: the gradient
of the regulariser is added to that of the loss instead of being found by autograd, gradients below the limit of
the norm are not multiplied by 1, and Adam updates a table in one pass. On a CPU the gradient of a table is gathered by
another of torch's functions than its own, which gives the same bits sooner, and products of odd widths are turned round
(``layers/products.py``). ``tests/training/test_fast_step.py`` holds both steps to the same parameters.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import torch
import torch.distributed as processes
from fuxictr.pytorch.layers import FeatureEmbeddingDict
from fuxictr.pytorch.models import BaseModel
from fuxictr.pytorch.torch_utils import get_regularizer
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from fuxi_plugins.layers import products
from fuxi_plugins.training.distributed.sharded_table import Shard
from fuxi_plugins.training.fuxictr_model import FuxiCTRModel

FUSED = (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD)  # those torch can fuse on a CPU and on a GPU

DEVIATION = "step: fused optimizer, regulariser's gradient added in place (equal to FuxiCTR's up to rounding)"


def can_replace_the_step_of(model_class: type) -> bool:
    """Whether a model leaves to FuxiCTR what :class:`FastStep` puts in its place."""
    return all(
        getattr(model_class, name) is getattr(BaseModel, name)
        for name in ("train_step", "compute_loss", "regularization_loss")
    )


class FastStep(FuxiCTRModel):
    """Mixed in front of a FuxiCTR model class that :func:`can_replace_the_step_of` accepts."""

    def compile(self, optimizer: str, loss: str, lr: float) -> None:
        super().compile(optimizer, loss, lr)
        for table in lookups(self):
            table.forward = partial(look_up, table)  # type: ignore[method-assign]  # of this table alone
        for layer in self.modules():
            if type(layer) is nn.Linear and products.gains(layer):
                layer.forward = partial(products.linear, layer)  # type: ignore[method-assign]
        if type(self.optimizer) in FUSED:
            groups = [{**group, "fused": True} for group in self.optimizer.param_groups]
            self.optimizer = type(self.optimizer)(groups)

    def train_step(self, batch_data: dict[str, Tensor]) -> Tensor:
        if not hasattr(self, "_penalties"):
            self._penalties = penalties(self, self._embedding_regularizer, self._net_regularizer)
        self.optimizer.zero_grad()
        loss = self.compute_loss(self.forward(batch_data), self.get_labels(batch_data))
        self.find_gradients(loss)
        with torch.no_grad():
            loss = loss + sum(penalty.add_gradient() for penalty in self._penalties)
            gradients = gradients_of(self.parameters())
            clip_gradients(gradients, self._max_gradient_norm, self.gradient_norm())
        self.optimizer.step()
        return loss

    def find_gradients(self, loss: Tensor) -> None:
        loss.backward()

    def gradient_norm(self) -> Tensor:
        """Of all gradients together, by which they are clipped."""
        return nn.utils.get_total_norm(gradients_of(self.parameters()))

    def regularization_loss(self) -> float:
        """Nothing: ``train_step`` adds its value and its gradient without a graph."""
        return 0.0


def moved_rows(gradient: Tensor) -> Tensor:
    """A gradient, or of a sparse one the rows that it has."""
    return gradient.values() if gradient.is_sparse else gradient


def gradients_of(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    """Those that the parameters have, or of sparse ones the rows."""
    return [moved_rows(parameter.grad) for parameter in parameters if parameter.grad is not None]


def moved_weights(parameter: nn.Parameter) -> Tensor:
    """A parameter, or of one with a sparse gradient the rows that a step moves."""
    gradient = parameter.grad
    if gradient is None or not gradient.is_sparse:
        return parameter
    return parameter.index_select(0, gradient.indices()[0])


class Penalty:
    """``weight / p * sum |x|^p`` over what a step moves of parameters, p being 1 or 2.

    Of parameters that ``copies`` processes share out, each adds that many times its part to the loss, whose mean over
    the processes then counts every part once.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], p: int, weight: float, copies: int = 1):
        self.parameters = parameters
        self.p = p
        self.weight = weight
        self.copies = copies

    def add_gradient(self) -> Tensor:
        """Adds the penalty's gradient to those of the parameters; returns its value."""
        moved = [moved_weights(parameter) for parameter in self.parameters]
        value = self.copies * self.weight / self.p * nn.utils.get_total_norm(moved, self.p) ** self.p
        for parameter, weights in zip(self.parameters, moved, strict=True):
            direction = weights if self.p == 2 else weights.sign()
            if parameter.grad is None:  # a parameter that this batch did not use
                parameter.grad = direction * self.weight
            else:
                moved_rows(parameter.grad).add_(direction, alpha=self.weight)
        return value


def penalties(
    model: nn.Module, embedding_regularizer: float | str | None, net_regularizer: float | str | None
) -> list[Penalty]:
    """The terms of FuxiCTR's ``regularization_loss``: what counts as an embedding is its rule.

    A table that two embedding layers share is penalised once for each, as in FuxiCTR.
    """
    tables: list[nn.Parameter] = []
    names_of_tables: set[str] = set()
    for prefix, module in model.named_modules():
        if type(module) is FeatureEmbeddingDict:
            for name, parameter in module.named_parameters():
                if parameter.requires_grad:
                    tables.append(parameter)
                    names_of_tables.add(f"{prefix}.{name}")
    rest = [
        parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and name not in names_of_tables
    ]
    shards = [parameter for parameter in tables if isinstance(parameter, Shard)]
    whole = [parameter for parameter in tables if not isinstance(parameter, Shard)]
    copies = processes.get_world_size() if shards else 1
    return [
        Penalty(parameters, p, weight, times)
        for parameters, regularizer, times in (
            (whole, embedding_regularizer, 1),
            (shards, embedding_regularizer, copies),
            (rest, net_regularizer, 1),
        )
        for p, weight in get_regularizer(regularizer)
        if parameters
    ]


def lookups(model: nn.Module) -> list[nn.Embedding]:
    """The trainable tables of FuxiCTR's embedding layers, each once."""
    dictionaries = [module for module in model.modules() if isinstance(module, FeatureEmbeddingDict)]
    found = [module for dictionary in dictionaries for module in dictionary.modules() if type(module) is nn.Embedding]
    return [layer for layer in dict.fromkeys(found) if layer.weight.requires_grad]


def look_up(table: nn.Embedding, ids: Tensor) -> Tensor:
    """What ``table(ids)`` is, with the gradient of :class:`Lookup` where that is the faster one."""
    if table.weight.device.type != "cpu":
        return nn.Embedding.forward(table, ids)
    return Lookup.apply(ids, table.weight, table.padding_idx)


class Lookup(torch.autograd.Function):
    """``functional.embedding``, whose gradient torch adds up on a CPU by a call to BLAS a row.

    ``index_add_`` sorts the rows and adds those of an id one after the other: the same sums in the same order.
    """

    @staticmethod
    def forward(ctx: Any, ids: Tensor, weight: Tensor, padding_idx: int | None) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.shape, ctx.padding_idx = weight.shape, padding_idx
        return nn.functional.embedding(ids, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None]:
        (ids,) = ctx.saved_tensors
        rows = gradient.contiguous().view(ids.numel(), ctx.shape[1])
        of_table = gradient.new_zeros(ctx.shape).index_add_(0, ids.flatten(), rows)
        if ctx.padding_idx is not None:
            of_table[ctx.padding_idx] = 0
        return None, of_table, None


def clip_gradients(gradients: list[Tensor], limit: float, norm: Tensor) -> None:
    """torch's ``clip_grads_with_norm_``. On a CPU, where looking costs nothing, it does not multiply by 1."""
    if norm.device.type != "cpu" or not norm + 1e-6 <= limit:  # 1e-6 as there; a NaN goes on to the parameters
        torch._foreach_mul_(gradients, (limit / (norm + 1e-6)).clamp(max=1.0))

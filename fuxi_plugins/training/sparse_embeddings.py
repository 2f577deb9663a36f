"""Embedding tables of which a step touches the rows of its batch alone: ``sparse_embeddings: true``.

FuxiCTR's Adam moves every row of every table in every step, for the moments of a row that no batch had go on
decaying and the regulariser pulls at all of them. Over millions of rows that is most of a step. Here the gradient of a
table is sparse and torch's ``SparseAdam`` moves the rows in it, as recommenders in production do: moments of other
rows stand still, the regulariser pulls at the rows of the batch, and the norm that is clipped is theirs. Another
training than FuxiCTR's, so a run must ask for it.

How many rows a batch has is known to the device alone, and whoever asks waits for it. torch's own sparse gradients ask
twice for each table; here all tables are asked for at once.
"""

from collections.abc import Sequence
from functools import cached_property, partial
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from fuxi_plugins.training.distributed.sharded_table import sharded_tables_of
from fuxi_plugins.training.fast_step import FastStep, lookups

DEVIATION = (
    "sparse_embeddings: a step moves (SparseAdam), regularises and clips only the rows of its batch in embedding tables"
)


class LookedUp(NamedTuple):
    """A lookup's gradient: a row for each id, as often as it was looked up."""

    table: int  # its place among the tables
    ids: Tensor  # (N,)
    rows: Tensor  # (N, D)


class SparseEmbeddings(FastStep):
    """Mixed in front of a FuxiCTR model class that leaves its training step to FuxiCTR; the optimizer is Adam."""

    def compile(self, optimizer: str, loss: str, lr: float) -> None:
        super().compile(optimizer, loss, lr)
        layers, sharded = lookups(self), sharded_tables_of(self)
        self._tables = Tables([layer.weight for layer in layers], [layer.padding_idx for layer in layers])
        self._looked_up: list[LookedUp] = []  # of the latest backward pass
        for place, layer in enumerate(layers):
            layer.forward = partial(look_up, self._looked_up, place, layer.weight)  # type: ignore[method-assign]
        for table in sharded:
            table.sparse = True
        self._shards = [table.shard for table in sharded]
        moved = [*self._tables.weights, *self._shards]
        known = {id(weight) for weight in moved}
        rest = [parameter for parameter in self.parameters() if id(parameter) not in known]
        self.optimizer = Optimizers(torch.optim.SparseAdam(moved, lr), torch.optim.Adam(rest, lr, fused=True))

    def find_gradients(self, loss: Tensor) -> None:
        self._looked_up.clear()
        super().find_gradients(loss)
        for table, gradient in zip(self._tables.weights, self._tables.gradients(self._looked_up), strict=True):
            table.grad = gradient
        for shard in self._shards:
            shard.grad = no_rows(shard) if shard.grad is None else shard.grad.coalesce()


@torch.compiler.disable  # a compiler would note a gradient once, when it compiles
def look_up(noted: list[LookedUp], place: int, table: Tensor, ids: Tensor) -> Tensor:
    """The rows of the ids (...) -> (..., D), whose gradient is noted and not added up."""
    return Lookup.apply(ids, table, partial(_note, noted, place))


def _note(noted: list[LookedUp], place: int, ids: Tensor, rows: Tensor) -> None:
    noted.append(LookedUp(place, ids, rows))


class Lookup(torch.autograd.Function):
    """``functional.embedding`` that gives its gradient to a function and none to the table."""

    @staticmethod
    def forward(ctx: Any, ids: Tensor, table: Tensor, note: Any) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.note = note
        return nn.functional.embedding(ids, table)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, None, None]:
        (ids,) = ctx.saved_tensors
        ctx.note(ids.flatten(), gradient.reshape(ids.numel(), -1))
        return None, None, None


class Tables:
    """Embedding tables whose rows are numbered through, table after table; after the last comes padding.

    Args:
        weights: of each table.
        padding: the id in each that has no gradient, or None.
    """

    def __init__(self, weights: list[Tensor], padding: Sequence[int | None]):
        self.weights, self.padding = weights, padding
        self.starts = [0, *accumulate(len(table) for table in weights)]  # the number of each table's first row

    @cached_property
    def _starts(self) -> Tensor:
        return torch.tensor(self.starts, device=self.weights[0].device)

    def gradients(self, looked_up: Sequence[LookedUp]) -> list[Tensor]:
        """Each table's gradient, coalesced: of no rows where nothing was looked up."""
        if not looked_up:
            return [no_rows(table) for table in self.weights]
        numbers = [self._numbers(found) for found in looked_up]
        rows, row_of = torch.cat(numbers).unique(return_inverse=True)  # waits for the device
        bounds = torch.searchsorted(rows, self._starts).tolist()  # and this for the last time
        rows_of = row_of.split([len(number) for number in numbers])
        gradients = []
        for place, (first, last) in enumerate(pairwise(bounds)):
            table = self.weights[place]
            values = table.new_zeros(last - first + 1, table.shape[1])  # the last row takes what is padding's
            for found, its_rows in zip(looked_up, rows_of, strict=True):
                if found.table == place:
                    values.index_add_(0, (its_rows - first).clamp(max=last - first), found.rows)
            gradients.append(_gradient(table, rows[first:last] - self.starts[place], values[:-1]))
        return gradients

    def _numbers(self, found: LookedUp) -> Tensor:
        padding, numbers = self.padding[found.table], found.ids + self.starts[found.table]
        return numbers if padding is None else numbers.where(found.ids != padding, self.starts[-1])


def _gradient(table: Tensor, rows: Tensor, values: Tensor) -> Tensor:
    """A sparse gradient with those values (R, D) in different rows (R,), in order."""
    return torch.sparse_coo_tensor(rows[None], values, table.shape, is_coalesced=True, check_invariants=False)


def no_rows(table: Tensor) -> Tensor:
    """The gradient of a table that a batch did not use."""
    return _gradient(table, table.new_empty(0, dtype=torch.long), table.new_empty(0, table.shape[1]))


class Optimizers:
    """Several optimizers that FuxiCTR and checkpoints take for one."""

    def __init__(self, *optimizers: torch.optim.Optimizer):
        self.optimizers = optimizers

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]

    def zero_grad(self) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad()

    def step(self) -> None:
        for optimizer in self.optimizers:
            optimizer.step()

    def state_dict(self) -> dict[str, list[dict[str, Any]]]:
        return {"optimizers": [optimizer.state_dict() for optimizer in self.optimizers]}

    def load_state_dict(self, state: dict[str, list[dict[str, Any]]]) -> None:
        for optimizer, its_state in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(its_state)

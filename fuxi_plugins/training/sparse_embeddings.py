"""Embedding tables of which a step touches the rows of its batch alone: ``sparse_embeddings: true``.

FuxiCTR's Adam moves every row of every table in every step, for the moments of a row that no batch had go on
decaying and the regulariser pulls at all of them. Over millions of rows that is most of a step. Here the gradient of a
table is sparse and torch's ``SparseAdam`` moves the rows in it, as recommenders in production do: moments of other
rows stand still, the regulariser pulls at the rows of the batch, and the norm that is clipped is theirs. Another
training than FuxiCTR's, so a run must ask for it.
"""

from typing import Any

import torch
from torch import Tensor

from fuxi_plugins.training.distributed.sharded_table import sharded_tables_of
from fuxi_plugins.training.fast_step import FastStep, lookups

DEVIATION = (
    "sparse_embeddings: a step moves (SparseAdam), regularises and clips only the rows of its batch in embedding tables"
)


class SparseEmbeddings(FastStep):
    """Mixed in front of a FuxiCTR model class that leaves its training step to FuxiCTR; the optimizer is Adam."""

    def compile(self, optimizer: str, loss: str, lr: float) -> None:
        super().compile(optimizer, loss, lr)
        layers, sharded = lookups(self), sharded_tables_of(self)
        for layer in (*layers, *sharded):
            layer.sparse = True
        self._tables = [*(layer.weight for layer in layers), *(table.shard for table in sharded)]
        known = {id(table) for table in self._tables}
        rest = [parameter for parameter in self.parameters() if id(parameter) not in known]
        self.optimizer = Optimizers(torch.optim.SparseAdam(self._tables, lr), torch.optim.Adam(rest, lr, fused=True))

    def find_gradients(self, loss: Tensor) -> None:
        super().find_gradients(loss)
        for table in self._tables:
            table.grad = no_rows(table) if table.grad is None else table.grad.coalesce()


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


def no_rows(table: Tensor) -> Tensor:
    """The gradient of a table that a batch did not use."""
    indices = torch.empty(1, 0, dtype=torch.long, device=table.device)
    values = table.new_empty(0, table.shape[1])
    return torch.sparse_coo_tensor(indices, values, table.shape, is_coalesced=True, check_invariants=False)

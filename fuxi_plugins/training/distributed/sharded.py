"""One run by several processes whose embedding tables are sharded: ``sharding: row_wise | table_wise | auto``.

As in ``ddp``, but each process holds a part of the tables instead of all of them. A lookup is done by all processes
together, so all predict a part of every batch.
"""

import errno
import os
import shutil
from pathlib import Path

import torch
import torch.distributed as processes
from torch import Tensor

from fuxi_plugins.records.parts import Parameters
from fuxi_plugins.training.distributed import sharded_state
from fuxi_plugins.training.distributed.ddp import DistributedMixin, cut, is_first, part_of
from fuxi_plugins.training.distributed.sharded_table import Shard, look_up_together, sharded_tables_of
from fuxi_plugins.training.fast_step import gradients_of


class ShardedMixin(DistributedMixin):
    """Mixed in front of a hosted model class whose step is a ``FastStep``."""

    def join(self, seed: int) -> None:
        look_up_together(self)
        super().join(seed)

    best_weights: Path | None = None  # the folder of the best so far
    _kept: Path | None = None  # the one that a checkpoint needs

    def counted_parameters(self) -> Parameters:
        here = super().counted_parameters()
        tables = sharded_tables_of(self)
        whole = sum(table.num_embeddings * table.embedding_dim for table in tables)
        return here.model_copy(
            update={"embedding": here.embedding - sum(table.shard.numel() for table in tables) + whole}
        )

    def save_weights(self, checkpoint: str | Path) -> None:
        """Into a folder of its own, so that the best so far stay until these are whole."""
        before, place = self.best_weights, Path(checkpoint)
        self.best_weights = place.with_name(f"{place.name}-{self._total_steps}")
        sharded_state.save_weights(self, self.best_weights)
        processes.barrier()
        if is_first() and before not in (None, self._kept, self.best_weights):
            shutil.rmtree(before)

    def keep_best_weights(self) -> None:
        """A checkpoint goes on from the best so far: they stay, and those of the checkpoint before it go."""
        before, self._kept = self._kept, self.best_weights
        if is_first() and before not in (None, self._kept):
            shutil.rmtree(before)

    def load_weights(self, checkpoint: str) -> None:
        if self.best_weights is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), checkpoint)
        sharded_state.load_weights(self, self.best_weights)

    def delete_weights(self) -> None:
        """Nothing: those of an earlier process are of a checkpoint that this run may go on from."""

    def gradient_norm(self) -> Tensor:
        """Of the gradients that all processes have, and of every process's own part of the tables."""
        everywhere = [parameter for parameter in self.parameters() if not isinstance(parameter, Shard)]
        shards = [parameter for parameter in self.parameters() if isinstance(parameter, Shard)]
        square = torch.nn.utils.get_total_norm(gradients_of(shards)) ** 2
        processes.all_reduce(square)
        return (torch.nn.utils.get_total_norm(gradients_of(everywhere)) ** 2 + square).sqrt()

    def predicted(self, number: int, batch: dict[str, Tensor]) -> Tensor:
        """Each process predicts its part of the batch; zeros stand where the others do."""
        rows = len(self.get_labels(batch))
        ours = part_of(rows)
        found = super(DistributedMixin, self).predicted(number, dict(cut(batch, rows)))
        everywhere = found.new_zeros(rows)
        if len(ours) < rows or is_first():  # of a batch that all predict, the first process's count
            everywhere[ours.start : ours.stop] = found
        return everywhere


def deviation(sharding: str) -> str:
    """For the record of such a run."""
    return f"sharding={sharding}: each process held a part of the embedding tables (equal to whole ones up to rounding)"

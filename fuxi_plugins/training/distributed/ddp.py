"""One run by several processes, by torch's DistributedDataParallel: each computes its part of every batch.

All processes hold the whole model and read the same batches in the same order. Loss and gradient are those of the
whole batch, so all of them take the same step and stay equal; each learns every validation score and decides alike.
The first of them writes the files.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as processes
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from fuxi_plugins.datasets.dataloader import ROW_WEIGHT, Part
from fuxi_plugins.training.distributed.sharded_table import Shard
from fuxi_plugins.training.fast_step import can_replace_the_step_of

if TYPE_CHECKING:
    from fuxi_plugins.training.hosted import LossOnDevice, Scores, TrainerMixin
else:
    TrainerMixin = object  # it may stand before a class that is not hosted, too

SEED_STRIDE = 1_000_003  # between the random states of two processes, so that their dropout masks differ


@contextmanager
def group(gpu: int, silence: timedelta | None = None) -> Iterator[None]:
    """Joins the processes that the launcher has started; by NCCL where each has a GPU, else by Gloo.

    Args:
        silence: after which a process that is waited for counts as gone; None is torch's, half an hour.
    """
    if gpu >= 0:
        torch.cuda.set_device(gpu)
    processes.init_process_group("nccl" if gpu >= 0 else "gloo", timeout=silence)
    try:
        yield
    finally:
        processes.destroy_process_group()


def is_first() -> bool:
    """Whether this process writes the run's files: it is the only one, or the first of several."""
    return not processes.is_initialized() or processes.get_rank() == 0


def can_be_distributed(model_class: type) -> bool:
    """Whether the model's loss is a mean over rows, whose parts add up: it leaves its training step to FuxiCTR."""
    return can_replace_the_step_of(model_class)


class DistributedMixin(TrainerMixin):
    """Mixed in front of a hosted model class; :meth:`join` comes before the first step."""

    _weight = 1.0  # of this process's mean loss in the mean of all

    def join(self, seed: int) -> None:
        """Ties the model to its likes in the other processes; it is collective, as is every method below."""
        devices = [self.device] if self.device.type == "cuda" else None
        whole = _Forward(self, super().forward)
        shards = [name for name, parameter in whole.named_parameters() if isinstance(parameter, Shard)]
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(whole, shards)
        tied = DistributedDataParallel(
            whole,
            device_ids=devices,
            find_unused_parameters=True,  # a batch may leave some of a FuxiCTR model's tables alone
            gradient_as_bucket_view=True,  # else the gradients of all tables are held twice
        )
        self.__dict__["_tied"] = tied  # not a submodule: the checkpoint is the model's
        torch.manual_seed(seed + SEED_STRIDE * processes.get_rank())

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        trains = self.training and torch.is_grad_enabled() and "_tied" in self.__dict__
        return self.__dict__["_tied"](inputs) if trains else super().forward(inputs)

    def train_step(self, batch_data: dict[str, Tensor]) -> "LossOnDevice":
        part = batch_data if isinstance(batch_data, Part) else cut(batch_data, len(self.get_labels(batch_data)))
        own = len(self.get_labels(part))
        self._weight = 1.0 if own == part.rows else _share_of(part, own) * processes.get_world_size()
        return super().train_step(dict(part))

    def compute_loss(self, return_dict: dict[str, Tensor], y_true: Tensor) -> Tensor:
        """Weighted so that the mean over processes is the mean over the batch's rows, the regulariser once."""
        return super().compute_loss(return_dict, y_true) * self._weight

    def eval_step(self) -> None:
        self._loss_sum = _sum(torch.as_tensor(self._loss_sum, device=self.device)) / processes.get_world_size()
        super().eval_step()

    def score(self, batches: Any) -> "Scores":
        for buffer in self.buffers():  # the running means of batch normalisation are each process's own
            if buffer.is_floating_point():
                processes.broadcast(buffer, src=0)
        return super().score(batches)

    def predicted(self, number: int, batch: dict[str, Tensor]) -> Tensor:
        """The batches go round among the processes; zeros stand where another predicts."""
        if number % processes.get_world_size() == processes.get_rank():
            return super().predicted(number, batch)
        return torch.zeros(len(self.get_labels(batch)), device=self.device)

    def gathered(self, predictions: Tensor) -> Tensor:
        return _sum(predictions.float())

    def save_weights(self, checkpoint: str | Path) -> None:
        if is_first():
            super().save_weights(checkpoint)
        processes.barrier()  # none reads it before it is whole


def part_of(rows: int) -> range:
    """Which rows of a batch are this process's."""
    size, place = processes.get_world_size(), processes.get_rank()
    if rows < 2 * size:  # batch normalisation needs two rows: each process takes all of them
        return range(rows)
    return range(rows * place // size, rows * (place + 1) // size)


def cut(batch: dict[str, Tensor], rows: int) -> Part:
    """This process's part of a batch that was read as a whole."""
    ours = part_of(rows)
    part = Part({name: column[ours.start : ours.stop] for name, column in batch.items()})
    part.rows = rows
    return part


def _share_of(part: Part, own: int) -> float:
    """A part's share of a batch's loss: of its weights, or of its rows where it has no weights, or none above 0."""
    if ROW_WEIGHT in part:
        here = part[ROW_WEIGHT].sum()
        if total := float(_sum(here)):
            return float(here) / total
    return own / part.rows


class _Forward(nn.Module):
    """What DistributedDataParallel calls: the model's own forward, and its parameters to tie."""

    def __init__(self, model: nn.Module, forward: Any):
        super().__init__()
        self.model, self._forward = model, forward

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        return self._forward(inputs)


def _sum(values: Tensor) -> Tensor:
    """The sum over processes, the same bits in each."""
    total = values.detach().clone()
    processes.all_reduce(total)
    return total


def deviation(size: int) -> str:
    """For the record of such a run."""
    return (
        f"step: {size} processes, each with its part of every batch and the gradients averaged (the same batch size; "
        "batch normalisation and dropout see the parts)"
    )

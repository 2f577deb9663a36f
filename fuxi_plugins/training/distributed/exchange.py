"""Looks up rows that other processes hold, and takes gradients back to them.

The ids of all tables of an embedding layer travel together: each process sends every other the different rows that it
needs (one all-to-all of ids), gets their values (a second one), and sends the values' gradients back (a third). The
owner averages over processes, as DistributedDataParallel does with the gradients of all other parameters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any

import torch
import torch.distributed as processes
from torch import Tensor
from torch.autograd.function import once_differentiable

from fuxi_plugins.training.distributed.placement import TablePart


def look_up_rows(lookups: Sequence[tuple[TablePart, Tensor]]) -> list[Tensor]:
    """The rows of each lookup (table, ids of any shape) as (..., embedding_dim); tables of one width go together."""
    found: dict[int, Tensor] = {}
    for width in dict.fromkeys(table.embedding_dim for table, _ in lookups):
        places = [place for place, (table, _) in enumerate(lookups) if table.embedding_dim == width]
        tables = list(dict.fromkeys(lookups[place][0] for place in places))
        asked = Request.of(tables, [lookups[place] for place in places])
        rows = _Exchange.apply(asked, *(table.shard for table in tables))
        found |= dict(zip(places, rows.split([lookups[place][1].numel() for place in places]), strict=True))
    return [found[place].view(*ids.shape, table.embedding_dim) for place, (table, ids) in enumerate(lookups)]


@dataclass(frozen=True)
class Request:
    """What this process needs of the others, and what they need of it.

    The rows that a process holds of these tables are numbered through, one table after the other.
    """

    tables: list[TablePart]
    needed: Tensor  # (n,) for every id looked up, which of the rows that come back it is
    come: list[int]  # rows that come back from each process
    go: list[int]  # rows that go to each process
    wanted: Tensor  # (m,) for every row that goes, which of ``held`` it is
    held: list[Tensor]  # of each table, the different rows that go, by their number in its shard

    @classmethod
    def of(cls, tables: list[TablePart], lookups: Sequence[tuple[TablePart, Tensor]]) -> "Request":
        sizes = [table.layout.size for table in tables]
        starts = dict(zip(tables, accumulate(sizes, initial=0), strict=False))
        span = sum(sizes)
        keys = []
        for table, ids in lookups:
            owner, number = table.layout.find(ids.flatten())
            keys.append(owner * span + starts[table] + number)
        rows, needed = torch.unique(torch.cat(keys), return_inverse=True)
        come = _counts(rows, [span * (k + 1) for k in range(processes.get_world_size())])
        go = torch.empty(len(come), dtype=torch.long, device=rows.device)
        processes.all_to_all_single(go, torch.tensor(come, device=rows.device), group=_group())
        asked = _to_all(rows % span, come, go.tolist())
        different, wanted = torch.unique(asked, return_inverse=True)
        of_each = different.split(_counts(different, list(accumulate(sizes))))
        held = [numbers - starts[table] for table, numbers in zip(tables, of_each, strict=True)]
        return cls(tables, needed, come, go.tolist(), wanted, held)


class _Exchange(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, request: Request, *shards: Tensor) -> Tensor:
        ctx.request = request
        held = [shard.index_select(0, numbers) for shard, numbers in zip(shards, request.held, strict=True)]
        rows = torch.cat(held).index_select(0, request.wanted)
        return _to_all(rows, request.go, request.come).index_select(0, request.needed)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        request: Request = ctx.request
        width = gradient.shape[1]
        of_rows = gradient.new_zeros(sum(request.come), width).index_add_(0, request.needed, gradient)
        come = _to_all(of_rows, request.come, request.go)
        counts = [len(numbers) for numbers in request.held]
        of_held = gradient.new_zeros(sum(counts), width).index_add_(0, request.wanted, come)
        of_held /= processes.get_world_size()
        gradients = zip(request.tables, request.held, of_held.split(counts), strict=True)
        return (None, *(_of_table(table, numbers, values) for table, numbers, values in gradients))


def _of_table(table: TablePart, numbers: Tensor, values: Tensor) -> Tensor:
    """The gradient of a shard from those of its rows; that of padding is zero."""
    if table.padding_idx is not None:
        place = int(table.layout.places(torch.tensor(table.padding_idx)))
        if place in table.held:
            others = numbers != place - table.held.start
            numbers, values = numbers[others], values[others]
    if table.sparse:
        return torch.sparse_coo_tensor(
            numbers.unsqueeze(0), values, table.shard.shape, is_coalesced=True, check_invariants=False
        )
    return torch.zeros_like(table.shard).index_copy_(0, numbers, values)


def _counts(values: Tensor, ends: list[int]) -> list[int]:
    """How many of the sorted values lie before each end and after the one before."""
    places = torch.searchsorted(values, torch.tensor(ends, device=values.device))
    return torch.diff(places, prepend=places.new_zeros(1)).tolist()


def _to_all(values: Tensor, sent: list[int], received: list[int]) -> Tensor:
    """Sends the first ``sent[0]`` values to process 0 and so on; gives what the processes have sent here."""
    out = values.new_empty(sum(received), *values.shape[1:])
    processes.all_to_all_single(out, values.contiguous(), received, sent, group=_group())
    return out


def _group() -> processes.ProcessGroup:
    """A group of its own, so that nothing here is taken for what DistributedDataParallel sends."""
    return _group_beside(processes.group.WORLD)


@cache
def _group_beside(world: processes.ProcessGroup) -> processes.ProcessGroup:
    return processes.new_group()

"""Initial values of a table of which this process holds some rows: those that one process would draw for all.

Whatever a model does to ``table.weight`` when it is built, FuxiCTR's initialiser or one of its own, is done here to one
block of rows after the other, and the rows that the process holds are kept. torch draws random numbers on a CPU in
their order, so the blocks are those of the whole table to the last bit, and the generator is left where the whole table
would leave it. No process ever has all rows.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.training.distributed.placement import TablePart

# torch draws normal numbers sixteen at a time, and the last sixteen of a tensor anew if they are not full.
DRAWN_TOGETHER = 16
BLOCK_ROWS = DRAWN_TOGETHER << 12

FILLS = (
    Tensor.normal_, Tensor.uniform_, Tensor.fill_, Tensor.zero_,
    nn.init.normal_, nn.init.uniform_, nn.init.constant_,
)  # fmt: skip
DESCRIBES = (Tensor.size, Tensor.dim, Tensor.numel, Tensor.__len__, *(
    getattr(Tensor, name).__get__ for name in ("shape", "dtype", "device", "ndim", "requires_grad", "is_meta")
))  # fmt: skip
THE_SAME = (Tensor.detach, getattr(Tensor, "data").__get__)  # noqa: B009, which mypy takes for a value


class WholeTable(Tensor):
    """What ``table.weight`` is where the table is shared out: it can be filled, and sliced by rows, but not read."""

    table: TablePart
    first: int  # row of the table

    @staticmethod
    def of(table: TablePart, rows: range) -> "WholeTable":
        shape = (len(rows), table.embedding_dim)
        made = torch.empty(shape, dtype=table.shard.dtype, device="meta").as_subclass(WholeTable)
        made.table, made.first = table, rows.start
        return made

    @classmethod
    def __torch_function__(
        cls, function: Callable, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if function in DESCRIBES:
            return super().__torch_function__(function, types, args, kwargs)
        whole = kwargs.pop("tensor") if "tensor" in kwargs else args[0]
        rest = args[1:]
        if function in THE_SAME:
            return whole
        if function is Tensor.__getitem__ and (rows := _rows(rest[0], len(whole))) is not None:
            return cls.of(whole.table, range(whole.first + rows.start, whole.first + rows.stop))
        if function in FILLS:
            _fill(whole, lambda block: function(block, *rest, **kwargs))
            return whole
        raise UserError(
            f"the model calls {getattr(function, '__name__', function)} on a whole embedding table, of which each "
            "process holds only some rows. Leave out sharding for this model."
        )


def _rows(index: Any, count: int) -> range | None:
    """The rows that an index takes whole and in one piece; None for any other index."""
    first, *others = index if isinstance(index, tuple) else (index,)
    if others and others != [slice(None)]:
        return None
    if isinstance(first, int):
        return range(count)[first : first + 1 or None]
    taken = range(count)[first] if isinstance(first, slice) else None
    return taken if taken is not None and taken.step == 1 else None


def _fill(whole: WholeTable, fill: Callable[[Tensor], Any]) -> None:
    table, layout, held = whole.table, whole.table.layout, whole.table.held
    with torch.no_grad():
        for rows in blocks(len(whole), table.embedding_dim):
            block = torch.empty(len(rows), table.embedding_dim, dtype=table.shard.dtype)
            fill(block)
            places = layout.places(torch.arange(whole.first + rows.start, whole.first + rows.stop))
            ours = (places >= held.start) & (places < held.stop)
            table.shard[places[ours] - held.start] = block[ours]


def blocks(rows: int, columns: int) -> list[range]:
    """Rows in blocks; the last has enough numbers to be drawn as the end of a large tensor is."""
    starts = list(range(0, rows, BLOCK_ROWS)) or [0]
    if len(starts) > 1 and (rows - starts[-1]) * columns < DRAWN_TOGETHER:
        del starts[-1]
    return [range(start, stop) for start, stop in zip(starts, [*starts[1:], rows], strict=True)]

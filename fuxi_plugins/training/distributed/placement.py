"""Which process holds which rows of which embedding table: ``sharding: row_wise | table_wise | auto``.

Ids are numbered by how frequent they are, so a table that is cut into pieces would put all frequent rows on the first
process. Rows therefore lie in the table by *place*: row r has the place ``r * step mod rows``, with a step near the
golden ratio of the table that shares no divisor with it. Neighbouring ids are then far apart, places are the same for
any number of processes, and each process holds one unbroken range of them.
"""

from dataclasses import dataclass
from math import gcd
from typing import Protocol

from torch import Tensor, nn

GOLDEN = (5**0.5 - 1) / 2
ROWS_TO_SPLIT = 1 << 16  # of a table that ``auto`` splits; smaller ones stay whole, as splitting them saves nothing


@dataclass(frozen=True)
class Layout:
    """Where the rows of one table lie.

    Process k holds the places ``start + k * size`` up to the next process's, in a table that is split; in one that
    stays whole, ``owner`` holds all.
    """

    rows: int
    processes: int
    owner: int | None = None  # of a whole table

    @property
    def size(self) -> int:
        """The most rows that a process holds."""
        return self.rows if self.owner is not None else -(-self.rows // self.processes)

    def held(self, rank: int) -> range:
        """The places that a process holds."""
        if self.owner is not None:
            return range(self.rows if rank == self.owner else 0)
        return range(min(rank * self.size, self.rows), min((rank + 1) * self.size, self.rows))

    @property
    def step(self) -> int:
        step = max(1, round(self.rows * GOLDEN))
        while gcd(step, self.rows) != 1:
            step += 1
        return step

    def places(self, rows: Tensor) -> Tensor:
        """The places of rows, int64 as they are."""
        return rows * self.step % self.rows

    def find(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The owner of each row, and the row's number among those that this owner holds."""
        places = self.places(rows)
        if self.owner is not None:
            return places.new_full(places.shape, self.owner), places
        return places // self.size, places % self.size


class TablePart(Protocol):
    """What a process has of a sharded table, as ``sharded_table`` makes it."""

    num_embeddings: int
    embedding_dim: int
    padding_idx: int | None
    sparse: bool  # whether gradients are
    layout: Layout
    held: range  # the places of the rows that are here
    shard: nn.Parameter  # these rows, (len(held), embedding_dim)


class Planner:
    """Gives each table its layout, in the order in which a model creates them: the same in every process."""

    def __init__(self, sharding: str, processes: int):
        self.sharding, self.processes = sharding, processes
        self._held = [0] * processes  # numbers in whole tables

    def layout(self, rows: int, columns: int) -> Layout:
        if self.sharding == "row_wise" or (self.sharding == "auto" and rows >= ROWS_TO_SPLIT):
            return Layout(rows, self.processes)
        owner = self._held.index(min(self._held))
        self._held[owner] += rows * columns
        return Layout(rows, self.processes, owner)

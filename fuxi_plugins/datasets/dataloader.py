"""The seeded loader that FuxiCTR is given through its ``data_loader`` hook."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fuxi_plugins.datasets.module_names import module_name
from fuxi_plugins.datasets.store import Place, read_layout, read_matrices
from fuxi_plugins.datasets.transfer import transfer_to

ROW_WEIGHT = "(row weight)"  # the weights' name in a batch, which no column can have
PIECES = 64  # of the store in a window
BLOCK_ROWS = 1 << 15  # gathered at a time: many enough that a call costs nothing, few enough for the cache


class Part(dict[str, Tensor]):
    """The rows of a batch that one of several processes computes."""

    rows: int  # of the whole batch


class ColumnLoader:
    """Batches of a split as dicts of tensors, in an order that the seed alone decides.

    The order of epoch e is the permutation drawn by numpy's PCG64 from (seed, e): the same on any machine and
    with any number of workers. With a window it is drawn in two steps: pieces of the store in a random order, and
    within every window of that order the rows. Rows are then read from few places at a time, so the store may be
    larger than memory, and the order takes the memory of a window.

    Ids come as int64 (B,) or (B, length), numbers as float32 (B, 1), the label as float32 (B,), and so do weights
    under the name ``ROW_WEIGHT``.

    Rows are gathered many batches at a time and a batch is a view of them, so the loader costs about as much as
    reading the rows.

    Args:
        feature_map: FuxiCTR's; says which column is what.
        path: the split's folder.
        split: ``train`` drops a last batch of one row, which batch normalisation cannot take.
        batch_size: rows a batch.
        shuffle: whether each epoch has an order of its own; FuxiCTR asks for it on ``train`` only.
        seed: of the order.
        num_workers: threads that gather rows ahead of their use; 0 gathers in the caller's thread.
        weight: the column of the rows' weights, for batches that are to hold them.
        device: where the batches go. A GPU gets them ahead of their use and beside the training (:mod:`.transfer`).
        window: rows that are shuffled together, rounded up to whole batches; None is all of them.
        share: of a batch's number of rows, which of them are gathered; batches are then of type :class:`Part`.
    """

    num_blocks = 1  # FuxiCTR prints it

    def __init__(
        self,
        feature_map: Any,
        path: str | Path,
        split: str = "train",
        batch_size: int = 4096,
        shuffle: bool = False,
        seed: int = 0,
        num_workers: int = 1,
        weight: str | None = None,
        device: torch.device | str = "cpu",
        window: int | None = None,
        share: Callable[[int], range] | None = None,
        **_: Any,  # what FuxiCTR passes to every loader alike, such as data_format
    ):
        self._matrices, layout = read_matrices(Path(path)), read_layout(Path(path))
        stored = {module_name(name): name for name in layout}
        self._places = {name: layout[stored[name]] for name in feature_map.features}
        self._places |= {name: layout[name] for name in feature_map.labels}
        self._places |= {ROW_WEIGHT: layout[weight]} if weight else {}
        self._numeric = {name for name, spec in feature_map.features.items() if spec["type"] == "numeric"}
        self.num_samples = len(next(iter(self._matrices.values())))
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.num_workers = num_workers
        self._transfer = transfer_to(torch.device(device))
        self.window = -(-window // batch_size) * batch_size if window else None
        self.share = share
        self.epoch = 0  # of the next pass
        self._drop_single = split == "train"

    def __len__(self) -> int:
        full, rest = divmod(self.num_samples, self.batch_size)
        return full + (rest > (1 if self._drop_single and full else 0))

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for block, sizes in self._gathered(self._blocks()):
            names = list(block)
            parts = (column.split([own for _, own in sizes]) for column in block.values())
            for (rows, _), batch in zip(sizes, zip(*parts, strict=True), strict=True):
                made = dict(zip(names, batch, strict=True))
                if self.share:
                    made = Part(made)
                    made.rows = rows
                yield made

    def _blocks(self) -> Iterator[tuple[np.ndarray, list[tuple[int, int]]]]:
        """The rows to gather at a time, and for each batch in them its rows and how many of these are gathered."""
        epoch, self.epoch = self.epoch, self.epoch + 1
        left = len(self) * self.batch_size
        block_rows = self.batch_size * max(1, BLOCK_ROWS // self.batch_size)
        for order in self._orders(epoch):
            for start in range(0, min(len(order), left), block_rows):
                block = order[start : min(start + block_rows, left)]
                batches = [block[i : i + self.batch_size] for i in range(0, len(block), self.batch_size)]
                own = [batch[self.share(len(batch))] for batch in batches] if self.share else batches
                yield np.concatenate(own), [(len(b), len(o)) for b, o in zip(batches, own, strict=True)]
            left -= len(order)

    def _gathered(
        self, blocks: Iterator[tuple[np.ndarray, list[tuple[int, int]]]]
    ) -> Iterator[tuple[dict[str, Tensor], list[tuple[int, int]]]]:
        """The blocks in their order; each worker is one ahead of its use."""
        if self.num_workers == 0:
            for rows, sizes in blocks:
                yield self.take(rows), sizes
            return
        with ThreadPoolExecutor(self.num_workers, thread_name_prefix="batches") as pool:
            ahead: deque = deque()
            for rows, sizes in blocks:
                ahead.append((pool.submit(self._transfer.send, partial(self._gather, rows)), sizes))
                if len(ahead) > self.num_workers:
                    sent, of_block = ahead.popleft()
                    yield sent.result().receive(), of_block
            while ahead:
                sent, of_block = ahead.popleft()
                yield sent.result().receive(), of_block

    def take(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        """Those rows of the split as one batch."""
        return self._transfer.send(partial(self._gather, rows)).receive()

    def _orders(self, epoch: int) -> Iterator[np.ndarray]:
        """The rows of an epoch, one window after the other."""
        if not self.shuffle:
            yield np.arange(self.num_samples)
            return
        random = np.random.Generator(np.random.PCG64([self.seed, epoch]))
        if self.window is None or self.window >= self.num_samples:
            yield random.permutation(self.num_samples)
            return
        piece_rows = -(-self.window // PIECES)
        starts = random.permutation(np.arange(0, self.num_samples, piece_rows))
        waiting: list[np.ndarray] = []
        for start in starts:
            waiting.append(np.arange(start, min(start + piece_rows, self.num_samples)))
            while sum(map(len, waiting)) >= self.window:
                rows = np.concatenate(waiting)
                yield random.permutation(rows[: self.window])
                waiting = [rows[self.window :]]
        if rest := [rows for rows in waiting if len(rows)]:
            yield random.permutation(np.concatenate(rest))

    def _gather(self, rows: np.ndarray) -> dict[str, Tensor]:
        matrices = {name: self._on_device(matrix.take(rows, axis=0)) for name, matrix in self._matrices.items()}
        return {name: self._column(matrices[place.matrix], place, name) for name, place in self._places.items()}

    def _on_device(self, rows: np.ndarray) -> Tensor:
        """(R, n) -> (n, R), so that a column lies in one piece, in the types that models expect."""
        taken = self._transfer.move(torch.from_numpy(rows))
        dtype = torch.float32 if taken.is_floating_point() else torch.int64
        return taken.t().to(dtype, memory_format=torch.contiguous_format).contiguous()

    def _column(self, matrix: Tensor, place: Place, name: str) -> Tensor:
        if place.width:
            return matrix[place.start : place.stop].t().contiguous()
        column = matrix[place.start]
        return column.unsqueeze(1) if name in self._numeric else column

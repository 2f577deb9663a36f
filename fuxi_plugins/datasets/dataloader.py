"""The seeded loader that FuxiCTR is given through its ``data_loader`` hook."""

from collections import deque
from collections.abc import Iterator
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
BLOCK_ROWS = 1 << 15  # gathered at a time: many enough that a call costs nothing, few enough for the cache


class ColumnLoader:
    """Batches of a split as dicts of tensors, in an order that the seed alone decides.

    The order of epoch e is the permutation drawn by numpy's PCG64 from (seed, e): the same on any machine and
    with any number of workers. Ids come as int64 (B,) or (B, length), numbers as float32 (B, 1), the label as
    float32 (B,), and so do weights under the name ``ROW_WEIGHT``.

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
        device: where the batches go. To a GPU they go through pinned memory, ahead of their use, beside the training.
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
        self.epoch = 0  # of the next pass
        self._drop_single = split == "train"

    def __len__(self) -> int:
        full, rest = divmod(self.num_samples, self.batch_size)
        return full + (rest > (1 if self._drop_single and full else 0))

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        order = self._order()[: len(self) * self.batch_size]
        self.epoch += 1
        block_rows = self.batch_size * max(1, BLOCK_ROWS // self.batch_size)
        for block in self._gathered([order[i : i + block_rows] for i in range(0, len(order), block_rows)]):
            names = list(block)
            for batch in zip(*(column.split(self.batch_size) for column in block.values()), strict=True):
                yield dict(zip(names, batch, strict=True))

    def _gathered(self, blocks: list[np.ndarray]) -> Iterator[dict[str, Tensor]]:
        """The blocks in their order; each worker is one ahead of its use."""
        if self.num_workers == 0:
            yield from map(self.take, blocks)
            return
        with ThreadPoolExecutor(self.num_workers, thread_name_prefix="batches") as pool:
            ahead: deque = deque()
            for rows in blocks:
                ahead.append(pool.submit(self._transfer.send, partial(self._gather, rows)))
                if len(ahead) > self.num_workers:
                    yield ahead.popleft().result().receive()
            while ahead:
                yield ahead.popleft().result().receive()

    def take(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        """Those rows of the split as one batch."""
        return self._transfer.send(partial(self._gather, rows)).receive()

    def _order(self) -> np.ndarray:
        if not self.shuffle:
            return np.arange(self.num_samples)
        return np.random.Generator(np.random.PCG64([self.seed, self.epoch])).permutation(self.num_samples)

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

"""The seeded loader that FuxiCTR is given through its ``data_loader`` hook."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from fuxi_plugins.datasets.store import read_columns


class ColumnLoader:
    """Batches of a split as dicts of tensors, in an order that the seed alone decides.

    The order of epoch e is the permutation drawn by numpy's PCG64 from (seed, e): the same on any machine and
    with any number of workers. Ids come as int64 (B,) or (B, length), numbers as float32 (B, 1), the label as
    float32 (B,).

    Args:
        feature_map: FuxiCTR's; says which column is what.
        path: the split's folder of columns.
        split: ``train`` drops a last batch of one row, which batch normalisation cannot take.
        batch_size: rows a batch.
        shuffle: whether each epoch has an order of its own; FuxiCTR asks for it on ``train`` only.
        seed: of the order.
        num_workers: threads that gather batches ahead of their use; 0 gathers in the caller's thread.
    """

    num_blocks = 1  # FuxiCTR prints it

    def __init__(
        self,
        feature_map,
        path: str | Path,
        split: str = "train",
        batch_size: int = 4096,
        shuffle: bool = False,
        seed: int = 0,
        num_workers: int = 1,
        **_,  # what FuxiCTR passes to every loader alike, such as data_format
    ):
        stored = read_columns(Path(path))
        self._columns = {name: stored[name] for name in [*feature_map.features, *feature_map.labels]}
        self._numeric = {name for name, spec in feature_map.features.items() if spec["type"] == "numeric"}
        self._labels = set(feature_map.labels)
        self.num_samples = len(self._columns[feature_map.labels[0]])
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.num_workers = num_workers
        self.epoch = 0  # of the next pass
        self._drop_single = split == "train"

    def __len__(self) -> int:
        full, rest = divmod(self.num_samples, self.batch_size)
        return full + (rest > (1 if self._drop_single and full else 0))

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        order = self._order()
        self.epoch += 1
        slices = [order[i * self.batch_size : (i + 1) * self.batch_size] for i in range(len(self))]
        if self.num_workers == 0:
            yield from map(self._gather, slices)
            return
        with ThreadPoolExecutor(self.num_workers, thread_name_prefix="batches") as pool:
            ahead: deque = deque()
            for rows in slices:
                ahead.append(pool.submit(self._gather, rows))
                if len(ahead) > 2 * self.num_workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def take(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        """Those rows of the split as one batch."""
        return self._gather(rows)

    def _order(self) -> np.ndarray:
        if not self.shuffle:
            return np.arange(self.num_samples)
        return np.random.Generator(np.random.PCG64([self.seed, self.epoch])).permutation(self.num_samples)

    def _gather(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        return {name: self._tensor(name, column[rows]) for name, column in self._columns.items()}

    def _tensor(self, name: str, values: np.ndarray) -> torch.Tensor:
        tensor = torch.from_numpy(values)
        if name in self._labels:
            return tensor
        return tensor.unsqueeze(1) if name in self._numeric else tensor.long()

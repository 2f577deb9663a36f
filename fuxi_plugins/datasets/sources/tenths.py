"""The split at random that several sources share: eight tenths train, one valid, one test."""

import numpy as np

from fuxi_plugins.datasets.columns import SPLITS

RANDOM_SEED = 2026


def tenths(order: np.ndarray) -> dict[str, np.ndarray]:
    """The first eight tenths of an order, the next and the last, as train, valid and test."""
    rows = len(order)
    ends = [rows * 8 // 10, rows * 8 // 10 + rows // 10]
    return dict(zip(SPLITS, np.split(order, ends), strict=True))


def random_order(rows: int) -> np.ndarray:
    """The places 0 to rows - 1, shuffled by numpy's PCG64(2026): the same on every machine."""
    return np.random.Generator(np.random.PCG64(RANDOM_SEED)).permutation(rows)

"""Codes of whole rows, to find rows that stand twice without holding the rows themselves."""

from pathlib import Path

import numpy as np

from fuxi_plugins.datasets.store import read_columns

CHUNK = 1 << 18


def row_codes(folder: Path) -> np.ndarray:
    """(N,) 64-bit codes of whole rows; equal rows have equal codes, others in all likelihood do not."""
    columns = read_columns(folder)
    rows = len(next(iter(columns.values())))
    random = np.random.Generator(np.random.PCG64(0))
    codes = np.zeros(rows, np.uint64)
    for name in sorted(columns):
        column = columns[name]
        width = 1 if column.ndim == 1 else column.shape[1]
        factors = random.integers(1, 2**63, width, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
        for start in range(0, rows, CHUNK):
            part = np.asarray(column[start : start + CHUNK]).reshape(-1, width)
            bits = part.astype(np.float32).view(np.uint32) if part.dtype.kind == "f" else part
            # Multiplied and mixed, so that the sum does not confuse values that change places.
            mixed = (bits.astype(np.uint64) + np.uint64(1)) * factors
            mixed ^= mixed >> np.uint64(29)
            codes[start : start + CHUNK] += (mixed * factors).sum(1, dtype=np.uint64)
    return codes

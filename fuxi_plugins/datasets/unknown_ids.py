"""How many ids of valid and test train does not know: near 1, the column says nothing there, and something is wrong."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from fuxi_plugins.datasets.staging import distinct

UNKNOWN_FILE = "unknown_ids.json"
NEARLY_ALL = 0.9  # share of unknown ids from which a column is warned of


class UnknownIds:
    """Counts, block by block, the ids of a split that have no id in the vocabulary.

    Args:
        unknown: by column, the id that stands for every unknown value.
    """

    def __init__(self, unknown: Mapping[str, int]):
        self._unknown = unknown
        self._found = dict.fromkeys(unknown, 0)
        self._all = dict.fromkeys(unknown, 0)

    def add(self, block: pa.RecordBatch, encoded: Mapping[str, np.ndarray]) -> None:
        """Adds a block: the staged values and their ids, in a sequence 0 where there is none."""
        for name, unknown in self._unknown.items():
            ids = encoded[name]
            there = ids != 0 if ids.ndim == 2 else _is_there(block[name])
            self._found[name] += int(((ids == unknown) & there).sum())
            self._all[name] += int(there.sum())

    def shares(self) -> dict[str, float]:
        """By column, the share of its ids (of a sequence, of its entries) that are unknown; missing values aside."""
        return {name: self._found[name] / max(self._all[name], 1) for name in self._unknown}


def unknown_shares(folder: Path) -> dict[str, dict[str, float]]:
    """By split and column, as prepared in ``folder``; empty where it was prepared before these were counted."""
    path = folder / UNKNOWN_FILE
    return json.loads(path.read_text()) if path.exists() else {}


def warnings(shares: Mapping[str, Mapping[str, float]]) -> list[str]:
    """A sentence for each column that is nearly all unknown in a split."""
    found: dict[str, list[str]] = {}
    for split, columns in shares.items():
        for name, share in columns.items():
            if share >= NEARLY_ALL:
                found.setdefault(name, []).append(f"{share:.1%} of {split}")
    return [
        f"{name}: train knows hardly an id of the other splits ({', '.join(where)} are unknown). Are they written in "
        "another way there, as 7.0 for 7 (normalize_ids: true), or are they new in every split?"
        for name, where in found.items()
    ]


def _is_there(column: pa.Array) -> np.ndarray:
    values, codes = distinct(column)
    return values.ne_missing("").to_numpy()[codes] if values.dtype == pl.String else np.ones(len(codes), bool)

"""The ids of a column's values as arrays; FuxiCTR's Tokenizer gives the same ids out of a dict of Python objects.

Building, merging and looking up are polars, numpy and pandas, so that a vocabulary of millions takes a second and not
a minute. Tests hold every id against FuxiCTR's own class.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

PADDING, UNKNOWN = "__PAD__", "__OOV__"  # FuxiCTR's own entries; the first has id 0
_EXACT = 1e15  # below which a whole float is written as Python and polars both do


class Vocabulary:
    """Values and their ids.

    Args:
        values: (V,) all different, of one type; FuxiCTR's own entries are not among them.
        ids: (V,) int64.
        unknown: the id of every value that is not among them.
    """

    def __init__(self, values: pl.Series, ids: np.ndarray, unknown: int):
        self.values, self.ids, self.unknown = values, ids, unknown
        self._seed, self._places = _places_by_hash(values)

    @property
    def size(self) -> int:
        """The largest id + 1."""
        return int(max(self.ids.max(initial=0), self.unknown)) + 1

    def ids_of(self, values: pl.Series) -> np.ndarray:
        """(N,) int64, the ids of any values; a missing one is unknown."""
        if not len(self.values):
            ids = np.full(len(values), self.unknown)
        else:
            sought = values.cast(self.values.dtype)
            places = self._places.get_indexer(pd.Index(sought.hash(self._seed).to_numpy()))  # -1: no value has the hash
            known = (self.values.gather(places.clip(min=0)) == sought).fill_null(False).to_numpy() & (places >= 0)
            ids = np.where(known, self.ids[places], self.unknown)
        if values.dtype == pl.String:
            ids[values.eq_missing(PADDING).to_numpy()] = 0
        return ids

    def holds(self, values: pl.Series) -> np.ndarray:
        """(N,) whether each of the values, none missing, has an id of its own."""
        return values.is_in(self.values.implode()).to_numpy()

    def __getitem__(self, entry: str) -> int:
        """The id of one of FuxiCTR's own entries."""
        return {PADDING: 0, UNKNOWN: self.unknown}[entry]

    def as_json(self) -> str:
        """The JSON object that FuxiCTR writes, by id."""
        keys = pl.concat([_keys(self.values), _keys([PADDING, UNKNOWN])])
        entries = pl.DataFrame({"key": keys, "id": np.append(self.ids, [0, self.unknown])})
        pairs = entries.sort("id", maintain_order=True).write_csv(
            include_header=False, separator=":", line_terminator=", ", quote_style="never"
        )
        return "{" + pairs.removesuffix(", ") + "}"


class ArrayTokenizer:
    """What FuxiCTR's ``Tokenizer`` does while FuxiCTR fits; its ``vocab`` is a :class:`Vocabulary`.

    Args:
        min_freq: values that occur less often get no id.
        na_value: stands for a missing value and gets no id.
        splitter, max_len, padding: of sequences, kept for the encoder.
        remap: whether values get new ids; else a whole number is its own.
    """

    def __init__(
        self,
        min_freq: int = 1,
        na_value: Any = "",
        splitter: str | None = None,
        remap: bool = True,
        max_len: int = 0,
        padding: str = "pre",
    ):
        self._min_freq, self._na_value, self._remap = min_freq, na_value, remap
        self.splitter, self.max_len, self.padding = splitter, max_len, padding
        self.vocab = Vocabulary(pl.Series([], dtype=pl.String), np.empty(0, np.int64), 1)

    def build_vocab(self, counts: pl.DataFrame) -> None:
        """``counts``: ``value``, each once, and ``len``, how often it occurs."""
        counts = counts.filter(pl.col("len") >= self._min_freq)
        is_text = counts["value"].dtype == pl.String
        if isinstance(self._na_value, str) == is_text:
            counts = counts.filter(pl.col("value") != self._na_value)
        frequent_first = {"by": ["len", "value"], "descending": [True, False]}
        values = counts.sort(**(frequent_first if is_text else {"by": "value"}))["value"]
        ids = np.arange(1, len(values) + 1) if self._remap else values.cast(pl.Int64).to_numpy()
        self.vocab = _with_own_entries(values, ids)

    def merge_vocab(self, owner: "ArrayTokenizer") -> "ArrayTokenizer":
        """Adds these values to those of the column whose embedding this one shares."""
        shared, own = owner.vocab, self.vocab
        new = ~shared.holds(own.values)
        values = pl.concat([shared.values, own.values.filter(new)])
        if self._remap:
            ids, unknown = np.concatenate([shared.ids, shared.unknown + np.arange(new.sum())]), shared.unknown
        else:
            kept = np.where(own.holds(shared.values), own.ids_of(shared.values), shared.ids)
            ids, unknown = np.concatenate([kept, own.ids[new]]), own.unknown
        size = int(max(ids.max(initial=0), unknown)) + 1
        if unknown != size - 1 or unknown != len(values) + 1:  # FuxiCTR's rule: the last id, which a new value may have
            unknown = size
        owner.vocab = self.vocab = Vocabulary(values, ids, unknown)
        return owner

    def vocab_size(self) -> int:
        return self.vocab.size

    def add_values(self, values: Sequence[Any]) -> None:
        """Gives an id to each of these that has none, behind the unknown id, which stays."""
        known = self.vocab
        read = pl.Series(values).cast(known.values.dtype).unique(maintain_order=True)
        new = read.filter(~known.holds(read))
        ids = np.concatenate([known.ids, known.size + np.arange(len(new))])
        self.vocab = Vocabulary(pl.concat([known.values, new]), ids, known.unknown)


def _places_by_hash(values: pl.Series) -> tuple[int, pd.Index]:
    """The places of different values by a hash of 64 bits, and the seed with which no two of them share one."""
    for seed in itertools.count():
        places = pd.Index(values.hash(seed).to_numpy())
        if places.is_unique:
            return seed, places
    raise AssertionError("unreachable")


def _with_own_entries(values: pl.Series, ids: np.ndarray) -> Vocabulary:
    """A text of the data that is one of FuxiCTR's own entries is that entry, and leaves its own id unused."""
    if values.dtype == pl.String:
        own = {entry: (values == entry).to_numpy() for entry in (PADDING, UNKNOWN)}
        unknown = int(ids[~own[PADDING]].max(initial=0)) + 1
        kept = ~(own[PADDING] | own[UNKNOWN])
        return Vocabulary(values.filter(kept), ids[kept].astype(np.int64), unknown)
    return Vocabulary(values, ids.astype(np.int64), int(ids.max(initial=0)) + 1)


def _keys(values: pl.Series | list[str]) -> pl.Series:
    """Values as json.dumps writes them as keys, in quotes."""
    column = pl.Series("value", values)
    if column.dtype.is_float() and not ((column == column.floor()) & (column.abs() < _EXACT)).all():
        column = pl.Series("value", [repr(value) for value in column])
    if column.dtype != pl.String:
        return '"' + column.cast(pl.String) + '"'
    quoted = column.to_frame().select(pl.struct("value").struct.json_encode()).to_series()
    return quoted.str.strip_prefix('{"value":').str.strip_suffix("}")

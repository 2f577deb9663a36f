"""The only module that knows FuxiCTR's preprocessing: fits its FeatureProcessor from counts and gives out its ids.

FuxiCTR decides what is fitted: its ``preprocess`` derives columns, its ``fit`` orders, shares and extends vocabularies.
Counting, sorting and looking up are ours, on arrays, because FuxiCTR's read every file once a column and visit every
value in Python; tests show that the result is FuxiCTR's ``build_dataset``, value by value.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.reading.checks import clock_column
from fuxi_plugins.datasets.spec import DatasetSpec, FeatureColumn
from fuxi_plugins.datasets.staging import distinct, lengths
from fuxi_plugins.datasets.statistics import Counts, Moments
from fuxi_plugins.datasets.store import smallest_integer
from fuxi_plugins.datasets.vocabulary import ArrayTokenizer, Vocabulary


class Statistics:
    """What FuxiCTR's ``fit`` wants to know of the rows."""

    def __init__(self, spec: DatasetSpec):
        columns = {name: column for column in spec.active_columns for name in column.names}
        self._counted = {name: column for name, column in columns.items() if column.has_vocabulary}
        self._counts = {name: Counts() for name in self._counted}
        self._moments = {name: Moments() for name, column in columns.items() if column.normalizer}
        self._longest = dict.fromkeys((name for name, column in columns.items() if column.type == "sequence"), 0)
        self._min_count = spec.min_categr_count

    def add(self, block: pa.RecordBatch, meta_only: bool = False) -> None:
        """Adds a block of staged rows; ids of groups are counted in every split, the rest in train."""
        for name, column in self._counted.items():
            if column.type == "meta" or not meta_only:
                values, codes = distinct(block[name])
                counted = pl.DataFrame({"value": values, "len": np.bincount(codes, minlength=len(values))})
                self._counts[name].add(counted.drop_nulls())
        if meta_only:
            return
        for name, moments in self._moments.items():
            moments.add(pl.Series(block[name]))
        for name in self._longest:
            self._longest[name] = max(self._longest[name], int(lengths(block[name]).max(initial=0)))

    def as_fuxictr(self, file: str) -> dict[str, dict[str, Any]]:
        """The dict that FuxiCTR's ``_collect_statistics`` would return, counts as a frame and without rare values.

        Raises:
            UserError: a column of which no value is left; ``file`` says where.
        """
        found: dict[str, dict[str, Any]] = {name: moments.as_fuxictr() for name, moments in self._moments.items()}
        for name, column in self._counted.items():
            least = 1 if column.type == "meta" else column.min_categr_count or self._min_count
            counts = self._counts.pop(name).frame().filter(pl.col("len") >= least)
            missing = "" if column.fill_na is None else column.fill_na
            if all(value == missing for value in counts["value"]) if counts.height < 2 else False:
                raise UserError(
                    f"{file}: column {name!r} must hold a value that occurs at least min_categr_count={least} times, "
                    "but holds none (missing values aside). Lower min_categr_count or set the column active: false."
                )
            found[name] = {"value_counts": counts}
            if name in self._longest:
                found[name]["max_len"] = self._longest[name]
        return found


class Processor:
    """FuxiCTR's FeatureProcessor for a dataset.

    Args:
        spec: the dataset.
        raw: the folder of its files.
        folder: where ``fit`` writes the feature map, the vocabulary and the pretrained vectors.
    """

    def __init__(self, spec: DatasetSpec, raw: Path, folder: Path):
        self._folder, self._spec = folder, spec
        self._fuxictr = _processor_class()(
            feature_cols=fuxictr_columns(spec, raw),
            label_col=spec.label_col.as_fuxictr(),
            dataset_id=spec.dataset_id,
            data_root=str(folder / "fuxictr"),
            group_id=spec.group_id,
        )

    def preprocess(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Missing values filled and columns derived, by FuxiCTR's own expressions."""
        return self._fuxictr.preprocess(frame.lazy()).collect()

    def fit(self, statistics: Statistics) -> dict[str, "Encoder"]:
        """Fits FuxiCTR's vocabularies and normalizers and returns how each stored column is made.

        Raises:
            UserError: a column without values.
        """
        found = statistics.as_fuxictr(self._spec.train_data)
        self._fuxictr._collect_statistics = lambda *_: found
        with _fitting_arrays():
            self._fuxictr.fit(None, min_categr_count=self._spec.min_categr_count)
        made = self._folder / "fuxictr" / self._spec.dataset_id
        _link_equal_files(made, self._spec)
        for path in made.iterdir():  # what FuxiCTR's models look for there
            path.rename(self._folder / path.name)
        made.rmdir()
        made.parent.rmdir()
        columns = {name: column for column in self._spec.active_columns for name in column.names}
        plain = [self._spec.label_col.name, *self._spec.stored_as_read]
        encoders: dict[str, Encoder] = {name: Numbers(None) for name in plain}
        for name, feature in self._fuxictr.feature_map.features.items():
            encoders[name] = _encoder(name, columns[name], feature, self._fuxictr.processor_dict)
        return encoders


class Encoder:
    """Makes a stored column of a staged one."""

    dtype: np.dtype
    width: int = 0  # of an array a row; 0 is a scalar
    unknown: int | None = None  # the id of every value that train does not know, if it makes ids

    def array(self, column: pa.Array) -> np.ndarray:
        """The stored values of a block's column."""
        raise NotImplementedError


class Numbers(Encoder):
    dtype = np.dtype(np.float32)

    def __init__(self, normalizer: Any):
        self._normalizer = normalizer

    def array(self, column: pa.Array) -> np.ndarray:
        numbers = pl.Series(column).cast(pl.Float64).to_numpy()
        return numbers if self._normalizer is None else self._normalizer.transform(numbers)


class Vectors(Encoder):
    """A vector a row, as it was read."""

    dtype = np.dtype(np.float32)

    def __init__(self, width: int):
        self.width = width

    def array(self, column: pa.Array) -> np.ndarray:
        return pl.Series(column).to_numpy()


class GroupNumbers(Encoder):
    """A group id that is a whole number already."""

    dtype = np.dtype(np.int64)

    def array(self, column: pa.Array) -> np.ndarray:
        return pl.Series(column).cast(pl.Int64).to_numpy()


class Ids(Encoder):
    """A value's id in the vocabulary; one that is not there is FuxiCTR's ``__OOV__``."""

    def __init__(self, vocabulary: Vocabulary, dtype: np.dtype):
        self._vocabulary, self.dtype, self.unknown = vocabulary, dtype, vocabulary.unknown

    def array(self, column: pa.Array) -> np.ndarray:
        values, codes = distinct(column)
        return self._vocabulary.ids_of(values).astype(self.dtype)[codes]


class Sequences(Encoder):
    """The ids of a sequence's entries, the latest ``width`` of them at its end or the first at its beginning."""

    def __init__(self, vocabulary: Vocabulary, dtype: np.dtype, width: int, padding: str, missing: str):
        self._vocabulary, self._padding, self._missing = vocabulary, padding, missing
        self.dtype, self.width, self.unknown = dtype, width, vocabulary.unknown

    def array(self, column: pa.Array) -> np.ndarray:
        values, codes = distinct(column)
        known = self._vocabulary.ids_of(values).astype(self.dtype)
        known[values.eq_missing(self._missing).to_numpy()] = 0
        counted = lengths(column)
        rows = np.repeat(np.arange(len(counted)), counted)
        position = np.arange(len(rows)) - np.repeat(np.cumsum(counted) - counted, counted)  # in its sequence
        if self._padding == "pre":
            position += self.width - counted[rows]
        kept = (position >= 0) & (position < self.width)
        padded = np.zeros((len(counted), self.width), self.dtype)
        padded[rows[kept], position[kept]] = known[codes[kept]]
        return padded


def fuxictr_columns(spec: DatasetSpec, raw: Path) -> list[dict[str, Any]]:
    """``feature_cols`` as FuxiCTR takes them, files of vectors by their paths."""
    columns = [column.as_fuxictr() for column in spec.active_columns]
    for column in columns:
        if "pretrained_emb" in column:
            column["pretrained_emb"] = str(raw / column["pretrained_emb"])
    return columns


def _encoder(name: str, column: FeatureColumn, feature: dict, fitted: dict[str, Any]) -> Encoder:
    """``fitted``: FuxiCTR's tokenizers and normalizers."""
    if feature["type"] == "numeric":
        return Numbers(fitted.get(f"{name}::normalizer"))
    if feature["type"] == "embedding":
        return Vectors(feature["pretrain_dim"])
    if feature["type"] == "meta" and not column.has_vocabulary:
        return GroupNumbers()
    tokenizer = fitted[f"{name}::tokenizer"]
    if feature["type"] == "meta":
        return Ids(tokenizer.vocab, np.dtype(np.int64))
    dtype = smallest_integer(feature["vocab_size"] - 1)
    if feature["type"] == "categorical":
        return Ids(tokenizer.vocab, dtype)
    missing = "" if column.fill_na is None else str(column.fill_na)
    return Sequences(tokenizer.vocab, dtype, tokenizer.max_len, tokenizer.padding, missing)


def _link_equal_files(made: Path, spec: DatasetSpec) -> None:
    """FuxiCTR copies a file of vectors once a column that names it; the copies become one file of several names."""
    first: dict[str, Path] = {}
    for column in spec.active_columns:
        if not column.pretrained_emb:
            continue
        for name in column.names:
            copy = made / f"pretrained_{name}{Path(column.pretrained_emb).suffix}"
            if column.pretrained_emb in first:
                copy.unlink()
                copy.hardlink_to(first[column.pretrained_emb])
            else:
                first[column.pretrained_emb] = copy


def _processor_class() -> type:
    """FuxiCTR's FeatureProcessor with the preprocessors of all the datasets that FuxiCTR knows.

    Importing it imports Ray (without starting it), so only when needed.
    """
    from fuxictr.datasets import avazu, criteo, kkbox

    bases = tuple(module.CustomizedFeatureProcessor for module in (avazu, criteo, kkbox))
    own = {"hour_of": _hour_of, "weekday_of": _weekday_of}
    return type("Processor", bases, own | {"save_pickle": _keep_no_pickle, "save_vocab": _save_vocabulary})


def _hour_of(_: Any, column: str) -> pl.Expr:
    """0 to 23, of the moments of a typed block's column."""
    return pl.col(clock_column(column)).dt.hour().cast(pl.String)


def _weekday_of(_: Any, column: str) -> pl.Expr:
    """1, which is Monday, to 7."""
    return pl.col(clock_column(column)).dt.weekday().cast(pl.String)


class _Tokenizer(ArrayTokenizer):
    def load_pretrained_vocab(self, dtype: type, path: str) -> None:
        """Adds the keys of a file of vectors."""
        from fuxictr.preprocess.tokenizer import load_pretrain_emb

        self.add_values(load_pretrain_emb(path, keys=["key"]).astype(dtype).tolist())


@contextmanager
def _fitting_arrays() -> Iterator[None]:
    """Within it FuxiCTR's ``fit`` makes tokenizers of arrays in place of its own."""
    from fuxictr.preprocess import feature_processor

    theirs = feature_processor.Tokenizer
    feature_processor.Tokenizer = _Tokenizer
    try:
        yield
    finally:
        feature_processor.Tokenizer = theirs


def _keep_no_pickle(processor: Any, path: str) -> None:
    """A pickle is code to whoever opens it; nothing here reads one."""


def _save_vocabulary(processor: Any, path: str) -> None:
    """FuxiCTR's file, a column a line."""
    columns = [
        f"{json.dumps(name)}: {processor.processor_dict[f'{name}::tokenizer'].vocab.as_json()}"
        for name, feature in processor.feature_map.features.items()
        if feature["type"] in ("categorical", "sequence")
    ]
    with open(path, "w", encoding="utf-8") as file:
        file.write("{" + ",\n".join(columns) + "}")

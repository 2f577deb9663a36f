"""The only module that knows FuxiCTR's preprocessing: fits its FeatureProcessor from counts and gives out its ids.

FuxiCTR decides every id: its ``preprocess`` derives columns, its ``fit`` turns counts into vocabularies, shares and
extends them. Counting and looking up are ours, in polars, because FuxiCTR's read every file once a column and visit
every value in Python; a test shows that the result is FuxiCTR's ``build_dataset``, value by value.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.spec import DatasetSpec, FeatureColumn
from fuxi_plugins.datasets.statistics import Counts, Moments, number
from fuxi_plugins.datasets.store import smallest_integer


class Statistics:
    """What FuxiCTR's ``fit`` wants to know of the rows."""

    def __init__(self, spec: DatasetSpec):
        columns = {name: column for column in spec.active_columns for name in column.names}
        self._counted = {
            name: column
            for name, column in columns.items()
            if column.type in ("categorical", "sequence") or (column.type == "meta" and column.remaps)
        }
        self._counts = {name: Counts() for name in self._counted}
        self._moments = {name: Moments() for name, column in columns.items() if column.normalizer}
        self._longest = dict.fromkeys((name for name, column in columns.items() if column.type == "sequence"), 0)
        self._min_count = spec.min_categr_count
        self.texts: set[str] = set()  # columns whose counted values are text and not numbers

    def add(self, frame: pl.DataFrame, meta_only: bool = False) -> None:
        """Adds a block of preprocessed rows; ids of groups are counted in every split, the rest in train."""
        chosen = {name: c for name, c in self._counted.items() if c.type == "meta" or not meta_only}
        counted = pl.collect_all([_occurrences(frame, name, column) for name, column in chosen.items()])
        for name, values in zip(chosen, counted, strict=True):
            self._counts[name].add(values)
        if meta_only:
            return
        for name, moments in self._moments.items():
            moments.add(frame[name])
        for name in self._longest:
            most = frame[name].str.split(self._counted[name].split_by).list.len().max()
            self._longest[name] = max(self._longest[name], int(number(most or 0)))

    def as_fuxictr(self, file: str) -> dict[str, dict[str, Any]]:
        """The dict that FuxiCTR's ``_collect_statistics`` would return, rare values left out as ``fit`` would.

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
            found[name] = {"value_counts": dict(zip(counts["value"].to_list(), counts["len"].to_list(), strict=True))}
            if counts["value"].dtype == pl.String:
                self.texts.add(name)
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
        self._fuxictr.fit(None, min_categr_count=self._spec.min_categr_count)
        made = self._folder / "fuxictr" / self._spec.dataset_id
        _link_equal_files(made, self._spec)
        for path in made.iterdir():  # what FuxiCTR's models look for there
            path.rename(self._folder / path.name)
        made.rmdir()
        made.parent.rmdir()
        columns = {name: column for column in self._spec.active_columns for name in column.names}
        plain = [self._spec.label_col.name, *([self._spec.weight_col] if self._spec.weight_col else [])]
        encoders: dict[str, Encoder] = {name: Numbers(None) for name in plain}
        for name, feature in self._fuxictr.feature_map.features.items():
            is_text = name in statistics.texts
            encoders[name] = _encoder(name, columns[name], feature, is_text, self._fuxictr.processor_dict)
        return encoders


class Encoder:
    """Makes a stored column of a preprocessed one."""

    dtype: np.dtype
    width: int = 0  # of an array a row; 0 is a scalar
    unknown: int | None = None  # the place of every id that train does not know, if it makes places

    def expressions(self, column: pl.Expr) -> pl.Expr:
        """What polars does, all columns at once."""
        raise NotImplementedError

    def array(self, values: pl.Series) -> np.ndarray:
        """The stored values of what the expression gave."""
        return values.to_numpy()


class Numbers(Encoder):
    dtype = np.dtype(np.float32)

    def __init__(self, normalizer: Any):
        self._normalizer = normalizer

    def expressions(self, column: pl.Expr) -> pl.Expr:
        return column.cast(pl.Float64)

    def array(self, values: pl.Series) -> np.ndarray:
        numbers = values.to_numpy()
        return numbers if self._normalizer is None else self._normalizer.transform(numbers)


class GroupNumbers(Encoder):
    """A group id that is a whole number already."""

    dtype = np.dtype(np.int64)

    def expressions(self, column: pl.Expr) -> pl.Expr:
        return column.cast(pl.Int64)


class Ids(Encoder):
    """A value's place in the vocabulary; one that is not there is FuxiCTR's ``__OOV__``."""

    def __init__(self, vocabulary: Mapping[Any, int], dtype: np.dtype, is_text: bool):
        known = {value: place for value, place in vocabulary.items() if isinstance(value, str) == is_text}
        self._values = pl.Series(list(known), dtype=pl.String if is_text else None)
        self._places = pl.Series(list(known.values()), dtype=pl.Int64)
        self.unknown: int = vocabulary["__OOV__"]
        self.dtype = dtype

    def expressions(self, column: pl.Expr) -> pl.Expr:
        return column.replace_strict(self._values, self._places, default=self.unknown, return_dtype=pl.Int64)


class Sequences(Encoder):
    """The places of a sequence's parts, the latest ``width`` of them at its end or the first at its beginning."""

    def __init__(self, parts: Ids, splitter: str, width: int, padding: str, missing: str):
        self._parts, self._splitter, self._padding, self._missing = parts, splitter, padding, missing
        self.dtype, self.width, self.unknown = parts.dtype, width, parts.unknown

    def expressions(self, column: pl.Expr) -> pl.Expr:
        return column.str.split(self._splitter)

    def array(self, values: pl.Series) -> np.ndarray:
        lengths = values.list.len().to_numpy().astype(np.int64)
        parts = values.explode(empty_as_null=True).alias("part").to_frame()
        places = parts.select(
            pl.when(pl.col("part") == self._missing).then(0).otherwise(self._parts.expressions(pl.col("part")))
        ).to_series()
        rows = np.repeat(np.arange(len(lengths)), lengths)
        position = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)  # in its sequence
        if self._padding == "pre":
            position += self.width - lengths[rows]
        kept = (position >= 0) & (position < self.width)
        padded = np.zeros((len(lengths), self.width), self.dtype)
        padded[rows[kept], position[kept]] = places.to_numpy()[kept]
        return padded


def fuxictr_columns(spec: DatasetSpec, raw: Path) -> list[dict[str, Any]]:
    """``feature_cols`` as FuxiCTR takes them, files of vectors by their paths."""
    columns = [column.as_fuxictr() for column in spec.active_columns]
    for column in columns:
        if "pretrained_emb" in column:
            column["pretrained_emb"] = str(raw / column["pretrained_emb"])
    return columns


def _occurrences(frame: pl.DataFrame, name: str, column: FeatureColumn) -> pl.LazyFrame:
    values = frame.lazy().select(pl.col(name).alias("value"))
    if column.type == "sequence":
        values = values.select(pl.col("value").str.split(column.split_by).explode(empty_as_null=True))
    return values.drop_nulls().group_by("value").agg(pl.len().cast(pl.Int64))


def _encoder(name: str, column: FeatureColumn, feature: dict, is_text: bool, fitted: dict[str, Any]) -> Encoder:
    """``fitted``: FuxiCTR's tokenizers and normalizers."""
    if feature["type"] == "numeric":
        return Numbers(fitted.get(f"{name}::normalizer"))
    if feature["type"] == "meta" and f"{name}::tokenizer" not in fitted:
        return GroupNumbers()
    tokenizer = fitted[f"{name}::tokenizer"]
    if feature["type"] == "meta":
        return Ids(tokenizer.vocab, np.dtype(np.int64), is_text)
    dtype = smallest_integer(feature["vocab_size"] - 1)
    if feature["type"] == "categorical":
        return Ids(tokenizer.vocab, dtype, is_text)
    missing = "" if column.fill_na is None else str(column.fill_na)
    return Sequences(
        Ids(tokenizer.vocab, dtype, is_text=True), column.split_by, tokenizer.max_len, tokenizer.padding, missing
    )


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
    return type("Processor", bases, {"save_pickle": _keep_no_pickle, "save_vocab": _save_vocabulary})


def _keep_no_pickle(processor: Any, path: str) -> None:
    """A pickle is code to whoever opens it; nothing here reads one."""


def _save_vocabulary(processor: Any, path: str) -> None:
    """FuxiCTR's file, without the indents that take Python's slow encoder."""
    with open(path, "w") as file:
        before = "{"
        for name, feature in processor.feature_map.features.items():
            if feature["type"] in ("categorical", "sequence"):
                vocabulary = processor.processor_dict[f"{name}::tokenizer"].vocab
                by_place = dict(sorted(vocabulary.items(), key=lambda entry: entry[1]))
                file.write(f"{before}{json.dumps(name)}: {json.dumps(by_place)}")
                before = ",\n"
        file.write("}" if before != "{" else "{}")

"""What a dataset config says of each column, of the label and of how rows are divided; FuxiCTR's keys and some more.

FuxiCTR passes some of these strings to ``eval``, so only values known here are let through.
"""

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, StrictInt, field_validator, model_validator

from fuxi_plugins.core.explain import Strict
from fuxi_plugins.datasets.label_rule import LabelRule
from fuxi_plugins.datasets.reading.forms import ColumnForm

SPLITS = ("train", "valid", "test")
# What FuxiCTR would evaluate as code or look up by name; nothing else is accepted.
_ENCODER = re.compile(
    r"layers\.Masked(Average|Sum)Pooling\(\)|nn\.Linear\([1-9][0-9]*, [1-9][0-9]*, bias=(False|True)\)"
)
_LINEAR = re.compile(r"nn\.Linear\([0-9]+, ([0-9]+)")
_OF_COLUMN = re.compile(r"(copy_from|hour_of|weekday_of)\(([^()]+)\)")
# What says something of ids or of single numbers.
_NOT_OF_VECTORS = ("fill_na", "preprocess", "normalizer", "min_categr_count", "remap", "max_len", "padding",
    "share_embedding", "pretrained_emb", "pretrain_usage", "freeze_emb", "normalize_ids")  # fmt: skip
# FuxiCTR's preprocessors by name -> the raw column that each reads, or None for the one of its own name.
PREPROCESSORS = {
    "convert_hour": "hour",
    "convert_weekday": "hour",
    "convert_weekend": "hour",
    "convert_to_bucket": None,
    "extract_country_code": None,
    "bucketize_age": None,
}


class FeatureColumn(Strict):
    """One column, or several that share their settings; names and meanings are FuxiCTR's.

    The type ``embedding`` is a vector a row of ``pretrain_dim`` numbers, as of an image or a text. Models project it to
    the width of their embeddings.
    """

    name: str | list[str]
    type: Literal["numeric", "categorical", "sequence", "embedding", "meta"]
    dtype: Literal["int", "float", "str", "list"]  # of a column of vectors ``float`` or, as in FuxiCTR's demo, ``list``
    active: bool = True
    fill_na: int | float | str | None = None
    preprocess: str | None = None
    normalizer: Literal["StandardScaler", "MinMaxScaler"] | None = None
    min_categr_count: StrictInt | None = None
    remap: bool | None = None
    splitter: str | None = None
    max_len: StrictInt | None = None
    padding: Literal["pre", "post"] | None = None
    share_embedding: str | None = None
    embedding_dim: StrictInt | None = None
    feature_encoder: str | list[str] | None = None
    source: str | None = None
    pretrained_emb: str | None = None  # a file of the dataset with ``key`` and ``value``: vectors of the column's ids
    pretrain_dim: StrictInt | None = None
    pretrain_usage: Literal["init", "sum", "concat"] | None = None
    freeze_emb: bool | None = None
    emb_output_dim: StrictInt | None = None
    # How the files write the column; FuxiCTR has no words for it.
    na_values: list[str] | None = None  # texts that stand for a missing value
    normalize_ids: bool | None = None  # 7.0 is the id 7
    list_format: Literal["brackets"] | None = None  # a list is written as text in brackets, [3, 7]

    @field_validator("preprocess")
    @classmethod
    def _is_known(cls, preprocess: str | None) -> str | None:
        if preprocess and preprocess not in PREPROCESSORS and not _OF_COLUMN.fullmatch(preprocess):
            raise ValueError(
                "preprocess is copy_from(COLUMN), hour_of(COLUMN), weekday_of(COLUMN) or one of "
                f"{', '.join(PREPROCESSORS)}"
            )
        return preprocess

    @field_validator("feature_encoder")
    @classmethod
    def _is_harmless(cls, encoder: str | list[str] | None) -> str | list[str] | None:
        if any(not _ENCODER.fullmatch(part) for part in ([encoder] if isinstance(encoder, str) else encoder or [])):
            raise ValueError(
                "feature_encoder must be one of layers.MaskedAveragePooling(), layers.MaskedSumPooling() and "
                "nn.Linear(IN, OUT, bias=False), or a list of them"
            )
        return encoder

    @field_validator("pretrained_emb")
    @classmethod
    def _inside_the_folder(cls, name: str | None) -> str | None:
        return inside_folder(name) if name else name

    @model_validator(mode="after")
    def _is_a_whole_vector(self) -> "FeatureColumn":
        if self.type != "embedding":
            if self.dtype == "list":
                raise ValueError(f"dtype: list is of columns of type embedding, but {self.name} is {self.type}")
            return self
        if self.dtype not in ("float", "list") or not self.pretrain_dim or self.pretrain_dim < 1:
            raise ValueError(
                "a column of type embedding holds a vector a row: it needs dtype: float and pretrain_dim, how many "
                f"numbers a vector has, but they are {self.dtype} and {self.pretrain_dim}"
            )
        given = [key for key in _NOT_OF_VECTORS if getattr(self, key) is not None]
        if given:
            raise ValueError(f"a column of type embedding has no {' and no '.join(given)}; a missing vector is zeros")
        return self

    @model_validator(mode="after")
    def _has_an_id_an_hour(self) -> "FeatureColumn":
        if self.is_of_clock and (self.type, self.dtype) != ("categorical", "str"):
            raise ValueError(
                f"hours and weekdays are ids: a column with preprocess: {self.preprocess} must have type: categorical "
                f"and dtype: str, but has {self.type} and {self.dtype}"
            )
        return self

    @property
    def names(self) -> list[str]:
        return [self.name] if isinstance(self.name, str) else list(self.name)

    @property
    def vector_length(self) -> int | None:
        """How many numbers a row has, of a column of vectors; None for others."""
        return self.pretrain_dim if self.type == "embedding" else None

    @property
    def made_from(self) -> str | None:
        """The raw column of another name that this one is computed from, or None for its own."""
        named = _OF_COLUMN.fullmatch(self.preprocess or "")
        return named.group(2) if named else PREPROCESSORS.get(self.preprocess or "")

    @property
    def is_copy(self) -> bool:
        return (self.preprocess or "").startswith("copy_from")

    @property
    def is_of_clock(self) -> bool:
        """Whether it is the hour or the weekday of another column's moments."""
        return (self.preprocess or "").startswith(("hour_of", "weekday_of"))

    @property
    def width(self) -> int | None:
        """Of its embedding, where the config fixes it; else an experiment's ``embedding_dim`` says it."""
        encoders = [self.feature_encoder] if isinstance(self.feature_encoder, str) else self.feature_encoder or []
        linear = [found for encoder in encoders if (found := _LINEAR.match(encoder))]
        return int(linear[-1].group(1)) if linear else self.emb_output_dim or self.embedding_dim

    @property
    def form(self) -> ColumnForm:
        """How the files write it."""
        return ColumnForm(
            na_values=tuple(self.na_values or ()),
            normalize_ids=bool(self.normalize_ids),
            brackets=self.list_format == "brackets",
            splitter=self.split_by,
            numbers=self.type == "embedding",
        )

    @property
    def split_by(self) -> str:
        """What a sequence's entries are joined with; FuxiCTR's default where the config is silent."""
        return self.splitter or "^"

    @property
    def remaps(self) -> bool:
        """Whether its values get numbers of their own; text must, whatever the config says."""
        return self.remap is not False or self.dtype == "str"

    @property
    def has_vocabulary(self) -> bool:
        """Whether its values are counted and get ids."""
        return self.type in ("categorical", "sequence") or (self.type == "meta" and self.remaps)

    def as_fuxictr(self) -> dict[str, Any]:
        known = self.model_dump(exclude_none=True, exclude={"na_values", "normalize_ids", "list_format"})
        if self.type == "embedding":
            known["fill_na"] = None  # else FuxiCTR fills a missing list with one number
        return known if self.remap is None else known | {"remap": self.remaps}


class LabelColumn(Strict):
    """The column that models learn to predict: 0 or 1, or what ``rule`` makes so, as ``>= 4`` of a rating."""

    name: str
    dtype: Literal["float", "int"] = "float"
    rule: str | None = None
    na_values: list[str] | None = None  # texts that stand for a missing value

    @field_validator("rule")
    @classmethod
    def _can_be_read(cls, rule: str | None) -> str | None:
        if rule is not None:
            LabelRule.parse(rule)
        return rule

    @property
    def form(self) -> ColumnForm:
        """How the files write it."""
        return ColumnForm(na_values=tuple(self.na_values or ()))

    @property
    def parsed_rule(self) -> LabelRule | None:
        return LabelRule.parse(self.rule) if self.rule else None

    def as_fuxictr(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype}


class SplitRule(Strict):
    """How the rows of the training file are divided among the splits that have no file of their own.

    by: ``time``: the rows of the latest values of ``column``, rows of one moment staying together; ``group``: all rows
        of some values of ``column``, drawn by ``seed``; ``random``: each row, drawn by ``seed``; ``order``: the last
        rows of the file; ``column``: as ``column`` says, row by row.
    column: of numbers or dates for ``time``; of ``train``, ``valid`` and ``test``, or of ``values``, for ``column``.
    valid, test: the share of rows (by group: of groups) that each gets, between 0 and 1. By column ``valid`` is drawn
        of train's rows by ``seed``, where no value marks it.
    seed: of what is drawn.
    values: by split, the values of ``column`` that mark its rows.
    """

    by: Literal["time", "group", "random", "order", "column"]
    column: str | None = None
    valid: float | None = Field(default=None, gt=0, lt=1)
    test: float | None = Field(default=None, gt=0, lt=1)
    seed: StrictInt = Field(default=2026, ge=0)
    values: dict[Literal["train", "valid", "test"], list[str]] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> "SplitRule":
        if (self.column is None) != (self.by in ("random", "order")):
            needs = "no column" if self.column else "a column"
            raise ValueError(f"by: {self.by} needs {needs}, but column is {self.column!r}")
        if self.values and self.by != "column":
            raise ValueError(f"values say which rows are whose with by: column, not with by: {self.by}")
        if self.by == "column" and (self.test or (self.valid and (not self.values or self.values.get("valid")))):
            raise ValueError("by: column takes a share for valid alone, where values name marks of train and test only")
        if self.by != "column" and sum(self.shares.values()) >= 1:
            raise ValueError("the shares of valid and test must leave rows for train")
        return self

    @property
    def read_column(self) -> str:
        """The column, of a rule that has one."""
        assert self.column is not None
        return self.column

    @property
    def shares(self) -> dict[str, float]:
        """Of the splits that are divided off, by share."""
        return {split: share for split, share in (("valid", self.valid), ("test", self.test)) if share}

    @property
    def marks(self) -> dict[str, list[str]]:
        """By split, the values of the column that mark its rows."""
        return dict(self.values.items()) if self.values else {split: [split] for split in SPLITS}


def inside_folder(name: str) -> str:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError("a data file is named relative to the dataset's folder and lies inside it")
    return name

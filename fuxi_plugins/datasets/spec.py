"""Dataset configs in FuxiCTR's form, read strictly.

FuxiCTR passes some of these strings to ``eval``, so only values known here are let through.
"""

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    ValidationError,
    field_validator,
    model_validator,
)

from fuxi_plugins.core.configs import AnyConfigs, config_files, folders_of
from fuxi_plugins.core.errors import UserError, unknown_name
from fuxi_plugins.core.explain import explain
from fuxi_plugins.core.yaml_files import load_yaml

SPLITS = ("train", "valid", "test")

# What FuxiCTR would evaluate as code or look up by name; nothing else is accepted.
_ENCODER = re.compile(
    r"layers\.Masked(Average|Sum)Pooling\(\)|nn\.Linear\([1-9][0-9]*, [1-9][0-9]*, bias=(False|True)\)"
)
_LINEAR = re.compile(r"nn\.Linear\([0-9]+, ([0-9]+)")
_COPY = re.compile(r"copy_from\(([A-Za-z_][A-Za-z_0-9]*)\)")
# FuxiCTR's preprocessors by name -> the raw column that each reads, or None for the one of its own name.
PREPROCESSORS = {
    "convert_hour": "hour",
    "convert_weekday": "hour",
    "convert_weekend": "hour",
    "convert_to_bucket": None,
    "extract_country_code": None,
    "bucketize_age": None,
}
Builder = Literal[
    "carved", "synthetic", "ml100k", "criteo_x1_twin", "avazu_x4_twin", "kuaivideo_x1_twin", "taobaoad_x1_twin"
]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FeatureColumn(Strict):
    """One column, or several that share their settings; names and meanings are FuxiCTR's."""

    name: str | list[str]
    type: Literal["numeric", "categorical", "sequence", "meta"]
    dtype: Literal["int", "float", "str"]
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

    @field_validator("preprocess")
    @classmethod
    def _is_known(cls, preprocess: str | None) -> str | None:
        if preprocess and preprocess not in PREPROCESSORS and not _COPY.fullmatch(preprocess):
            raise ValueError(f"preprocess is copy_from(COLUMN) or one of {', '.join(PREPROCESSORS)}")
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
        return _relative(name) if name else name

    @property
    def names(self) -> list[str]:
        return [self.name] if isinstance(self.name, str) else list(self.name)

    @property
    def made_from(self) -> str | None:
        """The raw column of another name that this one is computed from, or None for its own."""
        copied = _COPY.fullmatch(self.preprocess or "")
        return copied.group(1) if copied else PREPROCESSORS.get(self.preprocess or "")

    @property
    def width(self) -> int | None:
        """Of its embedding, where the config fixes it; else an experiment's ``embedding_dim`` says it."""
        encoders = [self.feature_encoder] if isinstance(self.feature_encoder, str) else self.feature_encoder or []
        linear = [found for encoder in encoders if (found := _LINEAR.match(encoder))]
        return int(linear[-1].group(1)) if linear else self.emb_output_dim or self.embedding_dim

    def as_fuxictr(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


class LabelColumn(Strict):
    name: str
    dtype: Literal["float", "int"]


class Source(Strict):
    homepage: str
    hub: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")  # Hugging Face dataset
    licence: str
    citation: str = ""

    @field_validator("homepage")
    @classmethod
    def _is_an_address(cls, address: str) -> str:
        """It becomes a link."""
        if not re.fullmatch(r"(https?://[^\s<>()]+)?", address):
            raise ValueError("an address must begin with https:// or http:// and hold no spaces or brackets")
        return address


class DatasetSpec(Strict):
    """A named split of a data set: where it comes from, its checksums, and FuxiCTR's preprocessing of it."""

    dataset_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    title: str
    source: Source | None = None
    data_root: str | None = None  # a folder of the user's own that holds the csv files; else they are imported
    build: Builder | None = None  # how the csv files are made, if they are not given
    build_args: dict[str, Any] = {}
    files: dict[str, str] = {}  # file to be provided -> md5 of its uncompressed bytes
    files_of: str | None = None  # the dataset whose provided files these are, if they are installed there
    published_as: str | None = None
    published_rows: dict[str, int] = {}  # by split, as the publishers count them
    published_positive_rate: dict[str, float] = {}
    note: str = ""
    data_format: Literal["csv"] = "csv"
    train_data: str
    valid_data: str
    test_data: str
    min_categr_count: StrictInt = 1
    group_id: str | None = None
    cluster_id: str | None = None  # the column whose rows are not independent of each other, for statistics alone
    feature_cols: list[FeatureColumn]
    feature_sources: dict[str, list[str]] = {}  # {item: [item, cost]}; or a column's own ``source`` says so
    label_col: LabelColumn

    @field_validator("train_data", "valid_data", "test_data")
    @classmethod
    def _inside_the_folder(cls, name: str) -> str:
        return _relative(name)

    @model_validator(mode="after")
    def _columns_fit_together(self) -> "DatasetSpec":
        names = [name for column in self.feature_cols for name in column.names]
        odd = [name for name in names if not name or set(name) & set("./\\")]
        if odd:
            raise ValueError(f"a column name holds no dot or slash, but these do: {odd}")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the columns {twice} stand twice in feature_cols")
        for column in self.feature_cols:
            if column.share_embedding and column.share_embedding not in names:
                raise ValueError(f"{column.name} shares the embedding of {column.share_embedding!r}, no such column")
        named = [name for listed in self.feature_sources.values() for name in listed]
        named += [name for column in self.feature_cols if column.source for name in column.names]
        odd = sorted({name for name in named if name not in names or named.count(name) > 1})
        if odd:
            raise ValueError(f"feature_sources names columns of feature_cols, each once, which does not hold for {odd}")
        if self.group_id and self.group_id not in names:
            raise ValueError(f"group_id names {self.group_id!r}, which is not in feature_cols")
        return self

    @property
    def active_columns(self) -> list[FeatureColumn]:
        return [column for column in self.feature_cols if column.active]

    @property
    def categorical_columns(self) -> list[str]:
        """Those that hold one id a row."""
        names = [name for column in self.active_columns if column.type == "categorical" for name in column.names]
        return names if self.group_id in (None, *names) else [*names, self.group_id]

    @property
    def source_of(self) -> dict[str, str]:
        """By feature whose it is, ``user`` or ``item`` say; empty where the config does not tell."""
        listed = {name: source for source, names in self.feature_sources.items() for name in names}
        return {
            name: column.source or listed.get(name, "")
            for column in self.active_columns
            if column.type != "meta"
            for name in column.names
        }

    @property
    def raw_columns(self) -> dict[str, str]:
        """dtype by name of every column that must be in the raw files."""
        columns = {self.label_col.name: self.label_col.dtype}
        for column in self.active_columns:
            if column.made_from:
                columns.setdefault(column.made_from, "str")
            else:
                columns.update(dict.fromkeys(column.names, column.dtype))
        if self.cluster_column:
            columns.setdefault(self.cluster_column, "str")
        return columns

    @property
    def cluster_column(self) -> str | None:
        """The column of the files that ``cluster_id`` names, whether by its own name or by that of a feature's copy."""
        copies = {name: column.made_from for column in self.active_columns for name in column.names}
        return copies.get(self.cluster_id or "") or self.cluster_id

    @property
    def numbers_read(self) -> dict[str, str]:
        """dtype by name of every raw column that must hold numbers, whether for itself or for a copy of it."""
        return {
            column.made_from or name: column.dtype
            for column in self.active_columns
            for name in column.names
            if column.dtype != "str" and (column.made_from is None or _COPY.fullmatch(column.preprocess or ""))
        }

    @property
    def valid_is_test(self) -> bool:
        return self.valid_data == self.test_data

    @property
    def pretrained_files(self) -> list[str]:
        """Files with pretrained vectors, each once."""
        return list(dict.fromkeys(column.pretrained_emb for column in self.active_columns if column.pretrained_emb))

    @property
    def data_files(self) -> list[str]:
        """What preparation reads: a csv file a split, and pretrained vectors."""
        return list(dict.fromkeys([*(self.split_file(split) for split in SPLITS), *self.pretrained_files]))

    def split_file(self, split: str) -> str:
        return getattr(self, f"{split}_data")


def _relative(name: str) -> str:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError("a data file is named relative to the dataset's folder and lies inside it")
    return name


def load_dataset_specs(configs: AnyConfigs) -> dict[str, DatasetSpec]:
    """Every dataset of ``configs/dataset_config.yaml`` or ``configs/dataset_config/*.yaml``, by id.

    Raises:
        UserError: a file that is not valid, or an id that stands in two files of one folder.
    """
    specs: dict[str, DatasetSpec] = {}
    for folder in folders_of(configs):
        specs = specs | {name: spec for name, spec in _specs_of(folder).items() if name not in specs}
    for dataset_id, spec in specs.items():
        owner = specs.get(spec.files_of or dataset_id)
        if owner is None or owner.files_of or owner.files != spec.files:
            raise UserError(
                f"dataset {dataset_id!r}: files_of must name a dataset that has the same files of its own, "
                f"but is {spec.files_of!r}."
            )
    return specs


def _specs_of(folder: Path) -> dict[str, DatasetSpec]:
    specs: dict[str, DatasetSpec] = {}
    for path in config_files(folder, "dataset_config"):
        for dataset_id, settings in load_yaml(path).items():
            if dataset_id in specs:
                raise UserError(f"the dataset {dataset_id!r} stands in two files; one of them is {path}.")
            specs[dataset_id] = read_spec(dataset_id, settings, path)
    return specs


def read_spec(dataset_id: str, settings: Any, where: Path) -> DatasetSpec:
    """One entry of a dataset config.

    Raises:
        UserError: it is not valid; ``where`` says what it was read from.
    """
    if not isinstance(settings, dict):
        raise UserError(f"{where}: the dataset {dataset_id!r} must be a mapping of settings.")
    try:
        return DatasetSpec(dataset_id=dataset_id, **settings)
    except ValidationError as error:
        raise UserError(f"{where}: dataset {dataset_id!r}: {explain(error, DatasetSpec)}") from error


def load_dataset_spec(configs: AnyConfigs, dataset_id: str) -> DatasetSpec:
    """One dataset.

    Raises:
        UserError: there is none of that id.
    """
    specs = load_dataset_specs(configs)
    if dataset_id not in specs:
        raise unknown_name("dataset", dataset_id, specs, "fuxibench list datasets")
    return specs[dataset_id]


def new_config_file(configs: Path, name: str, stem: str) -> Path:
    """Where a new file of the folder ``name`` goes.

    Raises:
        UserError: there is one of that name, or the configs are a single file, which nothing is written into.
    """
    path, single = configs / name / f"{stem}.yaml", configs / f"{name}.yaml"
    taken = next((there for there in (path, single) if there.exists()), None)
    if taken:
        raise UserError(f"{path} would be new, but {taken} is there already; change that, or move it away.")
    return path

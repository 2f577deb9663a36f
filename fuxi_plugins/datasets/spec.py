"""What a dataset's config says, in FuxiCTR's form, checked strictly."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, StrictInt, field_validator, model_validator

from fuxi_plugins.core.errors import unknown_name
from fuxi_plugins.core.explain import Strict
from fuxi_plugins.datasets.columns import SPLITS as SPLITS
from fuxi_plugins.datasets.columns import FeatureColumn, LabelColumn, SplitRule, inside_folder
from fuxi_plugins.datasets.interactions.settings import FromInteractions
from fuxi_plugins.datasets.reading.forms import ColumnForm, DataFormat, Encoding, FileFormat, Impressions
from fuxi_plugins.datasets.source import Source

Builder = Literal[
    "synthetic", "ml100k", "nycflights13", "criteo_x1_twin", "avazu_x4_twin", "kuaivideo_x1_twin", "taobaoad_x1_twin"
]
# The column of ids of a table, as the rows call it too; or, where they call it otherwise, {of the table: of the rows}.
TableKey: TypeAlias = str | Annotated[dict[str, str], Field(min_length=1, max_length=1)]


class DatasetSpec(Strict):
    """A named split of a data set: where it comes from, its checksums, and FuxiCTR's preprocessing of it."""

    dataset_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    title: str
    source: Source | None = None
    data_root: str | None = None  # a folder of the user's own that holds the csv files; else they are imported
    build: Builder | None = None  # how the csv files are made, if they are not given
    build_args: dict[str, Any] = Field(default={})
    from_interactions: FromInteractions | None = None  # how the csv files are made from a log of what users did
    files: dict[str, str] = Field(default={})  # file to be provided -> md5 of its uncompressed bytes
    files_of: str | None = None  # the dataset whose provided files these are, if they are installed there
    log_of: str | None = None  # the dataset of whose log these rows are as well, in files of their own
    published_as: str | None = None
    published_rows: dict[str, int] = Field(default={})  # by split, as the publishers count them
    published_positive_rate: dict[str, float] = Field(default={})
    note: str = ""
    data_format: DataFormat | None = None  # None: as the files' names tell
    separator: str | None = Field(default=None, min_length=1)  # of csv files; None: a tab in .tsv, else a comma
    column_names: list[str] | dict[str, list[str]] | None = (
        None  # of csv files without a header; all of them, or by file
    )
    encoding: Encoding | None = None  # of csv files; None: UTF-8
    quotes: bool | None = None  # false: in csv files a quote is a letter like others
    impressions: Impressions | None = None  # of files whose rows list the items shown at once
    train_data: str  # a file, a folder of parts, or several files as a name with *
    valid_data: str | None = None  # None: ``split`` divides its rows off those of ``train_data``
    test_data: str | None = None
    split: SplitRule | None = None
    tables: dict[str, TableKey] | None = None  # file -> by which ids its columns are joined to the rows
    min_categr_count: StrictInt = 1
    group_id: str | None = None
    cluster_id: str | None = None  # the column whose rows are not independent of each other, for statistics alone
    feature_cols: list[FeatureColumn]
    feature_sources: dict[str, list[str]] = Field(default={})  # {item: [item, cost]}; or a column's ``source``
    label_col: LabelColumn  # the one that is learned; in a config also a list of several
    labels: list[LabelColumn] = Field(default=[])  # all of them, where the config names several
    label: str | None = None  # of several, the one that is learned; None is the first
    further_labels: list[LabelColumn] = Field(default=[])  # learned at the same time, as an experiment names them
    label_missing: Literal["drop"] | None = None  # leaves out rows without a label; None refuses them
    weight_col: str | None = None  # a number of at least 0 for each row, by which training weights its loss

    @field_validator("tables")
    @classmethod
    def _tables_inside_the_folder(cls, tables: dict[str, TableKey] | None) -> dict[str, TableKey] | None:
        return {inside_folder(name): key for name, key in tables.items()} if tables else None

    @model_validator(mode="after")
    def _only_its_files_have_columns(self) -> "DatasetSpec":
        files = {self.train_data, self.valid_data, self.test_data, *(self.tables or {})} - {None}
        if isinstance(self.column_names, dict) and (others := self.column_names.keys() - files):
            raise ValueError(
                f"column_names must name files of the dataset ({', '.join(sorted(map(str, files)))}), but names "
                f"{', '.join(sorted(others))}"
            )
        return self

    @field_validator("train_data", "valid_data", "test_data")
    @classmethod
    def _inside_the_folder(cls, name: str | None) -> str | None:
        return inside_folder(name) if name else name

    @model_validator(mode="before")
    @classmethod
    def _one_of_several_labels(cls, settings: dict[str, Any]) -> dict[str, Any]:
        several, chosen = settings.get("label_col"), settings.get("label")
        if not isinstance(several, list) or not several:
            return settings
        by_name = {column.get("name"): column for column in several if isinstance(column, dict)}
        if chosen is not None and chosen not in by_name:
            raise ValueError(f"label names one of the columns in label_col, {', '.join(map(str, by_name))}")
        return settings | {"labels": several, "label_col": by_name[chosen] if chosen else several[0]}

    @model_validator(mode="before")
    @classmethod
    def _rows_made_from_interactions(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """Rows that are made are written to files whose names and form are known."""
        if settings.get("from_interactions") is None:
            return settings
        made = {f"{split}_data": f"{split}.csv" for split in SPLITS}
        own = (
            "build",
            "split",
            "tables",
            "data_format",
            "separator",
            "column_names",
            "encoding",
            "quotes",
            "impressions",
            *made,
        )
        if said := [key for key in own if settings.get(key) not in (None, made.get(key))]:
            raise ValueError(
                f"from_interactions makes the files and divides their rows, so leave out {', '.join(said)}"
            )
        return settings | made

    @model_validator(mode="after")
    def _every_split_has_rows(self) -> "DatasetSpec":
        lacking = [split for split in ("valid", "test") if self.own_file(split) is None]
        if not self.split:
            if lacking:
                raise ValueError(
                    f"a board needs train, valid and test: name {' and '.join(f'{split}_data' for split in lacking)}, "
                    "or divide the rows of train_data, as with split: {by: random, valid: 0.1, test: 0.1}"
                )
            return self
        given = [split for split in self.split.shares if split not in lacking]
        if not lacking or given:
            there = " and ".join(f"{split}_data" for split in given or ("valid", "test"))
            raise ValueError(f"split divides rows off for splits without a file, but {there} is named too")
        if self.split.by != "column" and set(self.split.shares) != set(lacking):
            raise ValueError(f"split must say the share of {' and '.join(lacking)}, as in valid: 0.1")
        return self

    @model_validator(mode="after")
    def _labels_and_weights_are_no_features(self) -> "DatasetSpec":
        features = {name for column in self.active_columns for name in column.names}
        told = [column.name for column in [self.label_col, *self.labels]] + [self.weight_col]
        both = sorted({name for name in told if name in features})
        if both:
            raise ValueError(f"a label or weight is no feature, but {', '.join(both)} stands in feature_cols as well")
        return self

    @model_validator(mode="after")
    def _tables_can_be_shared(self) -> "DatasetSpec":
        read = self.raw_columns
        columns = {name: column for column in self.active_columns for name in column.names}
        for name, column in columns.items():
            owner = columns.get(column.share_embedding or name)
            if owner is None:
                raise ValueError(f"{name} shares the embedding of {column.share_embedding!r}, which is not active")
            kinds = {read[c.made_from or n] for c, n in ((column, name), (owner, column.share_embedding or name))}
            if len(kinds) > 1:
                raise ValueError(
                    f"{name} and {column.share_embedding}, whose embedding it shares, must have one dtype, but have "
                    f"{' and '.join(sorted(kinds))}, so that no value of one is a value of the other; dtype: str fits "
                    "both"
                )
            if column.type == "sequence" and column.dtype != "str":
                raise ValueError(f"the sequence {name} must have dtype: str, for its entries are text")
        return self

    @model_validator(mode="after")
    def _columns_fit_together(self) -> "DatasetSpec":
        names = [name for column in self.feature_cols for name in column.names]
        odd = [name for c in self.feature_cols for name in c.names if not name or (c.pretrained_emb and "/" in name)]
        if odd:
            raise ValueError(
                f"a column has a name, without a slash where it has pretrained vectors; these do not: {odd}"
            )
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
    def is_made(self) -> bool:
        """Whether the files that are prepared are written by this package, and not by the user or a publisher."""
        return self.build is not None or self.from_interactions is not None

    @property
    def whole_note(self) -> str:
        """What boards say of the data."""
        protocol = self.from_interactions.in_words if self.from_interactions else ""
        return "\n".join(filter(None, (self.note.strip(), protocol)))

    @property
    def active_columns(self) -> list[FeatureColumn]:
        """In the order of the config, but a column that shares another's embedding after that one."""
        waiting = [column for column in self.feature_cols if column.active]
        columns: list[FeatureColumn] = []
        placed: set[str] = set()
        while waiting:
            ready = next((c for c in waiting if c.share_embedding in (None, *placed, *c.names)), waiting[0])
            waiting.remove(ready)
            columns.append(ready)
            placed.update(ready.names)
        return columns

    @property
    def file_format(self) -> FileFormat:
        names = self.column_names
        by_file = {file: tuple(own) for file, own in names.items()} if isinstance(names, dict) else tuple(names or ())
        return FileFormat(
            self.data_format,
            self.separator,
            by_file or None,
            self.encoding or "utf-8",
            self.quotes is not False,
            self.impressions,
        )

    @property
    def _label_columns(self) -> dict[str, LabelColumn]:
        return {column.name: column for column in [*self.labels, self.label_col]}

    def has_labels(self, names: Sequence[str]) -> bool:
        return set(names) <= set(self._label_columns)

    def with_labels(self, names: Sequence[str]) -> "DatasetSpec":
        """The dataset with these of its labels to be learned at once, the main one first; none leaves the one it has.

        Raises:
            UserError: it has no such label.
        """
        columns = self._label_columns
        for name in names:
            if name not in columns:
                raise unknown_name("label", name, columns, f"label_col of {self.dataset_id}")
        if not names:
            return self
        main, *further = names
        learned = {"label_col": columns[main], "further_labels": [columns[name] for name in further]}
        return self.model_copy(update={**learned, "label": main})

    @property
    def learned_labels(self) -> list[LabelColumn]:
        """What models learn: one label, or several at once, the main one first."""
        return [self.label_col, *self.further_labels]

    @property
    def stored_as_read(self) -> list[str]:
        """Columns that FuxiCTR's preprocessing does not know: further labels, and weights."""
        return [*(column.name for column in self.further_labels), *([self.weight_col] if self.weight_col else [])]

    @property
    def categorical_columns(self) -> list[str]:
        """Those that hold one id a row."""
        names = [name for column in self.active_columns if column.type == "categorical" for name in column.names]
        return names if self.group_id is None or self.group_id in names else [*names, self.group_id]

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
        columns: dict[str, str] = {column.name: column.dtype for column in self.learned_labels}
        for column in self.active_columns:
            if column.made_from:
                columns.setdefault(column.made_from, "str")
            else:
                columns.update(dict.fromkeys(column.names, column.dtype))
        if self.weight_col:
            columns.setdefault(self.weight_col, "float")
        if self.cluster_column:
            columns.setdefault(self.cluster_column, "str")
        return columns

    def columns_read(self, split: str) -> list[str]:
        """Every column that the split's file must have: features, label and weight, and what divides its rows."""
        divided_by = self.split.column if self.split and self.is_divided(split) else None
        return list(dict.fromkeys([*self.raw_columns, *([divided_by] if divided_by else [])]))

    @property
    def raw_forms(self) -> dict[str, ColumnForm]:
        """How each column of the files is written, by name, as the feature of that name says or a copy of it."""
        forms: dict[str, ColumnForm] = {}
        for column in self.active_columns:
            for name in column.names:
                if column.made_from is None:
                    forms[name] = column.form
                else:
                    forms.setdefault(column.made_from, column.form)
        return forms

    @property
    def cluster_column(self) -> str | None:
        """The column of the files that ``cluster_id`` names, whether by its own name or by that of a feature's copy."""
        copies = {name: column.made_from for column in self.active_columns for name in column.names}
        return copies.get(self.cluster_id or "") or self.cluster_id

    @property
    def vectors_read(self) -> dict[str, int]:
        """By raw column that holds vectors, how many numbers each has."""
        return {name: length for c in self.active_columns if (length := c.vector_length) for name in c.names}

    @property
    def moments_read(self) -> list[str]:
        """The raw columns of which an hour or a weekday is computed."""
        return list(dict.fromkeys(c.made_from for c in self.active_columns if c.is_of_clock and c.made_from))

    @property
    def numbers_read(self) -> dict[str, str]:
        """dtype by name of every raw column that must hold a number, whether for itself or for a copy of it."""
        numbers: dict[str, str] = {
            column.made_from or name: column.dtype
            for column in self.active_columns
            for name in column.names
            if column.dtype != "str" and not column.vector_length and (column.made_from is None or column.is_copy)
        }
        return numbers | ({self.weight_col: "float"} if self.weight_col else {})

    @property
    def valid_is_test(self) -> bool:
        return self.valid_data is not None and self.valid_data == self.test_data

    @property
    def pretrained_files(self) -> list[str]:
        """Files with pretrained vectors, each once."""
        return list(dict.fromkeys(column.pretrained_emb for column in self.active_columns if column.pretrained_emb))

    @property
    def data_files(self) -> list[str]:
        """What preparation reads: the files of the splits, tables beside them, and pretrained vectors."""
        rows = [self.split_file(split) for split in SPLITS]
        return list(dict.fromkeys([*rows, *(self.tables or {}), *self.pretrained_files]))

    def own_file(self, split: str) -> str | None:
        """The file that holds the split's rows and no others."""
        return getattr(self, f"{split}_data")

    def is_divided(self, split: str) -> bool:
        """Whether the split's rows are picked out of a file that holds others as well."""
        return self.split is not None and (split == "train" or self.own_file(split) is None)

    def split_name(self, split: str) -> str:
        """The split's rows in words, for messages."""
        return f"{split} of {self.train_data}" if self.is_divided(split) else self.split_file(split)

    def split_file(self, split: str) -> str:
        """The file that holds the split's rows, and others where ``split`` divides them."""
        return self.own_file(split) or self.train_data

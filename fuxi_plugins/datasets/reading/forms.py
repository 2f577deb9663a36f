"""How files and their columns are written, as configs say it; nothing here reads what a file holds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.explain import Strict
from fuxi_plugins.datasets.reading.versioned import refuse_versioned

DataFormat = Literal["csv", "parquet", "arrow", "jsonl"]
Encoding = Literal["utf-8", "latin-1"]
PACKED = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd", ".zip": "zip"}  # by a name's ending
_FORMATS: dict[str, DataFormat] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".dat": "csv",
    ".data": "csv",
    ".inter": "csv",  # this and the next two as RecBole writes them
    ".user": "csv",
    ".item": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}


_TABBED = {".tsv", ".inter", ".user", ".item"}
_DESCRIPTIONS = ("readme", "license", "licence", "changelog", "changes", "citation", "notice")
_PROSE = {"", ".txt", ".md", ".rst"}  # endings of files that tell of others


class Impressions(Strict):
    """Which columns list what was shown, and what the columns of an item's own row are called.

    shown: a list of items, in whatever way lists are written; entries of text are separated by blanks or commas.
    clicked: a list of those of them that were clicked. Without it, each entry of ``shown`` must say so: ``N1-1 N2-0``.
    item: the new column of one item.
    label: the new column that is 1 if this item was clicked, else 0.

    The lists themselves are no columns any more: they tell the label.
    """

    shown: str
    clicked: str | None = None
    item: str = Field(default="item_id", min_length=1)
    label: str = Field(default="click", min_length=1)

    @model_validator(mode="after")
    def _names_of_their_own(self) -> "Impressions":
        names = [*self.lists, self.item, self.label]
        if len(set(names)) < len(names):
            raise ValueError(f"shown, clicked, item and label must be different columns, but are {', '.join(names)}")
        return self

    @property
    def lists(self) -> list[str]:
        return [self.shown, *([self.clicked] if self.clicked else [])]

    def header(self, stored: list[str]) -> list[str]:
        """The columns of a file whose header is ``stored``; that of a table without such lists stays.

        Raises:
            UserError: a new column is there already.
        """
        if self.shown not in stored:
            return stored
        kept = [name for name in stored if name not in self.lists]
        if there := sorted({self.item, self.label} & set(kept)):
            raise UserError(
                f"impressions must give what it makes of {self.shown} names of their own (item, label), but the file "
                f"has the column {' and '.join(there)} already."
            )
        return [*kept, self.item, self.label]

    def stored(self, columns: Sequence[str]) -> list[str]:
        """What must be read of a file for those columns of :meth:`header`."""
        return [*(name for name in columns if name not in (self.item, self.label)), *self.lists]


@dataclass(frozen=True)
class FileFormat:
    """How a data file is written.

    kind: the format, or None to follow the file's name; a name that tells nothing is csv.
    separator: between the values of a csv row; None is a tab in a .tsv file and those of RecBole, and else a comma.
    column_names: of csv files without a header, in the order of their values; or by file, if files have different ones,
        where a file without names has a header. None reads the first row of each as the header.
    encoding: of the text of a csv file.
    quotes: whether a value of a csv file may stand in quotes; else a quote is a letter like others.
    impressions: of rows that list the items shown at once, which lists become rows.
    """

    kind: DataFormat | None = None
    separator: str | None = None
    column_names: tuple[str, ...] | Mapping[str, tuple[str, ...]] | None = None
    encoding: Encoding = "utf-8"
    quotes: bool = True
    impressions: Impressions | None = None

    def names_of(self, path: Path) -> tuple[str, ...] | None:
        """The columns of a file without a header; None if it has one."""
        if not isinstance(self.column_names, Mapping):
            return self.column_names
        places = (path, path.parent)  # a file may be a part of what the names are said of
        return next((names for file, names in self.column_names.items() if any(at.match(file) for at in places)), None)

    def kind_of(self, path: Path) -> DataFormat:
        return self.kind or format_by_name(path) or "csv"

    def separator_of(self, path: Path) -> str:
        return self.separator or ("\t" if _TABBED & set(_endings(path)) else ",")


BY_NAME = FileFormat()  # as the file's name tells


@dataclass(frozen=True)
class ColumnForm:
    """How a column of a file is written.

    na_values: texts that stand for a missing value.
    normalize_ids: a whole number written as a float, ``7.0``, is the id ``7``.
    brackets: a list is written as text in brackets, as Python, numpy or JSON write it: ``[3, 7]``.
    splitter: that a list's entries are joined with.
    numbers: a list is a vector of numbers, and its entries are no ids.
    """

    na_values: tuple[str, ...] = ()
    normalize_ids: bool = False
    brackets: bool = False
    splitter: str = "^"
    numbers: bool = False


def format_by_name(path: Path) -> DataFormat | None:
    """The format that a file's name tells; of a folder, that of its parts; None where the names tell nothing."""
    if path.is_dir():
        files = without_descriptions(part for part in sorted(path.rglob("*")) if part.is_file())
        return format_by_name(files[0]) if files else None
    endings = [ending for ending in _endings(path) if ending not in PACKED]
    return _FORMATS.get(endings[-1]) if endings else None


def without_descriptions(paths: Iterable[Path]) -> list[Path]:
    """Those whose names tell a format; no README, and no ``.json`` beside others, which most likely tells of them."""
    data = [path for path in paths if format_by_name(path) and not is_description(path)]
    return [path for path in data if path.suffix != ".json"] or data


def is_description(path: Path) -> bool:
    """Whether a file most likely tells of others, as README.txt does."""
    return path.name.lower().startswith(_DESCRIPTIONS) and path.suffix.lower() in _PROSE


def stem_of(path: Path) -> str:
    """A file's name without the endings that tell its format: ``log.train`` of ``log.train.csv.gz``."""
    endings = list(path.suffixes)
    stem = path.name
    while endings and endings[-1].lower() in {*_FORMATS, *PACKED}:
        stem = stem.removesuffix(endings.pop())
    return stem


def _endings(path: Path) -> list[str]:
    return [ending.lower() for ending in path.suffixes]


def parts(path: Path, file_format: FileFormat = BY_NAME) -> list[Path]:
    """The files of a data file, in the order of their names: itself, or what a folder or a pattern stands for.

    A folder stands for what it and its folders hold of its format; a name with ``*``, as ``train-*.parquet`` or
    ``*/items.csv``, for the files so called. Files and folders whose names begin with a dot or an underscore are not
    data, by the convention of Spark.

    Raises:
        UserError: there is no such file, or the folder is a table that keeps rows of older versions.
    """
    if is_pattern(path):
        folder, name = _folder_and_pattern(path)
        refuse_versioned(folder)
        found = [part for part in sorted(folder.glob(name)) if part.is_file() and _is_data(part, folder)]
        if not found:
            raise UserError(f"the folder {folder} must hold files called {name}, but holds none.")
        return found
    if not path.is_dir():
        return [path]
    kind = file_format.kind_of(path)
    kinds = {kind, None} if file_format.kind else {kind}  # a config says the format of parts as part-00000
    held = sorted(path.rglob("*"))
    refuse_versioned(path, held)
    found = [part for part in held if part.is_file() and format_by_name(part) in kinds and _is_data(part, path)]
    if not found:
        raise UserError(f"the folder {path} must hold {kind} files, but holds none.")
    return found


def is_pattern(path: Path) -> bool:
    """Whether the name stands for several files."""
    return any("*" in name for name in path.parts)


def _folder_and_pattern(path: Path) -> tuple[Path, str]:
    """The folder in which the files of a pattern lie, and their name from there."""
    first = next(place for place, name in enumerate(path.parts) if "*" in name)
    return Path(*path.parts[:first]), "/".join(path.parts[first:])


def is_there(path: Path) -> bool:
    """Whether a data file exists, or one at least that a pattern stands for."""
    if is_pattern(path):
        folder, name = _folder_and_pattern(path)
        return any(folder.glob(name))
    return path.exists()


def place_of(part: Path, path: Path) -> Path:
    """Where a part of the data file ``path`` lies, from the folder that holds the parts."""
    return part.relative_to(_folder_and_pattern(path)[0] if is_pattern(path) else path)


def _is_data(part: Path, folder: Path) -> bool:
    return not any(name.startswith((".", "_")) for name in part.relative_to(folder).parts) and not is_description(part)

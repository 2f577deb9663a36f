"""Which of a folder's files hold train, valid and test, and which lie beside them."""

import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeAlias

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.describing.how_written import encoding_of, format_of, looks_like_csv
from fuxi_plugins.datasets.describing.names import LABELS, find_label_name, is_made_up, is_of_users_and_items
from fuxi_plugins.datasets.describing.published_columns import Published, find_published
from fuxi_plugins.datasets.describing.split_names import find_splits, named_after_splits, refuse_splits_of_a_file
from fuxi_plugins.datasets.reading.files import read_header, read_types
from fuxi_plugins.datasets.reading.forms import FileFormat, parts, without_descriptions
from fuxi_plugins.datasets.reading.partitions import is_partition
from fuxi_plugins.datasets.reading.versioned import refuse_versioned

ColumnNames: TypeAlias = Sequence[str] | Mapping[str, Sequence[str]]
_NUMBERS = re.compile("([0-9]+)")


@dataclass(frozen=True)
class FoundFiles:
    """Data files as they lie on the disk.

    root: the folder that holds them.
    names: by split, the file's name, or a pattern of names; a split without rows of its own is missing.
    file_format: how all of them are written.
    others: data files beside them that are not read.
    unlabelled: files of splits that are not read, because they lack the label.
    """

    root: Path
    names: dict[str, str]
    file_format: FileFormat
    others: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()

    def types(self, tables: Sequence[str]) -> dict[str, str]:
        """What headers say of columns, of the rows and of those tables beside them."""
        files = [*tables, self.names["train"]]
        return {name: said for file in files for name, said in read_types(self.root / file, self.file_format).items()}

    def columns_of(self, file: str) -> tuple[str, ...] | None:
        """Of a file without a header; None if it has one."""
        return self.file_format.names_of(self.root / file)

    def published_as(self, file: str) -> Published | None:
        """What a file without a header, or its parts, is known to be."""
        columns = self.columns_of(file) or ()
        found = find_published(parts(self.root / file, self.file_format)[0].name, columns)
        return found if found and found.columns == columns else None

    def settings(self, *files: str) -> dict[str, Any]:
        """How these files are written, as a dataset config says it where their names do not tell."""
        settings: dict[str, Any] = {}
        if self.file_format.kind:
            settings["data_format"] = self.file_format.kind
        if self.file_format.separator:
            settings["separator"] = self.file_format.separator
        if named := {file: list(names) for file in files if (names := self.columns_of(file))}:
            alike = len(named) == len(files) and len(set(map(tuple, named.values()))) == 1
            settings["column_names"] = next(iter(named.values())) if alike else named
        if self.file_format.encoding != "utf-8":
            settings["encoding"] = self.file_format.encoding
        if not self.file_format.quotes:
            settings["quotes"] = False
        if self.file_format.impressions and self.names["train"] in files:
            settings["impressions"] = self.file_format.impressions.model_dump(exclude_none=True)
        return settings


def find_files(
    origin: Path, column_names: ColumnNames = (), label: str | None = None, splits: Mapping[str, str] | None = None
) -> FoundFiles:
    """The data files in a folder: one for each split, or one for several; or ``origin`` itself, if it is a file.

    Args:
        origin: the folder or file.
        column_names: of the rows' files without a header, or by file, if the user says them.
        label: the column by which the rows' file is told from tables beside it; None goes by usual names.
        splits: the file of a split in the folder, or a pattern of names, where its name does not tell.

    Raises:
        UserError: there is no data file, or several of which none is named as a split; or ``splits`` names none.
    """
    said = column_names if isinstance(column_names, Mapping) else {}
    root, names, others = _named_files(origin, label, said, splits or {})
    if not_there := said.keys() - {*names.values(), *others}:
        raise UserError(
            f"--column-names must say of which data file they are, but {', '.join(sorted(not_there))} is none of "
            f"{', '.join([*names.values(), *others])}."
        )
    file_format = _common_format(root, names, others, column_names)
    if file_format.impressions and label not in (None, file_format.impressions.label):  # then lists are features
        file_format = replace(file_format, impressions=None)
    return FoundFiles(root, names, file_format, others)


def without_unlabelled(found: FoundFiles, label: str | None) -> FoundFiles:
    """Leaves out the splits that lack the label which train has: nothing can be chosen or tested by them.

    Args:
        label: its column, or None to go by usual names.
    """
    headers = {split: read_header(found.root / name, found.file_format) for split, name in found.names.items()}
    name = find_label_name(headers["train"], label)
    unlabelled = {split: found.names[split] for split, header in headers.items() if name and name not in header}
    if named := found.columns_of(found.names["train"]):  # then all splits were given its names
        widths = {split: _width(found, file) for split, file in found.names.items()}
        unlabelled |= {split: found.names[split] for split, width in widths.items() if width == len(named) - 1}
    names = {split: file for split, file in found.names.items() if split not in unlabelled}
    return replace(found, names=names, unlabelled=tuple(unlabelled.values()))


def _width(found: FoundFiles, file: str) -> int:
    """The number of values in the first row of a file without a header."""
    return len(format_of(found.root, file, separator=found.file_format.separator).names_of(found.root / file) or ())


def _common_format(
    root: Path, names: Mapping[str, str], others: Sequence[str], column_names: ColumnNames
) -> FileFormat:
    """How the rows and the files beside them are written, all in one; columns are named by file where they differ."""
    said = column_names if isinstance(column_names, Mapping) else {}
    file_format = format_of(root, names["train"], said.get(names["train"], ()) if said else list(column_names))
    encodings = [encoding_of(root / name, file_format) for name in names.values()]
    quotes = file_format.quotes
    of_rows = file_format.names_of(root / names["train"])
    columns = dict.fromkeys(names.values(), of_rows) if of_rows else {}
    for name in others:
        # An empty file, or one that is no text, is joined or read by nobody.
        with nullcontext() if name in said else suppress(UserError):
            found = format_of(root, name, said.get(name, ()), file_format.separator)
            encodings.append(found.encoding)
            quotes = quotes and found.quotes
            if own := found.names_of(root / name):
                columns |= {name: own, f"*/{Path(name).name}": own} if "/" in name else {name: own}
    if columns and others:  # which may have a header where the rows have none
        file_format = replace(file_format, column_names=columns)
    file_format = replace(file_format, quotes=quotes)
    if any(encoding != "utf-8" for encoding in encodings):
        file_format = replace(file_format, encoding="latin-1")
    return file_format


def _named_files(
    origin: Path, label: str | None, said: Mapping[str, Sequence[str]], splits: Mapping[str, str]
) -> tuple[Path, dict[str, str], tuple[str, ...]]:
    """The folder that holds the data files, by split the name of each, and the names of those that are not read."""
    if origin.is_file():
        refuse_splits_of_a_file(origin, splits)
        return origin.parent, {"train": origin.name}, ()
    if not origin.is_dir():
        raise UserError(f"--from must name a data file or a folder that holds some, but {origin} is neither.")
    refuse_versioned(origin)
    data = _data_files(origin)
    names = find_splits(origin, data, splits)
    if not names and len(data) == 1 and data[0].is_dir() and named_after_splits(_data_files(data[0])):
        return _named_files(data[0], label, said, {})  # as in a folder of the Hugging Face hub, with tables in data/
    if "train" not in names and splits:  # which say what train is not
        left = [path for path in data if not any(fnmatchcase(path.name, name) for name in names.values())]
        names["train"] = _only(origin, left, {}, label, said)
        if names["train"] == ".":
            raise UserError(f"--train must say which files have the rows of {', '.join(path.name for path in left)}.")
    elif "train" not in names:
        names = {"train": _only(origin, data, names, label, said)}
    if "." in names.values():  # the parts of one table
        return origin, names, ()
    others = [path.name for path in data if not any(fnmatchcase(path.name, name) for name in names.values())]
    for split, name in names.items():
        if (origin / name).is_dir() and (file := _only_in(origin / name, label, said)) != ".":
            names[split] = f"{name}/{file}"
            others += [f"{name}/{path.name}" for path in _data_files(origin / name) if path.name != file]
    return origin, names, tuple(others)


def _only_in(folder: Path, label: str | None, said: Mapping[str, Sequence[str]]) -> str:
    """Of a split's folder the file with its rows, where tables lie beside it; "." where all are parts of one table."""
    data = _data_files(folder)
    return "." if len(data) < 2 or any(path.is_dir() for path in data) else _only(folder, data, {}, label, said)


def _data_files(folder: Path) -> list[Path]:
    """The files and folders of data: those whose names tell a format or, if there is none, those that look like csv."""
    seen = [path for path in sorted(folder.iterdir()) if not path.name.startswith((".", "_"))]
    data = without_descriptions(seen)
    if not all(path.suffix in (".user", ".item") for path in data):  # of MovieLens 100K too, whose rows are no .inter
        return data
    return [path for path in seen if path.is_file() and looks_like_csv(path)]


def _only(
    origin: Path, data: list[Path], names: dict[str, str], label: str | None, said: Mapping[str, Sequence[str]]
) -> str:
    """The one data file of a folder that has a label, or the folder itself where its files are parts of one table."""
    if names or not data:
        others = [path.name for path in sorted(origin.iterdir()) if not path.name.startswith((".", "_"))]
        if len(others) == 1 and not names and (origin / others[0]).is_file():
            return others[0]  # who reads it says what it is
        seen = ", ".join(path.name for path in data) or f"no such file, only {', '.join(others[:5]) or 'nothing'}"
        raise UserError(
            f"{origin} must hold train.csv, or one file that is divided into train, valid and test (csv, tsv, parquet, "
            f"arrow or jsonl, packed or not), but holds {seen}.{' --train FILE takes one of them.' if data else ''}"
        )
    if len(data) == 1 and not is_partition(data[0]):
        return data[0].name
    headers = _headers(origin, data, said)
    nameless = [name for name, header in headers.items() if all(map(is_made_up, header))]
    # Numbered columns say little: then the names must differ in their numbers alone, as those of day_0 and day_1.
    may_be_parts = not nameless or len({_NUMBERS.sub("", name) for name in headers}) == 1
    if may_be_parts and len(headers) == len(data) and len(set(map(tuple, headers.values()))) == 1:
        return "."
    of_rows = [name for name, header in headers.items() if is_of_users_and_items(header)]
    labelled = [name for name, header in headers.items() if find_label_name(header, label)]
    for candidates in (labelled, [name for name in of_rows if name in labelled], of_rows if not labelled else []):
        if len(candidates) == 1:
            return candidates[0]
    example = f"--column-names {nameless[0]}=user_id,item_id,label" if nameless else ""
    without = (
        f"Without a header: {', '.join(nameless)}; {example} names the columns of one, and may stand several times. "
    )
    raise UserError(
        f"{origin} must name its training file train.*, or hold the parts of one table, or one file with the label and "
        f"tables beside it, but holds {', '.join(path.name for path in data)}, which are of no one table. A column "
        f"{label or ', '.join(LABELS[:-1]) + ' or ' + LABELS[-1]} is in {' and '.join(labelled) or 'none of them'}. "
        f"{without if nameless else ''}--train FILE says which has the rows, and --label names the label."
    )


def _headers(folder: Path, data: list[Path], said: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """By name the columns of those files whose header can be read.

    Raises:
        UserError: that of none can be read.
    """
    headers: dict[str, list[str]] = {}
    faults: list[UserError] = []
    for path in data:
        try:
            found = format_of(folder, path.name, said.get(path.name, ()))
            headers[path.name] = read_header(path, found)
        except UserError as error:
            faults.append(error)
    if not headers:
        raise faults[0]
    return headers

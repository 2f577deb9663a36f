"""Which of a folder's files hold train, valid and test, and how they are written."""

import csv
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.columns import SPLITS
from fuxi_plugins.datasets.describing.names import LABELS, made_up
from fuxi_plugins.datasets.reading.csv_blocks import first_line
from fuxi_plugins.datasets.reading.files import read_header
from fuxi_plugins.datasets.reading.forms import FileFormat, format_by_name, parts
from fuxi_plugins.datasets.reading.partitions import is_partition

NAMES = {
    "train": ("train", "training"),
    "valid": ("valid", "validation", "val", "dev", "eval"),
    "test": ("test", "testing"),
}
SEPARATORS = (",", "\t", ";", "|", "::")
RARE_SEPARATORS = ("\x01", "^", " ")  # taken only where a line has none of the others


@dataclass(frozen=True)
class FoundFiles:
    """Data files as they lie on the disk.

    root: the folder that holds them.
    names: by split, the file's name; a split without rows of its own is missing.
    file_format: how all of them are written.
    """

    root: Path
    names: dict[str, str]
    file_format: FileFormat

    @property
    def settings(self) -> dict[str, Any]:
        """How they are written, as a dataset config says it where their names do not tell."""
        settings: dict[str, Any] = {}
        if self.file_format.separator:
            settings["separator"] = self.file_format.separator
        if self.file_format.column_names:
            settings["column_names"] = list(self.file_format.column_names)
        return settings


def find_files(origin: Path) -> FoundFiles:
    """The data files in a folder: one for each split, or one for several; or ``origin`` itself, if it is a file.

    Raises:
        UserError: there is no data file, or several of which none is named as a split.
    """
    if origin.is_file():
        return FoundFiles(origin.parent, {"train": origin.name}, _format(origin))
    if not origin.is_dir():
        raise UserError(f"--from must name a data file or a folder that holds some, but {origin} is neither.")
    data = [path for path in sorted(origin.iterdir()) if not path.name.startswith((".", "_")) and format_by_name(path)]
    # Beside tables, a file called .json most likely describes them.
    data = [path for path in data if path.suffix != ".json"] or data
    names = _named_after_splits(data)
    if "train" not in names:
        return FoundFiles(origin, {"train": _only(origin, data, names)}, _format(data[0]))
    return FoundFiles(origin, names, _format(origin / names["train"]))


def _named_after_splits(data: list[Path]) -> dict[str, str]:
    """By split, the file of that name (``train.csv``), or else the one with that word in it (``log_train.csv``)."""
    names = {}
    for split in SPLITS:
        stems = [(path.name.partition(".")[0].lower(), path.name) for path in data]
        whole = [file for name in NAMES[split] for stem, file in stems if stem == name]
        within = [file for stem, file in stems if set(re.split("[_-]", stem)) & set(NAMES[split])]
        if whole or len(within) == 1:
            names[split] = (whole or within)[0]
    return names


def _only(origin: Path, data: list[Path], names: dict[str, str]) -> str:
    """The one data file of a folder, or the folder itself where its files are parts of one table."""
    if names or not data:
        others = [path.name for path in sorted(origin.iterdir()) if not path.name.startswith((".", "_"))]
        seen = ", ".join(path.name for path in data) or f"no such file, only {', '.join(others[:5]) or 'nothing'}"
        raise UserError(
            f"{origin} must hold train.csv, or one file that is divided into train, valid and test (csv, tsv, parquet "
            f"or jsonl, packed or not), but holds {seen}."
        )
    if len(data) == 1 and not is_partition(data[0]):
        return data[0].name
    headers = {tuple(read_header(path, _format(path))) for path in data}
    if len(headers) > 1:
        raise UserError(
            f"{origin} must name its training file train.*, or hold the parts of one table, but holds "
            f"{', '.join(path.name for path in data)} with different columns. --from FILE takes one of them."
        )
    return "."


def _format(path: Path) -> FileFormat:
    """The format of a file, with the separator that its first line shows where its name does not tell."""
    found = FileFormat()
    part = parts(path, found)[0]
    if found.kind_of(part) != "csv":
        return found
    line = first_line(part).decode(errors="replace").removeprefix("\ufeff").strip("\r\n")
    separator = _separator(line)
    if separator and separator != found.separator_of(part):
        found = replace(found, separator=separator)
    header = next(csv.reader([line.replace(separator or ",", "\x1f")], delimiter="\x1f"), [])
    if any(_is_number(name) for name in header) and not any(name.casefold() in LABELS[:-1] for name in header):
        found = replace(found, column_names=tuple(made_up(place) for place in range(1, len(header) + 1)))
    return found


def _separator(line: str) -> str | None:
    """What the values of a line are most likely separated by; None where it has one value."""
    most = max(SEPARATORS, key=line.count)
    if not line.count(most):
        return next((separator for separator in RARE_SEPARATORS if separator in line), None)
    # ", " and "||" are separators of two characters.
    return next((two for two in (f"{most} ", 2 * most) if line.count(two) * two.count(most) == line.count(most)), most)


def _is_number(text: str) -> bool:
    return text.strip().lstrip("+-").replace(".", "", 1).isdigit()

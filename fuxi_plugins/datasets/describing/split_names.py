"""Which files of a folder hold train, valid and test: as the user says, or by their names."""

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import combinations
from pathlib import Path

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.columns import SPLITS
from fuxi_plugins.datasets.reading.forms import stem_of

NAMES = {
    "train": ("train", "training"),
    "valid": ("valid", "validation", "val", "dev", "eval"),
    "test": ("test", "testing"),
}
HELD_OUT = ("holdout", "heldout", "oot")  # words for test where no file has another; oot is out of time
SHORT_NAMES = {"train": ("tr",), "valid": ("va",), "test": ("te",)}  # known where both tr and te are there
_WORDS, _NUMBERS = re.compile("[a-z]+"), re.compile("([0-9]+)")


def find_splits(folder: Path, data: list[Path], said: Mapping[str, str] | None = None) -> dict[str, str]:
    """By split, the name of its file in the folder or a pattern of names; a split that has none is missing.

    Args:
        folder: of the data.
        data: its files and folders of data.
        said: what the user says of splits. The other splits are found by names, among the files that are left.

    Raises:
        UserError: something was said of a split that there is not, or of a file that there is not, or of one twice.
    """
    said = said or {}
    if unknown := said.keys() - set(SPLITS):
        raise UserError(f"splits are named {', '.join(SPLITS)}, but {', '.join(sorted(unknown))} was said.")
    files = {split: {path.name for path in data if _fits(path.name, name)} for split, name in said.items()}
    for split, name in said.items():
        if not files[split]:
            raise UserError(
                f"--{split} must name a data file in {folder}, or several as in 'day_*.csv', but is {name!r}. There "
                f"are: {', '.join(path.name for path in data) or 'none'}."
            )
    for one, other in combinations(said, 2):
        if both := files[one] & files[other]:
            raise UserError(
                f"--{one} {said[one]} and --{other} {said[other]} must name different files, but both name {min(both)}."
            )
    left = [path for path in data if not any(path.name in taken for taken in files.values())]
    found = {**named_after_splits(left), **said}
    return {split: found[split] for split in SPLITS if split in found}


def _fits(file: str, name: str) -> bool:
    return file == name or ("*" in name and fnmatchcase(file, name))


def refuse_splits_of_a_file(origin: Path, said: Mapping[str, str] | None) -> None:
    """
    Raises:
        UserError: something was said of splits, although there is but one file.
    """
    if said:
        options = " and ".join(f"--{split} {name}" for split, name in said.items())
        raise UserError(f"{options}: files of splits are named in a folder, but --from names the file {origin}.")


def named_after_splits(data: list[Path]) -> dict[str, str]:
    """By split, the file of that name (``train.csv``), or else what has that word in its name.

    That is one file (``log_train.csv``) or several that are numbered (``train-00000-of-00002.parquet``), for which a
    pattern stands (``train-*-of-00002.parquet``).
    """
    short = _named(data, SHORT_NAMES)
    names = _named(data, NAMES)
    if names and "test" not in names:
        left = [path for path in data if not any(_fits(path.name, name) for name in names.values())]
        names |= _named(left, {"test": HELD_OUT})
    return names or (short if {"train", "test"} <= set(short) else {})


def _named(data: list[Path], words: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """:func:`named_after_splits` by these words for each split."""
    names = {}
    for split in words:
        stems = [(stem_of(path).lower(), path.name) for path in data]
        whole = [file for name in words[split] for stem, file in stems if stem == name]
        within = [file for stem, file in stems if set(_WORDS.findall(stem)) & set(words[split])]
        numbered = _pattern(within, [path.name for path in data]) if len(within) > 1 else None
        if whole or len(within) == 1 or numbered:
            names[split] = (whole or [numbered or within[0]])[0]
    return names


def _pattern(files: list[str], beside: list[str]) -> str | None:
    """A name that stands for these files, which differ in their numbers, and for no other beside them; None if none."""
    split_names = [_NUMBERS.split(file) for file in files]
    if len({tuple(parts_of[::2]) for parts_of in split_names}) > 1:  # every second piece is a number
        return None
    pattern = "".join(same[0] if len(set(same)) == 1 else "*" for same in zip(*split_names, strict=True))
    return pattern if [file for file in beside if fnmatchcase(file, pattern)] == files else None

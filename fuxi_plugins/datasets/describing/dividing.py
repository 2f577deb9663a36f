"""How one file is divided among the splits that have none, so that each gets both classes."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import polars as pl

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.columns import SPLITS, SplitRule
from fuxi_plugins.datasets.describing.columns import Guess, idle
from fuxi_plugins.datasets.describing.found_files import FoundFiles
from fuxi_plugins.datasets.describing.names import is_split, may_be_split, split_of_flag
from fuxi_plugins.datasets.describing.split_names import HELD_OUT, NAMES
from fuxi_plugins.datasets.label_rule import LabelRule
from fuxi_plugins.datasets.reading.values import as_text
from fuxi_plugins.datasets.side_tables import SideTable, read_rows
from fuxi_plugins.datasets.splitting import divide, divided

WORDS = NAMES | {"test": (*NAMES["test"], *HELD_OUT)}
_YES, _NO = ("1", "true", "yes", "y", "t"), ("0", "false", "no", "n", "f")
UNLIKE = 0.2  # by how much of its share a split may differ from it without a word


def find_marks(frame: pl.DataFrame, share: float) -> SplitRule | None:
    """The column that says of each row whether it belongs to train, valid or test, by its name and values.

    Args:
        frame: the first rows.
        share: of train's rows, which valid gets where none is marked as its.
    """
    texts = {name: as_text(frame[name]) for name in frame.columns if may_be_split(name) and not _is_list(frame[name])}
    flags = {name: marks for name, values in texts.items() if (marks := _of_flag(name, values))}
    # Several flags that tell of three splits would have to be one column.
    places = [texts[name].replace_strict(_split_of(marks), default="?") for name, marks in flags.items()]
    agree = all(place.equals(places[0]) for place in places) and not any(
        split_of_flag(name) == "valid" for name in texts
    )
    candidates = {name: _of_words(values) for name, values in texts.items()} | (flags if agree else {})
    for name, marks in candidates.items():
        if not marks:
            continue
        as_usual = marks == {split: [split] for split in SPLITS}
        drawn = {} if "valid" in marks else {"valid": share}
        rule = {"by": "column", "column": name, "values": None if as_usual else marks, **drawn}
        return SplitRule.model_validate(rule)
    return None


def guess_split_columns(guesses: dict[str, Guess], marks: SplitRule | None) -> dict[str, Guess]:
    """The guesses, where what says the split of a row is no feature."""
    column = marks.read_column if marks else None
    by_flag = column is not None and split_of_flag(column) is not None  # with which other flags agree
    told = {
        name: idle(name, "split" if name == column or (by_flag and split_of_flag(name)) else "other split")
        for name in guesses
        if name == column or is_split(name)
    }
    return {name: told.get(name, guess) for name, guess in guesses.items()}


def _of_words(values: pl.Series) -> dict[str, list[str]]:
    """By split the words for it among the values; empty if a value is none, or none is for train or test."""
    seen = values.unique().drop_nulls().sort().to_list()
    marks = {split: [value for value in seen if value.strip().lower() in WORDS[split]] for split in SPLITS}
    is_told = sum(map(len, marks.values())) == len(seen) and marks["train"] and marks["test"]
    return {split: listed for split, listed in marks.items() if listed} if is_told else {}


def _of_flag(name: str, values: pl.Series) -> dict[str, list[str]]:
    """The same of a column such as ``is_test``, of 0 and 1 or the like."""
    seen = values.unique().drop_nulls().sort().to_list()
    marked = [value for value in seen if value.strip().lower() in _YES]
    others = [value for value in seen if value.strip().lower() in _NO]
    if not marked or not others or len(marked) + len(others) < len(seen):
        return {}
    match split_of_flag(name):
        case "test":
            return {"train": others, "test": marked}
        case "train":
            return {"train": marked, "test": others}
    return {}


def _split_of(marks: dict[str, list[str]]) -> dict[str, str]:
    return {value: split for split, values in marks.items() for value in values}


def _is_list(values: pl.Series) -> bool:
    return values.dtype in (pl.List, pl.Array)


def divide_rows(
    entry: dict[str, Any],
    found: FoundFiles,
    tables: Sequence[SideTable],
    marks: SplitRule | None,
    moments: list[str],
    share: float,
) -> list[str]:
    """Divides the training file among the splits that have no file: by marks or times if it has some, else at random.

    Args:
        entry: the dataset's config, which gets the rule.
        found: the data files.
        tables: beside the rows.
        marks: the rule of :func:`find_marks`.
        moments: columns that hold times.
        share: of the rows, for each split.

    Returns:
        What its owner should be told.
    """
    lacking = [split for split in ("valid", "test") if split not in found.names]
    if not lacking:
        return []
    shares: dict[str, Any] = dict.fromkeys(lacking, share)
    rules = [marks] if marks and len(lacking) == 2 else []
    rules += [SplitRule(by="time", column=name, **shares) for name in moments]
    rules += [SplitRule(by="random", seed=seed, **shares) for seed in range(2026, 2036)]
    against: list[str] = []
    counts: dict[str, Counter[bool]] = {}
    for rule in rules:
        try:
            counts = _count_classes(rule, entry, found, tables)
        except UserError as error:  # a time or a mark further down that is none
            objection = str(error).rstrip(".")
        else:
            objection = _objection(rule, counts)
        if not objection:
            break
        against += [objection] if rule.by != "random" else []
    else:  # no rule gives every split both classes, as where train has one class
        rule = next(rule for rule in rules if rule.by != "column")
    draws = rule.by == "random" or (rule.by == "column" and rule.valid)
    entry["split"] = rule.model_dump(exclude_none=True, exclude=None if draws else {"seed"})
    if rule.by == "column" and rule.valid:
        return [
            f"{rule.column} says which rows are train and test; {rule.valid:.0%} of those of train are drawn for valid."
        ]
    if rule.by == "column":
        return [f"{rule.column} says which rows are train, valid and test."]
    how = {
        "time": f"by {rule.column}, so that models learn from the past and are tested on the future",
        "random": f"at random (seed {rule.seed}), because {'; '.join(against) or 'no column holds times'}",
    }
    file = "the files" if found.names["train"] == "." else found.names["train"]
    return [
        f"No file for {' and '.join(lacking)}: {share:.0%} of the rows of {file} are held out"
        f"{' for each' if len(lacking) > 1 else ''}, {how[rule.by]}. Change split if you want another.",
        *(_of_coarse_times(rule, counts) if rule.by == "time" else []),
    ]


def _count_classes(
    rule: SplitRule, entry: dict[str, Any], found: FoundFiles, tables: Sequence[SideTable]
) -> dict[str, Counter[bool]]:
    """By split, how many positive and negative rows of the training file it would get.

    Raises:
        UserError: a value by which the rows are divided is no time or no mark.
    """
    path, label = found.root / found.names["train"], entry["label_col"]["name"]
    positive = LabelRule.parse(entry["label_col"].get("rule", "> 0"))
    columns = list(dict.fromkeys([label, *([rule.column] if rule.column else [])]))
    counts = {split: Counter[bool]() for split in SPLITS if split not in found.names or split == "train"}
    division = divide(rule, path, found.file_format, tables)
    rows = read_rows(path, columns, found.file_format, tables)
    for split, block in divided(list(counts), rows, division):
        counts[split].update(positive.positives(block.frame[label]).drop_nulls())
    return counts


def _objection(rule: SplitRule, counts: dict[str, Counter[bool]]) -> str:
    """Why the training file should not be divided so; empty if every split gets both classes."""
    empty = [split for split, classes in counts.items() if not classes]
    if empty and rule.by == "time":
        return f"{rule.column} has too few different values, so {' and '.join(empty)} would hold no rows"
    lacking = [split for split, classes in counts.items() if len(classes) < 2]
    what = "hold no rows" if empty == lacking else "hold one class"
    return f"by {rule.column} {' and '.join(lacking)} would {what}" if lacking else ""


def _of_coarse_times(rule: SplitRule, counts: dict[str, Counter[bool]]) -> list[str]:
    """That a split gets another share than it should, where many rows are of one moment."""
    rows = sum(classes.total() for classes in counts.values())
    held_out = {split: counts[split].total() / max(rows, 1) for split in rule.shares}
    if all(abs(held_out[split] - share) < UNLIKE * share for split, share in rule.shares.items()):
        return []
    got = " and ".join(f"{split} {share:.0%}" for split, share in held_out.items())
    return [f"Rows of one {rule.column} stay together, so these shares are held out: {got}."]

"""How one file is divided among the splits that have none, so that each gets both classes."""

from collections.abc import Callable
from typing import Any

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.columns import SplitRule
from fuxi_plugins.datasets.describing.found_files import FoundFiles
from fuxi_plugins.datasets.label_rule import LabelRule
from fuxi_plugins.datasets.reading.files import read_blocks
from fuxi_plugins.datasets.splitting import divide, rows_of


def divide_rows(entry: dict[str, Any], found: FoundFiles, moments: list[str], share: float) -> list[str]:
    """Divides the training file among the splits that have no file: by a time where there is one, else at random.

    Args:
        entry: the dataset's config, which gets the rule.
        found: the data files.
        moments: columns that hold times.
        share: of the rows, for each split.

    Returns:
        What its owner should be told.
    """
    lacking = [split for split in ("valid", "test") if split not in found.names]
    if not lacking:
        return []
    shares: dict[str, Any] = dict.fromkeys(lacking, share)
    rules = [SplitRule(by="time", column=name, **shares) for name in moments]
    rules += [SplitRule(by="random", seed=seed, **shares) for seed in range(2026, 2036)]
    has_both = _both_classes(entry, found)
    rule = next((rule for rule in rules if has_both(rule)), rules[0])
    entry["split"] = rule.model_dump(exclude_none=True, exclude={"seed"} if rule.by == "time" else None)
    how = {
        "time": f"by {rule.column}, so that models learn from the past and are tested on the future",
        "random": f"at random (seed {rule.seed}), because no column of times gives every split both classes",
    }
    return [
        f"No file for {' and '.join(lacking)}: {share:.0%} of the rows of {found.names['train']} are held out"
        f"{' for each' if len(lacking) > 1 else ''}, {how[rule.by]}. Change split if you want another."
    ]


def _both_classes(entry: dict[str, Any], found: FoundFiles) -> Callable[[SplitRule], bool]:
    path, name = found.root / found.names["train"], entry["label_col"]["name"]
    parsed = LabelRule.parse(entry["label_col"].get("rule", "> 0"))

    def check(rule: SplitRule) -> bool:
        columns = list(dict.fromkeys([name, *([rule.column] if rule.column else [])]))
        try:
            division = divide(rule, path, found.file_format)
        except UserError:  # a time further down that is none
            return False
        for split in ("train", *rule.shares):
            blocks = rows_of(split, read_blocks(path, columns, found.file_format), division)
            labels = {label for block in blocks for label in parsed.positives(block.frame[name]).unique()}
            if not labels >= {True, False}:
                return False
        return True

    return check

"""What columns are to each other: outcomes beside the label, histories of items, users whose rows belong together."""

import itertools
from typing import Any

import numpy as np
import polars as pl

from fuxi_plugins.datasets.describing.columns import Guess, entries_of
from fuxi_plugins.datasets.describing.labels import LabelGuess
from fuxi_plugins.datasets.describing.names import alike, is_history, is_item, is_outcome, is_request, is_user
from fuxi_plugins.datasets.leaks import LEAK, auc_of_column
from fuxi_plugins.datasets.reading.values import as_text

# What is said where no column is named like users.
NO_GROUPS = (
    "No column is named like users, so gAUC has no groups. If COLUMN holds some, write cluster_id: COLUMN and "
    "group_id: group, and in feature_cols {name: group, type: meta, dtype: str, preprocess: copy_from(COLUMN)}."
)
FEWEST_GROUPS = 5  # with rows of both classes, without which groups are not named
MOST_ROWS = 50  # of a session or request; what is counted more coarsely, as the days of a campaign, is a feature
FEWEST = 25  # rows of each class without which no column is said to tell the label


def without_outcomes(guesses: dict[str, Guess], frame: pl.DataFrame, label: LabelGuess) -> dict[str, Guess]:
    """Leaves out what became known with the label: columns that tell it, or are named like another outcome."""
    positive = label.positives(frame).fill_null(False).to_numpy()
    changed = dict(guesses)
    for name, guess in guesses.items():
        if not guess.active or guess.entry["type"] in ("sequence", "embedding"):
            continue
        why = "leak" if _reached(guess, frame[name], positive) > LEAK else "outcome" if is_outcome(name) else None
        if why:
            changed[name] = Guess(guess.entry | {"active": False}, (why,))
    if any(guess.active for guess in changed.values()):
        return changed
    return guesses  # a model needs a column; the notes on the prepared data warn of what tells the label


def without_requests(guesses: dict[str, Guess], frame: pl.DataFrame) -> dict[str, Guess]:
    """Leaves out what numbers sessions and requests: test has others than train, or shares them with it."""
    changed = {
        name: Guess(guess.entry | {"active": False}, ("request",)) if _numbers_requests(guess, frame[name]) else guess
        for name, guess in guesses.items()
    }
    return changed if any(guess.active for guess in changed.values()) else guesses


def _numbers_requests(guess: Guess, values: pl.Series) -> bool:
    if not guess.active or guess.entry["type"] != "categorical" or not is_request(guess.entry["name"]):
        return False
    return len(values) < MOST_ROWS * values.n_unique()


def _reached(guess: Guess, values: pl.Series, positive: np.ndarray) -> float:
    """AUC of the column alone on every other row, learned from the rest; 0.5 where there are too few rows to say."""
    if min(positive.sum(), (~positive).sum()) < FEWEST:
        return 0.5
    forms = [] if guess.entry["type"] == "numeric" else [as_text(values)]
    numbers = values.cast(pl.Float64, strict=False)
    if numbers.null_count() == values.null_count():  # an outcome such as a play time tells the label by its order
        forms.append(numbers)
    reached = [auc_of_column(form[::2], positive[::2], form[1::2], positive[1::2]) for form in forms]
    return max((auc for auc in reached if auc == auc), default=0.5)


def share_tables(guesses: dict[str, Guess], frame: pl.DataFrame) -> list[str]:
    """Gives each sequence the table of the column whose values it holds, where that can be told."""
    remarks = []
    categorical = [name for name, guess in guesses.items() if guess.active and guess.entry["type"] == "categorical"]
    values = {
        name: set(as_text(frame[name]).drop_nulls().str.replace(r"^([+-]?\d+)\.0*$", "${1}")) for name in categorical
    }
    alone = []
    for name, guess in guesses.items():
        if guess.entry["type"] != "sequence":
            continue
        owner, why = _owner(name, entries_of(guess, frame[name]), values)
        if owner:
            guess.entry["share_embedding"] = owner
            if guesses[owner].entry.get("normalize_ids") or guess.entry.get("normalize_ids"):
                guess.entry["normalize_ids"] = guesses[owner].entry["normalize_ids"] = True
            remarks.append(f"{name} shares the table of {owner}, {why}.")
        else:
            alone.append(name)
    if alone:
        remarks.append(
            f"Sequences with a table of their own; a behaviour history shares its item's: {', '.join(alone)}."
        )
    return remarks


def _owner(name: str, entries: set[str], values: dict[str, set[str]]) -> tuple[str | None, str]:
    """The column whose ids are a sequence's entries, and why; whole numbers from 1 on are in every column's range.

    Such numbers say nothing, so the names must agree: a history belongs to the items, other lists to a column that
    shares a word with them. Users own no list but one that is named after them.
    """
    held = {other: len(entries & known) / max(len(entries), 1) for other, known in values.items()}
    holders = [other for other, share in held.items() if share >= 0.5]
    alike_names = [other for other in holders if alike(name, other)]
    holders = [other for other in holders if not is_user(other) or other in alike_names]
    dense = all(entry.isdigit() for entry in entries) and max(map(int, entries), default=0) < 100 * len(entries)

    def closest(candidates: list[str]) -> str:
        return max(candidates, key=lambda other: len(entries & values[other]) / len(entries | values[other]))

    if not holders:
        return None, ""
    if alike_names:
        return closest(alike_names), "by their names and values"
    items = [other for other in holders if is_item(other)]
    if is_history(name) and (items or not dense):
        return closest(items or holders), "as a history of its values" if items else "whose values it holds"
    if dense:
        return None, ""
    return closest(holders), "whose values it holds"


def name_groups(entry: dict[str, Any], guesses: dict[str, Guess], frame: pl.DataFrame, label: LabelGuess) -> list[str]:
    """Clusters for statistics, and groups for gAUC, where a column is named like users, or else like sessions.

    Groups are named if some of them have rows of both classes; of the others gAUC knows nothing.
    """
    users = [name for name, guess in guesses.items() if is_user(name) and guess.entry["type"] == "categorical"]
    users = users or [name for name, guess in guesses.items() if "request" in guess.notes]
    users = [name for name in users if "empty" not in guesses[name].notes and not set(name) & set("()")]
    if not users:
        return [NO_GROUPS]
    user = min(users, key=lambda name: (not guesses[name].active, len(name)))
    entry["cluster_id"] = user
    remark = f"Rows of the same {user} are taken to belong together, for statistics (cluster_id)"
    classes = pl.DataFrame({"user": as_text(frame[user]), "positive": label.positives(frame)}).drop_nulls()
    with_both = classes.group_by("user").agg(pl.col("positive").n_unique() == 2)["positive"].sum()
    if with_both < FEWEST_GROUPS:
        return [f"{remark}. Only {with_both} of them have rows of both classes, too few for gAUC."]
    numbered = (f"group_id_{number}" for number in itertools.count(2))
    group = next(name for name in itertools.chain(["group_id"], numbered) if name not in guesses)
    normal = {"normalize_ids": True} if guesses[user].entry.get("normalize_ids") else {}
    copy = {"name": group, "type": "meta", "dtype": "str", "preprocess": f"copy_from({user})"} | normal
    entry["feature_cols"] = [*entry["feature_cols"], copy]
    entry["group_id"] = group
    return [f"{remark} and for gAUC (group_id)."]

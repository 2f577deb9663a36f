"""What the owner of the files is told: how they are read, what each column was taken for, and what is left out."""

from collections.abc import Mapping, Sequence

import polars as pl

from fuxi_plugins.datasets.describing.columns import Guess
from fuxi_plugins.datasets.describing.found_files import FoundFiles
from fuxi_plugins.datasets.describing.labels import LabelGuess
from fuxi_plugins.datasets.describing.names import LABELS, is_made_up
from fuxi_plugins.datasets.leaks import LEAK
from fuxi_plugins.datasets.side_tables import SideTable

# What is said of columns, by the key of the note.
NOTES = {
    "empty": "Left out, for the rows that were looked at hold no value: {}.",
    "own": "Left out, for nearly every row has its own value: {}.",
    "free text": "Left out, for it is free text: {}.",
    "moment": "Left out as features, for they are times: {}.",
    "not finite": "Left out, for a number is not finite or beyond 3.4e38: {}.",
    "comma": "Left out, for a comma stands in their numbers (3,14 or 1,000); write 3.14 and 1000: {}.",
    "unit": "Left out, for a unit stands with their numbers ($3.50 or 12%); write 3.5 and 12: {}.",
    "unread date": "Left out, for they are dates of which nobody can tell day and month (03/01/2026), or in words: {}. "
    "Write them as 2026-03-01 12:30:00, and rows can be split by time.",
    "vector": "Vectors of numbers, as of images or texts, which models project to the width of their embeddings: {}.",
    "odd vectors": "Left out, for they are lists of fractions that differ in length or hold what is no number: {}.",
    "split": "Left out as a feature, for it says which split a row belongs to: {}.",
    "other split": "Left out as features, for by their names they say which split a row belongs to, though in no words "
    "for train, valid and test: {}. To divide rows by one, write split: {{by: column, column: COLUMN, values: {{train: "
    "[...], valid: [...], test: [...]}}}}. If it is a feature, make it active.",
    "request": "Left out as features, for they number sessions or requests: {}.",
    "outcome": "Left out, for they are outcomes like the label, by their names: {}. Make them active if they are known "
    "before the row is shown.",
    "leak": f"Left out, for one of them alone tells the label with an AUC above {LEAK}: {{}}.",
    "missing": "Numbers but for texts that stand for a missing value (na_values): {}.",
    "floats": "Whole numbers written as floats are ids, 7.0 the same as 7 (normalize_ids): {}.",
    "whole": "Whole numbers taken for ids; counts and amounts should be numeric: {}.",
    "buckets": "Whole amounts with many rare values, put into buckets of floor(ln(x)^2) where x is above 2 "
    "(convert_to_bucket): {}.",
    "beyond int64": "Whole numbers beyond 64 bits taken for ids: {}.",
    "rounded ids": "Ids in scientific notation (1.23E+17): {}. A spreadsheet writes long numbers so and drops their "
    "last digits, which makes one id of several. Export such columns as text.",
    "powers": "Whole numbers in scientific notation (1.2e5) taken for amounts: {}. Ids need all their digits.",
    "objects": "Left out, for they are lists of objects, as JSON writes them: {}. Write what models shall know of "
    "them as columns of their own.",
    "list": "Lists of several values: {}.",
}


def of_files(found: FoundFiles, tables: Sequence[SideTable]) -> list[str]:
    """Which files are not read, which belong together, and how they are written."""
    remarks = [f"Not read: {', '.join(found.others)}."] if found.others else []
    if found.unlabelled:
        remarks.append(f"Not read, because the label is missing: {', '.join(found.unlabelled)}.")
    remarks += [f"The files {name} together are {split}." for split, name in found.names.items() if "*" in name]
    if lists := found.file_format.impressions:
        clicks = f"{lists.clicked} which of them were clicked" if lists.clicked else "marks the clicked ones with -1"
        remarks.append(
            f"{lists.shown} lists the items that were shown at once, and {clicks}. Each of them becomes a row, with "
            f"the columns {lists.item} and {lists.label}."
        )
    if found.file_format.separator:
        remarks.append(f"Values are separated by {found.file_format.separator!r}.")
    if found.file_format.encoding != "utf-8":
        remarks.append("The text is not UTF-8 and is read as latin-1: other letters may show, but ids stay apart.")
    return [*remarks, *of_header(found, tables)]


def of_header(found: FoundFiles, tables: Sequence[SideTable] = ()) -> list[str]:
    """That columns have no names of their own, and where theirs are from."""
    if all(map(is_made_up, found.columns_of(found.names["train"]) or [""])):
        return [
            "The first row looks like values, not like a header, so the columns are numbered. To name them: "
            "--column-names label,user_id,item_id."
        ]
    files = [*found.names.values(), *(table.name for table in tables)]
    return [
        f"{'The parts have' if file == '.' else f'{file} has'} no header; the columns are taken to be those of "
        f"{published.dataset}: {', '.join(published.columns)}."
        for file in files
        if (published := found.published_as(file))
    ]


def of_label(label: LabelGuess, found: FoundFiles, heads: Mapping[str, pl.DataFrame]) -> list[str]:
    """How it became positive or negative, which files hold one class, and how many rows have none."""
    remarks = [label.said] if label.said else []
    if label.name.casefold() not in LABELS:
        remarks.insert(0, f"Taken for the label: {label.name}.")
    for split, head in heads.items():
        classes = label.positives(head).drop_nulls().unique()
        if len(classes) == 1:
            remarks.append(
                f"All labels of {found.names[split]} that were looked at are {int(classes[0])}, but every split needs "
                "both classes."
            )
    lacking = sum(int((~label.is_there(head)).sum()) for head in heads.values())
    if lacking:
        remarks.append(
            f"{lacking:,} of the {sum(map(len, heads.values())):,} rows that were looked at have no label "
            f"{label.name}: such rows are left out (label_missing: drop). Without this setting they are an error."
        )
    return remarks


def of_columns(
    guesses: Mapping[str, Guess],
    label: LabelGuess,
    heads: Mapping[str, pl.DataFrame],
    unreadable: list[str],
    weight: str | None,
) -> list[str]:
    """What each column was taken for, and which are left out.

    Args:
        guesses: the columns that features are chosen from.
        label: of the rows.
        heads: the first rows of each split's file.
        unreadable: the columns that ``heads`` lack, for nobody can read them.
        weight: the column of the rows' weights.
    """
    remarks = []
    if unreadable:
        remarks.append(
            f"Left out, for they hold neither text nor numbers nor lists of them: {', '.join(unreadable)}. Write what "
            "models are to see of them as columns of their own."
        )
    names = [name for name in heads["train"].columns if name and name != label.name]
    if absent := [name for name in names if any(name not in head for head in heads.values())]:
        remarks.append(f"Left out, for not every file has them: {', '.join(absent)}.")
    if weight:
        remarks.append(f"Taken for the weights of rows, by which training weights the loss: {weight}.")
    if "" in heads["train"].columns:
        remarks.append("Left out, for it has no name, as an index that pandas wrote: the column with an empty header.")
    for key, sentence in NOTES.items():
        noted = [name for name, guess in guesses.items() if key in guess.notes]
        if noted:
            remarks.append(sentence.format(", ".join(noted)))
    return remarks

"""Which column is the label, and by which rule its values are positive."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.describing.columns import Head, without_missing
from fuxi_plugins.datasets.describing.names import find_label_name, is_made_up, is_rating, usual_labels
from fuxi_plugins.datasets.label_rule import LabelRule
from fuxi_plugins.datasets.reading.forms import ColumnForm
from fuxi_plugins.datasets.reading.values import cleaned
from fuxi_plugins.datasets.statistics import number

_POSITIVE_TEXTS = ("true", "yes", "y", "t", "click", "clicked", "positive", "1")
MOST_POSITIVE = 0.97  # of the rows, by a rule that is guessed for numbers
_NEGATIVE_TEXTS = ("false", "no", "n", "f", "", "none", "skip", "negative", "0")


@dataclass(frozen=True)
class LabelGuess:
    """The label's settings, and what its owner should be told of the rule; ``said`` is empty where there is none."""

    name: str
    rule: str | None
    said: str
    na_values: list[str]

    @property
    def entry(self) -> dict[str, Any]:
        rule = {"rule": self.rule} if self.rule else {}
        return {"name": self.name, "dtype": "float"} | rule | ({"na_values": self.na_values} if self.na_values else {})

    def is_there(self, frame: pl.DataFrame) -> pl.Series:
        """Whether each row has a label."""
        return cleaned(frame[self.name], ColumnForm(na_values=tuple(self.na_values))).is_not_null()

    def positives(self, frame: pl.DataFrame) -> pl.Series:
        """Whether each row is positive; null where it has no label."""
        return LabelRule.parse(self.rule or "> 0").positives(frame[self.name])


def find_label(frame: pl.DataFrame, asked: str | None) -> str | None:
    """The column that the user names or, with None, the one with a usual name; None where there is no such column.

    Where columns have no names, it is the first or the last if that alone of the two holds 0 and 1, or -1 and 1.
    """
    named = find_label_name(frame.columns, asked)
    if named and not asked and not _is_of_two_classes(frame[named]):  # as a record label beside a click
        named = next((name for name in usual_labels(frame.columns) if _is_of_two_classes(frame[name])), named)
    if named or asked or not all(map(is_made_up, frame.columns)):
        return named
    ends = [name for name in (frame.columns[0], frame.columns[-1]) if _is_of_two_classes(frame[name])]
    return ends[0] if len(ends) == 1 else None


def _is_of_two_classes(values: pl.Series) -> bool:
    if values.dtype in (pl.List, pl.Array):
        return False
    numbers = values.cast(pl.Float64, strict=False)
    return not numbers.null_count() and set(numbers.unique()) in ({0.0, 1.0}, {-1.0, 1.0})


def guess_label(
    frame: pl.DataFrame, others: Sequence[pl.DataFrame], name: str, rule: str | None, where: str
) -> LabelGuess:
    """How a column is a label.

    Args:
        frame: the first rows of train.
        others: those of the other files.
        name: the column.
        rule: the user's, or None to guess one where the values are not 0 and 1.
        where: the file, for messages.

    Raises:
        UserError: it has no values, they need a rule that cannot be guessed, or the rule does not fit.
    """
    if frame[name].dtype in (pl.List, pl.Array):
        raise UserError(f"the label {name!r} of {where} must be one value a row, but is a list.")
    values, missing = without_missing(Head(name, frame[name], [other[name] for other in others]))
    if not len(values):
        raise UserError(f"the label {name!r} of {where} must have values, but the first {len(frame):,} rows have none.")
    said = ""
    if rule is None:
        rule, said = _guessed(name, values, where)
    else:
        _check(name, values, rule, where)
    return LabelGuess(name, rule, said, missing)


def _check(name: str, values: pl.Series, rule: str, where: str) -> None:
    """
    Raises:
        UserError: ``rule``, which the user gave, is none or cannot compare the values.
    """
    try:
        positive = LabelRule.parse(rule).positives(values)
    except ValueError as error:
        raise UserError(f"--rule must be a rule, but is {rule!r}: {error}.") from error
    if positive.null_count():
        seen = values.filter(positive.is_null())[0]
        raise UserError(
            f"the label {name!r} of {where} must be what the rule {rule!r} can compare, but is also {seen!r}."
        )


def _guessed(name: str, values: pl.Series, where: str) -> tuple[str | None, str]:
    """The rule, or None for 0 and 1, and what is said of it."""
    numbers = values.cast(pl.Float64, strict=False)
    if numbers.null_count() == 0 and numbers.is_finite().all():
        rule, why = _rule_for_numbers(name, numbers)
    else:
        rule, why = _rule_for_texts(values.str.strip_chars().str.to_lowercase())
    if rule is None and why:
        seen = ", ".join(repr(value) for value in values.unique().sort()[:5])
        raise UserError(
            f"the label {name!r} of {where} must be 0 or 1, but is {seen}, and {why}. Say what is positive, as in "
            "--rule '== buy' or --rule 'in [click, buy]'."
        )
    if rule is None:
        return None, ""
    share = number(LabelRule.parse(rule).positives(values).mean() or 0)
    if share > MOST_POSITIVE and values.n_unique() > 2:
        raise UserError(
            f"the label {name!r} of {where} is {why}, and must have a rule that tells positive from negative: by "
            f"{rule}, {share:.0%} of the rows would be positive. Say what is positive, as in --rule '>= "
            f"{number(numbers.median()):.6g}', which at least half of the rows are."
        )
    return rule, (
        f"The label {name} is {why}: positive where it is {rule} ({share:.0%} of the rows). Change the rule if need be."
    )


def _rule_for_numbers(name: str, numbers: pl.Series) -> tuple[str | None, str]:
    """The rule, or None for 0 and 1, and what the values look like."""
    distinct = set(numbers.unique())
    low, high = number(numbers.min()), number(numbers.max())
    if distinct <= {0.0, 1.0}:
        return None, ""
    if distinct <= {-1.0, 1.0}:
        return "> 0", "-1 or 1"
    if low >= 0 and high <= 1:
        return ">= 0.5", "a share between 0 and 1"
    if low < 0:
        return "> 0", "a number on both sides of 0"
    whole = all(2 * value == int(2 * value) for value in distinct)  # or with halves
    if low == high or (low == 0 and not (is_rating(name) and whole)):
        return "> 0", "a count or an amount, by its values"
    if len(distinct) == 2:
        return f"== {high:.15g}", f"{low:.15g} or {high:.15g}"
    for most, positive in ((5, 4), (10, 8), (100, 80)):
        if positive <= high <= most:
            return f">= {positive}", f"a rating of up to {most}, by its values"
    return f"> {low:.15g}", "a number above 0, by its values"


def _rule_for_texts(texts: pl.Series) -> tuple[str | None, str]:
    distinct = set(texts.unique())
    positive = sorted(distinct & set(_POSITIVE_TEXTS))
    if len(distinct) == 2 and len(positive) == 1 and distinct - set(positive) <= set(_NEGATIVE_TEXTS):
        return f"== {positive[0]}", "one of two values"
    return None, "no rule can be guessed for such text"

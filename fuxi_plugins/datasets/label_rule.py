"""Makes a label of 0 and 1 out of a column of ratings, counts, truth values or kinds of events."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_COMPARISON = re.compile(r"(>=|<=|==|!=|>|<)\s*(\S.*)")
_MEMBERSHIP = re.compile(r"in\s*\[(.*)\]")
GRAMMAR = "a rule is a comparison such as >= 4, == 1 or != skip, or a list such as in [click, purchase]"


@dataclass(frozen=True)
class LabelRule:
    """Which values of a column are positive.

    comparison: ``>=``, ``<=``, ``>``, ``<``, ``==``, ``!=`` or ``in``.
    operands: what a value is compared with; numbers if all of them are, else texts, whose case does not matter.
    """

    comparison: str
    operands: tuple[float, ...] | tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "LabelRule":
        """
        Raises:
            ValueError: not a rule.
        """
        text = text.strip()
        if found := _COMPARISON.fullmatch(text):
            comparison, words = found.group(1), [found.group(2)]
        elif found := _MEMBERSHIP.fullmatch(text):
            comparison, words = "in", found.group(1).split(",")
        else:
            raise ValueError(GRAMMAR)
        words = [word.strip().strip("\"'") for word in words]
        numbers = [number for word in words if (number := _number(word)) is not None]
        if len(numbers) == len(words):
            return cls(comparison, tuple(numbers))
        if comparison not in ("==", "!=", "in") or not all(words):
            raise ValueError(f"{GRAMMAR}; {comparison} needs a number")
        return cls(comparison, tuple(word.casefold() for word in words))

    @property
    def compares_numbers(self) -> bool:
        return not isinstance(self.operands[0], str)

    def positives(self, values: "pl.Series") -> "pl.Series":
        """Whether each value is positive; null where it is missing, or no number where the rule compares numbers."""
        import polars as pl  # not above: configs are listed without it

        if self.compares_numbers:
            compared = values.cast(pl.Float64, strict=False)
            compared = compared.set(compared.is_nan().fill_null(False), None)
        else:
            compared = values.cast(pl.String).str.strip_chars().str.to_lowercase()
        first = self.operands[0]
        match self.comparison:
            case ">=":
                return compared >= first
            case "<=":
                return compared <= first
            case ">":
                return compared > first
            case "<":
                return compared < first
            case "!=":
                return compared != first
        return compared.is_in(list(self.operands))


def _number(word: str) -> float | None:
    try:
        number = float(word)
    except ValueError:
        return None
    return number if number - number == 0 else None  # neither nan nor infinity

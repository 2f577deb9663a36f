"""What one column most likely is, told from its name and from the values at the head of the files."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from fuxi_plugins.datasets.describing.names import (
    is_amount,
    is_day_or_hour,
    is_history,
    is_id,
    is_made_up,
    is_moment,
    is_timestamp,
)
from fuxi_plugins.datasets.reading.dates import seconds, unit_of
from fuxi_plugins.datasets.reading.forms import ColumnForm
from fuxi_plugins.datasets.reading.values import as_text, cleaned, from_brackets
from fuxi_plugins.datasets.statistics import number

MIN_COUNT = 2  # min_categr_count of a first config
SPLITTERS = "^|;"
LONGEST = 50  # entries of a sequence that are kept
SPLIT_ROWS = 0.2  # of its rows in which a sequence has more than one entry
HISTORY_ROWS = 0.02  # the same of a column that is named like a history, as of users who are mostly new
OWN_VALUE = 0.95  # distinct values a row from which a column tells rows apart, as a row's number or a title does
MOST_VALUES, OFTEN = 50, 20  # amounts of more values than 50, each in fewer than 20 rows on average, become buckets
SAME = 0.95  # of a column's rows that must agree on what it is
MISSING = ("NA", "N/A", "n/a", "NULL", "Null", "null", "None", "none", "NaN", "nan", "\\N", "-", "--", "?")
_WHOLE = r"^[+-]?\d+(\.0*)?$"
_FLOAT_FORM = r"^[+-]?\d+\.0*$"
_FRACTION = r"^[+-]?\d*\.\d*[1-9]\d*$"
_COMMA_NUMBER = r"^[+-]?(\d+(,\d+)?|\d{1,3}(,\d{3})+(\.\d+)?)$"  # 3,14 or 1,000
_POWER = r"^[+-]?\d+(\.\d*)?[eE]\+?\d+$"  # 1.2e5, as spreadsheets write long numbers
_UNIT_NUMBER = r"^[+-]?[$€£¥]\s?\d[\d.,]*$|^[+-]?\d[\d.,]*\s?[%$€£¥]$"  # $3.50 or 12%
_MONTH = "(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_UNREAD_DATES = (
    r"^\d{1,2}[/-]\d{1,2}[/-](\d{2}|\d{4})([ T,].*)?$",  # 03/01/2026 is March or January
    rf"(?i)^(\w{{3,9}}, ?)?(\d{{1,2}}[ -]{_MONTH}|{_MONTH} \d{{1,2}}),?[ -]\d{{4}}\b",  # 1 Mar 2026, Mar 1, 2026
)
_ID = r"^[\w:.-]*\d[\w-]*$"  # one word with a number in it, as ids have and the words of a text have not
_LONGEST_LOG = 6e8  # seconds that a log may span if nothing but its values tells that they are times: 19 years
# Dates without separators and the digits they are written with; the last is how Avazu writes hours.
_DATES_OF_DIGITS = {"%Y%m%d": 8, "%Y%m%d%H": 10, "%Y%m%d%H%M": 12, "%Y%m%d%H%M%S": 14, "%y%m%d%H": 8}
_EXACT = 2**53  # whole numbers up to which a float64 holds each
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Guess:
    """What a column is taken for.

    entry: its settings in ``feature_cols``.
    notes: keys of what its owner should be told.
    is_moment: a time of the row, by which rows may be divided.
    """

    entry: dict[str, Any]
    notes: tuple[str, ...] = ()
    is_moment: bool = False

    @property
    def active(self) -> bool:
        return self.entry.get("active", True)


@dataclass(frozen=True)
class Head:
    """The first rows of a column, of train and of the other files; and its type, if the header of RecBole says it."""

    name: str
    train: pl.Series
    others: Sequence[pl.Series] = ()
    type: str | None = None

    @property
    def is_list(self) -> bool:
        return self.train.dtype in (pl.List, pl.Array)

    def text(self) -> pl.Series:
        """The values of train that are there, as text."""
        return as_text(self.train).drop_nulls()

    def any_text(self) -> pl.Series:
        """The values of every file that are there, as text."""
        return pl.concat([as_text(values).drop_nulls() for values in (self.train, *self.others)])


def guess_column(head: Head) -> Guess:
    """What a column is taken for; a sequence's owner is guessed later, when all columns are known."""
    name = head.name
    if head.is_list:
        lists = head.train if head.train.dtype == pl.List else head.train.arr.to_list()
        return _sequence(name, lists.list.eval(pl.element().cast(pl.String)), {})
    values, missing = without_missing(head)
    if not len(values):
        return idle(name, "empty")
    extra: dict[str, Any] = {"na_values": missing} if missing else {}
    notes = ("missing",) if missing else ()
    if _is_moment(name, head.train.dtype, values):
        return Guess(idle(name, "moment").entry, ("moment",), is_moment=True)
    if head.type in ("token_seq", "float_seq"):
        return _sequence(name, values.str.split(" "), extra | {"splitter": " "})
    seen = head.any_text()
    everywhere = seen.filter(~seen.is_in(missing))
    numbers = everywhere.cast(pl.Float64, strict=False)
    if numbers.null_count() == 0:
        return _of_numbers(name, values, everywhere, numbers, extra, notes, are_amounts=head.type == "float")
    if _share(values, _COMMA_NUMBER) > SAME and values.str.contains(",", literal=True).any():
        return idle(name, "comma")
    if _share(values, _UNIT_NUMBER) > SAME:
        return idle(name, "unit")
    if any(_share(values, form) > SAME for form in _UNREAD_DATES):
        return idle(name, "unread date")
    listed = None if head.type == "token" else _listed(name, values, extra)
    if listed is not None:
        return listed
    if tells_rows_apart(values):
        return idle(name, "free text" if _share(values, r"\s\S+\s") > 0.5 else "own")
    return Guess({"name": name, "type": "categorical", "dtype": "str"} | extra, notes)


def _of_numbers(
    name: str,
    values: pl.Series,
    everywhere: pl.Series,
    numbers: pl.Series,
    extra: dict[str, Any],
    notes: tuple[str, ...],
    are_amounts: bool,
) -> Guess:
    """The guess for texts that all are numbers: whole ones are ids, others are amounts.

    Args:
        values: the texts of train.
        everywhere: those of every file, and ``numbers`` what they say.
        extra, notes: what is known of the column already.
        are_amounts: the file says so.
    """
    has_powers = bool(everywhere.str.contains(_POWER).any() and (numbers == numbers.floor()).all())
    are_ids = _all(everywhere, _WHOLE) or _are_long_ids(everywhere, numbers) or (has_powers and is_id(name))
    if are_amounts or not are_ids:
        if not (numbers.is_finite() & (numbers.abs() <= _LARGEST)).all():
            return idle(name, "not finite")
        entry = {"name": name, "type": "numeric", "dtype": "float", "normalizer": "StandardScaler"} | extra
        return Guess(entry, (*notes, "powers") if has_powers else notes)
    if is_amount(name) and _is_rare(values) and not (numbers.abs() > _EXACT).any():
        entry = {
            "name": name,
            "type": "categorical",
            "dtype": "float",
            "preprocess": "convert_to_bucket",
            "fill_na": -1,
        }
        return Guess(entry | {"min_categr_count": 1} | extra, (*notes, "buckets"))
    if tells_rows_apart(values):
        return idle(name, "own")
    if everywhere.str.contains(_FLOAT_FORM).any():
        extra, notes = extra | {"normalize_ids": True}, (*notes, "floats")
    is_long = bool((numbers.abs() >= 2.0**63).any())
    notes = (*notes, "whole", *(["beyond int64"] * is_long), *(["rounded ids"] * has_powers))
    return Guess({"name": name, "type": "categorical", "dtype": "str"} | extra, notes)


def _listed(name: str, values: pl.Series, extra: dict[str, Any]) -> Guess | None:
    """The guess if the values are lists written as text."""
    if _share(values, r"^\s*(\[.*\]|\(.*\))\s*$") > SAME:
        if values.str.contains(r"^\s*\[\s*\{").any():
            return idle(name, "objects")
        return _sequence(name, from_brackets(values), extra | {"list_format": "brackets"})
    if values.str.contains("\n", literal=True).any():
        return None
    for splitter in (*SPLITTERS, ", ", ",", " "):
        lists = values.str.split(splitter)
        if number((lists.list.len() > 1).mean() or 0) <= (HISTORY_ROWS if is_history(name) else SPLIT_ROWS):
            continue
        entries = lists.explode(empty_as_null=True)
        if lists.list.len().n_unique() == 1 and entries.cast(pl.Float64, strict=False).null_count() == 0:
            return _sequence(name, lists, extra | {"splitter": splitter})
        if entries.n_unique() > len(entries) / 2:  # the words of a text, not entries that come back
            continue
        # A comma or a space also stands in names of places and titles: entries are numbers, or their count varies.
        if splitter in SPLITTERS or _all(entries.drop_nulls(), _ID) or (
            splitter == "," and lists.list.len().n_unique() > 2 and not entries.str.contains(r"\s").any()
        ):  # fmt: skip
            return _sequence(name, lists, extra | {"splitter": splitter})
    return None


def _sequence(name: str, lists: pl.Series, settings: dict[str, Any]) -> Guess:
    entries = lists.explode(empty_as_null=True).drop_nulls()
    entries = entries.filter(entries != "")
    if _share(entries, _FRACTION) > SPLIT_ROWS:
        return _vector(name, lists, settings)
    if not len(entries) or _most_frequent(entries) < MIN_COUNT:
        return idle(name, "own" if len(entries) else "empty")
    notes: tuple[str, ...] = ("list",)
    if _share(entries, _FLOAT_FORM) > 0:
        settings, notes = settings | {"normalize_ids": True}, ("list", "floats")
    longest = int(number(lists.list.len().max() or 1))
    entry = {"name": name, "type": "sequence", "dtype": "str", **settings, "max_len": min(longest, LONGEST)}
    return Guess(entry | {"feature_encoder": "layers.MaskedAveragePooling()"}, notes)


def _vector(name: str, lists: pl.Series, settings: dict[str, Any]) -> Guess:
    """The guess for lists of fractions: vectors, if all have one length and hold numbers that are finite."""
    lengths = lists.list.len().filter(lists.list.len() > 0).unique()
    numbers = lists.explode(empty_as_null=True).drop_nulls().cast(pl.Float64, strict=False)
    if len(lengths) != 1 or numbers.null_count() or not (numbers.abs() <= _LARGEST).all():
        return idle(name, "odd vectors")
    entry = {"name": name, "type": "embedding", "dtype": "float", **settings, "pretrain_dim": int(lengths[0])}
    return Guess(entry, ("vector",))


def entries_of(guess: Guess, values: pl.Series) -> set[str]:
    """The different entries of a column that is taken for a sequence."""
    splitter = guess.entry.get("splitter", "^")
    form = ColumnForm(normalize_ids=True, brackets="list_format" in guess.entry, splitter=splitter)
    entries = cleaned(values, form).str.split(splitter).explode(empty_as_null=True)
    return set(cleaned(entries.drop_nulls().unique(), ColumnForm(normalize_ids=True))) - {""}


def without_missing(head: Head) -> tuple[pl.Series, list[str]]:
    """The texts of train that are there, and the texts that stand for a missing number, as they occur in any file.

    Only numbers have such texts: NA among names may be a name.
    """
    values = head.text()
    seen = head.any_text()
    tokens = [token for token in seen.unique().sort() if token.strip() in MISSING]
    rest = values.filter(~values.is_in(tokens))
    if tokens and rest.cast(pl.Float64, strict=False).null_count() == 0:
        return rest, tokens
    return values, []


def _is_moment(name: str, dtype: pl.DataType, values: pl.Series) -> bool:
    if dtype.is_temporal():
        return dtype != pl.Time  # which says no day
    if number(seconds(values).is_not_null().mean()) > SAME:
        return True
    nameless = is_made_up(name)
    numbers = values.cast(pl.Float64, strict=False)
    if not (is_moment(name) or is_day_or_hour(name) or nameless) or numbers.null_count():
        return False
    if is_timestamp(name):  # whatever it counts from
        return True
    low, high = number(numbers.min()), number(numbers.max())
    if unit := unit_of(low, high):
        return not nameless or high - low < _LONGEST_LOG * unit
    return are_dates_of_digits(values)


def are_dates_of_digits(values: pl.Series) -> bool:
    """Whether all texts are dates without separators, in one of the known forms."""
    return any(_are_dates(values, form, digits) for form, digits in _DATES_OF_DIGITS.items())


def _are_dates(values: pl.Series, form: str, digits: int) -> bool:
    """Whether all values are dates from 1979 to 2096 in this form, as 20141021 or 14102100 are."""
    if not _all(values, rf"^\d{{{digits}}}$"):
        return False
    rest = "".join(part for part in ("%H", "%M", "%S") if part not in form)  # polars reads no hour without minutes
    found = (values + "00" * (len(rest) // 2)).str.to_datetime(form + rest, strict=False)
    return not found.null_count() and bool(found.dt.year().is_between(1979, 2096).all())


def _are_long_ids(values: pl.Series, numbers: pl.Series) -> bool:
    """Whether most values are whole numbers, some too long for a float64: ids of which another tool rounded a few."""
    return _share(values, _WHOLE) > 0.5 and bool((numbers.abs() > _EXACT).any())


def tells_rows_apart(values: pl.Series) -> bool:
    """Whether nearly every row has a text of its own."""
    distinct = values.n_unique()
    return _most_frequent(values) < MIN_COUNT or (len(values) >= 100 and distinct > OWN_VALUE * len(values))


def _is_rare(values: pl.Series) -> bool:
    """Whether most values come too seldom to learn an embedding of each."""
    return values.n_unique() > max(MOST_VALUES, len(values) / OFTEN)


def _most_frequent(values: pl.Series) -> float:
    """How often the most frequent value occurs."""
    return number(values.value_counts()["count"].max())


def idle(name: str, why: str) -> Guess:
    """A column that is no feature; ``why`` is the key of its note."""
    return Guess({"name": name, "type": "categorical", "dtype": "str", "active": False}, (why,))


def _all(values: pl.Series, pattern: str) -> bool:
    return bool(len(values)) and _share(values, pattern) == 1


def _share(values: pl.Series, pattern: str) -> float:
    return number(values.str.contains(pattern).mean() or 0)

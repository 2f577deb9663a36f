"""Dates that files write as text, as seconds since 1970 or as a clock shows them; a date without a zone is UTC.

Read are 2026-03-01, 2026/3/1, 01.03.2026 and, before a time, 20260301. A slash behind the day, as in 03/01/2026, is
read by nobody for certain: it may be the third of January or the first of March. Before a time with AM or PM, as
Americans write it, the month comes first.
"""

from datetime import UTC, datetime

import polars as pl

_UNITS = (1.0, 1e3, 1e6, 1e9)  # a second in seconds, milliseconds, microseconds and nanoseconds
_EPOCH = (3e8, 4e9)  # seconds since 1970 of 1979 to 2096
_TIME = r"[T ]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}(?:[.,]\d+)?))?"
_ZONE = r" ?(?:Z|UTC|GMT|(?P<zone_hours>[+-]\d{2}):?(?P<zone_minutes>\d{2})?)?"
_FORMS = (
    rf"^(?P<year>\d{{4}})[-/](?P<month>\d{{1,2}})[-/](?P<day>\d{{1,2}})(?:{_TIME}{_ZONE})?$",
    rf"^(?P<day>\d{{1,2}})\.(?P<month>\d{{1,2}})\.(?P<year>\d{{4}})(?:{_TIME}{_ZONE})?$",
    rf"^(?P<year>\d{{4}})(?P<month>\d{{2}})(?P<day>\d{{2}}){_TIME}{_ZONE}$",
    rf"^(?P<month>\d{{1,2}})/(?P<day>\d{{1,2}})/(?P<year>\d{{4}}){_TIME} ?(?P<half>[AaPp])\.?[Mm]\.?{_ZONE}$",
)


def seconds(texts: pl.Series) -> pl.Series:
    """(N,) float64: seconds since 1970 of each text; null where it is no date."""
    stripped = texts.str.strip_chars()
    found = pl.repeat(None, len(texts), dtype=pl.Float64, eager=True)
    for form in _FORMS:
        if found.null_count():
            found = found.fill_null(_of_form(stripped, form))
    return found


def wall_clock(values: pl.Series) -> pl.Series:
    """(N,) what a clock showed at each moment; null where a value is none.

    A date is taken as it is written, in the zone of its writer. A number counts seconds, milliseconds, microseconds or
    nanoseconds from 1970 and is shown in UTC.
    """
    if values.dtype == pl.Date:
        return values.cast(pl.Datetime("us"))
    if isinstance(values.dtype, pl.Datetime):
        return values.dt.replace_time_zone(None).cast(pl.Datetime("us"))
    numbers = values.cast(pl.Float64, strict=False)
    found = pl.repeat(None, len(values), dtype=pl.Float64, eager=True)
    for unit in _UNITS:
        counts = numbers.is_between(_EPOCH[0] * unit, _EPOCH[1] * unit)
        found = found.zip_with(~counts.fill_null(False), numbers / unit)
    if values.dtype == pl.String:
        for form in _FORMS:
            if found.null_count():
                found = found.fill_null(_of_form(values.str.strip_chars(), form, in_utc=False))
    return (found * 1e6).cast(pl.Int64).cast(pl.Datetime("us"))


def _of_form(texts: pl.Series, form: str, in_utc: bool = True) -> pl.Series:
    """Seconds since 1970 in UTC, or else in the zone of each text."""
    parts = texts.str.extract_groups(form).struct.unnest()
    hour, minute, second = (pl.col(name).fill_null("00") for name in ("hour", "minute", "second"))
    if "half" in parts.columns:  # 12 AM is midnight, 12 PM noon
        in_half = hour.cast(pl.Int64, strict=False) % 12
        hour = pl.when(pl.col("half").str.to_lowercase() == "p").then(in_half + 12).otherwise(in_half).cast(pl.String)
    written = pl.format("{}-{}-{} {}:{}:{}", "year", "month", "day", hour, minute, second.str.replace(",", "."))
    moment = written.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False)
    if not in_utc:
        return parts.select(moment.to_physical() / 1e6).to_series()
    sign = pl.when(pl.col("zone_hours").str.starts_with("-")).then(-1).otherwise(1)
    hours, minutes = (pl.col(name).cast(pl.Int64).fill_null(0) for name in ("zone_hours", "zone_minutes"))
    return parts.select(moment.to_physical() / 1e6 - (hours * 3600 + sign * minutes * 60)).to_series()


def unit_of(low: float, high: float) -> float | None:
    """In which units, so many a second, numbers from ``low`` to ``high`` count from 1970; None if they do not."""
    return next((unit for unit in _UNITS if _EPOCH[0] * unit <= low and high <= _EPOCH[1] * unit), None)


def in_words(moment: float) -> str:
    """A number that counts from 1970 as a date, another as it is."""
    unit = unit_of(moment, moment)
    return f"{datetime.fromtimestamp(moment // unit, UTC):%Y-%m-%d %H:%M:%S}" if unit else f"{moment:.15g}"

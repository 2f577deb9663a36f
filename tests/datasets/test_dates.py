"""Dates in text, against what Python's own datetime makes of them."""

from datetime import UTC, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuxi_plugins.datasets.reading.dates import seconds

MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("2026-03-01", 0),
        ("2026/03/01", 0),
        ("2026-3-1", 0),
        ("01.03.2026", 0),
        ("1.3.2026 12:30", 45000),
        ("2026-03-01 12:30", 45000),
        ("2026/03/01 12:30", 45000),
        ("20260301 12:30:00", 45000),
        ("2026-03-01T12:30:00Z", 45000),
        ("2026-03-01 12:30:00 UTC", 45000),
        ("2026-03-01 12:30:00+00", 45000),
        ("2026-03-01 12:30:00,25", 45000.25),
        ("2026-03-01 12:30:00.25+0000", 45000.25),
        ("2026-03-01 9:00:00-03:30", 45000),
        (" 2026-03-01 ", 0),
        ("3/1/2026 12:30:00 PM", 45000),
        ("03/01/2026 12:00 AM", 0),
        ("3/1/2026 11:59:59 p.m.", 86399),
    ],
)
def test_a_date_is_seconds_since_1970_in_utc_where_it_names_no_zone(text, after):
    assert seconds(pl.Series([text])).to_list() == [MIDNIGHT + after]


@pytest.mark.parametrize(
    "text",
    [
        "03/01/2026",
        "1 Mar 2026",
        "20260301",
        "2026-13-01",
        "2026-02-30",
        "2026-03-01 25:00",
        "3/1/2026 12:30",
        "soon",
        "",
        None,
    ],
)
def test_what_is_no_date_or_may_be_two_is_null(text):
    assert seconds(pl.Series([text, "2026-03-01"], dtype=pl.String)).to_list() == [None, MIDNIGHT]


@given(
    st.lists(
        st.datetimes(datetime(1971, 1, 1), datetime(2090, 1, 1)).flatmap(
            lambda moment: st.integers(-12 * 60, 14 * 60).map(
                lambda minutes: moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
            )
        )
    )
)
def test_what_python_writes_is_read_with_its_zone(moments):
    texts = pl.Series([moment.isoformat(" ") for moment in moments], dtype=pl.String)
    assert seconds(texts).to_list() == pytest.approx([moment.timestamp() for moment in moments], abs=1e-6)

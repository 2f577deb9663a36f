"""The plan for a billion rows: its sums by hand, and its page against the measured figures."""

import pytest
from measuring.plan import Constants, plan, write_page

from tests.conftest import ROOT

BY_HAND = Constants(
    store_bytes_per_row=100,
    prepared_rows_per_cpu_second=1e4,
    loaded_rows_per_cpu_second=1e6,
    trained_rows_per_second=5e3,
    efficiency=0.5,
    processes=2,
    batch_size=1000,
    bytes_per_parameter=16,
    seconds_per_parameter=1e-9,
    reduced_bytes_per_second=1e9,
)


def test_the_sums_are_those_one_makes_by_hand():
    values = {line.what: line.value for line in plan(BY_HAND, rows=1e6, table_bytes=8e9)}
    assert values["the store"] == "100.0 MB"
    assert values["preparation of all rows"] == "100.0 s"
    assert values["loading an epoch"] == "1.0 s"
    assert values["an epoch of it"] == "3.3 min"
    assert values["an epoch by 2 processes"] == "3.3 min"  # twice as many, half as good
    assert values["parameters of the tables"] == "2.0 billion"
    assert values["held by each process"] == "32.0 GB"
    assert values["the tables in a step"] == "2.0 s"
    assert values["the tables in an epoch"] == "33.3 min"  # 1,000 steps
    assert values["the tables' gradients in a step"] == "8.0 s"
    assert values["sent by each of 8 processes in a step"] == "14.0 GB"  # 7/8 out and in
    # 1,000 rows / 8 processes x 26 fields x 20 floats x 4 bytes = 260 kB, of which 7/8 lie elsewhere, there and back
    assert values["the same with sharded tables"] == "455.0 kB"


def test_the_page_holds_what_the_measured_figures_give(tmp_path):
    page = ROOT / "docs" / "scale.md"
    copy = tmp_path / "scale.md"
    copy.write_text(page.read_text())
    write_page(ROOT / "results" / "speed", copy)
    assert copy.read_text() == page.read_text()


def test_a_page_without_a_place_for_the_tables_is_said(tmp_path):
    (tmp_path / "page.md").write_text("no place")
    with pytest.raises(ValueError, match="no place"):
        write_page(ROOT / "results" / "speed", tmp_path / "page.md")

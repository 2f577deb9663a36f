"""Labels that are no plain 0 and 1, and columns that are called labels and are none."""

import numpy as np
import polars as pl
import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.describing.describe import describe

RANDOM = np.random.default_rng(4)
ROWS = 500
ITEMS = RANDOM.integers(0, 30, ROWS)
COLUMNS = {"user_id": RANDOM.integers(0, 20, ROWS), "item_id": ITEMS}


def described(folder, **columns):
    pl.DataFrame({**COLUMNS, **columns}).write_csv(folder / "log.csv")
    return describe("mine", folder / "log.csv").entry


def test_seconds_watched_need_a_rule(tmp_path):
    seconds = RANDOM.exponential(20, ROWS).round(1) + 1
    with pytest.raises(
        UserError, match=r"by > 1, \d+% of the rows would be positive. Say what is positive, as in --rule"
    ):
        described(tmp_path, label=seconds)
    assert describe("mine", tmp_path / "log.csv", rule="> 20").entry["label_col"]["rule"] == "> 20"


@pytest.mark.parametrize(
    ("name", "values", "rule"),
    [
        ("stars", range(6), ">= 4"),  # 0 stars are a rating too
        ("rating", [half / 2 for half in range(11)], ">= 4"),
        ("label", range(6), "> 0"),  # a count
    ],
)
def test_ratings_from_0_are_ratings_where_the_name_says_so(tmp_path, name, values, rule):
    assert described(tmp_path, **{name: RANDOM.choice(list(values), ROWS)})["label_col"]["rule"] == rule


@pytest.mark.parametrize("label", [ITEMS % 5, [f"Sony{item % 5}" for item in ITEMS]], ids=["numbers", "texts"])
@pytest.mark.parametrize("click", ["is_click", "is_clicked", "target"])
def test_of_several_usual_names_the_one_of_two_classes_is_the_label(tmp_path, label, click):
    """As a record label, or a class of products, beside clicks."""
    entry = described(tmp_path, label=label, **{click: RANDOM.integers(0, 2, ROWS)})
    assert entry["label_col"] == {"name": click, "dtype": "float"}
    assert "label" in [column["name"] for column in entry["feature_cols"] if column.get("active", True)]


def test_the_first_usual_name_counts_where_several_are_of_two_classes(tmp_path):
    entry = described(tmp_path, target=RANDOM.integers(0, 2, ROWS), label=RANDOM.integers(0, 2, ROWS))
    assert entry["label_col"]["name"] == "label"

"""How a described file is divided: by days, and by columns that say the split."""

import numpy as np
import pandas as pd

from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import read_spec
from fuxi_plugins.datasets.describing.describe import describe
from fuxi_plugins.datasets.prepare import prepare_dataset

ROWS = 2100


def clicks(**columns) -> pd.DataFrame:
    random = np.random.default_rng(0)
    rows = {"user_id": random.integers(0, 50, ROWS), "item_id": random.integers(0, 90, ROWS)}
    return pd.DataFrame(rows | columns | {"label": random.integers(0, 2, ROWS)})


def described(folder, frame: pd.DataFrame):
    frame.to_csv(folder / "clicks.csv", index=False)
    return describe("mine", folder / "clicks.csv")


def prepared(folder, entry):
    return prepare_dataset(read_spec("mine", entry, folder), Workspace(folder, folder, folder / "cache")).card


def test_of_a_week_by_day_the_last_days_are_held_out(tmp_path):
    days = pd.date_range("2026-03-01", periods=7).strftime("%Y-%m-%d").repeat(ROWS // 7)
    found = described(tmp_path, clicks(date=days))
    assert (found.entry["split"]["by"], found.entry["split"]["column"]) == ("time", "date")
    assert "Rows of one date stay together, so these shares are held out: valid 14% and test 14%." in found.remarks
    assert prepared(tmp_path, found.entry).rows == {"train": 1500, "valid": 300, "test": 300}


def test_two_days_are_too_few_and_that_is_the_reason_given(tmp_path):
    days = np.repeat(["2026-03-01", "2026-03-02"], ROWS // 2)
    found = described(tmp_path, clicks(date=days))
    assert found.entry["split"]["by"] == "random"
    assert "because date has too few different values, so valid and test would hold no rows." in " ".join(found.remarks)

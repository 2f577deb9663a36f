"""How a described file is divided: by days, and by columns that say the split."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import read_spec
from fuxi_plugins.datasets.columns import SplitRule
from fuxi_plugins.datasets.describing.describe import describe
from fuxi_plugins.datasets.describing.split_names import named_after_splits
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


PARTS = np.repeat([0, 1, 2], ROWS // 3)


def columns(found) -> dict:
    return {column["name"]: column for column in found.entry["feature_cols"]}


@pytest.mark.parametrize(
    ("name", "marks", "values"),
    [
        ("split", np.array(["train", "test", "holdout"])[PARTS], {"train": ["train"], "test": ["holdout", "test"]}),
        ("fold", np.array(["train", "train", "oot"])[PARTS], {"train": ["train"], "test": ["oot"]}),
        ("is_test", (PARTS == 2).astype(int), {"train": ["0"], "test": ["1"]}),
        ("isTrain", PARTS < 2, {"train": ["true"], "test": ["false"]}),
    ],
)
def test_marks_of_train_and_test_divide_the_rows_and_valid_is_drawn_of_train(tmp_path, name, marks, values):
    rows = clicks(**{name: marks})
    rows.to_parquet(tmp_path / "clicks.parquet")
    found = describe("mine", tmp_path / "clicks.parquet")
    rule = {"by": "column", "column": name, "values": values, "valid": 0.2, "seed": 2026}
    assert found.entry["split"] == rule
    assert columns(found)[name]["active"] is False
    assert f"{name} says which rows are train and test; 20% of those of train are drawn for valid." in found.remarks
    held_out = ROWS // 3 * (2 if name == "split" else 1)
    seen = prepared(tmp_path, found.entry).rows
    assert seen["test"] == held_out
    assert seen["valid"] == pytest.approx(0.2 * (ROWS - held_out), rel=0.25)
    assert sum(seen.values()) == ROWS


@pytest.mark.parametrize(
    "marks",
    [
        {"split": np.array(["train", "test", "later"])[PARTS]},
        {"fold": np.arange(ROWS) % 5},
        {"kfold_id": np.arange(ROWS) % 5},
        {"is_valid": (PARTS == 1).astype(int)},
        {"is_test": (PARTS == 2).astype(int), "is_valid": (PARTS == 1).astype(int)},
        {"is_train": (PARTS == 0).astype(int), "is_test": (PARTS == 2).astype(int)},
    ],
)
def test_marks_that_nobody_can_read_are_no_features_and_that_is_said(tmp_path, marks):
    found = described(tmp_path, clicks(**marks))
    assert found.entry["split"]["by"] == "random"
    assert not any(columns(found)[name].get("active", True) for name in marks)
    (said,) = [remark for remark in found.remarks if "which split a row belongs to" in remark]
    assert f"{', '.join(marks)}. To divide rows by one, write split: {{by: column, column: COLUMN, values: " in said


def test_flags_that_agree_divide_the_rows(tmp_path):
    found = described(tmp_path, clicks(is_train=(PARTS < 2).astype(int), is_test=(PARTS == 2).astype(int)))
    assert found.entry["split"]["column"] == "is_train"
    assert "Left out as a feature, for it says which split a row belongs to: is_train, is_test." in found.remarks


def test_a_set_may_be_a_feature(tmp_path):
    found = described(tmp_path, clicks(set=np.arange(ROWS) % 40, phase=PARTS))
    assert all(columns(found)[name].get("active", True) for name in ("set", "phase"))


def test_a_share_by_column_is_for_valid_alone():
    for wrong in (
        {"test": 0.1},
        {"valid": 0.1},
        {"valid": 0.1, "values": {"train": ["a"], "valid": ["b"], "test": ["c"]}},
    ):
        with pytest.raises(ValueError, match="takes a share for valid alone"):
            SplitRule.model_validate({"by": "column", "column": "x"} | wrong)


@pytest.mark.parametrize(
    ("files", "test"),
    [
        (["train.csv", "holdout.csv"], "holdout.csv"),
        (["train.csv", "clicks_oot.csv"], "clicks_oot.csv"),
        (["train.csv", "holdout.csv", "test.csv"], "test.csv"),
        (["train_holdout.csv", "items.csv"], None),
        (["holdout.csv", "items.csv"], None),
    ],
)
def test_a_file_called_holdout_is_test(files, test):
    assert named_after_splits([Path(file) for file in files]).get("test") == test

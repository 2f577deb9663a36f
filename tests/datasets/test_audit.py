"""The audit: counts worked out by hand, and a warning for each planted mistake and for no other."""

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from scipy.stats import ks_2samp
from sklearn.metrics import roc_auc_score

from fuxi_plugins.cli.main import main
from fuxi_plugins.datasets.audit import audit
from fuxi_plugins.datasets.catalogue import load_dataset_spec, read_spec
from fuxi_plugins.datasets.describing.describe import describe
from fuxi_plugins.datasets.leaks import auc_of_column
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.unknown_ids import warnings


def table(tmp_path, split) -> pl.DataFrame:
    return pl.read_csv(tmp_path / "csv" / f"{split}.csv", infer_schema=False)


def change(tmp_path, split, frame):
    frame.write_csv(tmp_path / "csv" / f"{split}.csv")


def audited(workspace, **changes):
    spec = load_dataset_spec(workspace.configs, "tiny").model_copy(update=changes)
    return audit(prepare_dataset(spec, workspace), workspace)


def test_sound_data_get_no_warning_and_right_counts(workspace, tmp_path):
    found = audited(workspace, cluster_id="user")
    assert found.warnings == []
    assert found.rows == {"train": 600, "valid": 300, "test": 300}
    train, test = table(tmp_path, "train"), table(tmp_path, "test")
    rows = set(train.rows())
    # A missing list is as an empty one, and only its first three entries are read.
    assert found.known_rows["test"] == pytest.approx(sum(row in rows for row in test.rows()) / 300, abs=0.02)
    assert found.repeated["train"] == pytest.approx(1 - len(rows) / 600, abs=0.02)
    assert found.known_groups == {"valid": 1.0, "test": 1.0}
    users = test["user"].value_counts()["count"]
    assert found.clusters == (len(users), users.max() / 300)
    assert found.times == {}
    assert found.columns["shops"].alone is None
    prices = [split["price"].cast(pl.Float64).to_numpy() for split in (train, test)]
    assert found.columns["price"].drift == pytest.approx(ks_2samp(*prices).statistic)
    shops = [dict(split["shop"].value_counts(normalize=True).iter_rows()) for split in (train, test)]
    moved = sum(abs(shops[0].get(shop, 0) - shops[1].get(shop, 0)) for shop in {*shops[0], *shops[1]}) / 2
    assert found.columns["shop"].drift == pytest.approx(moved)
    score = 1 - roc_auc_score(test["label"].cast(pl.Int64), prices[1])
    assert found.columns["price"].alone == pytest.approx(score)


def test_a_split_with_few_rows_of_a_class_is_warned_of(workspace, tmp_path):
    frame = table(tmp_path, "test")
    change(tmp_path, "test", frame.with_columns(label=pl.when(pl.int_range(pl.len()) < 20).then(1).otherwise(0)))
    (warning,) = audited(workspace).warnings
    assert warning.startswith("test has only 20 rows of the rarer class")


def test_ids_that_are_written_in_another_way_are_warned_of(workspace, tmp_path):
    frame = table(tmp_path, "test")
    change(tmp_path, "test", frame.with_columns(pl.col("shop") + ".0"))
    found = audited(workspace)
    assert found.columns["shop"].unknown == {"valid": 0, "test": 1}
    (warning,) = found.warnings
    assert warning.startswith("shop: train knows hardly an id of the other splits (100.0% of test are unknown)")
    assert "normalize_ids: true" in warning


def test_unknown_shares_leave_out_what_is_missing(workspace, tmp_path):
    frame = table(tmp_path, "test")
    values = [("", "s1", "new")[row % 3] for row in range(300)]
    lists = [("", "s1^new", "new^new^s1^s2")[row % 3] for row in range(300)]
    change(tmp_path, "test", frame.with_columns(shop=pl.Series(values), shops=pl.Series(lists)))
    found = audited(workspace)
    assert found.columns["shop"].unknown["test"] == pytest.approx(1 / 2)
    assert found.columns["shops"].unknown["test"] == pytest.approx(3 / 5), "the first three entries are read"
    assert found.warnings == []


def test_a_column_that_tells_the_label_is_warned_of(workspace, tmp_path):
    for split in ("train", "valid", "test"):
        frame = table(tmp_path, split)
        change(tmp_path, split, frame.with_columns(shop=pl.lit("s") + pl.col("label")))
    (warning,) = audited(workspace).warnings
    assert warning.startswith("shop: this column alone tells the label with an AUC of 1.0000")


def test_rows_of_train_in_test_are_warned_of(workspace, tmp_path):
    change(tmp_path, "test", table(tmp_path, "train")[:300])
    found = audited(workspace)
    assert found.known_rows["test"] == 1
    assert found.warnings == ["100.0% of the rows of test stand in train as well, label and all."]


@pytest.mark.parametrize("starts", [(0, 600, 900), (500, 0, 200)])
def test_times_that_overlap_are_warned_of(workspace, tmp_path, starts):
    for split, start in zip(("train", "valid", "test"), starts, strict=True):
        frame = table(tmp_path, split)
        change(tmp_path, split, frame.with_columns(event_time=pl.int_range(start, start + frame.height)))
    found = audited(workspace)
    assert found.time_column == "event_time"
    assert found.times["test"] == (starts[2], starts[2] + 299)
    overlap = [warning for warning in found.warnings if "learn from the future" in warning]
    assert len(overlap) == (starts[0] == 500)


def test_validation_that_is_test_is_warned_of(workspace):
    found = audited(workspace, valid_data="test.csv")
    assert found.warnings == ["Validation is the test set, so whatever is chosen has seen the test labels."]


def test_the_command_shows_it_and_preparing_warns(workspace, tmp_path):
    change(tmp_path, "test", table(tmp_path, "test").with_columns(pl.col("shop") + ".0"))

    def call(*arguments):
        places = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
        result = CliRunner().invoke(main, [*places, *arguments])
        assert result.exit_code == (arguments == ("doctor",)), result.output
        return result.output

    assert "warning: shop: train knows hardly an id" in call("data", "prepare", "tiny")
    shown = call("data", "audit", "tiny")
    assert "warning: shop: train knows hardly an id" in shown
    assert "AUC alone" in shown
    assert "shop: train knows hardly an id" in call("doctor")
    change(tmp_path, "test", table(tmp_path, "valid").sample(fraction=1, shuffle=True, seed=1)[:240])
    assert "Found no mistake." in call("data", "audit", "tiny")


def test_the_auc_of_a_column_is_that_of_its_rates(workspace):
    random = np.random.default_rng(0)
    ids = [pl.Series([str(value) for value in random.integers(0, 5, 400)]) for _ in range(2)]
    labels = [(random.random(400) < (column.cast(pl.Int64).to_numpy() + 1) / 6).astype(float) for column in ids]
    rate = {value: (labels[0][(ids[0] == value).to_numpy()].sum() + labels[0].mean())
            / ((ids[0] == value).sum() + 1) for value in ids[0].unique()}  # fmt: skip
    expected = roc_auc_score(labels[1], [rate[value] for value in ids[1]])
    assert auc_of_column(ids[0], labels[0], ids[1], labels[1]) == pytest.approx(expected)
    assert expected > 0.6
    number = ids[1].cast(pl.Float64)
    assert auc_of_column(-number, labels[1], -number, labels[1]) == pytest.approx(roc_auc_score(labels[1], number))
    assert np.isnan(auc_of_column(ids[0], labels[0], ids[1], np.ones(400)))


def test_a_warning_names_every_split():
    shares = {"valid": {"a": 0.95, "b": 0.3}, "test": {"a": 1.0, "b": 0.89}}
    (warning,) = warnings(shares)
    assert "(95.0% of valid, 100.0% of test are unknown)" in warning


def test_a_column_that_is_named_like_a_time_may_hold_something_else(workspace, tmp_path):
    rows = [f"{'web' if row % 3 else 'app'},u{row % 9},{row % 2}" for row in range(300)]
    (tmp_path / "log.csv").write_text("\n".join(["bought_at,user,click", *rows]) + "\n")
    entry = describe("mine", tmp_path / "log.csv").entry
    found = audit(prepare_dataset(read_spec("mine", entry, tmp_path), workspace), workspace)
    assert (found.time_column, found.times) == (None, {})

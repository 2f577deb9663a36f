"""One file divided: every row once, by the law that the config names, whatever the blocks."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.catalogue import load_dataset_spec, read_spec
from fuxi_plugins.datasets.columns import SPLITS, SplitRule
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.reading.files import read_blocks
from fuxi_plugins.datasets.reading.forms import FileFormat
from fuxi_plugins.datasets.splitting import divide, rows_of, time_borders
from fuxi_plugins.datasets.store import read_columns

FORMAT = FileFormat()


def divided(rule: SplitRule, path, block_bytes=None) -> dict[str, list[str]]:
    """The column ``row`` of each split."""
    division = divide(rule, path, FORMAT)
    columns = ["row", *([rule.column] if rule.column else [])]
    return {
        split: [
            value
            for block in rows_of(split, read_blocks(path, columns, FORMAT, block_bytes), division)
            for value in block.frame["row"]
        ]
        for split in SPLITS
    }


def written(folder, rows: int, seed=0):
    """A running number, a moment that many rows share, a user, and a split of each row's own."""
    random = np.random.default_rng(seed)
    path = folder / "data.csv"
    pl.DataFrame(
        {
            "row": range(rows),
            "moment": random.integers(1000, 1000 + rows // 4, rows),
            "user": [f"u{user}" for user in random.integers(0, 40, rows)],
            "fold": [("train", "train", "valid", "test")[part] for part in random.integers(0, 4, rows)],
        }
    ).write_csv(path)
    return path


RULES = [
    SplitRule(by="time", column="moment", valid=0.1, test=0.2),
    SplitRule(by="group", column="user", valid=0.1, test=0.2),
    SplitRule(by="random", valid=0.1, test=0.2),
    SplitRule(by="order", valid=0.1, test=0.2),
    SplitRule(by="column", column="fold"),
    SplitRule(by="time", column="moment", valid=0.1),
    SplitRule(by="group", column="user", test=0.1),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.by}-{len(rule.shares)}")
def test_every_row_is_in_one_split_in_its_order_whatever_the_blocks(tmp_path, rule):
    path = written(tmp_path, 600)
    found = divided(rule, path)
    assert sorted(map(int, (row for rows in found.values() for row in rows))) == list(range(600))
    for rows in found.values():
        assert [int(row) for row in rows] == sorted(map(int, rows))
    assert divided(rule, path, block_bytes=97) == found
    for split in ("valid", "test"):
        share = rule.shares.get(split, 0.25 if rule.by == "column" else 0)
        assert len(found[split]) / 600 == pytest.approx(share, abs=0.07)


def test_by_time_the_future_is_never_in_train_and_a_moment_never_in_two_splits(tmp_path):
    path = written(tmp_path, 600)
    moment = dict(pl.read_csv(path).select(pl.col("row").cast(pl.String), "moment").iter_rows())
    found = divided(RULES[0], path)
    times = [[moment[row] for row in found[split]] for split in SPLITS]
    assert max(times[0]) < min(times[1]) <= max(times[1]) < min(times[2])


def days(counts) -> pl.Series:
    """Moments 1, 2, ... of which each has so many rows."""
    return pl.Series([float(day) for day, rows in enumerate(counts, 1) for _ in range(rows)])


@pytest.mark.parametrize(
    ("counts", "valid", "test", "borders"),
    [
        ([100] * 7, 0.1, 0.1, (5, 6)),
        ([100] * 7, 0.1, 0, (6, np.inf)),
        ([100] * 7, 0, 0.1, (6, 6)),
        ([98, 1, 1], 0.1, 0.1, (1, 2)),
        ([1, 1, 98], 0.1, 0.1, (1, 2)),
        ([60, 20, 20], 0.2, 0.2, (1, 2)),
        ([50, 50], 0, 0.1, (1, 1)),
        ([50, 50], 0.1, 0, (1, np.inf)),
        ([1] * 10, 0.2, 0.2, (6, 8)),
    ],
)
def test_by_time_each_split_gets_a_moment_if_there_are_enough(counts, valid, test, borders):
    assert time_borders(days(counts), valid, test) == borders


@given(st.lists(st.integers(0, 60), min_size=1, max_size=80), st.sampled_from([0, 0.1, 0.3]), st.sampled_from([0, 0.2]))
def test_borders_that_leave_rows_to_every_split_are_the_quantiles(values, valid, test):
    times = pl.Series(values, dtype=pl.Float64)
    quantiles = [times.quantile(share, "lower") for share in (1 - valid - test, 1 - test)]
    moments, borders = times.unique().sort(), time_borders(times, valid, test)
    found = np.searchsorted(np.array(borders), times.to_numpy(), side="left")
    if len(moments) > (valid > 0) + (test > 0):
        assert set(found) == {0, *([1] if valid else []), *([2] if test else [])}
    at = np.searchsorted([quantiles[0], quantiles[1] if test else np.inf], times.to_numpy(), side="left")
    if set(at) == {0, *([1] if valid else []), *([2] if test else [])}:
        assert (found == at).all()


def test_by_group_all_rows_of_a_group_stay_together_and_the_seed_draws_them(tmp_path):
    path = written(tmp_path, 600)
    user = dict(pl.read_csv(path).select(pl.col("row").cast(pl.String), "user").iter_rows())
    users = [{user[row] for row in rows} for rows in divided(RULES[1], path).values()]
    assert sum(map(len, users)) == len(set.union(*users))
    other = RULES[1].model_copy(update={"seed": 7})
    assert divided(other, path) != divided(RULES[1], path)


def test_by_order_the_last_rows_and_by_column_what_it_says(tmp_path):
    path = written(tmp_path, 600)
    found = divided(RULES[3], path)
    assert [len(found[split]) for split in SPLITS] == [420, 60, 120]
    assert found["test"] == [str(row) for row in range(480, 600)]
    fold = pl.read_csv(path)["fold"]
    assert divided(RULES[4], path) == {
        split: [str(row) for row in range(600) if fold[row] == split] for split in SPLITS
    }


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(1, 400), st.integers(20, 300))
def test_a_random_split_depends_on_the_seed_and_the_row_alone(tmp_path_factory, seed, rows, block_bytes):
    path = written(tmp_path_factory.mktemp("random"), rows + 4)
    rule = SplitRule(by="random", valid=0.3, test=0.3, seed=seed)
    drawn = np.random.Generator(np.random.PCG64(seed)).random(rows + 4)
    expected = {
        "train": [str(row) for row in range(rows + 4) if drawn[row] < 0.4],
        "valid": [str(row) for row in range(rows + 4) if 0.4 <= drawn[row] < 0.7],
        "test": [str(row) for row in range(rows + 4) if drawn[row] >= 0.7],
    }
    assert divided(rule, path, block_bytes) == expected


@pytest.mark.parametrize(
    "moments",
    [
        ["2026-03-01 10:00:00", "2026-03-01 09:59:59", "2026-02-28 23:00:00", "2026-03-02 00:00:00"],
        ["2026-03-01T10:00:00Z", "2026-03-01T09:59:59Z", "2026-02-28T23:00:00Z", "2026-03-02T00:00:00Z"],
        ["2026-03-03", "2026-03-02", "2026-03-01", "2026-03-04"],
        ["3.0", "2.0", "1e0", "4"],
    ],
)
def test_moments_are_numbers_or_dates(tmp_path, moments):
    path = tmp_path / "data.csv"
    path.write_text("row,at\n" + "".join(f"{row},{moment}\n" for row, moment in enumerate(moments)))
    found = divided(SplitRule(by="time", column="at", valid=0.25, test=0.25), path)
    assert found == {"train": ["1", "2"], "valid": ["0"], "test": ["3"]}


def test_dates_of_parquet_files_are_moments(tmp_path):
    path = tmp_path / "data.parquet"
    frame = pl.DataFrame({"row": ["0", "1", "2", "3"], "at": pl.Series([3, 2, 1, 4]).cast(pl.Datetime("ms"))})
    frame.write_parquet(path)
    found = divided(SplitRule(by="time", column="at", valid=0.25, test=0.25), path)
    assert found == {"train": ["1", "2"], "valid": ["0"], "test": ["3"]}


def test_what_is_no_moment_or_no_mark_is_named_with_its_line(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("row,at\n0,5\n1,soon\n")
    with pytest.raises(UserError, match=r"data.csv, line 3: 'at' must hold numbers or dates .* but holds 'soon'"):
        divided(SplitRule(by="time", column="at", valid=0.5), path)
    with pytest.raises(UserError, match=r"data.csv, line 2: column 'at' must say the row's split, train, valid, test"):
        divided(SplitRule(by="column", column="at"), path)


# In a config


def one_file(workspace, tmp_path, split: str, **changes: str):
    """``tiny`` as one file with a running number; returns the spec."""
    folder = tmp_path / "csv"
    lines = [line for name in ("train", "valid", "test") for line in (folder / f"{name}.csv").read_text().split()[1:]]
    header = "label,user,shop,price,shops,moment"
    rows = "".join(f"{line},{row}\n" for row, line in enumerate(lines))
    (folder / "all.csv").write_text(f"{header}\n{rows}")
    config = workspace.configs / "dataset_config" / "tiny.yaml"
    text = config.read_text().replace("    valid_data: valid.csv\n    test_data: test.csv\n", f"    split: {split}\n")
    config.write_text(text.replace("train.csv", "all.csv"))
    return load_dataset_spec(workspace.configs, "tiny")


def test_one_file_gives_the_ids_of_the_three_that_it_was_joined_from(workspace, tmp_path):
    three = prepare_dataset(load_dataset_spec(workspace.configs, "tiny"), workspace)
    spec = one_file(workspace, tmp_path, "{by: time, column: moment, valid: 0.25, test: 0.25}")
    one = prepare_dataset(spec, workspace)
    assert one.card.rows == three.card.rows == {"train": 600, "valid": 300, "test": 300}
    for split in SPLITS:
        whole = read_columns(three.split_folder(split))
        for name, column in read_columns(one.split_folder(split)).items():
            np.testing.assert_array_equal(column, whole[name], err_msg=f"{split} {name}")


def test_the_split_is_part_of_the_fingerprint(workspace, tmp_path):
    spec = one_file(workspace, tmp_path, "{by: random, valid: 0.2, test: 0.2}")
    other = spec.model_copy(update={"split": spec.split.model_copy(update={"seed": 1})})
    prints = [prepare_dataset(found, workspace).card.fingerprint for found in (spec, other, spec)]
    assert prints[0] != prints[1]
    assert prints[0] == prints[2]


def test_an_error_in_a_divided_file_names_the_line_of_the_file(workspace, tmp_path):
    spec = one_file(workspace, tmp_path, "{by: random, valid: 0.2, test: 0.2}")
    with (tmp_path / "csv" / "all.csv").open("a") as file:
        file.write("1,3,s2,cheap,s1,1200\n")
    with pytest.raises(UserError, match="all.csv, line 1202: column 'price' must hold a number"):
        prepare_dataset(spec, workspace)


def settings_of(workspace, **changes):
    from fuxi_plugins.core.yaml_files import load_yaml

    entry = load_yaml(workspace.configs / "dataset_config" / "tiny.yaml")["tiny"]
    return {key: value for key, value in (entry | changes).items() if value is not None}


def test_validation_is_held_out_of_train_beside_a_test_file(workspace):
    spec = read_spec("t", settings_of(workspace, valid_data=None, split={"by": "order", "valid": 0.5}), "here")
    prepared = prepare_dataset(spec, workspace)
    assert prepared.card.rows == {"train": 300, "valid": 300, "test": 300}


def test_build_carved_still_works_and_names_the_new_key(workspace):
    old = settings_of(workspace, build="carved", build_args={"share": 0.5, "by": "group", "column": "user", "seed": 3})
    with pytest.warns(FutureWarning, match=r"build: carved is now written without valid_data and with split: .*'user'"):
        spec = read_spec("t", old, "here")
    assert spec.split == SplitRule(by="group", column="user", valid=0.5, seed=3)
    prepared = prepare_dataset(spec, workspace)
    assert prepared.card.rows["train"] + prepared.card.rows["valid"] == 600


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"valid_data": None}, r"a board needs train, valid and test: name valid_data, or divide .* split: {by"),
        ({"split": {"by": "order", "valid": 0.1}}, "without a file, but valid_data is named too"),
        ({"valid_data": None, "split": {"by": "order", "test": 0.1}}, "but test_data is named too"),
        ({"valid_data": None, "test_data": None, "split": {"by": "order", "test": 0.1}}, "the share of valid and test"),
        ({"valid_data": None, "split": {"by": "time", "valid": 0.1}}, "by: time needs a column"),
        ({"valid_data": None, "split": {"by": "order", "column": "user", "valid": 0.1}}, "by: order needs no column"),
        ({"valid_data": None, "split": {"by": "order", "valid": 1.5}}, "less than 1"),
        ({"valid_data": None, "test_data": None, "split": {"by": "order", "valid": 0.5, "test": 0.5}}, "leave rows"),
        ({"valid_data": None, "split": {"by": "column", "column": "user", "vaild": 0.1}}, "no setting 'split.vaild'"),
    ],
)
def test_a_split_that_does_not_fit_is_refused(workspace, changes, message):
    with pytest.raises(UserError, match=message):
        read_spec("t", settings_of(workspace, **changes), "here")


def test_a_split_without_rows_is_told(workspace):
    spec = read_spec("t", settings_of(workspace, valid_data=None, split={"by": "order", "valid": 0.0001}), "here")
    with pytest.raises(UserError, match="valid of train.csv must hold rows"):
        prepare_dataset(spec, workspace)


def test_a_column_that_the_split_needs_must_be_there(workspace):
    rule = {"by": "time", "column": "moment", "valid": 0.1}
    spec = read_spec("t", settings_of(workspace, valid_data=None, split=rule), "here")
    with pytest.raises(UserError, match="train.csv must have the columns .* but lacks moment"):
        prepare_dataset(spec, workspace)

"""A first config from looking at somebody's files: right where it can be, plain where it cannot."""

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.catalogue import load_dataset_spec, read_spec
from fuxi_plugins.datasets.describing.describe import describe
from fuxi_plugins.datasets.prepare import prepare_dataset

ROWS = {"train": 400, "valid": 150, "test": 150}


@pytest.fixture
def folder(tmp_path):
    """Rows with a running number, two overlapping ranges of ids, a price, a history of items and a list of tags."""
    made = tmp_path / "clicks"
    made.mkdir()
    for seed, (split, rows) in enumerate(ROWS.items()):
        random = np.random.default_rng(seed)
        lines = ["row,user,item,price,history,tags,Click"]
        for row in range(rows):
            history = "^".join(map(str, random.integers(0, 20, random.integers(1, 6))))
            tags = "|".join(f"t{tag}" for tag in random.integers(0, 9, 2))
            price = f"{random.random():.3f}"
            lines.append(f"{row},{random.integers(60)},{random.integers(20)},{price},{history},{tags},{row % 2}")
        (made / f"{split}.csv").write_text("\n".join(lines) + "\n")
    return made


def columns(description) -> dict[str, dict]:
    return {column["name"]: column for column in description.entry["feature_cols"]}


def test_columns_are_taken_for_what_they_look_like(folder):
    found = describe("clicks", folder)
    kinds = {name: column["type"] for name, column in columns(found).items()}
    assert kinds == {
        "row": "categorical", "user": "categorical", "item": "categorical", "price": "numeric",
        "history": "sequence", "tags": "sequence", "group_id": "meta",
    }  # fmt: skip
    assert [name for name, column in columns(found).items() if column.get("active") is False] == ["row"]
    assert found.entry["label_col"]["name"] == "Click"
    history, tags = columns(found)["history"], columns(found)["tags"]
    assert (history["splitter"], history["max_len"], history["share_embedding"]) == (
        "^",
        5,
        "item",
    )  # users hold it too
    assert (tags["splitter"], tags["max_len"], "share_embedding" in tags) == ("|", 2, False)
    remarks = " ".join(found.remarks)
    assert "nearly every row has its own value: row." in remarks
    assert "should be numeric: user, item." in remarks
    assert "a table of their own; a behaviour history shares its item's: tags." in remarks


def test_what_is_written_can_be_prepared_and_is_not_written_over(workspace, folder):
    def call(*arguments):
        return CliRunner().invoke(main, ["--configs", str(workspace.configs), "data", "describe", *arguments])

    made = call("clicks", "--from", str(folder))
    assert made.exit_code == 0, made.output
    path = workspace.configs / "dataset_config" / "clicks.yaml"
    assert f"written: {path}; check it, then: fuxibench new clicks" in made.output
    prepared = prepare_dataset(load_dataset_spec(workspace.configs, "clicks"), workspace)
    assert prepared.card.rows == ROWS
    path.write_text("mine: {}\n")
    again = call("clicks", "--from", str(folder))
    assert again.exit_code == 2
    assert "clicks.yaml exists already; edit it, or move it away" in again.output
    assert path.read_text() == "mine: {}\n"


def test_a_label_may_be_named(folder):
    for path in folder.glob("*.csv"):
        path.write_text(path.read_text().replace("Click", "chosen"))
    assert describe("clicks", folder, "chosen").entry["label_col"]["name"] == "chosen"
    with pytest.raises(
        UserError, match="has no label named one of label, click, .* --label COLUMN says which it is of row"
    ):
        describe("clicks", folder)
    with pytest.raises(UserError, match="has no label named 'boght'"):
        describe("clicks", folder, "boght")
    with pytest.raises(UserError, match=r"the label 'tags' of .* must be 0 or 1, .* --rule '== buy'"):
        describe("clicks", folder, "tags")


def test_rows_without_a_label_are_left_out_and_that_is_said(workspace, folder):
    """As of a delay that is NA where a flight was cancelled: such rows are in no split and change no guess."""
    for path in folder.glob("*.csv"):
        header, *rows = path.read_text().splitlines()
        delays = ["NA" if row % 10 == 0 else str(row % 40 - 10) for row in range(len(rows))]
        rows = [",".join([*row.split(",")[:-1], delay]) for row, delay in zip(rows, delays, strict=True)]
        path.write_text("\n".join([header, *rows]))
    found = describe("clicks", folder, "Click", ">= 15")
    assert found.entry["label_col"] == {"name": "Click", "dtype": "float", "rule": ">= 15", "na_values": ["NA"]}
    assert found.entry["label_missing"] == "drop"
    assert "have no label Click: such rows are left out (label_missing: drop)." in " ".join(found.remarks)
    assert describe("clicks", folder, "Click").entry["label_col"]["rule"] == "> 0"
    prepared = prepare_dataset(read_spec("clicks", found.entry, folder), workspace)
    assert prepared.card.unlabelled == {split: -(-rows // 10) for split, rows in ROWS.items()}
    assert prepared.card.rows == {split: rows - -(-rows // 10) for split, rows in ROWS.items()}


def test_a_label_without_values_is_refused(folder):
    (folder / "train.csv").write_text("Click,user\n,1\n,2\n")
    with pytest.raises(UserError, match="the label 'Click' of .* must have values, but the first 2 rows have none"):
        describe("clicks", folder)


def test_some_file_must_be_there(folder):
    (folder / "train.csv").unlink()
    with pytest.raises(
        UserError, match=r"must hold train.csv, or one file that is divided .* holds test.csv, valid.csv"
    ):
        describe("clicks", folder)


def test_configs_in_one_file_are_left_alone(workspace, folder):
    single = workspace.configs / "dataset_config.yaml"
    single.write_text((workspace.configs / "dataset_config" / "tiny.yaml").read_text())
    call = ["--configs", str(workspace.configs), "data", "describe", "clicks", "--from", str(folder)]
    result = CliRunner().invoke(main, call)
    assert result.exit_code == 2
    assert "dataset_config.yaml exists already" in result.output


def test_a_name_of_a_dataset_that_is_none_is_told(folder):
    with pytest.raises(UserError, match="dataset 'my clicks'"):
        describe("my clicks", folder)


def test_a_file_without_rows_is_told(folder):
    (folder / "train.csv").write_text("user,label\n")
    with pytest.raises(UserError, match="train.csv must hold rows, but has only its header"):
        describe("clicks", folder)


def test_a_dataset_of_that_name_stays_the_only_one(workspace, folder):
    call = ["--configs", str(workspace.configs), "data", "describe", "tiny2", "--from", str(folder)]
    entry = workspace.configs / "dataset_config" / "tiny.yaml"
    entry.write_text(entry.read_text().replace("tiny:", "tiny2:"))
    result = CliRunner().invoke(main, call)
    assert result.exit_code == 2
    assert "the dataset 'tiny2' has a config already" in result.output
    assert not (workspace.configs / "dataset_config" / "tiny2.yaml").exists()


def test_a_column_that_only_some_files_have_is_left_out_and_named(folder):
    train = folder / "train.csv"
    lines = train.read_text().splitlines()
    train.write_text("\n".join([f"{lines[0]},constant", *(f"{line},1" for line in lines[1:])]) + "\n")
    found = describe("clicks", folder)
    assert "constant" not in columns(found)
    assert "Left out, for not every file has them: constant." in found.remarks


@pytest.mark.parametrize(("name", "kind"), [("click_history", "sequence"), ("page", "categorical")])
def test_a_history_of_mostly_one_entry_is_a_list_all_the_same(tmp_path, name, kind):
    random = np.random.default_rng(2)
    lists = ["^".join(map(str, random.integers(0, 30, 5 if row % 9 == 0 else 1))) for row in range(300)]
    rows = {"item_id": random.integers(0, 30, 300), name: lists, "label": random.integers(0, 2, 300)}
    pl.DataFrame(rows).write_csv(tmp_path / "log.csv")
    (column,) = (one for one in describe("mine", tmp_path / "log.csv").entry["feature_cols"] if one["name"] == name)
    assert column["type"] == kind

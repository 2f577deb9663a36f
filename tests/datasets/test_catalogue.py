"""The catalogue: configs as BARS has them, and documentation that says what the configs say."""

import pytest
import yaml
from click.testing import CliRunner

from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import load_dataset_specs, logs_of_datasets
from fuxi_plugins.datasets.inventory import catalogue
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.sources.install import import_files
from fuxi_plugins.datasets.spec import DatasetSpec
from fuxi_plugins.datasets.synthetic.twins.kuaivideo_x1 import build_kuaivideo_x1
from tests.conftest import ROOT

SPECS = load_dataset_specs(ROOT / "benchmark_configs")


def test_the_documentation_shows_the_catalogue():
    text = (ROOT / "docs" / "datasets.md").read_text()
    assert catalogue(SPECS.values()) in text
    for name, spec in SPECS.items():
        if spec.valid_is_test and not spec.build:
            assert "early stopping and tuning see the test labels" in " ".join(spec.note.split()), name
            assert f"{name}_honest" in SPECS, "the honest split stands beside it"


@pytest.mark.parametrize(("name", "fields", "ids"), [
    ("criteo_x1", 39, 26), ("criteo_x4_001", 39, 39), ("criteo_x4_002", 39, 39), ("avazu_x1", 22, 22),
    ("avazu_x4_001", 24, 24), ("avazu_x4_002", 24, 24), ("kuaivideo_x1", 7, 3), ("taobaoad_x1", 20, 16),
    ("frappe_x1", 10, 10), ("movielenslatest_x1", 3, 3), ("amazonelectronics_x1", 4, 2), ("kkbox_x1", 13, 11),
    ("microvideo1.7m_x1", 5, 3),
])  # fmt: skip
def test_fields_are_those_of_bars(name, fields, ids):
    columns = [column for column in SPECS[name].active_columns for _ in column.names if column.type != "meta"]
    assert len(columns) == fields
    assert sum(column.type == "categorical" for column in columns) == ids
    assert SPECS[name].source.hub.casefold().startswith("reczoo/" + name.removesuffix("_001").removesuffix("_002"))


@pytest.mark.parametrize("twin", [name for name in SPECS if name.endswith("_twin")])
def test_a_twin_has_the_columns_of_its_dataset(twin):
    real = SPECS[twin.removesuffix("_twin") if twin != "avazu_x4_twin" else "avazu_x4_001"]
    for setting in ("feature_cols", "label_col", "group_id", "min_categr_count", "valid_data"):
        assert getattr(SPECS[twin], setting) == getattr(real, setting), setting


@pytest.mark.parametrize("honest", [name for name in SPECS if name.endswith("_honest")])
def test_an_honest_split_changes_nothing_but_validation(honest):
    real = SPECS[honest.removesuffix("_honest")]
    same = ("feature_cols", "label_col", "group_id", "min_categr_count", "train_data", "test_data", "files")
    assert SPECS[honest].is_divided("valid")
    assert all(getattr(SPECS[honest], setting) == getattr(real, setting) for setting in same)
    assert not SPECS[honest].valid_is_test
    assert SPECS[honest].published_as is None


@pytest.fixture(scope="module")
def kuaivideo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    build_kuaivideo_x1(folder, seed=1, rows=[2000, 300], users=50, items=100)
    return folder


def test_the_honest_split_uses_the_files_that_were_imported_once(kuaivideo, tmp_path):
    workspace = Workspace(ROOT / "benchmark_configs", tmp_path / "results", tmp_path / "cache")
    files = dict.fromkeys(SPECS["kuaivideo_x1"].files, "")
    published = SPECS["kuaivideo_x1"].model_copy(update={"files": files, "published_rows": {}})
    honest = SPECS["kuaivideo_x1_honest"].model_copy(update={"files": files})
    import_files(published, kuaivideo, workspace)
    first, second = prepare_dataset(published, workspace).card, prepare_dataset(honest, workspace).card
    assert first.rows == {"train": 2000, "valid": 300, "test": 300}
    assert second.rows == {"train": 1800, "valid": 200, "test": 300}
    assert first.valid_is_test
    assert not second.valid_is_test
    assert first.fingerprint != second.fingerprint


def test_the_published_number_of_rows_is_held(kuaivideo, tmp_path):
    workspace = Workspace(ROOT / "benchmark_configs", tmp_path / "results", tmp_path / "cache")
    spec = SPECS["kuaivideo_x1"].model_copy(update={"data_root": str(kuaivideo)})
    with pytest.raises(UserError, match="train.csv must have the published 10,931,092 rows, but has 2,000"):
        prepare_dataset(spec, workspace)


@pytest.mark.parametrize(
    "wrong", ["eval", "convert_weekday(hour)", "copy_from(a); import os", "hour_of(a)()", "__init__"]
)
def test_a_preprocessor_that_is_not_known_is_refused(wrong):
    with pytest.raises(ValueError, match=r"preprocess is copy_from\(COLUMN\), .* or one of"):
        DatasetSpec(
            dataset_id="x", title="", train_data="a", valid_data="b", test_data="c",
            feature_cols=[{"name": "hour", "type": "categorical", "dtype": "str", "preprocess": wrong}],
            label_col={"name": "label", "dtype": "float"},
        )  # fmt: skip


def test_list_and_verify_say_what_is_here(workspace, tmp_path):
    def call(*arguments):
        return CliRunner().invoke(main, ["--configs", str(workspace.configs), "data", *arguments])

    assert "tiny       ready" in call("list").output
    prepared = call("prepare", "tiny")
    assert "encode test: 100%, 300 rows" in prepared.output
    listed = call("list").output.splitlines()[1].split()
    assert listed[:2] == ["tiny", "prepared"]
    assert listed[4] in prepared.output, "the fingerprint"
    config = workspace.configs / "dataset_config" / "tiny.yaml"
    text = config.read_text()
    files = "files: {train.csv: '', valid.csv: '', test.csv: '00'}"
    config.write_text(text.replace(f"data_root: {tmp_path / 'csv'}", files))
    missing = call("verify", "tiny")
    assert missing.exit_code == 2
    assert "train.csv: missing" in missing.output


def test_datasets_of_one_log_are_known():
    logs = logs_of_datasets(ROOT / "benchmark_configs")
    assert set(logs) == set(SPECS)
    for name in ("ml100k", "nycflights13", "s3rec_lastfm", "s3rec_toys", "s3rec_sports", "s3rec_yelp"):
        assert logs[name] == logs[f"{name}_random"] == name
    of_criteo = {name for name, log in logs.items() if log == "criteo_x1"}
    assert of_criteo == {"criteo_x1", "criteo_x4_001", "criteo_x4_002", "criteo_by_time"}
    assert logs["frappe_x1"] == logs["frappe_x1r"]
    assert len({logs[name] for name in ("frappe_x1", "ml100k", "ml1m", "s3rec_lastfm", "s3rec_toys")}) == 5
    assert all(logs[name] == name for name, spec in SPECS.items() if spec.build and not spec.files_of), "twins too"


def own(root, train="clicks.csv", **changes):
    columns = [{"name": "user", "type": "categorical", "dtype": "str"}]
    return {
        "title": "", "data_root": root, "train_data": train, "split": {"by": "random", "valid": 0.1, "test": 0.1},
        "feature_cols": columns, "label_col": {"name": "label", "dtype": "float"}, **changes,
    }  # fmt: skip


def test_datasets_that_read_one_file_for_training_are_of_one_log(tmp_path):
    by_time = {"by": "time", "column": "hour", "valid": 0.1, "test": 0.1}
    datasets = {
        "mine": own("/data"), "mine_by_time": own("/data", split=by_time), "yours": own("/data", "other.csv"),
        "copied": own("/copy", log_of="mine_by_time"), "copied_by_time": own("/copy", split=by_time),
        "theirs": own("/elsewhere"),
    }  # fmt: skip
    (tmp_path / "dataset_config.yaml").write_text(yaml.safe_dump(datasets, sort_keys=False))
    assert logs_of_datasets(tmp_path) == {
        "mine": "mine", "mine_by_time": "mine", "yours": "yours", "copied": "mine", "copied_by_time": "mine",
        "theirs": "theirs",
    }  # fmt: skip


@pytest.mark.parametrize("wrong", [
    {"b": own("/b", log_of="c")}, {"b": own("/b", log_of="a"), "c": own("/c", log_of="b")},
    {"b": own("/b", files_of="a", log_of="a")},
])  # fmt: skip
def test_a_log_that_no_dataset_stands_for_is_refused(wrong, tmp_path):
    (tmp_path / "dataset_config.yaml").write_text(yaml.safe_dump({"a": own("/a"), **wrong}, sort_keys=False))
    with pytest.raises(UserError, match="log_of must name a dataset that has neither files_of nor log_of"):
        logs_of_datasets(tmp_path)

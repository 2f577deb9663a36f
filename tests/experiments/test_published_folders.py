"""Folders of configs as FuxiCTR's users, BARS and the RankElastor authors have them run unchanged."""

import codecs
import importlib.util
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.experiments.catalogue import load_experiment_config, load_experiment_configs
from fuxi_plugins.experiments.experiment import resolve
from fuxi_plugins.experiments.translation.accounts import of
from fuxi_plugins.experiments.translation.folder import published_ids, read_published, translate_folder
from fuxi_plugins.models import registry
from fuxi_plugins.records.files import find_records
from tests.conftest import ROOT, write
from tests.models.test_checkouts import MODEL as ZOO_MODEL

DATASET = """\
    tiny_0123:
        data_format: csv
        data_root: ../data/Tiny/
        feature_cols:
        - {active: true, dtype: int, name: user, type: categorical, na_value: 0}
        - {active: true, dtype: str, name: shop, type: categorical}
        - {active: true, dtype: float, name: price, type: numeric, normalizer: StandardScaler}
        - {active: true, dtype: str, encoder: MaskedAveragePooling, max_len: 3, name: shops, splitter: ^,
           type: sequence, share_embedding: shop}
        label_col: {dtype: float, name: label}
        min_categr_count: 1
        rebuild_dataset: false
        test_data: ../data/Tiny/test.csv
        train_data: ../data/Tiny/train.csv
        valid_data: ../data/Tiny/valid.csv
"""
MODEL = """\
    Base:
        model_root: ./checkpoints/
        verbose: 1
        save_best_only: true
        every_x_epochs: 1
        metrics: [AUC, logloss]
        monitor: AUC
        monitor_mode: max
        num_workers: 3
        epochs: 5
    DCN_tiny_001:
        model: DCN
        dataset_id: tiny_0123
        model_id: DCN_base
        batch_size: 100
        crossing_layers: 2
        dnn_hidden_units: null
        embedding_dim: 4
        embedding_regularizer: 0
        epochs: 1
        learning_rate: 1e-2
        patience: 3
        seed: 2021
"""


TUNER = """\
    base_config: ../bars
    base_expid: DCN_tiny_001
    dataset_id: tiny_0123
    tuner_space: {net_dropout: [0, 0.1]}
"""


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "bars" / "dataset_config.yaml", DATASET)
    write(tmp_path / "bars" / "model_config.yaml", MODEL)
    return tmp_path / "bars"


@pytest.fixture(autouse=True)
def forget_sources():
    yield
    registry.use_sources(registry.INSTALLED_ONLY)


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_setting_is_accounted_for(folder, tmp_path):
    translated = translate_folder(folder, "DCN_tiny_001", tmp_path / "new", data=tmp_path / "csv")
    config = load_experiment_config(translated.configs, "DCN_tiny_001")
    experiment = resolve(config)
    assert experiment.params["model"]["num_cross_layers"] == 2
    assert experiment.params["model"]["dnn_hidden_units"] == []
    assert experiment.params["training"]["early_stop_patience"] == 3
    assert experiment.params["training"]["epochs"] == 1  # the experiment's word goes before Base's
    assert (experiment.seed, config.hparam_source) == (2021, "published")
    published = read_published(folder, "DCN_tiny_001")
    assert published.unaccounted(translated.accounts) == set()
    assert published.unaccounted(translated.accounts[1:]) != set()
    assert {account.name for account in of(translated.accounts, "translated")} == {
        "crossing_layers", "dnn_hidden_units", "patience"
    }  # fmt: skip
    assert {account.name for account in of(translated.accounts, "no effect")} == {
        "model_root", "verbose", "save_best_only", "every_x_epochs", "num_workers", "model_id", "rebuild_dataset"
    }  # fmt: skip

    spec = load_dataset_spec(translated.configs, "tiny_0123")
    assert spec.data_root == str((tmp_path / "csv").resolve())
    assert spec.train_data == "train.csv"
    columns = {column.names[0]: column for column in spec.feature_cols}
    assert columns["user"].fill_na == 0
    assert columns["shops"].feature_encoder == "layers.MaskedAveragePooling()"


@pytest.mark.parametrize("start", ["bars", "."])
def test_files_are_found_from_the_current_folder_and_from_those_above_the_configs(folder, tmp_path, monkeypatch, start):
    """FuxiCTR's script goes to its own folder first, which holds that of the configs."""
    change(folder / "dataset_config.yaml", "../data/Tiny/", "../data/" if start == "bars" else "csv/")
    for split in ("train", "valid", "test"):
        write(tmp_path / ("data" if start == "bars" else "csv") / f"{split}.csv", "label,user\n")
    monkeypatch.chdir(folder if start == "bars" else tmp_path.parent)
    translated = translate_folder(folder, "DCN_tiny_001", tmp_path / "new")
    spec = load_dataset_spec(translated.configs, "tiny_0123")
    assert spec.data_root == str(tmp_path / ("data" if start == "bars" else "csv"))
    assert translated.at_hand
    assert any("../data/train.csv is" in remark for remark in translated.remarks) == (start == "bars")


def test_what_a_model_says_of_features_goes_to_the_dataset(folder, tmp_path):
    change(folder / "dataset_config.yaml", "encoder: MaskedAveragePooling, ", "")
    specs = "feature_specs: [{feature_encoder: layers.MaskedSumPooling(), name: [shops]}]\n    group_index: user"
    change(folder / "model_config.yaml", "model_id: DCN_base", specs)
    translated = translate_folder(folder, "DCN_tiny_001", tmp_path / "new", data=tmp_path / "csv")
    spec = load_dataset_spec(translated.configs, "tiny_0123")
    columns = {c.names[0]: c for c in spec.feature_cols}
    assert columns["shops"].feature_encoder == "layers.MaskedSumPooling()"
    assert columns["shop"].feature_encoder is None
    assert spec.group_id == "user"


def test_a_setting_of_the_dataset_goes_before_the_experiments(folder, tmp_path):
    change(folder / "dataset_config.yaml", "min_categr_count: 1", "min_categr_count: 1\n    seed: 7")
    translated = translate_folder(folder, "DCN_tiny_001", tmp_path / "new", data=tmp_path / "csv")
    assert load_experiment_config(translated.configs, "DCN_tiny_001").seed == 7
    assert any(remark.startswith("seed: 7 of the dataset") for remark in translated.remarks)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("every_x_epochs: 1", "every_x_epochs: 0.5", "every_x_epochs: 0.5 (one evaluation an epoch"),
        ("every_x_epochs: 1", "eval_interval: 2", "eval_interval: 2 (one evaluation an epoch"),
        ("DCN_tiny_001", "DCN_tiny_007", "did you mean 'DCN_tiny_007'?"),
        ("tiny_0123", "tiny_0124", "did you mean 'tiny_0123'?"),
        ("model: DCN", "model: DNC", "there is no model 'DNC'; did you mean"),
        ("crossing_layers: 2", "crossing_lairs: 2", "DCN has no setting 'crossing_lairs'"),
        ("patience: 3", "patience: 3\n    early_stop_patience: 2", "early_stop_patience is 3 under its other name"),
        ("model: DCN", "model: MMoE\n    task: [binary_classification, regression]", "MMoE on 2 labels at once"),
    ],
)  # fmt: skip
def test_what_cannot_be_followed_is_refused(folder, tmp_path, old, new, said):
    change(folder / "model_config.yaml", old, new)
    with pytest.raises(UserError) as error:
        translate_folder(folder, "DCN_tiny_001", tmp_path / "new", data=tmp_path / "csv")
    assert said in str(error.value)
    assert not (tmp_path / "new").exists()


NOT_OF_THE_FORM = {  # what is replaced in which file, and what the message says
    "no dataset": ("model", "    dataset_id: tiny_0123\n", "", "'DCN_tiny_001' must name its dataset_id"),
    "no mapping": ("model", "DCN_tiny_001:", "DCN_tiny_001: 3\nOther:", "DCN_tiny_001 must be a mapping of settings"),
    "base": ("model", "Base:", "Base: [1]\nOther:", "Base must be a mapping of settings, but is [1] (a list)"),
    "specs": ("model", "model_id: DCN_base", "feature_specs: [{max_len: 2}]", "feature_specs must name its columns"),
    "label": ("dataset", "label_col: {dtype: float, name: label}", "label_col: label", "must be mappings, as {name: x"),
    "columns": (
        "dataset",
        "feature_cols:",
        "feature_cols: uid\n    unread:",
        "feature_cols of the dataset 'tiny_0123'",
    ),
    "split": ("dataset", "valid_data: ../data/Tiny/valid.csv", "valid_size: 0.1", "but does not by valid_data"),
}


@pytest.mark.parametrize("mistake", NOT_OF_THE_FORM)
def test_a_config_that_is_not_of_the_form_is_one_message(folder, tmp_path, mistake):
    file, old, new, said = NOT_OF_THE_FORM[mistake]
    change(folder / f"{file}_config.yaml", old, new)
    with pytest.raises(UserError) as error:
        translate_folder(folder, "DCN_tiny_001", tmp_path / "new", data=tmp_path / "csv")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("min_categr_count: 1", "min_categr_coun: 1", "here: 'min_categr_coun'; did you mean 'min_categr_count'?"),
        ("na_value: 0", "category_processor: x", "column 'user' of the dataset 'tiny_0123': there is no setting 'cat"),
        ("normalizer: S", "normaliser: S", "'tiny_0123': there is no setting 'normaliser'; did you mean 'normalizer'?"),
        ("type: numeric, normalizer: Sta", "type: numeric, normalizer: sta", "column 'price' of the dataset"),
        ("min_categr_count: 1", "min_categr_count: x", "dataset 'tiny_0123': min_categr_count must be a whole number"),
    ],
)
def test_what_is_wrong_in_a_dataset_is_said_of_the_users_file(folder, tmp_path, old, new, said):
    change(folder / "dataset_config.yaml", old, new)
    with pytest.raises(UserError) as error:
        translate_folder(folder, "DCN_tiny_001", tmp_path / "new", data=tmp_path / "csv")
    assert str(error.value).startswith(f"{folder / 'dataset_config.yaml'}: ")
    assert said in str(error.value)


def test_pretrained_vectors_may_lie_anywhere(folder, tmp_path):
    vectors = "na_value: 0, pretrained_emb: ../vectors/user.npz, pretrain_dim: 4"
    change(folder / "dataset_config.yaml", "na_value: 0", vectors)
    translated = translate_folder(folder, "DCN_tiny_001", tmp_path / "new")
    user = load_dataset_spec(translated.configs, "tiny_0123").feature_cols[0]
    assert user.pretrained_emb.endswith("vectors/user.npz")


def test_the_separator_of_a_dataset_is_followed(folder, tmp_path):
    change(folder / "dataset_config.yaml", "min_categr_count: 1", 'min_categr_count: 1\n    sep: "\\t"')
    translated = translate_folder(folder, "DCN_tiny_001", tmp_path / "new", data=tmp_path / "csv")
    assert load_dataset_spec(translated.configs, "tiny_0123").separator == "\t"
    assert read_published(folder, "DCN_tiny_001").unaccounted(translated.accounts) == set()


def test_a_column_that_feature_specs_names_in_vain_is_said(folder, tmp_path):
    change(folder / "model_config.yaml", "model_id: DCN_base", "feature_specs: [{name: [shops, shoops], max_len: 2}]")
    translated = translate_folder(folder, "DCN_tiny_001", tmp_path / "new", data=tmp_path / "csv")
    assert "feature_specs names shoops, which is no column of tiny_0123" in translated.remarks


@pytest.fixture
def split(folder):
    """The folder of configs with a file for Base and one for the experiment."""
    base, experiment = MODEL.split("    DCN_tiny_001:\n")
    (folder / "model_config.yaml").unlink()
    write(folder / "model_config" / "b_base.yaml", base)
    write(folder / "model_config" / "a_dcn.yaml", "    DCN_tiny_001:\n" + experiment.replace("        epochs: 1\n", ""))
    return folder


def test_a_base_in_another_file_of_the_folder_counts_as_in_fuxictr(split, tmp_path):
    translated = translate_folder(split, "DCN_tiny_001", tmp_path / "new", data=tmp_path / "csv")
    assert load_experiment_config(translated.configs, "DCN_tiny_001").settings["epochs"] == 5
    assert any("a_dcn.yaml has no Base, so that of b_base.yaml counts" in remark for remark in translated.remarks)
    write(split / "model_config" / "c.yaml", "Base: {epochs: 7}\n")
    with pytest.raises(
        UserError, match=r"(?s)the same by every file, but is not by .*Base of b_base\.yaml, .*Base of c\.yaml\."
    ):
        translate_folder(split, "DCN_tiny_001", tmp_path / "other", data=tmp_path / "csv")
    own = split / "model_config" / "a_dcn.yaml"
    own.write_text("Base: {epochs: 3, metrics: [AUC]}\n" + own.read_text())
    assert read_published(split, "DCN_tiny_001").experiment["epochs"] == 3
    assert "verbose" not in read_published(split, "DCN_tiny_001").experiment
    assert published_ids(split) == ["DCN_tiny_001"]


def test_two_files_that_disagree_on_an_experiment_or_a_dataset_are_refused(split):
    write(split / "dataset_config" / "a.yaml", DATASET)
    write(split / "dataset_config" / "b.yaml", DATASET.replace("min_categr_count: 1", "min_categr_count: 2"))
    (split / "dataset_config.yaml").unlink()
    with pytest.raises(UserError, match="the dataset 'tiny_0123' must be the same by every file"):
        read_published(split, "DCN_tiny_001")
    again = (split / "model_config" / "a_dcn.yaml").read_text().replace("seed: 2021", "seed: 2022")
    write(split / "model_config" / "d_again.yaml", again)
    with pytest.raises(UserError, match=r"(?s)the experiment 'DCN_tiny_001' .*a_dcn\.yaml .*d_again\.yaml"):
        read_published(split, "DCN_tiny_001")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("model: DCN", False),
        ("model: LR", True),
        ("model: AutoInt", False),
        ("model: AutoInt, use_wide: true", True),
        ("model: DESTINE", True),
    ],
)
def test_first_order_weights_that_fuxictr_leaves_at_random_are_said(folder, tmp_path, model, said):
    write(folder / "model_config.yaml", f"DCN_tiny_001: {{{model}, dataset_id: tiny_0123}}")
    translated = translate_folder(folder, "DCN_tiny_001", tmp_path / "new", data=tmp_path / "csv")
    found = [remark for remark in translated.remarks if "first-order weights of shops (share_embedding)" in remark]
    assert bool(found) == said


def test_an_id_that_leads_out_of_the_cache_writes_nothing(folder, tmp_path):
    change(folder / "model_config.yaml", "DCN_tiny_001", "../DCN")
    with pytest.raises(UserError, match="becomes a folder's name"):
        translate_folder(folder, "../DCN", tmp_path / "new" / "../DCN", data=tmp_path / "csv")
    assert not (tmp_path / "DCN").exists()


def test_all_that_cannot_be_followed_is_said_at_once(folder, tmp_path):
    change(folder / "model_config.yaml", "crossing_layers: 2", "crossing_lairs: 2\n    embedding_dropout: 0.5")
    with pytest.raises(UserError, match=r"crossing_lairs.*embedding_dropout: 0\.5"):
        translate_folder(folder, "DCN_tiny_001", tmp_path / "new", data=tmp_path / "csv")


def test_a_key_that_stands_twice_counts_as_in_fuxictr_and_is_said(folder, tmp_path):
    change(folder / "model_config.yaml", "epochs: 1\n", "epochs: 1\n    epochs: 2\n")
    translated = translate_folder(folder, "DCN_tiny_001", tmp_path / "new", data=tmp_path / "csv")
    assert load_experiment_config(translated.configs, "DCN_tiny_001").settings["epochs"] == 2
    assert any("'epochs' stands twice; the last one counts" in remark for remark in translated.remarks)


def test_a_file_in_utf16_is_read(folder, tmp_path):
    path = folder / "model_config.yaml"
    path.write_bytes(codecs.BOM_UTF16_LE + path.read_text().encode("utf-16-le"))
    translated = translate_folder(folder, "DCN_tiny_001", tmp_path / "new", data=tmp_path / "csv")
    assert load_experiment_config(translated.configs, "DCN_tiny_001").model == "DCN"


def test_a_folder_in_the_form_of_this_harness_is_left_as_it_is(workspace, tmp_path):
    assert translate_folder(workspace.configs, "LR_tiny", tmp_path / "new").configs == workspace.configs
    assert not (tmp_path / "new").exists()


ENCODED = """\
    tiny_npz:
        data_root: ../data/
        data_format: {form}
        train_data: ../data/tiny/train.{form}
        valid_data: ../data/tiny/test.{form}
        test_data: ../data/tiny/test.{form}
"""
ENCODED_MODEL = """\
    DIN_test:
        model: DIN
        dataset_id: tiny_npz
        din_target_field: shop
        din_sequence_field: shops
        attention_hidden_units: [4]
        dnn_hidden_units: [4]
        embedding_dim: 4
        batch_size: 50
        epochs: 1
        learning_rate: 1e-2
        seed: 1
"""
FEATURE_MAP = {
    "labels": ["click"],
    "features": [
        {"user": {"type": "categorical", "source": "user", "padding_idx": 0, "vocab_size": 12}},
        {"shop": {"type": "categorical", "source": "", "padding_idx": 0, "vocab_size": 9}},
        {"price": {"type": "numeric", "source": ""}},
        {"shops": {"type": "sequence", "share_embedding": "shop", "padding_idx": 0, "vocab_size": 9, "max_len": 3}},
    ],
}


@pytest.fixture(params=["npz", "parquet"])
def encoded(request, tmp_path):
    """A folder of configs whose data FuxiCTR has encoded, histories padded behind."""
    form, random = request.param, np.random.default_rng(1)
    write(tmp_path / "config" / "dataset_config.yaml", ENCODED.format(form=form))
    write(tmp_path / "config" / "model_config.yaml", ENCODED_MODEL)
    write(tmp_path.parent / "data" / "tiny" / "feature_map.json", json.dumps(FEATURE_MAP))
    for split, rows in (("train", 200), ("test", 100)):
        lengths = random.integers(0, 4, rows)
        arrays = {
            "user": random.integers(1, 12, rows),
            "shop": random.integers(1, 9, rows),
            "price": random.normal(size=rows),
            "shops": random.integers(1, 9, (rows, 3)) * (np.arange(3) < lengths[:, None]),
            "click": (np.arange(rows) % 2).astype(float),
        }
        path = tmp_path.parent / "data" / "tiny" / f"{split}.{form}"
        if form == "npz":
            np.savez(path, **arrays)
        else:
            pq.write_table(pa.table({**arrays, "shops": arrays["shops"].tolist()}), path)
    return tmp_path / "config", arrays


def test_encoded_files_are_read_as_ids_without_their_padding(encoded, tmp_path):
    folder, test = encoded
    translated = translate_folder(folder, "DIN_test", tmp_path / "new")
    spec = load_dataset_spec(translated.configs, "tiny_npz")
    assert spec.valid_is_test
    columns = {column.names[0]: column for column in spec.feature_cols}
    assert (columns["shops"].padding, columns["shops"].share_embedding, columns["user"].source) == (
        "post",
        "shop",
        "user",
    )
    written = pq.read_table(Path(spec.data_root) / spec.test_data)
    assert written.column("shops").to_pylist() == [[int(v) for v in row if v] for row in test["shops"]]
    assert written.column("user").to_pylist() == test["user"].tolist()
    assert any("feature_map.json; the numbers in the encoded files are taken for ids" in r for r in translated.remarks)


def test_encoded_files_run(encoded, tmp_path, monkeypatch):
    folder, _ = encoded
    monkeypatch.setenv("FUXIBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    words = ["--results", str(tmp_path / "results"), "run-expid", "--config", str(folder), "--expid", "DIN_test"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    (record,) = find_records(tmp_path / "results")
    assert record.finished
    assert record.data.rows == {"train": 200, "valid": 100, "test": 100}

    kept = CliRunner().invoke(main, [*words, "--keep"])
    assert kept.exit_code == 0, kept.output
    assert len((tmp_path / "config.csv").read_text().splitlines()) == 1  # the run was not trained again
    shutil.rmtree(tmp_path / "cache")  # which no kept config needs
    data = tmp_path / "decoded" / "tiny_npz"
    assert str(data) in (tmp_path / "benchmark_configs" / "dataset_config" / "tiny_npz.yaml").read_text()
    assert {path.name for path in data.glob("[!.]*")} == {"train.parquet", "test.parquet"}


def test_encoded_files_without_their_map_are_refused(encoded, tmp_path):
    folder, _ = encoded
    (tmp_path.parent / "data" / "tiny" / "feature_map.json").unlink()
    with pytest.raises(UserError, match="says no columns, so that its files and feature_map.json are needed"):
        translate_folder(folder, "DIN_test", tmp_path / "new")


def test_csv_files_take_the_place_of_encoded_ones_and_tfrecord_is_refused(folder, tmp_path):
    text = (folder / "dataset_config.yaml").read_text()
    (folder / "dataset_config.yaml").write_text(
        text.replace(".csv", ".parquet").replace("format: csv", "format: parquet")
    )
    translated = translate_folder(folder, "DCN_tiny_001", tmp_path / "new", data=tmp_path / "csv")
    assert load_dataset_spec(translated.configs, "tiny_0123").train_data == "train.csv"
    assert any("in the place of parquet files" in remark for remark in translated.remarks)
    change(folder / "dataset_config.yaml", "format: parquet", "format: tfrecord")
    with pytest.raises(UserError, match="must be of csv, parquet, npz or h5 files, but is of tfrecord"):
        translate_folder(folder, "DCN_tiny_001", tmp_path / "new")


def test_the_command_behaves_as_fuxictrs_script(folder, workspace, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["--config", str(folder), "--expid", "DCN_tiny_001", "--gpu", "-1", "--data", str(tmp_path / "csv")]
    result = CliRunner().invoke(main, ["--results", str(workspace.results), "run-expid", *words])
    assert result.exit_code == 0, result.output
    assert "crossing_layers: 2 (num_cross_layers: 2)" in result.output
    assert f"Translated to {workspace.cache / 'published_folders' / 'DCN_tiny_001'}" in result.output
    (record,) = find_records(workspace.results)
    assert (record.experiment, record.seed, record.model) == ("DCN_tiny_001", 2021, "DCN")
    line = (tmp_path / "bars.csv").read_text()
    assert "[exp_id] DCN_tiny_001,[dataset_id] tiny_0123,[train] N.A.,[val] AUC: 0." in line
    assert f"[test] AUC: {record.metrics['test']['AUC']:.6f} - logloss:" in line
    assert f"--config {folder} --expid DCN_tiny_001" in line

    options = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    unknown = CliRunner().invoke(main, [*options, "leaderboard", "DCN_tiny_001"])
    assert (unknown.exit_code, "there is no dataset 'tiny_0123'" in unknown.output) == (2, True)
    kept = CliRunner().invoke(main, [*options, "run-expid", *words, "--keep"])
    assert kept.exit_code == 0, kept.output
    assert "1 runs finished, 0 to run" in kept.output
    assert "hyper-parameters" in CliRunner().invoke(main, [*options, "leaderboard", "DCN_tiny_001"]).output
    change(workspace.configs / "dataset_config" / "tiny_0123.yaml", "min_categr_count: 1", "min_categr_count: 2")
    other = CliRunner().invoke(main, [*options, "run-expid", *words, "--keep"])
    assert (other.exit_code, "tiny_0123.yaml exists and says something else" in other.output) == (2, True)


def test_an_edited_experiment_is_run_again_if_asked_for(folder, workspace, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["--results", str(workspace.results), "run-expid", "--config", str(folder), "--expid", "DCN_tiny_001"]
    words += ["--data", str(tmp_path / "csv")]
    assert CliRunner().invoke(main, words).exit_code == 0
    change(folder / "model_config.yaml", "embedding_dim: 4", "embedding_dim: 3")
    refused = CliRunner().invoke(main, words)
    assert (refused.exit_code, "With --update, this command repeats" in refused.output) == (2, True)
    repeated = CliRunner().invoke(main, [*words, "--update"])
    assert repeated.exit_code == 0, repeated.output
    (record,) = find_records(workspace.results)
    assert record.params["model"]["embedding_dim"] == 3
    assert len((tmp_path / "bars.csv").read_text().splitlines()) == 2
    assert "1 runs finished, 0 to run" in CliRunner().invoke(main, [*words, "--update"]).output
    assert "0 runs finished, 1 to run" in CliRunner().invoke(main, [*words, "--force"]).output


def test_the_command_says_what_is_wrong(folder, workspace, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["--results", str(workspace.results), "run-expid", "--config", str(folder), "--expid", "DCN_tiny_002"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert "did you mean 'DCN_tiny_001'?" in result.output
    wrong = [*words[:4], str(folder / "model_config.yaml"), *words[5:]]
    assert f"file; name its folder, {folder}" in CliRunner().invoke(main, wrong).output.replace("\n", " ")
    write(tmp_path / "DCN_tuner_config.yaml", TUNER)
    wrong[4] = str(tmp_path / "DCN_tuner_config.yaml")
    said = " ".join(CliRunner().invoke(main, wrong).output.split())
    assert "a search space for FuxiCTR's tuner" in said
    assert "run-expid --config ../bars --expid DCN_tiny_001 --keep" in said
    assert f"fuxibench tune DCN_tiny_001 --space {wrong[4]} --trials" in said
    result = CliRunner().invoke(main, [*words[:-1], "DCN_tiny_001", "--data", "nowhere"])
    assert result.exit_code == 2
    assert "--data must name a folder, but nowhere is none." in result.output


def test_a_checkouts_own_class_is_taken_if_asked_for(folder, tmp_path):
    source = ZOO_MODEL.format(name="DCN").replace("width=WIDTH", "depth=2").replace("width)", 'kwargs.get("width", 5))')
    zoo = tmp_path / "checkout"
    write(zoo / "model_zoo" / "DCN" / "src" / "DCN.py", source.replace("(width,", "(5,"))
    write(zoo / "model_zoo" / "DCN" / "src" / "helper.py", "WIDTH = 3\n")
    change(folder / "model_config.yaml", "crossing_layers: 2\n    dnn_hidden_units: null", "width: 6")
    registry.use_sources(registry.Sources(zoo=str(zoo)))
    translated = translate_folder(folder, "DCN_tiny_001", tmp_path / "new", data=tmp_path / "csv", zoo=zoo)
    experiment = resolve(load_experiment_config(translated.configs, "DCN_tiny_001"))
    assert experiment.model == "zoo:DCN"
    assert experiment.params["model"]["width"] == 6
    assert "the model is DCN of" in " ".join(translated.remarks)


def test_the_walk_says_what_becomes_of_every_experiment(folder, tmp_path):
    write(tmp_path / "bars" / "sub" / "dataset_config.yaml", DATASET)
    write(tmp_path / "bars" / "sub" / "model_config.yaml", MODEL.replace("crossing_layers", "layers_crossing"))
    result = CliRunner().invoke(
        script("walk_published").main, ["--bars", str(folder), "--out", str(tmp_path / "o.csv")]
    )
    assert result.exit_code == 0, result.output
    assert "BARS: 1 resolves, 1 refused, in 2 folders" in result.output
    rows = (tmp_path / "o.csv").read_text().splitlines()
    assert rows[1].startswith("BARS,.,DCN_tiny_001,DCN,resolves,")
    assert rows[2].startswith("BARS,sub,DCN_tiny_001,DCN,refused,")
    assert "layers_crossing" in rows[2]


@pytest.mark.skipif("RANKELASTOR_CHECKOUT" not in os.environ, reason="RANKELASTOR_CHECKOUT names no checkout")
def test_the_authors_own_folder_gives_the_authors_experiments_here(tmp_path):
    folder = Path(os.environ["RANKELASTOR_CHECKOUT"]) / "config"
    ours = {
        name.partition("_authors_")[2]: config
        for name, config in load_experiment_configs(ROOT / "benchmark_configs").items()
        if "_authors_" in name
    }
    for name, config in ours.items():
        translated = translate_folder(folder, f"UniMixer_{name}", tmp_path / name)
        theirs = resolve(load_experiment_config(translated.configs, f"UniMixer_{name}"))
        assert (theirs.model, theirs.params) == (config.model, resolve(config).params), name

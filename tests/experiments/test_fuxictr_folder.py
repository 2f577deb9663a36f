"""Folders of configs as FuxiCTR's users and BARS have them run unchanged."""

import importlib.util

import pytest
from click.testing import CliRunner
from fuxi_plugins.experiments.fuxictr_folder import translate_folder

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.spec import load_dataset_spec
from fuxi_plugins.experiments.catalogue import load_experiment_config
from fuxi_plugins.experiments.experiment import resolve
from fuxi_plugins.records.record import find_records
from tests.conftest import ROOT, write

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


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "bars" / "dataset_config.yaml", DATASET)
    write(tmp_path / "bars" / "model_config.yaml", MODEL)
    return tmp_path / "bars"


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_dead_names_are_translated_and_what_says_nothing_is_dropped_by_name(folder, tmp_path):
    translated = translate_folder(folder, "DCN_tiny_001", tmp_path / "new", data=tmp_path / "csv")
    experiment = resolve(load_experiment_config(translated.configs, "DCN_tiny_001"))
    assert experiment.params["model"]["num_cross_layers"] == 2
    assert experiment.params["model"]["dnn_hidden_units"] == []
    assert experiment.params["training"]["early_stop_patience"] == 3
    assert experiment.seed == 2021
    named = {text.partition(" ")[0] for text in translated.dropped}
    assert named == {"model_root", "verbose", "save_best_only", "every_x_epochs", "num_workers", "model_id"}

    spec = load_dataset_spec(translated.configs, "tiny_0123")
    assert spec.data_root == str((tmp_path / "csv").resolve())
    assert spec.train_data == "train.csv"
    columns = {column.names[0]: column for column in spec.feature_cols}
    assert columns["user"].fill_na == 0
    assert columns["shops"].feature_encoder == "layers.MaskedAveragePooling()"


def test_files_are_where_the_config_says_from_the_current_folder(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    translated = translate_folder(folder, "DCN_tiny_001", tmp_path / "new")
    spec = load_dataset_spec(translated.configs, "tiny_0123")
    assert spec.data_root == str(tmp_path / "data" / "Tiny")


def test_what_a_model_says_of_features_goes_to_the_dataset(folder, tmp_path):
    change(folder / "dataset_config.yaml", "encoder: MaskedAveragePooling, ", "")
    specs = "feature_specs: [{feature_encoder: layers.MaskedSumPooling(), name: [shops]}]"
    change(folder / "model_config.yaml", "model_id: DCN_base", specs)
    translated = translate_folder(folder, "DCN_tiny_001", tmp_path / "new", data=tmp_path / "csv")
    columns = {c.names[0]: c for c in load_dataset_spec(translated.configs, "tiny_0123").feature_cols}
    assert columns["shops"].feature_encoder == "layers.MaskedSumPooling()"
    assert columns["shop"].feature_encoder is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("every_x_epochs: 1", "every_x_epochs: 0.5", "every_x_epochs: 0.5 cannot be followed here"),
        ("DCN_tiny_001", "DCN_tiny_007", "did you mean 'DCN_tiny_007'?"),
        ("tiny_0123", "tiny_0124", "did you mean 'tiny_0123'?"),
        ("model: DCN", "model: DNC", "there is no model 'DNC'; did you mean"),
    ],
)
def test_what_cannot_be_followed_is_refused(folder, tmp_path, old, new, said):
    change(folder / "model_config.yaml", old, new)
    with pytest.raises(UserError) as error:
        translate_folder(folder, "DCN_tiny_001", tmp_path / "new", data=tmp_path / "csv")
    assert said in str(error.value)
    assert not (tmp_path / "new").exists()


def test_a_setting_without_translation_is_refused_where_settings_are_checked(folder, tmp_path):
    change(folder / "model_config.yaml", "crossing_layers: 2", "crossing_lairs: 2")
    translated = translate_folder(folder, "DCN_tiny_001", tmp_path / "new", data=tmp_path / "csv")
    with pytest.raises(UserError, match="DCN has no setting 'crossing_lairs'"):
        resolve(load_experiment_config(translated.configs, "DCN_tiny_001"))


def test_a_folder_in_the_strict_form_is_left_as_it_is(workspace, tmp_path):
    assert translate_folder(workspace.configs, "LR_tiny", tmp_path / "new").configs == workspace.configs
    assert not (tmp_path / "new").exists()


def test_the_script_behaves_as_fuxictrs(folder, workspace, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location("run_expid", ROOT / "scripts" / "run_expid.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    words = ["--config", str(folder), "--expid", "DCN_tiny_001", "--gpu", "-1", "--data", str(tmp_path / "csv")]
    result = CliRunner().invoke(script.run_expid, [*words, "--results", str(workspace.results)])
    assert result.exit_code == 0, result.output
    (record,) = find_records(workspace.results)
    assert (record.experiment, record.seed, record.model) == ("DCN_tiny_001", 2021, "DCN")
    line = (tmp_path / "bars.csv").read_text()
    assert "[exp_id] DCN_tiny_001,[dataset_id] tiny_0123,[train] N.A.,[val] AUC: 0." in line
    assert f"[test] AUC: {record.metrics['test']['AUC']:.6f} - logloss:" in line

"""Models of several tasks: a run learns several labels at once, and its board is of the first."""

import os
from pathlib import Path

import polars as pl
import pytest
import torch
from click.testing import CliRunner
from fuxictr.pytorch.models import MultiTaskModel

from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.yaml_files import load_yaml, yaml_text
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.labels import find_test_labels
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.spec import SPLITS
from fuxi_plugins.datasets.store import read_columns
from fuxi_plugins.experiments.catalogue import load_experiment_config
from fuxi_plugins.experiments.experiment import resolve
from fuxi_plugins.experiments.translation.folder import translate_folder
from fuxi_plugins.models import registry
from fuxi_plugins.records.files import find_records
from fuxi_plugins.records.metrics import evaluate_metrics
from fuxi_plugins.records.predictions import read_predictions
from fuxi_plugins.training import assembly, trainer
from tests.conftest import write

MODEL = """\
    from torch import nn
    from fuxictr.pytorch.layers import FeatureEmbedding, MLP_Block
    from fuxictr.pytorch.models import MultiTaskModel


    class Towers(MultiTaskModel):
        def __init__(self, feature_map, model_id="Towers", gpu=-1, learning_rate=1e-2, embedding_dim=4, num_tasks=1,
                     embedding_regularizer=None, net_regularizer=None, **kwargs):
            super().__init__(feature_map, model_id=model_id, gpu=gpu, num_tasks=num_tasks,
                             embedding_regularizer=embedding_regularizer, net_regularizer=net_regularizer, **kwargs)
            self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
            width = feature_map.sum_emb_out_dim()
            self.towers = nn.ModuleList(MLP_Block(width, output_dim=1, hidden_units=[8]) for _ in range(num_tasks))
            self.compile(kwargs["optimizer"], kwargs["loss"], learning_rate)
            self.reset_parameters()
            self.model_to_device()

        def forward(self, inputs):
            flat = self.embedding_layer(self.get_inputs(inputs), flatten_emb=True)
            return {
                f"{label}_pred": activation(tower(flat))
                for label, tower, activation in zip(self.feature_map.labels, self.towers, self.output_activation)
            }
    """
LABELS = [{"name": "label"}, {"name": "cheap", "rule": "== true"}]


@pytest.fixture
def several(workspace, tmp_path):
    """The tiny dataset with a second label, which the price decides, and a model with a tower for each label."""
    for split in SPLITS:
        path = tmp_path / "csv" / f"{split}.csv"
        table = pl.read_csv(path, infer_schema=False)
        table.with_columns(cheap=pl.col("price").cast(pl.Float64) < 0.2).write_csv(path)
    file = workspace.configs / "dataset_config" / "tiny.yaml"
    entry = load_yaml(file)["tiny"]
    file.write_text(yaml_text({"tiny": {**entry, "label_col": LABELS}}))
    base = {"dataset_id": "tiny", "batch_size": 100, "epochs": 2, "metrics": ["AUC", "logloss"]}
    experiments = {
        "Base": base,
        "Towers_both": {"model": "Towers", "num_tasks": 2, "labels": ["label", "cheap"]},
        "Towers_bf16": {"model": "Towers", "num_tasks": 2, "labels": ["label", "cheap"], "amp": "bf16"},
        "Towers_turned": {"model": "Towers", "num_tasks": 2, "labels": ["cheap", "label"]},
        "Towers_three": {"model": "Towers", "num_tasks": 3, "labels": ["label", "cheap"]},
        "Towers_unsaid": {"model": "Towers", "num_tasks": 2},
        "Towers_wrong": {"model": "Towers", "num_tasks": 2, "labels": ["label", "chaep"]},
        "Towers_twice": {"model": "Towers", "num_tasks": 2, "labels": ["label", "label"]},
        "DNN_both": {"model": "DNN", "labels": ["label", "cheap"]},
        "DNN_one": {"model": "DNN"},
    }
    write(workspace.configs / "model_config" / "several.yaml", yaml_text(experiments))
    write(workspace.configs / "suites" / "mixed.yaml", "title: Both\nexperiments: [Towers_both, DNN_one]\nseeds: [1]\n")
    model = write(tmp_path / "models" / "towers.py", MODEL)
    registry.use_sources(registry.Sources(files=(str(model),)))
    yield workspace, model
    registry.use_sources(registry.INSTALLED_ONLY)


def fuxibench(several, *arguments):
    workspace, model = several
    options = ["--configs", str(workspace.configs), "--results", str(workspace.results), "--model-file", str(model)]
    return CliRunner().invoke(main, [*options, *arguments])


def test_the_record_has_the_metrics_of_every_label_and_the_predictions_of_the_first(several):
    workspace, _ = several
    done = fuxibench(several, "run", "Towers_both")
    assert done.exit_code == 0, done.output
    assert "label is learned, together with cheap" in done.output
    assert done.output.count("(mean of 2 labels)") == 2  # an epoch each
    assert "test of label AUC" in done.output
    (record,) = find_records(workspace.results)
    assert (record.data.label, record.data.further_labels) == ("label", ["cheap"])
    assert set(record.further_metrics) == {"cheap"}
    assert record.further_metrics["cheap"]["test"]["AUC"] > 0.8 > record.metrics["test"]["AUC"] > 0.5
    spec = load_dataset_spec(workspace.configs, "tiny").with_labels(record.data.learned_labels)
    test = find_test_labels(spec, record.data.fingerprint, workspace)
    scores = read_predictions(workspace.run_folder("tiny", "Towers_both", record.seed) / "predictions.h5", 300)
    assert evaluate_metrics(test.labels, scores, ["AUC", "logloss"]) == pytest.approx(record.metrics["test"])
    mean = (record.metrics["valid"]["AUC"] + record.further_metrics["cheap"]["valid"]["AUC"]) / 2
    assert record.history[record.best_epoch - 1].valid["AUC"] == pytest.approx(mean)
    assert not any(record.sanity_checks.values())


def test_each_task_predicts_in_float32_where_the_rest_is_bf16(several, tmp_path):
    workspace, _ = several
    experiment = resolve(load_experiment_config(workspace.configs, "Towers_bf16"))
    spec = load_dataset_spec(workspace.configs, "tiny").with_labels(experiment.training.learned_labels)
    model = assembly.build_model(experiment, prepare_dataset(spec, workspace), gpu=-1, checkpoint_folder=tmp_path)
    batch = next(iter(trainer.load_split(model, prepare_dataset(spec, workspace), "valid", experiment, seed=1)))
    for _ in range(2):  # the second pass wraps nothing again
        found = model(batch)
        assert {found[f"{name}_pred"].dtype for name in ("label", "cheap")} == {torch.float32}
    model.compute_loss(found, model.get_labels(batch)).backward()


def test_what_steers_the_training_is_what_fuxictr_evaluates(several, tmp_path):
    workspace, _ = several
    experiment = resolve(load_experiment_config(workspace.configs, "Towers_both"))
    spec = load_dataset_spec(workspace.configs, "tiny").with_labels(experiment.training.learned_labels)
    data = prepare_dataset(spec, workspace)
    model = assembly.build_model(experiment, data, gpu=-1, checkpoint_folder=tmp_path)
    rows = trainer.load_split(model, data, "valid", experiment, seed=1)
    expected = MultiTaskModel.evaluate(model, rows)
    scores = model.score(rows)
    assert scores.steering == pytest.approx({name: expected[name] for name in ("AUC", "logloss")}, abs=1e-6)
    assert scores.metrics["AUC"] == pytest.approx(expected["label_AUC"], abs=1e-6)
    assert scores.further["cheap"]["AUC"] == pytest.approx(expected["cheap_AUC"], abs=1e-6)
    batch = next(iter(rows))
    of_each = [
        torch.nn.functional.binary_cross_entropy(model(batch)[f"{name}_pred"].flatten(), batch[name])
        for name in ("label", "cheap")
    ]
    loss = model.compute_loss(model(batch), model.get_labels(batch))
    torch.testing.assert_close(loss, sum(of_each))


def test_labels_are_stored_side_by_side_and_their_order_is_part_of_the_data(several):
    workspace, _ = several
    spec = load_dataset_spec(workspace.configs, "tiny")
    one, both, turned = (prepare_dataset(spec.with_labels(names), workspace) for names in
                         ([], ["label", "cheap"], ["cheap", "label"]))  # fmt: skip
    assert len({prepared.card.fingerprint for prepared in (one, both, turned)}) == 3
    for split in SPLITS:
        stored = [read_columns(prepared.split_folder(split)) for prepared in (one, both, turned)]
        assert "cheap" not in stored[0]
        assert (stored[0]["label"] == stored[1]["label"]).all()
        assert (stored[1]["cheap"] == stored[2]["cheap"]).all()
        assert 0 < stored[1]["cheap"].mean() < 1
    assert turned.card.positive_rate["test"] == stored[1]["cheap"].mean()


@pytest.mark.parametrize(
    ("experiment", "said"),
    [
        ("Towers_three", "num_tasks must be the number of labels, 2, but is 3"),
        ("Towers_unsaid", "it learns several labels at once; name them in the experiment, as labels: [label, ...]"),
        ("Towers_wrong", "there is no label 'chaep'; did you mean 'cheap'?"),
        ("Towers_twice", "labels names two labels or more, each once"),
        ("DNN_both", "it learns one label, and the experiment names label and cheap"),
        ("mixed", "must learn the same label, but they learn label and cheap by Towers_both, label by DNN_one"),
    ],
)
def test_what_does_not_fit_is_said_before_the_run(several, experiment, said):
    done = fuxibench(several, "run", experiment)
    assert done.exit_code == 2, done.output
    assert said in " ".join(done.output.split())


FUXICTRS_EXPERIMENT = """\
    Towers_test:
        model: Towers
        dataset_id: theirs
        task: [binary_classification, binary_classification]
        loss: [binary_crossentropy, binary_crossentropy]
        num_tasks: 2
        metrics: [AUC, logloss]
    """
FUXICTRS_DATASET = """\
    theirs:
        data_format: csv
        train_data: train.csv
        valid_data: valid.csv
        test_data: test.csv
        feature_cols: [{name: [user, shop], active: True, dtype: str, type: categorical}]
        label_col: [{name: label, dtype: float}, {name: cheap, dtype: float}]
    """


@pytest.fixture
def published(tmp_path):
    """A folder of configs as FuxiCTR's of a model of several tasks, and a checkout with its class."""
    write(tmp_path / "published" / "model_config.yaml", FUXICTRS_EXPERIMENT)
    write(tmp_path / "published" / "dataset_config.yaml", FUXICTRS_DATASET)
    write(tmp_path / "checkout" / "model_zoo" / "multitask" / "Towers" / "src" / "Towers.py", MODEL)
    registry.use_sources(registry.Sources(zoo=str(tmp_path / "checkout")))
    yield tmp_path / "published", tmp_path / "checkout"
    registry.use_sources(registry.INSTALLED_ONLY)


def test_a_published_experiment_of_several_tasks_learns_all_labels_of_its_dataset(published, tmp_path):
    folder, checkout = published
    translated = translate_folder(folder, "Towers_test", tmp_path / "new", zoo=checkout)
    experiment = resolve(load_experiment_config(translated.configs, "Towers_test"))
    assert experiment.model == "zoo:multitask/Towers"
    assert experiment.training.labels == ["label", "cheap"]
    assert experiment.model_params["num_tasks"] == 2
    said = {account.name: account.outcome for account in translated.accounts}
    assert (said["labels"], said["task"], said["loss"]) == ("added", "translated", "translated")
    assert not any("is learned" in remark for remark in translated.remarks)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "", "trains Towers on 2 labels at once, which no class here does. Name a checkout"),
        ("task: [", "task: [regression, ", "a label for each of its 3 tasks, but its dataset has label, cheap"),
        ("task: [binary_classification, ", "task: [regression, ", "task must be one of 'binary_classification'"),
    ],
)
def test_several_tasks_that_cannot_be_followed_are_refused(published, tmp_path, old, new, said):
    folder, checkout = published
    path = folder / "model_config.yaml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(UserError) as error:
        translated = translate_folder(folder, "Towers_test", tmp_path / "new", zoo=checkout if old != new else None)
        resolve(load_experiment_config(translated.configs, "Towers_test"))
    assert said in str(error.value)


@pytest.mark.skipif("FUXICTR_CHECKOUT" not in os.environ, reason="FUXICTR_CHECKOUT names no checkout of reczoo/FuxiCTR")
@pytest.mark.parametrize("name", ["MMoE", "PLE", "ShareBottom"])
def test_fuxictrs_own_models_of_several_tasks_train(workspace, tmp_path, name):
    checkout = Path(os.environ["FUXICTR_CHECKOUT"])
    registry.use_sources(registry.Sources(zoo=str(checkout)))
    folder = checkout / "model_zoo" / "multitask" / name / "config"
    configs = translate_folder(folder, f"{name}_test", tmp_path / name, zoo=checkout).configs
    experiment = resolve(load_experiment_config(configs, f"{name}_test"))
    spec = load_dataset_spec(configs, experiment.dataset_id).with_labels(experiment.training.learned_labels)
    data = prepare_dataset(spec, workspace)
    model = assembly.build_model(experiment, data, gpu=-1, checkpoint_folder=tmp_path / "checkpoints")
    (epoch,) = trainer.train_model(model, experiment, data, seed=1, report=lambda news: None)
    expected = MultiTaskModel.evaluate(model, trainer.load_split(model, data, "valid", experiment, seed=1))
    assert epoch.valid == pytest.approx({name: expected[name] for name in epoch.valid}, abs=1e-6)
    registry.use_sources(registry.INSTALLED_ONLY)

"""A whole run in this process, and the same run twice."""

import h5py
import numpy as np
import pytest
import ray
import torch
from fuxictr.pytorch.dataloaders import RankDataLoader
from sklearn.metrics import roc_auc_score

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.store import read_columns
from fuxi_plugins.experiments.catalogue import load_experiment_config
from fuxi_plugins.experiments.experiment import resolve
from fuxi_plugins.layers.dropout import Dropout
from fuxi_plugins.models.meta import count_parameters
from fuxi_plugins.records.files import read_record
from fuxi_plugins.records.metrics import TABLE, check_metrics, evaluate_metrics
from fuxi_plugins.training import assembly, trainer
from fuxi_plugins.training.feature_maps import load_feature_map
from fuxi_plugins.training.job import Job
from fuxi_plugins.training.preflight import preflight
from fuxi_plugins.training.provenance import utc_now
from fuxi_plugins.training.runner import carry_out


def make_job(workspace, folder, seed=1, changes=None, experiment="DNN_tiny"):
    config = load_experiment_config(workspace.configs, experiment)
    data = prepare_dataset(load_dataset_spec(workspace.configs, "tiny"), workspace)
    return Job(
        experiment=resolve(config.varied(changes) if changes else config),
        data=data,
        seed=seed,
        gpu=-1,
        threads=1,
        run_folder=folder / "run",
        checkpoint_folder=folder / "checkpoint",
    )


def run(job, report=lambda news: None):
    return carry_out(job, report, started=utc_now(), clock_start=0.0)


def outcome(record):
    """What must repeat to the last digit."""
    return record.metrics, record.best_epoch, [(entry.train_loss, entry.valid) for entry in record.history]


def test_the_same_run_in_two_folders_is_the_same_to_the_last_digit(workspace, tmp_path):
    one = run(make_job(workspace, tmp_path / "one"))
    two = run(make_job(workspace, tmp_path / "two"))
    assert outcome(one) == outcome(two)
    first, second = (h5py.File(tmp_path / name / "run" / "predictions.h5")["y_pred"][:] for name in ("one", "two"))
    np.testing.assert_array_equal(first, second)


def test_another_seed_gives_other_numbers(workspace, tmp_path):
    assert outcome(run(make_job(workspace, tmp_path / "1", seed=1))) != outcome(
        run(make_job(workspace, tmp_path / "2", seed=2))
    )


def test_workers_that_load_ahead_do_not_change_the_numbers(workspace, tmp_path):
    none = run(make_job(workspace, tmp_path / "0", changes={"num_workers": 0}))
    two = run(make_job(workspace, tmp_path / "2", changes={"num_workers": 2}))
    assert outcome(none) == outcome(two)


def test_the_record_says_what_happened(workspace, tmp_path):
    job = make_job(workspace, tmp_path)
    record = run(job)
    assert record == read_record(job.run_folder / "record.json")
    assert record.finished
    assert record.data.rows == {"train": 600, "valid": 300, "test": 300}
    assert set(record.metrics["test"]) == {"AUC", "logloss", "gAUC"}
    assert [entry.epoch for entry in record.history] == [1, 2]
    # user 12 + pad + OOV, shop 8 + pad + OOV (shared by shops), price's slope: all of width 4
    assert record.parameters.embedding == (14 + 10 + 1) * 4
    assert record.parameters.dense == (4 * 4 * 16 + 16) + (16 + 1)
    assert record.digest == job.experiment.digest
    assert record.machine.threads == 1


def test_the_metrics_are_those_of_the_saved_predictions(workspace, tmp_path):
    job = make_job(workspace, tmp_path)
    record = run(job)
    with h5py.File(job.run_folder / "predictions.h5") as file:
        predictions, rows = file["y_pred"][:], file["row_id"][:]
        assert set(file) == {"row_id", "y_pred"}  # nothing of the data itself
    labels = read_columns(job.data.split_folder("test"))["label"][rows]
    assert roc_auc_score(labels, predictions) == pytest.approx(record.metrics["test"]["AUC"], abs=1e-12)


def test_ray_is_never_started(workspace, tmp_path):
    run(make_job(workspace, tmp_path))
    assert not ray.is_initialized()


def test_fuxictrs_own_hook_takes_the_loader(workspace, tmp_path):
    data = make_job(workspace, tmp_path).data
    train, valid, test = RankDataLoader(
        load_feature_map(data, 4),
        data_loader=trainer.ColumnLoader,
        data_format="parquet",
        **{f"{split}_data": str(data.split_folder(split)) for split in ("train", "valid", "test")},
        batch_size=100,
        shuffle=True,
        seed=3,
    )
    assert (train.num_samples, valid.num_samples, test.num_samples) == (600, 300, 300)
    assert (train.shuffle, valid.shuffle, test.shuffle) == (True, False, False)
    assert train.seed == 3
    assert len(list(train)) == len(train) == 6


def test_the_best_epoch_by_validation_is_the_one_reported(workspace, tmp_path):
    """A learning rate that ruins the weights after some epochs: the last epoch is not the best."""
    job = make_job(workspace, tmp_path, changes={"epochs": 12, "learning_rate": 0.3, "early_stop_patience": 12})
    record = run(job)
    best = max(record.history, key=lambda entry: entry.valid["AUC"])
    assert record.best_epoch == best.epoch
    assert record.metrics["valid"] == best.valid
    assert record.best_epoch < 12


def test_test_is_read_once_and_after_training(workspace, tmp_path, monkeypatch):
    passes = []
    whole = trainer.ColumnLoader.__iter__

    def counted(self):
        passes.append(self.num_samples if self.num_samples == 600 else self.split_name)
        return whole(self)

    original = trainer.ColumnLoader.__init__

    def named(self, feature_map, path, split="train", **settings):
        self.split_name = split
        original(self, feature_map, path, split=split, **settings)

    monkeypatch.setattr(trainer.ColumnLoader, "__init__", named)
    monkeypatch.setattr(trainer.ColumnLoader, "__iter__", counted)
    run(make_job(workspace, tmp_path))
    assert passes[:6] == [600, "valid", 600, "valid", "valid", "test"]
    assert set(passes[6:]) <= {600}  # the sanity_checks look at the order of the train rows


@pytest.mark.parametrize(("train_step", "tolerance"), [("fuxictr", 0), ("fast", 1e-5)])
def test_fuxictr_alone_gives_the_same_weights(workspace, tmp_path, train_step, tolerance):
    """The harness watches; it does not change what is learned. The fast step changes its rounding."""
    job = make_job(workspace, tmp_path, changes={"train_step": train_step, "embedding_regularizer": 1e-2})
    trainer.use_seed(job.seed, 1)
    hosted = assembly.build_model(job.experiment, job.data, gpu=-1, checkpoint_folder=tmp_path / "hosted")
    trainer.train_model(hosted, job.experiment, job.data, job.seed, lambda news: None)

    trainer.use_seed(job.seed, 1)
    model_class = assembly.load_model_class("DNN")
    training = job.experiment.params["training"]
    (tmp_path / "plain" / "tiny").mkdir(parents=True)
    plain = model_class(
        load_feature_map(job.data, 4),
        model_id="plain",
        model_root=str(tmp_path / "plain"),
        verbose=0,
        **{name: training[name] for name in ("optimizer", "loss", "metrics", "monitor", "monitor_mode", "task")},
        **job.experiment.params["model"],
    )
    plain.evaluate_metrics = lambda y, p, metrics, groups: evaluate_metrics(y, p, metrics, groups)
    loaders = {
        split: trainer.load_split(plain, job.data, split, job.experiment, job.seed) for split in ("train", "valid")
    }
    plain.fit(loaders["train"], validation_data=loaders["valid"], epochs=training["epochs"])
    for (name, ours), theirs in zip(hosted.state_dict().items(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance, msg=name)


def test_a_loss_that_is_not_a_number_is_a_failure_and_leaves_no_record(workspace, tmp_path):
    job = make_job(workspace, tmp_path, changes={"learning_rate": 1e30})
    with pytest.raises(trainer.TrainingFailed, match=r"the training loss became|not finite|left the finite numbers"):
        run(job)
    assert not (job.run_folder / "record.json").exists()


def test_preflight_counts_parameters_without_weights(workspace, tmp_path):
    job = make_job(workspace, tmp_path)
    model = assembly.build_model(job.experiment, job.data, gpu=-1, checkpoint_folder=tmp_path)
    assert preflight(job.experiment, job.data) == count_parameters(model)


def test_preflight_refuses_what_the_constructor_refuses(workspace, tmp_path):
    text = "\nMixer_tiny:\n    model: RankMixer\n    embedding_dim: 4\n    num_tokens: 4\n    token_dim: 6\n"
    path = workspace.configs / "model_config" / "tiny.yaml"
    path.write_text(path.read_text() + text)
    job = make_job(workspace, tmp_path, experiment="Mixer_tiny")
    with pytest.raises(UserError, match=r"Mixer_tiny.*num_tokens=4"):
        preflight(job.experiment, job.data)


def test_a_job_survives_its_journey_as_json(workspace, tmp_path):
    job = make_job(workspace, tmp_path)
    assert Job.from_json(job.to_json()) == job


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"amp": "bf16"}, "amp=bf16"),
        ({"dropout_bits": 16}, "dropout_bits=16"),
        ({"batch_norm": True, "batch_norm_gains": "uniform"}, "batch_norm_gains=uniform"),
        ({"train_step": "fuxictr"}, None),
        ({}, "step: fused optimizer"),
    ],
    ids=["bf16", "dropout", "gains", "fuxictr", "usual"],
)
def test_the_record_says_how_the_steps_were_computed(workspace, tmp_path, changes, said):
    record = run(make_job(workspace, tmp_path, changes=changes))
    assert said is None or any(line.startswith(said) for line in record.deviations)
    assert ("train_step" in changes) != any(line.startswith("step: fused") for line in record.deviations)


def test_bfloat16_is_near_float32_and_not_the_same(workspace, tmp_path):
    full = run(make_job(workspace, tmp_path / "full")).history[0].train_loss
    half = run(make_job(workspace, tmp_path / "half", changes={"amp": "bf16"})).history[0].train_loss
    assert full != half
    assert full == pytest.approx(half, rel=0.02)


@pytest.mark.parametrize(
    ("asked", "found"), [({}, torch.nn.Dropout), ({"dropout_bits": 16}, Dropout), ({"amp": "bf16"}, Dropout)]
)
def test_dropout_is_torchs_own_unless_fewer_bits_are_asked_for(workspace, tmp_path, asked, found):
    job = make_job(workspace, tmp_path, changes={**asked, "net_dropout": 0.25, "hidden_units": [8, 4]})
    model = assembly.build_model(job.experiment, job.data, gpu=-1, checkpoint_folder=tmp_path)
    dropouts = [module for module in model.modules() if isinstance(module, torch.nn.Dropout)]
    assert [(type(module), module.p) for module in dropouts] == [(found, 0.25)] * 2


def test_gains_start_as_old_pytorch_had_them_where_there_are_any(workspace, tmp_path):
    def gains(job):
        model = assembly.build_model(job.experiment, job.data, gpu=-1, checkpoint_folder=tmp_path)
        norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm1d)]
        return torch.cat([norm.weight for norm in norms]).detach()

    normed = {"batch_norm": True, "hidden_units": [400, 300]}
    assert torch.equal(gains(make_job(workspace, tmp_path, changes=normed)), torch.ones(700))
    old = gains(make_job(workspace, tmp_path, changes={**normed, "batch_norm_gains": "uniform"}))
    assert old.min() >= 0
    assert old.max() <= 1
    assert old.mean() == pytest.approx(1 / 2, abs=0.05)
    assert old.var() == pytest.approx(1 / 12, abs=0.01)
    with pytest.raises(UserError, match="'DNN_tiny@batch_norm_gains=uniform': .* needs a BatchNorm"):
        gains(make_job(workspace, tmp_path, changes={"batch_norm_gains": "uniform"}))


@pytest.mark.slow
def test_a_compiled_model_trains_as_the_same_model(workspace, tmp_path):
    plain = run(make_job(workspace, tmp_path / "plain"))
    compiled = run(make_job(workspace, tmp_path / "compiled", changes={"compile": True}))
    assert any(line.startswith("compile") for line in compiled.deviations)
    assert compiled.history[-1].train_loss == pytest.approx(plain.history[-1].train_loss, rel=1e-4)


def test_every_metric_of_the_table_is_measured_and_one_of_a_field_too(workspace, tmp_path):
    names = [name.replace("user_id", "shop") for name in TABLE]
    changes = {"metrics": names, "monitor": "logloss"}
    job = make_job(workspace, tmp_path, changes=changes)
    assert job.experiment.params["training"]["monitor_mode"] == "min"
    record = run(job)
    best = record.history[record.best_epoch - 1]
    assert best.valid["logloss"] == min(epoch.valid["logloss"] for epoch in record.history)
    columns = read_columns(job.data.split_folder("test"))
    with h5py.File(job.run_folder / "predictions.h5") as file:
        scores = file["y_pred"][:]
    assert record.metrics["test"] == evaluate_metrics(
        columns["label"], scores, names, columns["group"], {"shop": columns["shop"]}
    )
    check_metrics(record.metrics["valid"])


@pytest.mark.parametrize("field", ["price", "shops", "nothing"])
def test_a_metric_of_a_field_that_is_none_is_refused_before_training(workspace, tmp_path, field):
    job = make_job(workspace, tmp_path, changes={"metrics": ["AUC", f"field-RCE({field})"]})
    with pytest.raises(
        UserError, match=f"needs a categorical column '{field}', which tiny does not have; it has user, shop"
    ):
        preflight(job.experiment, job.data)

"""Probes read what the model computes, at every stage it names, and leave no trace in training."""

import json

import h5py
import numpy as np
import pytest
import torch

from fuxi_plugins.diagnostics.probes import RankProbe, measure_stage, sample_of
from fuxi_plugins.diagnostics.rank import MEASURES, rank_measures
from fuxi_plugins.diagnostics.representations import representations, stages_of, table_weights
from fuxi_plugins.execution.plan import plan_runs
from fuxi_plugins.models.autoint import AutoInt
from fuxi_plugins.models.dcnv2 import DCNv2
from fuxi_plugins.models.dnn import DNN
from fuxi_plugins.models.fm import FM
from fuxi_plugins.models.hofm import HOFM
from fuxi_plugins.models.rankelastor import RankElastor
from fuxi_plugins.models.rankmixer import RankMixer
from fuxi_plugins.models.xdeepfm import xDeepFM
from fuxi_plugins.records.files import read_record
from tests.models import tiny
from tests.training.test_runner import make_job, outcome, run

TOKENS = {"num_tokens": 5, "token_dim": 10, "num_blocks": 2}
RAW = {"raw": (5, 10)}
BLOCKS = dict.fromkeys(("tokens", "mixing_1", "ffn_1", "mixing_2", "ffn_2"), (5, 10))
STAGES = {
    RankElastor: (TOKENS, RAW | BLOCKS),
    RankMixer: (TOKENS, RAW | BLOCKS),
    DCNv2: (
        {"num_cross_layers": 3, "parallel_dnn_hidden_units": [8, 6]},
        RAW | {"cross_1": (5, 10), "cross_2": (5, 10), "cross_3": (5, 10), "deep_1": (8,), "deep_2": (6,)},
    ),
    xDeepFM: (
        {"cin_hidden_units": [7, 4], "dnn_hidden_units": [8]},
        RAW | {"cin_1": (7, 10), "cin_2": (4, 10), "deep_1": (8,)},
    ),
    DNN: ({"hidden_units": [8, 6], "net_dropout": 0.5, "batch_norm": True}, RAW | {"deep_1": (8,), "deep_2": (6,)}),
    AutoInt: ({"attention_dim": 6, "dnn_hidden_units": []}, RAW | {"attention_1": (5, 6), "attention_2": (5, 6)}),
    FM: ({}, RAW),  # names no stages
    HOFM: ({"order": 3, "embedding_dim": [4, 3]}, {}),  # embeds the fields anew for each order
}


def build(model_class, **settings):
    model = tiny.build(model_class, **settings)
    tiny.randomize(model)
    return model


@pytest.mark.parametrize("model_class", STAGES, ids=lambda model_class: model_class.__name__)
def test_every_stage_is_read_in_its_shape(model_class):
    settings, expected = STAGES[model_class]
    model = build(model_class, **settings)
    read = representations(model, tiny.columns(9), 10)
    assert {name: tuple(value.shape[1:]) for name, value in read.items()} == expected
    assert list(read) == list(stages_of(model))


def test_the_crosses_are_those_of_the_formula():
    model = build(DCNv2, num_cross_layers=2, parallel_dnn_hidden_units=[4])
    read = representations(model, tiny.columns(9), 10)
    x0 = read["raw"].flatten(1)
    layers = model.crossnet.cross_layers
    x1 = x0 * layers[0](x0) + x0
    torch.testing.assert_close(read["cross_1"].flatten(1), x1)
    torch.testing.assert_close(read["cross_2"].flatten(1), x0 * layers[1](x1) + x1)


def test_what_the_head_reads_is_the_last_stage():
    model = build(RankElastor, **TOKENS)
    batch = tiny.columns(9)
    read = representations(model, batch, 10)
    model.eval()
    torch.testing.assert_close(model.output_activation(model.head(read["ffn_2"])), model.forward(batch)["y_pred"])


def test_reading_consumes_no_random_state_and_leaves_mode_and_hooks_alone():
    model = build(DNN, hidden_units=[8], net_dropout=0.5, batch_norm=True)
    model.train()
    before, weights = torch.get_rng_state(), {name: value.clone() for name, value in model.state_dict().items()}
    representations(model, tiny.columns(9), 10)
    assert torch.equal(before, torch.get_rng_state())
    assert model.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    for name, value in model.state_dict().items():  # running means of BatchNorm among them
        assert torch.equal(value, weights[name]), name


def test_the_two_families_of_a_stage_by_hand():
    generator = torch.Generator().manual_seed(0)
    value = torch.randn(40, 3, 6, generator=generator)
    value[:, 1] = value[:, 0]  # a row's matrix has two directions; every token has six over the rows
    value[:, 2, 1:] = 0  # but the last token has one
    measured = measure_stage(value)
    assert measured.shapes == {"row": (3, 6), "token": (40, 6)}
    np.testing.assert_allclose(measured.values["row"]["stable"][4], rank_measures(value[4])["stable"], rtol=1e-6)
    np.testing.assert_allclose(measured.values["token"]["entropy"][0], rank_measures(value[:, 0])["entropy"], rtol=1e-6)
    assert measured.values["token"]["entropy"][2] == pytest.approx(1)
    assert (measured.values["row"]["entropy"] <= 2 + 1e-5).all()


def test_the_sample_is_spread_over_the_split():
    assert list(sample_of(5, wanted=8)) == [0, 1, 2, 3, 4]
    rows = sample_of(1000, wanted=10)
    assert len(rows) == 10
    assert (rows[0], rows[-1]) == (0, 999)


def test_tables_are_counted_once_and_without_padding():
    tables = table_weights(build(RankElastor, **TOKENS))
    assert set(tables) == {"user", "item", "device"}  # history shares item's
    assert tables["user"].shape == (tiny.VOCABULARY - 1, 10)


def test_measurements_come_after_evaluations_that_are_powers_of_two():
    model = build(RankMixer, **TOKENS)
    probe = RankProbe(rows=np.arange(9), batch=tiny.columns(9), embedding_dim=10)
    for epoch in range(1, 12):
        probe(model, epoch)
    assert probe.epochs == [1, 2, 4, 8]


MIXER = "\nMixer_tiny:\n    model: RankElastor\n    embedding_dim: 4\n    num_tokens: 4\n    token_dim: 4\n" \
        "    tokenizer_dropout: 0.3\n    ffn_hidden_units: [4]\n"  # fmt: skip


@pytest.fixture
def with_mixer(workspace):
    path = workspace.configs / "model_config" / "tiny.yaml"
    path.write_text(path.read_text() + MIXER)
    return workspace


def probed_job(workspace, folder, probe, seed=1):
    job = make_job(workspace, folder, seed=seed, experiment="Mixer_tiny")
    return type(job)(**{**job.__dict__, "probe": probe})


def test_a_probed_run_learns_the_same_to_the_last_digit(with_mixer, tmp_path):
    plain = run(probed_job(with_mixer, tmp_path / "plain", probe=False))
    probed = run(probed_job(with_mixer, tmp_path / "probed", probe=True))
    assert outcome(plain) == outcome(probed)
    assert plain.digest == probed.digest
    first, second = (h5py.File(tmp_path / name / "run" / "predictions.h5")["y_pred"][:] for name in ("plain", "probed"))
    np.testing.assert_array_equal(first, second)
    assert plain.rank is None
    assert not (tmp_path / "plain" / "run" / "rank.h5").exists()


def test_the_record_and_the_file_say_the_same(with_mixer, tmp_path):
    job = probed_job(with_mixer, tmp_path, probe=True)
    rank = run(job).rank
    assert rank == read_record(job.run_folder / "record.json").rank
    assert list(rank.stages) == ["raw", "tokens", "mixing_1", "ffn_1", "mixing_2", "ffn_2"]
    with h5py.File(job.run_folder / "rank.h5") as file:
        assert list(file["epoch"]) == [0, 1, 2, -1]
        assert file["tables/user"].attrs["vocabulary"] == 13
        for name, stage in rank.stages.items():
            for family in ("row", "token"):
                part = file[name][family]
                seen = getattr(stage, family)
                assert tuple(part.attrs["shape"]) == (seen.rows, seen.columns)
                for measure in MEASURES:
                    values = part[measure][:]
                    assert values[0].mean() == pytest.approx(seen.untrained[measure], rel=1e-5)
                    assert values[-1].mean() == pytest.approx(seen.trained[measure], rel=1e-5)
                    assert values.min() >= 1 - 1e-5
                    assert values.max() <= seen.cap + 1e-4
                assert seen.untrained != seen.trained


def test_a_run_that_was_not_probed_is_run_again_only_where_probes_are_wanted(with_mixer, tmp_path):
    job = probed_job(with_mixer, tmp_path, probe=False)
    record = run(job)
    assert [plan_runs([job], [record]).finished] == [[record]]
    wanted = probed_job(with_mixer, tmp_path, probe=True)
    assert plan_runs([wanted], [record]).todo == [wanted]
    again = run(wanted)
    assert not plan_runs([wanted], [again]).todo
    assert not plan_runs([job], [again]).todo
    assert json.loads(wanted.to_json())["probe"] is True

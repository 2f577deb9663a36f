"""Columns named like what torch has itself, or with dots and slashes: they train as any other name does."""

import h5py
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from torch import nn

from fuxi_plugins.datasets.module_names import module_name
from tests.conftest import write
from tests.training.test_runner import make_job, outcome, run

NAMES = {"user": "type", "shop": "items", "shops": "update.last", "price": "ctr/7d", "group": "forward"}
DIN = """\
    Base:
        dataset_id: tiny
    DIN_tiny:
        model: DIN
        batch_size: 100
        epochs: 1
        metrics: [AUC, logloss, gAUC]
        embedding_dim: 4
        dnn_hidden_units: [8]
        attention_hidden_units: [4]
        din_target_field: [shop]
        din_sequence_field: [shops]
"""


def renamed(text: str) -> str:
    for old, new in NAMES.items():
        for before, after in (("name: ", ","), ("share_embedding: ", ","), ("group_id: ", "\n"), ("copy_from(", ")"),
                              ("_field: [", "]")):  # fmt: skip
            text = text.replace(f"{before}{old}{after}", f"{before}{new}{after}")
    return text


@pytest.mark.parametrize("experiment", ["LR_tiny", "DIN_tiny"])
def test_another_name_gives_the_same_predictions_to_the_last_digit(workspace, tmp_path, experiment):
    models = write(workspace.configs / "model_config" / "tiny_din.yaml", DIN)
    plain = run(make_job(workspace, tmp_path / "plain", experiment=experiment))
    data = workspace.configs / "dataset_config" / "tiny.yaml"
    told = "feature_sources: {user: [user, shops], item: [shop]}"
    for path in (data, models):
        path.write_text(renamed(path.read_text().replace(told, "")))
    for path in (tmp_path / "csv").glob("*.csv"):
        head, _, rows = path.read_text().partition("\n")
        path.write_text(",".join(NAMES.get(name, name) for name in head.split(",")) + "\n" + rows)
    other = run(make_job(workspace, tmp_path / "other", experiment=experiment))
    assert other.data.fingerprint != plain.data.fingerprint
    assert outcome(other) == outcome(plain)
    first, second = (h5py.File(tmp_path / name / "run" / "predictions.h5")["y_pred"][:] for name in ("plain", "other"))
    np.testing.assert_array_equal(first, second)


@given(st.text(st.sampled_from("a.%25E"), min_size=1), st.text(st.sampled_from("a.%25E"), min_size=1))
@example("a.b", "a%2Eb")
@example("type", "%74ype")
def test_no_two_columns_get_one_name(one, other):
    assert (module_name(one) == module_name(other)) == (one == other)


@pytest.mark.parametrize("name", [*dir(nn.ModuleDict()), "user.id", "a.b.c", "%", "ctr/7d", " ", "price"])
def test_torch_takes_every_name(name):
    modules = nn.ModuleDict()
    modules[module_name(name)] = nn.Linear(1, 1)
    assert set(modules) == {module_name(name)}
    assert module_name("price") == "price"

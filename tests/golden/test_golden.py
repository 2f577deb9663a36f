"""The code that a revision names computes what it computed when it was frozen."""

import json
from pathlib import Path

import pytest

from fuxi_plugins.experiments.code import TRAINING, TREES, model_digest, revisions, training_digest
from fuxi_plugins.models.registry import NATIVE_MODELS, TREE_MODELS, load_tree_class
from fuxi_plugins.models.variants import VARIANTS
from tests.golden.values import differing, model_values, training_values, tree_values

GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text())
FREEZE = "run `python scripts/freeze_code.py`, which tells whether a revision must be raised"


def class_of(row: str) -> str:
    return VARIANTS[row].model if row in VARIANTS else row


@pytest.mark.parametrize("row", [row for row in (*NATIVE_MODELS, *VARIANTS) if class_of(row) in revisions()])
def test_a_model_computes_what_its_revision_did(row):
    assert not differing(model_values(row), GOLDEN[row]), f"{row} gives other numbers; {FREEZE}"


def test_a_training_computes_what_its_revision_did(workspace, tmp_path):
    assert not differing(training_values(tmp_path, workspace), GOLDEN[TRAINING]), f"training differs; {FREEZE}"


@pytest.mark.parametrize("model", TREE_MODELS)
def test_trees_predict_what_their_revision_did(model, workspace):
    pytest.importorskip(load_tree_class(model).package)
    assert not differing(tree_values(model, workspace), GOLDEN[model]), f"{model} gives other numbers; {FREEZE}"


@pytest.mark.parametrize("model", [model for model in (*NATIVE_MODELS, *TREE_MODELS) if model in revisions()])
def test_a_model_s_source_is_that_of_its_revision(model):
    assert model_digest(model) == revisions()[model].source, f"the source of {model} has changed; {FREEZE}"


@pytest.mark.parametrize("protocol", [TRAINING, TREES])
def test_a_training_s_source_is_that_of_its_revision(protocol):
    assert training_digest(protocol) == revisions()[protocol].source, f"the source of the {protocol} changed; {FREEZE}"


@pytest.mark.parametrize("kind", GOLDEN["DNN"])
def test_a_changed_number_is_seen(kind):
    changed = {**GOLDEN["DNN"], kind: [value * 1.001 for value in GOLDEN["DNN"][kind]]}
    assert differing(changed, GOLDEN["DNN"]) == [kind]

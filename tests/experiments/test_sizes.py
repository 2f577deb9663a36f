"""The formulas of sizes against the built models, to the unit."""

import pytest

from fuxi_plugins.experiments.sizes import dense_parameters, nearest_width
from fuxi_plugins.models.dnn import DNN
from fuxi_plugins.models.rankelastor import RankElastor
from fuxi_plugins.models.rankmixer import RankMixer
from tests.models import tiny

FIELDS, WIDTH = 6, 4
SHAPE = {"num_tokens": 4, "token_dim": 8, "num_blocks": 2, "tokenizer_hidden_units": [7]}
CLASSES = {"RankElastor": RankElastor, "RankMixer": RankMixer, "DNN": DNN}

CASES = [
    ("DNN", {"hidden_units": [9, 5, 3]}),
    ("RankElastor", {}),
    ("RankElastor", {**SHAPE, "ffn_hidden_units": [8, 5]}),
    ("RankElastor", {**SHAPE, "ffn_hidden_units": [6], "ffn_expansion": 1.0}),
    ("RankElastor", {**SHAPE, "ffn_hidden_units": [6], "ffn_expansion": 1.5, "ffn_norm": False}),
    ("RankElastor", {**SHAPE, "tokenizer": "shared", "tokenizer_norm": False, "head": "linear"}),
    ("RankElastor", {**SHAPE, "ffn": "gelu", "mixing": "block_transpose"}),
    ("RankElastor", {**SHAPE, "ffn": "relu", "mixing": "block_transpose", "mixing_norm": "before"}),
    ("RankElastor", {**SHAPE, "mixing": "none", "head": "mean_pool"}),
    ("RankElastor", {**SHAPE, "mixing": "grouped", "mixing_groups": 2, "mixing_norm": "after", "head": "mean"}),
    ("RankElastor", {**SHAPE, "mixing": "low_rank", "mixing_rank": 3}),
    ("RankElastor", {**SHAPE, "mixing": "low_rank", "mixing_rank": 3, "formulation": "paper"}),
    ("RankElastor", {**SHAPE, "mixing": "orthogonal"}),
    ("RankElastor", {**SHAPE, "mixing": "block_transpose", "mixing_residual": False}),
    ("RankElastor", {**SHAPE, "formulation": "paper", "ffn_expansion": 2.5}),
    ("RankElastor", {**SHAPE, "formulation": "paper", "ffn": "gelu", "mixing": "block_transpose"}),
    ("RankElastor", {"num_tokens": 4, "token_dim": 6, "tokenizer": "reshape"}),
    ("RankMixer", {"num_tokens": 4, "token_dim": 8}),
    ("RankMixer", {"num_tokens": 5, "token_dim": 10, "ffn_expansion": 2}),
    ("RankMixer", {**SHAPE, "formulation": "official_code", "ffn_hidden_units": [9, 9]}),
    (
        "RankMixer",
        {**SHAPE, "formulation": "official_code", "tokenizer_norm": True, "ffn_norm": True, "head": "mean_pool"},
    ),
]


@pytest.mark.parametrize(("model", "settings"), CASES)
def test_a_size_is_that_of_the_built_model(model, settings):
    if model != "DNN":
        settings = {"num_tokens": 8, "token_dim": 32, "num_blocks": 2, **settings}
    built = tiny.build(CLASSES[model], tiny.plain_feature_map(FIELDS, WIDTH), embedding_dim=WIDTH, **settings)
    assert dense_parameters(model, settings, FIELDS * WIDTH) == tiny.dense_count(built)


def test_the_published_sizes():
    elastor = {
        "formulation": "official_code",
        "tokenizer": "shared",
        "num_tokens": 26,
        "token_dim": 30,
        "num_blocks": 2,
    }
    assert dense_parameters("RankElastor", {**elastor, "ffn_hidden_units": [24, 24]}, 780) == 3_580_871
    mixer = {**elastor, "token_dim": 26, "ffn_hidden_units": [200, 200]}
    assert dense_parameters("RankMixer", mixer, 780) == 3_589_071


def test_a_size_without_a_formula_is_refused():
    with pytest.raises(ValueError, match="no formula for the size of xDeepFM"):
        dense_parameters("xDeepFM", {}, 10)


@pytest.mark.parametrize(("target", "width"), [(1, 1), (14, 1), (107, 10), (113, 11), (1e6, 100_000)])
def test_the_nearest_width(target, width):
    assert nearest_width(int(target), lambda width: 10 * width + 3) == width

"""Parameters counted without values are those of the model as built, for every model."""

import pytest

from fuxi_plugins.models.meta import StaysOnMeta, count_parameters, dense_parameters, on_meta
from fuxi_plugins.models.registry import load_model_class, model_names
from tests.models import tiny

FIELDS, WIDTH = 6, 4
SHAPE = {"num_tokens": 4, "token_dim": 8, "num_blocks": 2, "tokenizer_hidden_units": [7]}


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("DNN", {"hidden_units": [9, 5, 3]}),
        ("RankElastor", {**SHAPE, "ffn_hidden_units": [8, 5]}),
        ("RankElastor", {**SHAPE, "mixing": "orthogonal"}),
        ("RankElastor", {**SHAPE, "formulation": "paper", "ffn_expansion": 2.5}),
        ("RankMixer", {"num_tokens": 4, "token_dim": 8}),
    ],
)
def test_a_size_is_that_of_the_built_model(model, settings):
    built = tiny.build(load_model_class(model), tiny.plain_feature_map(FIELDS, WIDTH), embedding_dim=WIDTH, **settings)
    assert dense_parameters(model, settings, [WIDTH] * FIELDS) == count_parameters(built).dense > 0


@pytest.mark.parametrize("model", ["RankElastor", "DCNv2", "AutoInt", "FM"])
def test_every_parameter_stays_on_the_meta_device(model):
    assert model in model_names()
    model_class = load_model_class(model)
    with on_meta():
        weightless = tiny.build(type("Meta", (StaysOnMeta, model_class), {}), **model_class.small_settings)
    assert {parameter.device.type for parameter in weightless.parameters()} == {"meta"}
    assert count_parameters(weightless) == count_parameters(tiny.build(model_class, **model_class.small_settings))

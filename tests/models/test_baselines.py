"""The settings of the baselines: each does what its name says, and lists serve where FuxiCTR wants lists."""

from itertools import pairwise

import pytest
import torch

from fuxi_plugins.models.autoint import AutoInt
from fuxi_plugins.models.dcnv2 import DCNv2
from fuxi_plugins.models.deepfm import DeepFM
from fuxi_plugins.models.dnn import DNN
from fuxi_plugins.models.xdeepfm import xDeepFM
from tests.models import tiny

N, K = 5, 10  # fields of the tiny map, width of an embedding
LINEAR = 3 * tiny.VOCABULARY + 1 + tiny.VOCABULARY  # one weight a value: no embedding is shared there


def mlp(*widths: int) -> int:
    """Parameters of linear maps with bias between these widths."""
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise(widths))


SIZES = [
    (DNN, {"hidden_units": [8, 4]}, mlp(N * K, 8, 4, 1)),
    (DNN, {"hidden_units": [8], "batch_norm": True}, mlp(N * K, 8, 1) + 2 * 8),
    (DeepFM, {"hidden_units": [8]}, mlp(N * K, 8, 1) + 1),
    (xDeepFM, {"cin_hidden_units": [3, 2], "dnn_hidden_units": []}, mlp(N * N, 3) + mlp(3 * N, 2) + mlp(5, 1)),
    (xDeepFM, {"cin_hidden_units": [3], "dnn_hidden_units": [8]}, mlp(N * N, 3) + mlp(3, 1) + mlp(N * K, 8, 1)),
    (DCNv2, {"model_structure": "crossnet_only", "num_cross_layers": 2}, 2 * mlp(N * K, N * K) + mlp(N * K, 1)),
    (DCNv2, {"model_structure": "stacked", "stacked_dnn_hidden_units": [8], "num_cross_layers": 1},
     mlp(N * K, N * K) + mlp(N * K, 8, 1)),
    (DCNv2, {"model_structure": "parallel", "parallel_dnn_hidden_units": [8], "num_cross_layers": 1},
     mlp(N * K, N * K) + mlp(N * K, 8) + mlp(N * K + 8, 1)),
    (DCNv2, {"model_structure": "stacked_parallel", "stacked_dnn_hidden_units": [8], "num_cross_layers": 1,
             "parallel_dnn_hidden_units": [6]},
     mlp(N * K, N * K) + mlp(N * K, 8) + mlp(N * K, 6) + mlp(8 + 6, 1)),
    (DCNv2, {"model_structure": "crossnet_only", "use_low_rank_mixture": True, "num_cross_layers": 2, "low_rank": 3,
             "num_experts": 2},
     2 * (2 * (2 * N * K * 3 + 3 * 3) + N * K) + 2 * N * K + mlp(N * K, 1)),
    (AutoInt, {"dnn_hidden_units": [], "attention_dim": 6, "num_heads": 3, "attention_layers": 2},
     4 * K * 6 + 3 * 6 * 6 + mlp(N * 6, 1)),
    (AutoInt, {"dnn_hidden_units": [8], "attention_dim": K, "attention_layers": 1, "layer_norm": True},
     3 * K * K + 2 * K + mlp(N * K, 1) + mlp(N * K, 8, 1)),
]  # fmt: skip


@pytest.mark.parametrize(("model_class", "settings", "expected"), SIZES)
def test_settings_build_what_they_name(model_class, settings, expected):
    model = tiny.build(model_class, **settings)
    assert tiny.dense_count(model) == expected


def test_wide_adds_the_linear_part():
    narrow, wide = tiny.build(AutoInt), tiny.build(AutoInt, use_wide=True)
    assert tiny.embedding_count(wide) - tiny.embedding_count(narrow) == LINEAR


@pytest.mark.parametrize("structure", ["crossnet_only", "stacked", "parallel", "stacked_parallel"])
def test_the_low_rank_mixture_takes_a_single_row(structure):
    model = tiny.build(DCNv2, model_structure=structure, use_low_rank_mixture=True).eval()
    tiny.randomize(model)
    batch = tiny.columns(4)
    one = model(tiny.take(batch, slice(0, 1)))["y_pred"]
    torch.testing.assert_close(one, model(batch)["y_pred"][:1])


def test_scale_and_residual_of_the_attention():
    batch = tiny.columns(4)

    def predicted(**settings):
        torch.manual_seed(0)
        model = tiny.build(AutoInt, dnn_hidden_units=[], attention_dim=K, attention_layers=1, **settings)
        tiny.randomize(model)
        return model(batch)["y_pred"]

    plain = predicted()
    assert not torch.allclose(plain, predicted(use_scale=True))
    assert not torch.allclose(plain, predicted(use_residual=False))


@pytest.mark.parametrize("activations", ["tanh", ["tanh", "relu"], ("tanh", "relu")])
def test_tuples_and_lists_serve_alike(activations):
    for widths in ([8, 4], (8, 4)):
        layers = tiny.build(DNN, hidden_units=widths, hidden_activations=activations).mlp.mlp
        assert isinstance(layers[1], torch.nn.Tanh)
        assert isinstance(layers[3], torch.nn.Tanh if activations == "tanh" else torch.nn.ReLU)


@pytest.mark.parametrize(
    ("model_class", "settings", "message"),
    [
        (AutoInt, {"attention_dim": 8, "num_heads": 3}, "attention_dim=8 and num_heads=3; the nearest that fits is 9"),
        (AutoInt, {"attention_layers": 0}, "attention_layers must be at least 1"),
        (
            DCNv2,
            {"model_structure": "serial"},
            "model_structure must be one of 'crossnet_only', 'stacked', .* but .*'serial'",
        ),
        (xDeepFM, {"cin_hidden_units": []}, "the CIN needs at least one layer, but cin_hidden_units is empty"),
        (DCNv2, {"parallel_dnn_hidden_units": []}, "needs an MLP, but parallel_dnn_hidden_units is empty"),
        (DCNv2, {"model_structure": "stacked", "stacked_dnn_hidden_units": []}, "stacked_dnn_hidden_units is empty"),
    ],
)
def test_what_does_not_fit_is_said(model_class, settings, message):
    with pytest.raises(ValueError, match=message):
        tiny.build(model_class, **settings)

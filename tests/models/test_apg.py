"""APG's generated layers against their formula spelled out, and where they are plain layers."""

import pytest
import torch
from torch import Tensor

from fuxi_plugins.models.apg import APGMLP, GeneratedLinear
from fuxi_plugins.models.registry import load_model_class
from tests.models import tiny

B, M, D, C = 3, 6, 5, 4


def layer(rank: int | None = 3, inner: int | None = None, generate_bias: bool = True, **config) -> GeneratedLinear:
    torch.manual_seed(0)
    made = GeneratedLinear(M, D, C, rank, inner, generate_bias, config or None)
    made.init_weights()
    tiny.randomize(made, 0.3)
    return made


def inputs() -> tuple[Tensor, Tensor]:
    torch.manual_seed(3)
    return torch.randn(B, M), torch.randn(B, C)


@pytest.mark.parametrize("inner", [None, 7])
@pytest.mark.parametrize("generate_bias", [True, False])
def test_a_row_is_multiplied_by_matrices_made_for_it(inner, generate_bias):
    made, (x, z) = layer(inner=inner, generate_bias=generate_bias), inputs()
    left, right = (w[0] if inner is None else w[0] @ w[1] for w in (made.left, made.right))
    expected = []
    for row in range(B):
        generated = made.hypernet.mlp[0](z[row])
        bias = generated[:D] if generate_bias else made.bias
        s = generated[-9:].tolist()
        hidden = [sum(x[row, i] * left[i, q] for i in range(M)) for q in range(3)]
        turned = [sum(hidden[p] * s[3 * p + q] for p in range(3)) for q in range(3)]
        expected.append(torch.stack([sum(turned[q] * right[q, d] for q in range(3)) for d in range(D)]) + bias)
    torch.testing.assert_close(made(x, z), torch.stack(expected))


def test_without_a_rank_the_whole_matrix_is_generated():
    made, (x, z) = layer(rank=None), inputs()
    generated = made.hypernet.mlp[0](z)
    for row in range(B):
        matrix = generated[row, D:].view(M, D)
        torch.testing.assert_close(made(x, z)[row], x[row] @ matrix + generated[row, :D])


def test_a_hypernetwork_that_always_makes_the_identity_leaves_a_low_rank_layer():
    made, (x, z) = layer(generate_bias=False), inputs()
    with torch.no_grad():
        made.hypernet.mlp[0].weight.zero_()
        made.hypernet.mlp[0].bias.copy_(torch.eye(3).flatten())
    torch.testing.assert_close(made(x, z), x @ made.left[0] @ made.right[0] + made.bias)


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"rank": 3}, (M + D) * 3 + (C + 1) * (9 + D)),
        ({"rank": 3, "generate_bias": False}, (M + D) * 3 + (C + 1) * 9 + D),
        ({"rank": 3, "inner": 7}, (M + 3) * 7 + (3 + D) * 7 + (C + 1) * (9 + D)),
        ({"rank": None}, (C + 1) * (M * D + D)),
        ({"rank": 3, "hidden_units": [8]}, (M + D) * 3 + (C + 1) * 8 + (8 + 1) * (9 + D)),
    ],
)
def test_parameters(settings, count):
    assert sum(parameter.numel() for parameter in layer(**settings).parameters()) == count


def mlp(condition_dim: int | None) -> APGMLP:
    made = APGMLP(M, [D, D], "ReLU", 0.0, False, condition_dim, 2, None, True, None)
    for generated in made.generated:
        generated.init_weights()
    tiny.randomize(made, 0.5)
    return made


def test_the_condition_is_each_layers_input_or_the_same_for_all():
    x, z = inputs()
    own, given = mlp(None), mlp(C)
    first, second = own.generated
    torch.testing.assert_close(own(x, None), second(h := first(x, x).relu(), h).relu())
    first, second = given.generated
    torch.testing.assert_close(given(x, z), second(first(x, z).relu(), z).relu())


@pytest.mark.parametrize("name", ["APG_DeepFM", "APG_DCNv2"])
def test_a_condition_of_features_is_their_embeddings_in_the_order_of_the_dataset(name):
    settings = {"condition_mode": "group-wise", "condition_features": ["price", "user"], "new_condition_emb": True}
    model, batch = tiny.build(load_model_class(name), **settings), tiny.columns(4)
    tiny.randomize(model, 0.3)
    features = model.get_inputs(batch)
    condition = model.condition(features, model.embedding_layer(features))
    tables = model.condition.own.embedding_layer.embedding_layer.embedding_layers
    expected = torch.cat([tables["user"](batch["user"]), tables["price"](batch["price"])], dim=1)
    torch.testing.assert_close(condition, expected)


@pytest.mark.parametrize("name", ["APG_DeepFM", "APG_DCNv2"])
def test_what_does_not_fit_is_refused(name):
    for settings, message in (
        ({"condition_mode": "mix-wise"}, "needs condition_features"),
        ({"condition_mode": "mix-wise", "condition_features": ["shop"]}, "but 'shop' is named"),
        ({"condition_mode": "rowwise"}, "condition_mode must be one of 'self-wise'"),
        ({"rank_k": 65}, "rank_k must be at most the layer's widths, but rank_k=65 and the layer is 50 -> 64"),
        ({"rank_k": 8, "overparam_p": 4}, "overparam_p must be at least rank_k"),
        ({"rank_k": [4, 4]}, "rank_k must have one number for each of the 3 layers"),
        ({"hypernet_config": {"units": [3]}}, "hypernet_config has the names hidden_units, "),
    ):
        with pytest.raises(ValueError, match=message):
            tiny.build(load_model_class(name), **settings)

"""RankElastor and RankMixer against their spelling-out, in both readings, and the errors of their settings."""

from functools import partial

import pytest
import torch
from torch import nn

from fuxi_plugins.models.rankelastor import RankElastor
from fuxi_plugins.models.rankmixer import RankMixer
from tests.models import tiny
from tests.models.spelled_out import SpelledOut, gelu, relu

T, D, L = 4, 8, 2
SHAPE = {"num_tokens": T, "token_dim": D, "num_blocks": L}
SHARED = {"tokenizer": "shared", "tokenizer_hidden_units": [6]}
JOINT = {"tokenizer": "joint", "tokenizer_hidden_units": [6]}
# Five fields of width 4 make 20 values, which 4 tokens share evenly; of width 3, 15 values, which need padding.
EVEN, UNEVEN = 4, 3


def repository(slow: SpelledOut, mixing, ffn):
    return partial(slow.repository_block, mixing=mixing, ffn=ffn)


# name: (model, embedding_dim, settings, the spelling-out's block, tokenizer and head)
FORMULATIONS = {
    "RankElastor, repository": (
        RankElastor, EVEN, {**SHARED, "ffn_hidden_units": [6, 6, 8]},
        lambda s: (repository(s, s.full_repository, partial(s.glu_ffn, hidden_units=[6, 6, 8])),
                   partial(s.shared, norm=True), s.mlp_head)),
    "RankElastor, repository, r = 1, joint": (
        RankElastor, UNEVEN, {**JOINT, "ffn_hidden_units": [8], "ffn_expansion": 1.0},
        lambda s: (repository(s, s.full_repository, partial(s.glu_ffn, hidden_units=[8], expands=False)),
                   partial(s.joint, norm=True), s.mlp_head)),
    "RankElastor, repository, grouped, norm before": (
        RankElastor, EVEN, {**SHARED, "ffn_hidden_units": [5], "mixing": "grouped", "mixing_groups": 4},
        lambda s: (repository(s, partial(s.grouped, groups=4, norm="before"), partial(s.glu_ffn, hidden_units=[5])),
                   partial(s.shared, norm=True), s.mlp_head)),
    "RankElastor, repository, grouped, norm after": (
        RankElastor, EVEN,
        {**SHARED, "ffn_hidden_units": [5], "mixing": "grouped", "mixing_groups": 2, "mixing_norm": "after"},
        lambda s: (repository(s, partial(s.grouped, groups=2, norm="after"), partial(s.glu_ffn, hidden_units=[5])),
                   partial(s.shared, norm=True), s.mlp_head)),
    "RankElastor, repository, without mixing, relu": (
        RankElastor, EVEN, {**SHARED, "ffn_hidden_units": [5, 6], "mixing": "none", "ffn": "relu"},
        lambda s: (repository(s, lambda _, tokens: tokens, partial(s.plain_ffn, depth=2, activation=relu, norm=True)),
                   partial(s.shared, norm=True), s.mlp_head)),
    "RankElastor, repository, block transpose": (
        RankElastor, EVEN, {**SHARED, "ffn_hidden_units": [5], "mixing": "block_transpose"},
        lambda s: (repository(s, s.exchanged_repository, partial(s.glu_ffn, hidden_units=[5])),
                   partial(s.shared, norm=True), s.mlp_head)),
    "RankElastor, repository, low rank": (
        RankElastor, EVEN, {**SHARED, "ffn_hidden_units": [5], "mixing": "low_rank", "mixing_rank": 3},
        lambda s: (repository(s, s.low_rank, partial(s.glu_ffn, hidden_units=[5])),
                   partial(s.shared, norm=True), s.mlp_head)),
    "RankElastor, repository, a fixed rotation": (
        RankElastor, EVEN, {**SHARED, "ffn_hidden_units": [5], "mixing": "orthogonal", "mixing_scale": 0.5},
        lambda s: (repository(s, partial(s.rotated, scale=0.5), partial(s.glu_ffn, hidden_units=[5])),
                   partial(s.shared, norm=True), s.mlp_head)),
    "RankElastor, paper": (
        RankElastor, UNEVEN, {"formulation": "paper", **JOINT, "ffn_expansion": 2.0},
        lambda s: (s.rankelastor_paper_block, partial(s.joint, norm=True), s.mlp_head)),
    "RankMixer, paper": (
        RankMixer, UNEVEN, {"ffn_expansion": 2.0},
        lambda s: (s.rankmixer_paper_block, s.per_token, s.mean_pool_head)),
    "RankMixer, paper, no residual": (
        RankMixer, UNEVEN, {"ffn_expansion": 2.0, "mixing_residual": False},
        lambda s: (partial(s.rankmixer_paper_block, residual=False), s.per_token, s.mean_pool_head)),
    "RankMixer, repository": (
        RankMixer, EVEN, {"formulation": "official_code", "tokenizer_hidden_units": [6], "ffn_hidden_units": [5, 7]},
        lambda s: (repository(s, s.exchanged_repository, partial(s.plain_ffn, depth=2, activation=gelu, norm=False)),
                   partial(s.shared, norm=False), s.mlp_head)),
}  # fmt: skip


class FixedEmbeddings(nn.Module):
    """Stands where the embedding layer does and gives these rows."""

    def __init__(self, rows: torch.Tensor):
        super().__init__()
        self.rows = rows

    def forward(self, _features, flatten_emb: bool) -> torch.Tensor:
        return self.rows


@pytest.mark.parametrize("name", FORMULATIONS)
def test_values_and_gradients_are_those_of_the_formulas(name):
    model_class, embedding_dim, settings, spell_out = FORMULATIONS[name]
    model = tiny.build(model_class, embedding_dim=embedding_dim, **SHAPE, **settings).double()
    rows = torch.randn(3, 5 * embedding_dim, dtype=torch.float64)
    model.embedding_layer = FixedEmbeddings(rows)
    tiny.randomize(model)
    parameters = dict(model.named_parameters())

    slow = SpelledOut({**parameters, **dict(model.named_buffers())}, T, D, L)
    block, tokenizer, head = spell_out(slow)
    expected, predicted = slow(rows, block, tokenizer, head), model({})["y_pred"]

    torch.testing.assert_close(predicted, expected, rtol=0, atol=1e-9)
    weights = torch.tensor([[1.0], [-2.0], [3.0]], dtype=torch.float64)
    gradients = torch.autograd.grad((predicted * weights).sum(), parameters.values())
    expected_gradients = torch.autograd.grad((expected * weights).sum(), parameters.values())
    torch.testing.assert_close(gradients, expected_gradients, rtol=0, atol=1e-9)


def shapes_of_a_block(model_class) -> dict[str, tuple[int, ...]]:
    model = tiny.build(model_class, formulation="paper", ffn_expansion=2.0, **SHAPE)
    return {name: tuple(parameter.shape) for name, parameter in model.blocks[0].named_parameters()}


def test_the_papers_equations_have_these_parameters_and_no_others():
    norm = {"mixing_norm.weight": (D,), "mixing_norm.bias": (D,)}
    assert shapes_of_a_block(RankElastor) == norm | {
        "mixing.map.linear.weight": (T * D, T * D),
        "ffn.gate.weight": (T, D, 2 * D),
        "ffn.value.weight": (T, D, 2 * D),
        "ffn.down.weight": (T, 2 * D, D),
        "ffn_skip.weight": (T, D, D),
    }
    assert shapes_of_a_block(RankMixer) == norm | {
        "ffn.0.weight": (T, D, 2 * D),
        "ffn.0.bias": (T, 1, 2 * D),
        "ffn.2.weight": (T, 2 * D, D),
        "ffn.2.bias": (T, 1, D),
        "ffn_norm.weight": (D,),
        "ffn_norm.bias": (D,),
    }


def test_the_two_models_are_one_where_their_formulations_meet():
    settings = {**SHAPE, **SHARED, "ffn_hidden_units": [5, 7], "embedding_dim": EVEN}
    off = {"tokenizer_norm": False, "ffn_norm": False}
    mixer = tiny.build(RankMixer, formulation="official_code", **settings)
    elastor = tiny.build(RankElastor, mixing="block_transpose", ffn="gelu", **off, **settings)
    elastor.load_state_dict(mixer.state_dict())
    batch = tiny.columns(8)
    assert torch.equal(mixer(batch)["y_pred"], elastor(batch)["y_pred"])


@pytest.mark.parametrize("ffn", ["gelu", "relu"])
def test_the_papers_ablation_puts_rankmixers_ffn_behind_full_mixing(ffn):
    model = tiny.build(RankElastor, formulation="paper", ffn=ffn, **SHAPE, embedding_dim=EVEN)
    block = model.blocks[0]
    m = torch.randn(2, T, D)
    activation = {"gelu": nn.functional.gelu, "relu": torch.relu}[ffn]
    w1, b1, w2, b2 = block.ffn[0].weight, block.ffn[0].bias, block.ffn[2].weight, block.ffn[2].bias
    assert w1.shape == (T, D, 3 * D)
    for t in range(T):
        expected = activation(m[:, t] @ w1[t] + b1[t]) @ w2[t] + b2[t]
        torch.testing.assert_close(block.ffn(m)[:, t], expected)
    assert isinstance(block.ffn_skip, nn.Identity)


def test_stages_show_the_tokens_at_every_depth():
    model = tiny.build(RankElastor, **SHAPE)
    seen = {}
    for stage, module in model.stages().items():
        module.register_forward_hook(lambda _module, _inputs, out, stage=stage: seen.update({stage: out.shape}))
    model(tiny.columns(6))
    assert seen == dict.fromkeys(["tokens", "mixing_1", "ffn_1", "mixing_2", "ffn_2"], (6, T, D))


def test_fuxictrs_reset_starts_every_token_as_a_linear_of_its_own():
    model = tiny.build(RankMixer, num_tokens=4, token_dim=64, ffn_expansion=4.0)
    first, _, second = model.blocks[0].ffn
    for weight in (*first.weight, *second.weight):
        assert weight.std().item() == pytest.approx((2 / (64 + 256)) ** 0.5, rel=0.03)
    assert first.bias.eq(0).all()


MISFITS = [
    (RankMixer, {"num_tokens": 15, "token_dim": 26, "tokenizer": "joint"},
     "token width must be a multiple of the number of tokens, but token_dim=26 and num_tokens=15; "
     "the nearest that fits is 30"),
    (RankMixer, {"ffn_hidden_units": [64]},
     r"ffn_hidden_units has no meaning with formulation='paper', but ffn_hidden_units=\[64\]; leave it out"),
    (RankMixer, {"tokenizer_norm": True}, "tokenizer_norm has no meaning with tokenizer='per_token'"),
    (RankMixer, {"formulation": "official_code", "ffn_expansion": 4.0},
     "ffn_expansion has no meaning with formulation='official_code'"),
    (RankElastor, {"formulation": "paper", "ffn_norm": False}, "ffn_norm has no meaning with formulation='paper'"),
    (RankElastor, {"formulation": "paper", "mixing_norm": "after"},
     "mixing_norm has no meaning with formulation='paper'"),
    (RankElastor, {"ffn": "relu", "ffn_expansion": 2.0}, "ffn_expansion has no meaning with ffn='relu'"),
    (RankElastor, {"mixing": "none", "mixing_norm": "before"}, "mixing_norm has no meaning with mixing='none'"),
    (RankElastor, {"mixing_groups": 2}, "mixing_groups has no meaning with mixing='full'"),
    (RankElastor, {"mixing": "grouped"}, "needs mixing_groups"),
    (RankElastor, {"mixing": "grouped", "mixing_groups": 7, "num_tokens": 8, "token_dim": 32},
     "the nearest that fits is 8"),
    (RankElastor, {"tokenizer": "shared", "num_tokens": 8}, "the nearest that fits is 10"),
    (RankElastor, {"tokenizer": "reshape", "num_tokens": 5, "token_dim": 8}, "the nearest that fits is token_dim=10"),
    (RankElastor, {"tokenizer_dropout": 1.5}, "tokenizer_dropout must be at least 0 and below 1"),
    (RankElastor, {"ffn_hidden_units": [0]}, "every width in ffn_hidden_units must be at least 1"),
    (RankElastor, {"formulation": "papr"},
     "formulation must be one of 'official_code', 'paper', but formulation='papr'"),
    (RankElastor, {"mixing": "half"}, "mixing must be one of 'full', .*, 'orthogonal', but mixing='half'"),
    (RankElastor, {"mixing_norm": "behind"}, "mixing_norm must be one of 'before', 'after', but mixing_norm='behind'"),
    (RankElastor, {"ffn": "swiglu"}, "ffn must be one of 'glu', 'gelu', 'relu', but ffn='swiglu'"),
    (RankElastor, {"tokenizer": "none"}, "tokenizer must be one of 'shared', 'joint', 'per_token', 'reshape', but"),
    (RankMixer, {"head": "max"}, "head must be one of 'mlp', 'linear', 'mean_pool', 'mean', but head='max'"),
    (RankElastor, {"num_blocks": 0}, "num_blocks must be at least 1, but num_blocks=0"),
    (RankElastor, {"formulation": "paper", "ffn_expansion": 0.0}, "ffn_expansion=0.0 and the width is 32"),
]  # fmt: skip


@pytest.mark.parametrize(("model_class", "settings", "message"), MISFITS)
def test_what_does_not_fit_is_refused_before_anything_is_allocated(model_class, settings, message, monkeypatch):
    def allocated(*_):
        raise AssertionError("something was allocated")

    monkeypatch.setattr(nn.Module, "__init__", allocated)
    with pytest.raises(ValueError, match=message):
        tiny.build(model_class, **settings)  # five fields of width 10

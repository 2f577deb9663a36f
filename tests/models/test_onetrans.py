"""OneTrans against its equations, token by token, and the laws of its mask, its two kinds of maps and its pyramid."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fuxi_plugins.models.onetrans import MixedLinear, OneTrans, OneTransBlock, causal_mask, pyramid_queries
from tests.models import tiny
from tests.models.spelled_out import SpelledOut, gelu, rms_norm

T, D, HEADS = 3, 4, 2
SETTINGS = {"embedding_dim": 4, "num_tokens": T, "token_dim": D, "num_heads": HEADS, "dnn_hidden_units": [6]}
SEQUENCE = {**tiny.POOLED_SEQUENCE, "source": "user", "share_embedding": "item"}


def two_histories():
    features = {
        "user": tiny.CATEGORICAL,
        "item": tiny.CATEGORICAL,
        "liked": {**SEQUENCE, "max_len": 4},
        "seen": {**SEQUENCE, "max_len": 3},
    }
    return tiny.make_feature_map("two", features, 4)


BATCH = {
    "user": torch.tensor([1, 2, 3]),
    "item": torch.tensor([4, 5, 6]),
    "liked": torch.tensor([[0, 3, 5, 7], [0, 0, 0, 0], [4, 0, 2, 0]]),
    "seen": torch.tensor([[1, 2, 3], [9, 8, 0], [0, 0, 0]]),
    "click": torch.tensor([1.0, 0.0, 1.0]),
}


class SlowOneTrans(SpelledOut):
    """A list of a row's tokens, (vector, real, which NS token or None), through all blocks."""

    def mixed(self, name: str, own: int | None, x: Tensor) -> Tensor:
        return self.linear(f"{name}.shared", x) if own is None else self.token_linear(f"{name}.own", own, x)

    def tokens(self, row: dict[str, Tensor], table: Tensor, users: Tensor) -> list[tuple[Tensor, bool, int | None]]:
        made = []
        for place, name in enumerate(("liked", "seen")):
            ids = [int(item) for item in row[name]]
            for item in sorted(ids, key=lambda item: item != 0):  # padding first
                vector = table[item] if item else torch.zeros(4, dtype=table.dtype)
                normed = self.rms(f"behaviour_tokens.{place}.norm", vector)
                made.append((self.linear(f"behaviour_tokens.{place}.mlp.0", normed), item != 0, None))
            if name == "liked":
                made.append((self.parameters["separators.0"], True, None))
        flat = self.rms("tokenizer.norm", torch.cat([users[row["user"]], table[row["item"]]]))
        projected = self.linear("tokenizer.mlp.0", flat)
        return made + [(projected[t * D : (t + 1) * D], True, t) for t in range(T)]

    def attended(self, block: str, tokens: list, place: int) -> Tensor:
        x, _, own = tokens[place]
        normed = [self.rms(f"{block}.attention_norm", token) for token, _, _ in tokens]
        seen = [j for j in range(place + 1) if tokens[j][1] or j == place]
        query = self.mixed(f"{block}.query", own, normed[place])
        keys = [self.mixed(f"{block}.key", tokens[j][2], normed[j]) for j in seen]
        values = [self.mixed(f"{block}.value", tokens[j][2], normed[j]) for j in seen]
        heads, width = [], D // HEADS
        for h in range(HEADS):
            part = slice(h * width, (h + 1) * width)
            weights = torch.stack([torch.exp(query[part] @ key[part] / width**0.5) for key in keys])
            heads.append(sum(w * v[part] for w, v in zip(weights, values, strict=True)) / weights.sum())
        return x + self.mixed(f"{block}.out", own, torch.cat(heads))

    def block(self, block: str, tokens: list, num_queries: int) -> list:
        new = []
        for place in range(len(tokens) - num_queries, len(tokens)):
            _, real, own = tokens[place]
            z = self.attended(block, tokens, place)
            inside = gelu(self.mixed(f"{block}.ffn.0", own, self.rms(f"{block}.ffn_norm", z)))
            new.append((z + self.mixed(f"{block}.ffn.2", own, inside), real, own))
        return new

    def prediction(self, model, row: dict[str, Tensor], queries: list[int]) -> Tensor:
        tables = model.embedding_layer.embedding_dict.embedding_layers
        tokens = self.tokens(row, tables["item"].weight, tables["user"].weight)
        for depth, num_queries in enumerate(queries):
            tokens = self.block(f"blocks.{depth}", tokens, num_queries)
        read = torch.cat([rms_norm(token, self.parameters["norm.gain"]) for token, _, _ in tokens])
        return model.dnn(read.unsqueeze(0)).sigmoid()[0]


@pytest.mark.parametrize(("pyramid", "queries"), [(True, [11, 8, 5, 3]), (False, [11, 11, 11, 3])])
def test_values_and_gradients_are_those_of_the_equations(pyramid, queries):
    model = tiny.build(OneTrans, two_histories(), **SETTINGS, num_blocks=4, pyramid=pyramid).double()
    tiny.randomize(model, scale=0.5)
    parameters = dict(model.named_parameters())
    slow = SlowOneTrans(parameters, T, D, 4)
    expected = torch.stack([slow.prediction(model, tiny.take(BATCH, row), queries) for row in range(3)])
    predicted = model(BATCH)["y_pred"]
    torch.testing.assert_close(predicted, expected, rtol=0, atol=1e-9)
    weights = torch.tensor([[1.0], [-2.0], [3.0]], dtype=torch.float64)
    gradients = torch.autograd.grad((predicted * weights).sum(), parameters.values())
    slow_gradients = torch.autograd.grad((expected * weights).sum(), parameters.values())
    torch.testing.assert_close(gradients, slow_gradients, rtol=0, atol=1e-9)


@pytest.fixture
def block():
    made = OneTransBlock(T, D, HEADS, ffn_expansion=2.0)
    tiny.randomize(made, scale=0.3)
    return made


def tokens(sequence: int = 5) -> tuple[Tensor, Tensor]:
    made = torch.randn(2, sequence + T, D, generator=torch.Generator().manual_seed(3))
    return made, torch.ones(2, sequence + T, dtype=torch.bool)


@pytest.mark.parametrize("changed", range(8))
def test_a_token_depends_on_those_up_to_itself_alone(block, changed):
    x, real = tokens()
    before = block(x, real, 8)
    x[:, changed] += 1
    after = block(x, real, 8)
    assert torch.equal(after[:, :changed], before[:, :changed])
    moved = (after - before).abs().amax(dim=(0, 2))
    assert (moved[changed:] > 1e-4).all()


def test_with_equal_maps_for_all_tokens_it_is_a_causal_transformer_block(block):
    for module in block.modules():
        if isinstance(module, MixedLinear):
            with torch.no_grad():
                module.own.weight.copy_(module.shared.weight.T.expand_as(module.own.weight))
                module.own.bias.copy_(module.shared.bias.expand_as(module.own.bias))
    x, real = tokens()
    normed = block.attention_norm(x)
    q, k, v = (
        part.shared(normed).view(2, 8, HEADS, -1).transpose(1, 2) for part in (block.query, block.key, block.value)
    )
    attended = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(2, 8, D)
    z = x + block.out.shared(attended)
    inside = F.gelu(block.ffn[0].shared(block.ffn_norm(z)))
    torch.testing.assert_close(block(x, real, 8), z + block.ffn[2].shared(inside))


@pytest.mark.parametrize("num_queries", [3, 5, 7])
def test_fewer_queries_are_the_tail_of_all(block, num_queries):
    x, real = tokens()
    real[0, :2] = False
    torch.testing.assert_close(block(x, real, num_queries), block(x, real, 8)[:, -num_queries:])


def test_padding_has_no_influence_whatever_stands_there(block):
    x, real = tokens()
    real[:, :3] = False
    short = block(x[:, 3:], real[:, 3:], 5)
    x[:, :3] = 1e3
    torch.testing.assert_close(block(x, real, 8)[:, 3:], short)


def test_without_a_sequence_it_is_a_per_token_transformer_over_fields(block):
    x, real = tokens(sequence=0)
    assert block(x, real, T).shape == (2, T, D)


def test_a_block_has_as_many_parameters_as_the_paper_counts():
    groups, r, d = 1 + 12, 4, 16
    made = OneTransBlock(12, d, 4, ffn_expansion=r)
    expected = groups * (4 * (d**2 + d) + 2 * r * d**2 + r * d + d) + 2 * d
    assert sum(p.numel() for p in made.parameters()) == expected


def test_every_own_map_starts_as_a_linear_of_its_own():
    model = tiny.build(OneTrans, token_dim=64, num_heads=4, num_tokens=4)
    for weight in model.blocks[0].ffn[0].own.weight:
        assert weight.std().item() == pytest.approx((2 / (64 + 256)) ** 0.5, rel=0.05)


def test_the_pyramid_ends_at_the_fields():
    assert pyramid_queries(1, 50, 8, pyramid=True) == [8]
    assert pyramid_queries(6, 1190, 12, pyramid=True) == [1202, 964, 726, 488, 250, 12]
    assert causal_mask(torch.zeros(1, 3, dtype=torch.bool), 3).tolist() == [torch.eye(3).bool().tolist()]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"num_heads": 5}, "token_dim must be a multiple of num_heads, but token_dim=32 and num_heads=5"),
        ({"num_blocks": 0}, "num_blocks must be at least 1"),
        ({"tokenizer": "per_token", "tokenizer_norm": True}, "tokenizer_norm has no meaning with tokenizer='per_tok"),
        ({"sequence_hidden_units": [0]}, "every width in sequence_hidden_units must be at least 1"),
        ({"target_field": ["item"]}, "named together"),
    ],
)
def test_what_does_not_fit_is_refused(chosen, message):
    with pytest.raises(ValueError, match=message):
        tiny.build(OneTrans, **chosen)

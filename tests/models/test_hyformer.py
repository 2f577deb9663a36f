"""HyFormer against its equations, token by token, and the laws of its queries."""

import pytest
import torch
from torch import Tensor

from fuxi_plugins.models.hyformer import HyFormer
from tests.models import tiny
from tests.models.spelled_out import SpelledOut, exchanged_heads, gelu
from tests.models.test_onetrans import BATCH, two_histories

T, N, D, HEADS, L = 6, 2, 6, 2, 2  # two queries for each of two histories, and two tokens of the fields
SETTINGS = {"embedding_dim": 4, "num_tokens": T, "num_queries": N, "token_dim": D, "num_heads": HEADS, "num_blocks": L}
SEQUENCES = ("liked", "seen")


class SlowHyFormer(SpelledOut):
    """A row's queries, fields and real behaviours through all blocks; padding is left out from the start."""

    def attention(self, name: str, asking: Tensor, asked: list[Tensor]) -> Tensor:
        if not asked:
            return torch.zeros_like(asking)
        query = self.linear(f"{name}.query", asking)
        heads, width = [], D // HEADS
        for h in range(HEADS):
            part = slice(h * width, (h + 1) * width)
            scores = [query[part] @ self.linear(f"{name}.key", s)[part] / width**0.5 for s in asked]
            weights = torch.stack(scores).softmax(dim=0)
            heads.append(sum(w * self.linear(f"{name}.value", s)[part] for w, s in zip(weights, asked, strict=True)))
        return self.linear(f"{name}.out", torch.cat(heads))

    def encoded(self, name: str, kind: str, behaviours: list[Tensor]) -> list[Tensor]:
        if kind == "transformer":
            normed = [self.rms(f"{name}.attention_norm", s) for s in behaviours]
            z = [s + self.attention(f"{name}.attention", n, normed) for s, n in zip(behaviours, normed, strict=True)]
            inside = [gelu(self.linear(f"{name}.ffn.0", self.rms(f"{name}.ffn_norm", s))) for s in z]
            return [s + self.linear(f"{name}.ffn.2", i) for s, i in zip(z, inside, strict=True)]
        new = []
        for s in behaviours:
            n = self.rms(f"{name}.norm", s)
            gate = self.linear(f"{name}.gate", n)
            inside = gate / (1 + torch.exp(-gate)) * self.linear(f"{name}.up", n)
            new.append(s + self.linear(f"{name}.down", inside))
        return new

    def ffn(self, name: str, t: int, x: Tensor) -> Tensor:
        return self.token_linear(f"{name}.2", t, gelu(self.token_linear(f"{name}.0", t, x)))

    def prediction(self, model, row: dict[str, Tensor], kind: str, carry: bool) -> Tensor:
        tables = model.embedding_layer.embedding_dict.embedding_layers
        users, items = tables["user"].weight, tables["item"].weight
        self.num_tokens = T - 2 * N  # the tokenizer's
        fields = self.per_token(torch.cat([users[row["user"]], items[row["item"]]]))
        histories, queries = [], []
        for place, name in enumerate(SEQUENCES):
            to_tokens = f"behaviour_tokens.{place}"
            behaviours = [
                self.linear(f"{to_tokens}.mlp.0", self.rms(f"{to_tokens}.norm", items[item]))
                for item in row[name]
                if item
            ]
            mean = sum(behaviours) / len(behaviours) if behaviours else torch.zeros(D, dtype=items.dtype)
            everything = torch.cat([*fields, mean])
            queries += [self.ffn(f"query_makers.{place}.ffn", i, everything) for i in range(N)]
            histories.append(behaviours)
        first_fields = fields
        for depth in range(L):
            block = f"blocks.{depth}"
            for place in range(2):
                histories[place] = self.encoded(f"{block}.encoders.{place}", kind, histories[place])
                decoder = f"{block}.decoders.{place}"
                asked = [self.rms(f"{decoder}.behaviour_norm", s) for s in histories[place]]
                for i in range(N * place, N * place + N):
                    asking = self.rms(f"{decoder}.query_norm", queries[i])
                    queries[i] = queries[i] + self.attention(f"{decoder}.attention", asking, asked)
            x = [*queries, *(fields if carry else first_fields)]
            mixed = exchanged_heads([self.rms(f"{block}.norm", token) for token in x])
            x = [token + self.ffn(f"{block}.ffn", t, mixed[t]) for t, token in enumerate(x)]
            queries, fields = x[: 2 * N], x[2 * N :]
        return 1 / (1 + torch.exp(-self.mean_pool_head(x)))


@pytest.mark.parametrize("encoder", ["transformer", "swiglu"])
@pytest.mark.parametrize("carry", [True, False])
def test_values_and_gradients_are_those_of_the_equations(encoder, carry):
    model = tiny.build(HyFormer, two_histories(), **SETTINGS, encoder=encoder, carry_fields=carry).double()
    tiny.randomize(model, scale=0.5)
    parameters = dict(model.named_parameters())
    slow = SlowHyFormer(parameters, T, D, L)
    expected = torch.stack([slow.prediction(model, tiny.take(BATCH, row), encoder, carry) for row in range(3)])
    predicted = model(BATCH)["y_pred"]
    torch.testing.assert_close(predicted, expected, rtol=0, atol=1e-9)
    weights = torch.tensor([[1.0], [-2.0], [3.0]], dtype=torch.float64)
    gradients = torch.autograd.grad((predicted * weights).sum(), parameters.values())
    slow_gradients = torch.autograd.grad((expected * weights).sum(), parameters.values())
    torch.testing.assert_close(gradients, slow_gradients, rtol=0, atol=1e-9)


@pytest.mark.parametrize("encoder", ["transformer", "swiglu"])
def test_the_order_of_the_behaviours_does_not_matter(encoder):
    model = tiny.build(HyFormer, two_histories(), **SETTINGS, encoder=encoder)
    tiny.randomize(model, scale=0.3)
    turned = {**BATCH, "liked": BATCH["liked"].flip(1), "seen": BATCH["seen"].roll(1, dims=1)}
    torch.testing.assert_close(model(turned)["y_pred"], model(BATCH)["y_pred"])


def test_what_stands_in_the_padding_does_not_matter():
    model = tiny.build(HyFormer, two_histories(), **SETTINGS)
    tiny.randomize(model, scale=0.3)
    before = model(BATCH)["y_pred"]
    with torch.no_grad():
        model.embedding_layer.embedding_dict.embedding_layers["item"].weight[0] = 1e3
    assert before.isfinite().all()
    assert torch.equal(model(BATCH)["y_pred"], before)


def test_with_the_attention_and_the_mean_cut_off_the_behaviours_have_no_influence():
    model = tiny.build(HyFormer, two_histories(), **SETTINGS)
    tiny.randomize(model, scale=0.3)
    changed = {**BATCH, "liked": BATCH["liked"].roll(1, dims=0)}
    with torch.no_grad():
        for block in model.blocks:
            for decoder in block.decoders:
                decoder.attention.out.weight.zero_()
                decoder.attention.out.bias.zero_()
        assert not torch.allclose(model(changed)["y_pred"], model(BATCH)["y_pred"])  # by the mean
        for maker in model.query_makers:
            maker.ffn[0].weight[:, -D:] = 0
    assert torch.equal(model(changed)["y_pred"], model(BATCH)["y_pred"])


def test_the_parameters_of_a_block_are_as_many_as_counted():
    shape = {"num_tokens": 16, "num_queries": 3, "token_dim": 64, "embedding_dim": 13}
    model = tiny.build(HyFormer, **shape, ffn_expansion=2, encoder_expansion=2)
    d, q, tokens, m = 64, 128, 16, 13
    attention = 4 * d**2 + 3 * d
    encoder = attention + 2 * q * d + q + d + 2 * d
    pffn = tokens * (2 * q * d + q + d)
    assert sum(p.numel() for p in model.blocks[0].parameters()) == attention + 2 * d + encoder + pffn + d
    makers = 3 * ((m + 1) * d * q + q + q * d + d)
    assert sum(p.numel() for p in model.query_makers.parameters()) == makers


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"num_queries": 8}, "num_tokens must leave a token for the fields .* num_queries=8 for each of 1"),
        ({"token_dim": 20}, "token width must be a multiple of the number of tokens, but token_dim=20"),
        ({"encoder": "longer"}, "encoder must be one of 'transformer', 'swiglu', but encoder='longer'"),
        ({"num_heads": 3}, "token_dim must be a multiple of num_heads"),
        ({"sequence_field": ["history"]}, "named together"),
    ],
)
def test_what_does_not_fit_is_refused(chosen, message):
    with pytest.raises(ValueError, match=message):
        tiny.build(HyFormer, **chosen)

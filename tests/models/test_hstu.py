"""HSTU against its equations, place by place, the laws of its layer, and where there is one the authors' own code."""

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fuxi_plugins.models.hstu import HSTU, HSTULayer
from tests.models import tiny
from tests.models.spelled_out import SpelledOut
from tests.models.test_onetrans import BATCH, two_histories

D, HEADS, A, H, L = 6, 2, 3, 5, 2
SETTINGS = {"embedding_dim": 4, "token_dim": D, "num_blocks": L, "num_heads": HEADS, "attention_dim": A}
SETTINGS |= {"hidden_dim": H, "dnn_hidden_units": [6]}
PLACES = 2 + 4 + 3 + 1  # two fields, two histories, one target item


class SlowHSTU(SpelledOut):
    """The real places of a row through all layers; padding is left out from the start."""

    def projected(self, name: str, vector: Tensor) -> Tensor:
        return self.linear(f"{name}.mlp.0", self.rms(f"{name}.norm", vector))

    def places(self, model, row: dict[str, Tensor]) -> list[Tensor]:
        tables = model.embedding_layer.embedding_dict.embedding_layers
        items = tables["item"].weight
        made = [
            self.projected("field_tokens.0", tables["user"].weight[row["user"]]),
            self.projected("field_tokens.1", items[row["item"]]),
        ]
        for place, name in enumerate(("liked", "seen")):
            real = [item for item in row[name] if item]
            for after, item in zip(reversed(range(len(real))), real, strict=True):
                token = self.projected("item_tokens.0", items[item])
                made.append(token + self.parameters[f"positions.{place}"][after] + self.parameters[f"acts.{place}"])
        return [*made, self.projected("item_tokens.0", items[row["item"]])]

    def normed(self, name: str, x: Tensor, eps: float) -> Tensor:
        centred = x - x.mean()
        scaled = centred / torch.sqrt((centred**2).mean() + eps)
        return scaled * self.parameters[f"{name}.weight"] + self.parameters[f"{name}.bias"]

    def layer(self, name: str, x: list[Tensor], silu_on_all: bool, gated_only: bool) -> list[Tensor]:
        made = [self.linear(f"{name}.uvqk", self.normed(f"{name}.norm", token, 1e-6)) for token in x]
        new = []
        for i, token in enumerate(x):
            u, heads = F.silu(made[i][: HEADS * H]), []
            for h in range(HEADS):
                c = torch.zeros(H, dtype=token.dtype)
                for j in range(i + 1):
                    v = made[j][HEADS * H + h * H : HEADS * H + (h + 1) * H]
                    start = 2 * HEADS * H
                    q = made[i][start + h * A : start + (h + 1) * A]
                    k = made[j][start + HEADS * A + h * A : start + HEADS * A + (h + 1) * A]
                    if silu_on_all:
                        v, q, k = F.silu(v), F.silu(q), F.silu(k)
                    c = c + F.silu(q @ k / A**0.5) / PLACES * v
                heads.append(c)
            c = torch.cat(heads)
            gated = u * self.normed(f"{name}.out_norm", c, 1e-6)
            new.append(token + self.linear(f"{name}.out", gated if gated_only else torch.cat([u, c, gated])))
        return new

    def prediction(self, model, row: dict[str, Tensor], **form: bool) -> Tensor:
        x = self.places(model, row)
        for depth in range(L):
            x = self.layer(f"layers.{depth}", x, **form)
        x = [self.normed("norm", token, 1e-5) for token in x]
        read = torch.cat([x[-1], (x[0] + x[1]) / 2])
        return model.dnn(read.unsqueeze(0)).sigmoid()[0]


@pytest.mark.parametrize("silu_on_all", [True, False])
@pytest.mark.parametrize("gated_only", [True, False])
def test_values_and_gradients_are_those_of_the_equations(silu_on_all, gated_only):
    form = {"silu_on_all": silu_on_all, "gated_output_only": gated_only}
    model = tiny.build(HSTU, two_histories(), **SETTINGS, **form).double()
    tiny.randomize(model, scale=0.5)
    parameters = dict(model.named_parameters())
    slow = SlowHSTU(parameters, 0, D, L)
    expected = torch.stack(
        [
            slow.prediction(model, tiny.take(BATCH, row), silu_on_all=silu_on_all, gated_only=gated_only)
            for row in range(3)
        ]
    )
    predicted = model(BATCH)["y_pred"]
    torch.testing.assert_close(predicted, expected, rtol=0, atol=1e-9)
    weights = torch.tensor([[1.0], [-2.0], [3.0]], dtype=torch.float64)
    gradients = torch.autograd.grad((predicted * weights).sum(), parameters.values())
    slow_gradients = torch.autograd.grad((expected * weights).sum(), parameters.values())
    torch.testing.assert_close(gradients, slow_gradients, rtol=0, atol=1e-9)


def layer(max_length: int = 8, **form) -> HSTULayer:
    made = HSTULayer(D, HEADS, A, H, max_length, **form)
    tiny.randomize(made, scale=0.3)
    return made


def causal(real: Tensor) -> Tensor:
    return real.unsqueeze(1) & torch.ones(real.shape[1], real.shape[1], dtype=torch.bool).tril()


@pytest.mark.parametrize("changed", range(5))
def test_a_place_depends_on_those_up_to_itself_alone(changed):
    made, x = layer(), torch.randn(2, 5, D)
    visible = causal(torch.ones(2, 5, dtype=torch.bool))
    before = made(x, visible)
    x[:, changed] += torch.randn(D)
    after = made(x, visible)
    assert torch.equal(after[:, :changed], before[:, :changed])
    assert ((after - before).abs().amax(dim=(0, 2))[changed:] > 1e-5).all()


def test_with_no_output_map_a_layer_is_the_identity():
    made, x = layer(), torch.randn(2, 5, D)
    torch.nn.init.zeros_(made.out.weight)
    assert torch.equal(made(x, causal(torch.ones(2, 5, dtype=torch.bool))), x)


def test_more_padding_changes_nothing_as_long_as_the_greatest_length_stays():
    x = torch.randn(2, 4, D)
    padded = torch.cat([torch.full((2, 3, D), 50.0), x], dim=1)
    real = torch.ones(2, 7, dtype=torch.bool)
    real[:, :3] = False
    made = layer(max_length=8)
    short = made(x, causal(torch.ones(2, 4, dtype=torch.bool)))
    torch.testing.assert_close(made(padded, causal(real))[:, 3:], short)
    made.max_length = 11
    assert not torch.allclose(made(padded, causal(real))[:, 3:], short, atol=1e-4)


def test_a_layer_has_as_many_parameters_as_the_authors_code():
    for form, parts in (({}, 3), ({"gated_output_only": True}, 1)):
        made = HSTULayer(192, 1, 128, 256, max_length=10, **form)
        inner = 2 * 256 + 2 * 128
        assert sum(p.numel() for p in made.parameters()) == 192 * inner + inner + 2 * 192 + parts * 256 * 192 + 2 * 256


def test_histories_of_other_items_have_maps_of_their_own():
    features = {
        "item": tiny.CATEGORICAL,
        "shop": {**tiny.CATEGORICAL, "embedding_dim": 3},
        "items_seen": {**tiny.POOLED_SEQUENCE, "share_embedding": "item"},
        "shops_seen": {**tiny.POOLED_SEQUENCE, "share_embedding": "shop", "embedding_dim": 3},
    }
    model = tiny.build(HSTU, tiny.make_feature_map("shops", features, 4), embedding_dim=4)
    assert [item.norm.gain.numel() for item in model.item_tokens] == [4, 3]
    history = torch.tensor([[0, 0, 1, 2]])
    batch = {"item": torch.tensor([1]), "shop": torch.tensor([2]), "items_seen": history, "shops_seen": history}
    assert model(batch)["y_pred"].isfinite().all()


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"num_heads": 0}, "num_heads must be at least 1"),
        ({"output_dropout": 1.0}, "output_dropout must be at least 0 and below 1"),
        ({"target_field": ["item"]}, "named together"),
    ],
)
def test_what_does_not_fit_is_refused(chosen, message):
    with pytest.raises(ValueError, match=message):
        tiny.build(HSTU, **chosen)


CHECKOUT = os.environ.get("GENERATIVE_RECOMMENDERS_CHECKOUT")


def authors_module(name: str) -> ModuleType:
    file = Path(CHECKOUT) / "generative_recommenders" / "ops" / "pytorch" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"_authors_{name}", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def jagged_operators():
    """The two operators of fbgemm that the authors' code calls, for rows of several lengths laid one after another."""

    def to_padded(values: Tensor, offsets: list[Tensor], max_lengths: list[int], padding_value: float) -> Tensor:
        rows = values.tensor_split(offsets[0][1:-1].tolist())
        return torch.stack([F.pad(row, (0, 0, 0, max_lengths[0] - len(row)), value=padding_value) for row in rows])

    def to_jagged(dense: Tensor, offsets: list[Tensor], total: int) -> tuple[Tensor, list[Tensor]]:
        rows = torch.cat([row[:length] for row, length in zip(dense, offsets[0].diff().tolist(), strict=True)])
        assert len(rows) == total
        return rows, offsets

    library = torch.library.Library("fbgemm", "FRAGMENT")
    settings = "Tensor values, Tensor[] offsets, int[] max_lengths, float padding_value"
    library.define(f"jagged_to_padded_dense({settings}) -> Tensor")
    library.define("dense_to_jagged(Tensor dense, Tensor[] offsets, int total) -> (Tensor, Tensor[])")
    library.impl("jagged_to_padded_dense", to_padded, "CompositeImplicitAutograd")
    library.impl("dense_to_jagged", to_jagged, "CompositeImplicitAutograd")
    yield
    library._destroy()


@pytest.mark.skipif(not CHECKOUT, reason="GENERATIVE_RECOMMENDERS_CHECKOUT names no checkout of meta-recsys's code")
@pytest.mark.usefixtures("jagged_operators")
def test_a_layer_is_the_authors_own():
    made, n = layer(max_length=7), 7
    lengths = [7, 4, 1]
    real = torch.arange(n) < torch.tensor(lengths).unsqueeze(1)  # their padding comes behind
    x = torch.randn(3, n, D)
    ours = made(x, causal(real))

    attention, output = authors_module("pt_hstu_attention"), authors_module("pt_hstu_linear")
    flat = x[real]
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    u, v, q, k = F.linear(made.norm(flat), made.uvqk.weight, made.uvqk.bias).split(made.widths, dim=1)
    heads = (part.reshape(len(flat), HEADS, -1) for part in (q, k, v))
    c = attention.pytorch_hstu_mha(n, A**-0.5, *heads, seq_offsets=offsets, causal=True, training=False)
    theirs = output.pytorch_hstu_compute_output(
        attn=c.flatten(1),
        u=F.silu(u),
        x=flat,
        norm_weight=made.out_norm.weight,
        norm_bias=made.out_norm.bias,
        output_weight=made.out.weight.T,
        eps=1e-6,
        dropout_ratio=0.0,
        training=False,
        concat_u=True,
        concat_x=True,
    )
    print(f"largest difference {(ours[real] - theirs).abs().max():.1e}")
    torch.testing.assert_close(ours[real], theirs, rtol=0, atol=1e-6)

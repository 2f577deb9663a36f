"""InterFormer spelled out row by row, and what each side must not see of the other or of padding."""

import pytest
import torch
from torch import Tensor, nn

from fuxi_plugins.models.interformer import InterFormer
from fuxi_plugins.models.interformer_layers import Gate, HistorySummary, MaskedProjection, rotated
from tests.models import tiny

K, LENGTH, CLS, POOL, RECENT, SUMMARY = 4, tiny.SEQUENCE_LENGTH, 3, 2, 2, 3
N = 4  # fields that are no history
HISTORIES = [[0, 3, 5, 7], [0, 0, 0, 2], [0, 0, 0, 0], [4, 1, 0, 0]]  # in front, one, none, behind
SHAPE = {
    "embedding_dim": K,
    "num_summary_tokens": SUMMARY,
    "num_cls_tokens": CLS,
    "num_pooling_tokens": POOL,
    "num_recent_tokens": RECENT,
    "dot_width": 5,
    "cross_rank": 3,
    "dnn_hidden_units": [6],
}


def build(**settings) -> InterFormer:
    model = tiny.build(InterFormer, **{**SHAPE, **settings})
    tiny.randomize(model, 0.3)
    return model.eval()


def batch_with(histories: list[list[int]]) -> dict[str, Tensor]:
    return {**tiny.columns(len(histories)), "history": torch.tensor(histories)}


def rms(layer: nn.Module, x: Tensor) -> Tensor:
    return x / (x.square().mean(dim=-1, keepdim=True) + 1e-12).sqrt() * layer.gain


def gated(gate: Gate, z: Tensor) -> Tensor:
    inner = gate.mlp[0](z)
    found = gate.mlp[2](inner * inner.sigmoid())
    return z * found.sigmoid() if gate.kind == "self" else (z * found).sigmoid()


def summary_of_fields(part: nn.Sequential, x: Tensor) -> Tensor:
    mixed = [sum(w * token for w, token in zip(row, x, strict=True)) for row in part[0].linear.weight]
    return gated(part[1], torch.stack(mixed))


def summary_of_history(part: HistorySummary, s: Tensor, real: list[int]) -> Tensor:
    """``real`` are the places of S with a behaviour."""
    pooled = []
    for query in part.queries:
        powers = [(part.query_map(query) @ part.key_map(rms(part.norm, s[p])) / K**0.5).exp() for p in real]
        found = [power * part.value_map(s[p]) for power, p in zip(powers, real, strict=True)]
        pooled.append(part.output(sum(found) / sum(powers)) if real else torch.zeros(K))
    recent = [s[p] if p in real else torch.zeros(K) for p in range(len(s) - RECENT, len(s))]
    return gated(part.gate, torch.stack([*s[:CLS], *pooled, *recent]))


def turned(x: Tensor, place: int) -> Tensor:
    out = x.clone()
    for i in range(len(x) // 2):
        angle = torch.tensor(place * 10_000.0 ** (-2 * i / len(x)))
        a, b = x[2 * i], x[2 * i + 1]
        out[2 * i], out[2 * i + 1] = a * angle.cos() - b * angle.sin(), a * angle.sin() + b * angle.cos()
    return out


def sequence_side(part: nn.Module, s: Tensor, x_sum: Tensor, seen: list[int], num_heads: int) -> Tensor:
    personal = x_sum.T @ part.weight  # (k, k), by which a place is multiplied from the left
    normed = torch.stack([rms(part.norm, personal @ place) for place in s])
    q, k, v = ([matrix @ place for place in normed] for matrix in part.queries_keys_values.weight.chunk(3))
    width, out = K // num_heads, []
    for p in range(len(s)):
        heads = []
        for head in range(num_heads):
            own = slice(head * width, (head + 1) * width)
            powers = [(turned(q[p][own], p) @ turned(k[j][own], j) / width**0.5).exp() for j in seen]
            heads.append(sum(power * v[j][own] for power, j in zip(powers, seen, strict=True)) / sum(powers))
        out.append(s[p] + part.output(torch.cat(heads)))
    return torch.stack(out)


def fields_side(part: nn.Module, x: Tensor, s_sum: Tensor) -> Tensor:
    rows = torch.cat([x, s_sum])
    products = torch.stack([rows[i] @ rows[j] for i in range(len(rows)) for j in range(i + 1, len(rows))])
    dots = part.dot.mlp.mlp[-1](part.dot.mlp.mlp[0](products).clamp(min=0)).view(N, K)
    flat = rows.flatten()
    crossed = part.cross.rows.linear.weight @ (flat * part.cross.up(part.cross.down(flat))).view(-1, K)
    return rms(part.norm, x + dots + crossed)


@pytest.mark.parametrize(("num_heads", "gate"), [(1, "self"), (2, "paper")])
def test_it_is_its_formula(num_heads, gate):
    model, batch = build(num_heads=num_heads, gate=gate), batch_with(HISTORIES)
    embedded, others = model.embedding_layer(model.get_inputs(batch))
    expected = []
    for row, history in enumerate(HISTORIES):
        real = [s for s, item in zip(embedded["history"][row], history, strict=True) if item]
        x = others[row].view(N, K)
        padding = [torch.zeros(K)] * (LENGTH - len(real))
        s = torch.stack([*summary_of_fields(model.cls_tokens, x), *padding, *real])
        places = list(range(len(s) - len(real), len(s)))
        for layer in model.layers:
            x_sum = summary_of_fields(layer.summary_of_fields, x)
            s_sum = summary_of_history(layer.summary_of_history, s, places)
            x = fields_side(layer.fields, x, s_sum)
            s = sequence_side(layer.sequence, s, x_sum, [*range(CLS), *places], num_heads)
        last = [summary_of_fields(model.last_of_fields, x), summary_of_history(model.last_of_history, s, places)]
        expected.append(model.dnn(torch.cat(last).flatten().unsqueeze(0)).sigmoid())
    torch.testing.assert_close(model(batch)["y_pred"], torch.cat(expected))


def state() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(3)
    real = torch.tensor([[False, True, True, True], [False, False, False, True], [False, False, False, False]])
    return torch.randn(3, N, K), torch.randn(3, CLS + LENGTH, K), real


def test_a_closed_gate_of_the_history_hides_it_from_the_fields():
    layer, (x, s, real) = build().layers[0], state()
    other = torch.randn_like(s)
    assert not torch.allclose(layer(x, s, real)[0], layer(x, other, real)[0])
    with torch.no_grad():
        layer.summary_of_history.gate.mlp[2].weight.zero_()
        layer.summary_of_history.gate.mlp[2].bias.fill_(-1e4)
    torch.testing.assert_close(layer(x, s, real)[0], layer(x, other, real)[0])


def test_without_the_matrix_made_of_the_fields_the_history_stays_as_it_is():
    layer, (x, s, real) = build().layers[0], state()
    assert not torch.allclose(layer(x, s, real)[1], layer(x + 1, s, real)[1])
    with torch.no_grad():
        layer.sequence.weight.zero_()
    torch.testing.assert_close(layer(x, s, real)[1], s)


def test_the_matrix_made_of_the_fields_has_the_rank_of_their_summary():
    part = build(num_summary_tokens=2).layers[0].sequence
    for x_sum in torch.randn(3, 2, K):
        assert torch.linalg.matrix_rank(x_sum.T @ part.weight) == 2


def test_the_order_of_the_fields_is_that_of_the_map_that_mixes_them():
    part, (x, _, _) = build().layers[0].summary_of_fields, state()
    before, order = part(x), [2, 0, 3, 1]
    with torch.no_grad():
        part[0].linear.weight.copy_(part[0].linear.weight[:, order])
    torch.testing.assert_close(part(x[:, order]), before)


def test_what_stands_in_the_padding_does_not_matter():
    layer, (x, s, real) = build(num_heads=2).layers[0], state()
    kept = torch.cat([torch.ones(3, CLS, dtype=torch.bool), real], dim=1)
    other = torch.where(kept.unsqueeze(-1), s, 10 * torch.randn_like(s))
    (x_found, s_found), (x_expected, s_expected) = layer(x, other, real), layer(x, s, real)
    torch.testing.assert_close(x_found, x_expected)
    torch.testing.assert_close(s_found[kept], s_expected[kept])
    assert s_found.isfinite().all()


def test_turned_vectors_know_their_distance_alone():
    torch.manual_seed(0)
    q, k = torch.randn(2, 6, dtype=torch.float64)
    products = rotated(q.expand(5, 6)) @ rotated(k.expand(5, 6)).T  # by the two places
    for offset in range(-4, 5):
        diagonal = products.diagonal(offset)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))
    assert products[0].unique().numel() == 5


def two_histories():
    feature_map = tiny.feature_map(K)
    feature_map.features["seen"] = {**feature_map.features["history"], "max_len": 2, "share_embedding": "device"}
    feature_map.num_fields = feature_map.get_num_fields()
    feature_map.set_column_index()
    return feature_map


def test_several_histories_lie_side_by_side_with_their_latest_in_one_place():
    model = tiny.build(InterFormer, two_histories(), **SHAPE)
    assert isinstance(model.behaviours, MaskedProjection)
    batch = {**batch_with([[0, 0, 5, 7], [0, 0, 0, 0]]), "seen": torch.tensor([[0, 3], [0, 0]])}
    features = model.get_inputs(batch)
    embedded, _ = model.embedding_layer(features)
    behaviours, real = model.side_by_side(embedded, features)
    assert real.tolist() == [[False, False, True, True], [False] * 4]
    nothing, history, seen = torch.zeros(K), embedded["history"][0], embedded["seen"][0]
    rows = [[nothing, nothing], [nothing, nothing], [history[2], nothing], [history[3], seen[1]]]
    torch.testing.assert_close(behaviours[0], torch.stack([torch.cat(row) for row in rows]))
    assert model(batch)["y_pred"].isfinite().all()


def test_parameters():
    model = build(num_layers=2)
    rows = CLS + POOL + RECENT
    square, gate = K * K, 2 * (K * K + K)
    of_fields, of_history = N * SUMMARY + gate, POOL * K + 4 * square + K + gate
    both = N + rows
    pairs = both * (both - 1) // 2
    dot = (pairs * 5 + 5) + (5 * N * K + N * K)
    cross = 2 * both * K * 3 + both * K + both * N
    sequence = SUMMARY * K + 4 * square + K
    head = ((SUMMARY + rows) * K * 6 + 6) + (6 + 1)
    layers = 2 * (of_fields + of_history + dot + cross + K + sequence)
    total = sum(parameter.numel() for parameter in model.parameters())
    tables = sum(parameter.numel() for parameter in model.embedding_layer.parameters())
    assert total - tables == (N * CLS + gate) + layers + (of_fields + of_history) + head


def test_what_does_not_fit_is_refused():
    for settings, message in (
        ({"num_heads": 4}, "embedding_dim must be a multiple of twice_num_heads"),
        ({"num_recent_tokens": 5}, "num_recent_tokens must be at most the 4 places of a history, but it is 5"),
        ({"num_cls_tokens": 0}, "num_cls_tokens must be at least 1"),
        ({"gate": "open"}, "gate must be one of 'self', 'paper'"),
    ):
        with pytest.raises(ValueError, match=message):
            build(**settings)

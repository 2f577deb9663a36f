"""DMR and DMIN, spelled out row by row, and what must not depend on padding."""

import pytest
import torch
from torch import Tensor, nn

from fuxi_plugins.models.behaviour_scores import MLPScore
from fuxi_plugins.models.dmin import DMIN, BehaviorRefiner, MultiInterest, TargetPooling
from fuxi_plugins.models.dmr import DMR, ItemToItem, UserToItem
from tests.models import tiny

K, LENGTH = 4, tiny.SEQUENCE_LENGTH
HISTORIES = [[0, 3, 5, 7], [0, 0, 0, 2], [0, 0, 0, 0], [4, 1, 0, 0]]  # in front, one, none, behind


def build(model_class: type, **settings):
    small = {"embedding_dim": K, "attention_hidden_units": [5], "pos_emb_dim": 3, "dnn_activations": "ReLU"}
    model = tiny.build(model_class, **{**small, **settings})
    tiny.randomize(model, 0.3)
    return model.eval()


def batch_with(histories: list[list[int]]) -> dict[str, Tensor]:
    return {**tiny.columns(len(histories)), "history": torch.tensor(histories)}


def parts(model, batch: dict, row: int) -> tuple[Tensor, Tensor, list[Tensor], list[int]]:
    """Of one row: the flat vector of the other fields, the target, the real behaviours, and their places."""
    embedded, others = model.embedding_layer(model.get_inputs(batch))
    real = [s for s, item in zip(embedded["history"][row], batch["history"][row], strict=True) if item]
    return others[row], embedded["item"][row], real, list(range(LENGTH - len(real), LENGTH))


def mlp_score(score: MLPScore, query: Tensor, behaviour: Tensor) -> Tensor:
    x = torch.cat([query, behaviour, query - behaviour, query * behaviour])
    hidden = (score.mlp.mlp[0].weight @ x + score.mlp.mlp[0].bias).clamp(min=0)
    last = score.mlp.mlp[-1]
    return (last.weight @ hidden).squeeze() + (0 if last.bias is None else last.bias.squeeze())


def softmax_sum(scores: list[Tensor], vectors: list[Tensor]) -> Tensor:
    if not scores:
        return torch.zeros(K)
    powers = [score.exp() for score in scores]
    return sum(power * vector for power, vector in zip(powers, vectors, strict=True)) / sum(powers)


@pytest.mark.parametrize("relations", [False, True])
def test_dmr_is_its_formula(relations):
    switches = ("enable_i2i_rel", "enable_u2i_rel", "enable_sum_pooling")
    model = build(DMR, **dict.fromkeys(switches, relations))
    batch = batch_with(HISTORIES)
    expected = []
    for row in range(len(HISTORIES)):
        others, t, real, places = parts(model, batch, row)
        net = model.i2i_nets[0]
        queries = [net.query(torch.cat([t, net.positions.weight[place]])).clamp(min=0) for place in places]
        scores = [mlp_score(net.score, q, s) for q, s in zip(queries, real, strict=True)]
        found = [softmax_sum(scores, real)]
        if relations:
            found.append(torch.stack([torch.zeros(()), *scores]).sum().view(1))
            net = model.u2i_nets[0]
            queries = [net.query(net.positions.weight[place]).clamp(min=0) for place in places]
            pooled = softmax_sum([mlp_score(net.score, q, s) for q, s in zip(queries, real, strict=True)], real)
            user = net.output(pooled).clamp(min=0)
            found.append((user @ model.output_embedding["item"].weight[batch["item"][row]]).view(1))
            total = sum(real, start=torch.zeros(K))
            found += [total, total * t]
        expected.append(model.dnn(torch.cat([*found, others]).unsqueeze(0)).sigmoid())
    torch.testing.assert_close(model(batch)["y_pred"], torch.cat(expected))


def test_dmr_of_one_behaviour_pools_that_behaviour():
    torch.manual_seed(0)
    net = ItemToItem(K, LENGTH, 3, MLPScore(K, [5], "ReLU", 0.0))
    net.positions.init_weights()
    behaviours, real = torch.randn(2, LENGTH, K), torch.tensor([[False, False, True, False]] * 2)
    pooled, _ = net(torch.randn(2, K), behaviours, real)
    torch.testing.assert_close(pooled, behaviours[:, 2])


def test_the_positions_of_dmrs_user_learn_from_the_first_step():
    """From zero they never would: the gradient of ReLU is zero there."""
    model, batch = tiny.build(DMR), tiny.columns(64)
    model.compute_loss(model(batch), model.get_labels(batch)).backward()
    assert model.u2i_nets[0].positions.weight.grad.abs().max() > 0
    assert model.u2i_nets[0].query.weight.grad.abs().max() > 0


def test_dmr_has_output_embeddings_only_for_the_relation_that_reads_them():
    with_them, without = build(DMR), build(DMR, enable_u2i_rel=False)
    counts = [sum(parameter.numel() for parameter in model.parameters()) for model in (with_them, without)]
    user = LENGTH * 3 + (3 * K + K) + (4 * K * 5 + 5) + 5 + (K * K + K)
    assert counts[0] - counts[1] == tiny.VOCABULARY * K + user + 512  # the relation is an input of the MLP's 512


@pytest.mark.parametrize(("num_heads", "refiner"), [(1, False), (2, True), (4, True)])
def test_dmin_is_its_formula(num_heads, refiner):
    model = build(DMIN, num_heads=num_heads, use_behavior_refiner=refiner, enable_sum_pooling=True)
    batch = batch_with(HISTORIES)
    expected = []
    for row in range(len(HISTORIES)):
        others, t, real, places = parts(model, batch, row)
        refined = refined_row(model.refiners[0], real, num_heads) if refiner else real
        found = []
        part = model.interests[0]
        for index, head in enumerate(part.heads):
            vectors, scores = [], []
            for attended, s, place in zip(attention(part, index, refined), refined, places, strict=True):
                c = norm(head.layer_norm, head.output(attended) + s)
                z = head.ffn[2](head.ffn[0](c).clamp(min=0)) + c
                query = head.pooling.query(torch.cat([t, head.pooling.positions.weight[place]]))
                vectors.append(z)
                scores.append(mlp_score(head.pooling.score, query, z))
            found.append(softmax_sum(scores, vectors))
        total = sum(real, start=torch.zeros(K))
        expected.append(model.dnn(torch.cat([*found, total, total * t, others]).unsqueeze(0)).sigmoid())
    torch.testing.assert_close(model(batch)["y_pred"], torch.cat(expected))


def norm(layer: nn.LayerNorm, x: Tensor) -> Tensor:
    centred = x - x.mean()
    return centred / (centred.square().mean() + layer.eps).sqrt() * layer.weight + layer.bias


def attention(part: MultiInterest, head: int, sequence: list[Tensor]) -> list[Tensor]:
    """What each place finds among itself and those before it, (d,) each."""
    width = K // part.num_heads
    own = slice(head * width, (head + 1) * width)
    queries, keys, values = (
        [row[own] for row in rows] for rows in projected(part.queries_keys_values.weight, sequence)
    )
    return [pooled_before(queries, keys, values, place) for place in range(len(sequence))]


def projected(weight: Tensor, sequence: list[Tensor]) -> list[list[Tensor]]:
    return [[matrix @ s for s in sequence] for matrix in weight.chunk(3)]


def pooled_before(queries: list[Tensor], keys: list[Tensor], values: list[Tensor], place: int) -> Tensor:
    powers = [((queries[place] @ keys[j]) / len(keys[j]) ** 0.5).exp() for j in range(place + 1)]
    return sum(power * values[j] for j, power in enumerate(powers)) / sum(powers)


def refined_row(part: BehaviorRefiner, sequence: list[Tensor], num_heads: int) -> list[Tensor]:
    width = K // num_heads
    biases = part.attention.in_proj_bias.chunk(3)
    projections = [
        [p + bias for p in rows]
        for rows, bias in zip(projected(part.attention.in_proj_weight, sequence), biases, strict=True)
    ]
    out = []
    for place, s in enumerate(sequence):
        heads = []
        for head in range(num_heads):
            own = slice(head * width, (head + 1) * width)
            heads.append(pooled_before(*([row[own] for row in rows] for rows in projections), place))
        r = norm(part.layer_norm, s + part.attention.out_proj(torch.cat(heads)))
        out.append(part.ffn[2](part.ffn[0](r).clamp(min=0)) + r)
    return out


def interests(num_heads: int = 1) -> MultiInterest:
    torch.manual_seed(0)
    poolings = [TargetPooling(K, LENGTH, 3, MLPScore(K, [5], "ReLU", 0.0)) for _ in range(num_heads)]
    for pooling in poolings:
        pooling.positions.init_weights()
    return MultiInterest(K, poolings, 0.0, 0.0, layer_norm=True)


def test_a_head_that_finds_nothing_and_adds_nothing_pools_the_normed_history():
    part = interests()
    with torch.no_grad():
        part.queries_keys_values.weight[2 * K :].zero_()
        part.heads[0].ffn[2].weight.zero_()
        part.heads[0].ffn[2].bias.zero_()
    behaviours, target, real = torch.randn(3, LENGTH, K), torch.randn(3, K), torch.ones(3, LENGTH, dtype=torch.bool)
    (found,) = part(behaviours, target, real)
    torch.testing.assert_close(found, part.heads[0].pooling(part.heads[0].layer_norm(behaviours), target, real))


REAL = torch.tensor([[False, False, True, True], [False, False, False, False]])


@pytest.mark.parametrize("part", ["i2i", "u2i", "interests", "refiner"])
def test_what_stands_in_the_padding_does_not_matter(part):
    torch.manual_seed(0)
    behaviours, target = torch.randn(2, LENGTH, K), torch.randn(2, K)
    other = torch.where(REAL.unsqueeze(-1), behaviours, 10 * torch.randn_like(behaviours))
    score = MLPScore(K, [5], "ReLU", 0.0)
    if part == "u2i":
        net = UserToItem(K, LENGTH, 3, score)
        net.positions.init_weights()
        found, expected = net(other, REAL), net(behaviours, REAL)
    elif part == "i2i":
        net = ItemToItem(K, LENGTH, 0, score)
        found, expected = (torch.cat(net(target, s, REAL), dim=1) for s in (other, behaviours))
    elif part == "interests":
        net = interests(2)
        found, expected = (torch.cat(net(s, target, REAL), dim=1) for s in (other, behaviours))
    else:
        net = BehaviorRefiner(K, 2, "causal", 0.0, 0.0, layer_norm=True).eval()
        found, expected = (net(s, REAL)[REAL] for s in (other, behaviours))
    assert found.isfinite().all()
    torch.testing.assert_close(found, expected)


def test_only_the_refiner_of_fuxictr_sees_what_comes_later():
    torch.manual_seed(0)
    behaviours, real = torch.randn(1, LENGTH, K), torch.ones(1, LENGTH, dtype=torch.bool)
    later = torch.cat([behaviours[:, :-1], torch.randn(1, 1, K)], dim=1)
    for mask, sees in (("causal", False), ("fuxictr", True)):
        net = BehaviorRefiner(K, 2, mask, 0.0, 0.0, layer_norm=True).eval()
        assert torch.allclose(net(behaviours, real)[:, :-1], net(later, real)[:, :-1]) != sees


@pytest.mark.parametrize(("layer_norm", "positions"), [(True, True), (False, False)])
def test_parameters_of_dmin(layer_norm, positions):
    model = build(DMIN, num_heads=2, layer_norm=layer_norm, use_pos_emb=positions)
    ffn, normed = (K * 2 * K + 2 * K) + (2 * K * K + K), 2 * K * layer_norm
    refiner = 4 * (K * K + K) + ffn + normed
    pooling = (4 * K * 5 + 5) + 5 + positions * (LENGTH * 3 + (K + 3) * K + K)
    head = K // 2 * K + ffn + normed + pooling
    assert sum(p.numel() for p in model.refiners.parameters()) == refiner
    assert sum(p.numel() for p in model.interests.parameters()) == 3 * K * K + 2 * head


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="behaviour_width must be a multiple of num_heads, .*=4 and num_heads=3"):
        build(DMIN, num_heads=3)
    with pytest.raises(ValueError, match="refiner_mask must be one of 'causal', 'fuxictr'"):
        build(DMIN, refiner_mask="none")
    with pytest.raises(ValueError, match="needs a categorical field as the target item, but price is numeric"):
        build(DMR, target_field=["price"], sequence_field=["history"])

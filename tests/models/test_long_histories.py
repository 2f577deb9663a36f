"""SIM, ETA and SDIM spelled out row by row, the laws of picking, and LongCTR's own models where there is a checkout."""

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fuxi_plugins.models.item_tables import reading_rows
from fuxi_plugins.models.long_histories import SignHash, pick
from fuxi_plugins.models.registry import load_model_class
from tests.models import tiny

SEQUENCE = {**tiny.POOLED_SEQUENCE, "max_len": 6}
PAIR = {"target_field": [["item", "shop"]], "sequence_field": [["items_seen", "shops_seen"]]}
SETTINGS = {"embedding_dim": 3, "attention_dim": 4, "num_heads": 2, "dnn_hidden_units": [5]}
WIDTH = 6


def shop_map():
    features = {
        "item": {**tiny.CATEGORICAL, "source": "item"},
        "user": tiny.CATEGORICAL,
        "shop": {**tiny.CATEGORICAL, "source": "item"},
        "items_seen": {**SEQUENCE, "share_embedding": "item"},
        "shops_seen": {**SEQUENCE, "share_embedding": "shop"},
    }
    return tiny.make_feature_map("shops", features, 3)


def shop_batch(rows: int = 8) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)

    def ids(*shape: int) -> Tensor:
        return torch.randint(1, tiny.VOCABULARY, shape, generator=generator)

    batch = {"item": ids(rows), "user": ids(rows), "shop": torch.randint(1, 4, (rows,), generator=generator)}
    batch["items_seen"], batch["shops_seen"] = ids(rows, 6), torch.randint(1, 4, (rows, 6), generator=generator)
    for row, padding in ((0, 6), (1, 2), (2, 5)):  # nothing at all, two, all but one
        batch["items_seen"][row, :padding] = batch["shops_seen"][row, :padding] = 0
    return {**batch, "click": torch.arange(rows).remainder(2).float()}


def build(name: str, **chosen: Any) -> nn.Module:
    model = tiny.build(load_model_class(name), shop_map(), **{**SETTINGS, **PAIR, **chosen}).double()
    tiny.randomize(model, scale=0.5)
    return model.eval()


def attention(layer: nn.Module, target: Tensor, behaviours: list[Tensor]) -> Tensor:
    """Two heads of width two over a row's behaviours; zero where there is none."""
    if not behaviours:
        return torch.zeros_like(target)
    maps = layer.attention
    heads = []
    for part in (slice(0, 2), slice(2, 4)):
        query = (maps.W_q.weight @ target)[part]
        scores = torch.stack([query @ (maps.W_k.weight @ s)[part] / 2**0.5 for s in behaviours])
        weights = scores.exp() / scores.exp().sum()
        heads.append(sum(w * (maps.W_v.weight @ s)[part] for w, s in zip(weights, behaviours, strict=True)))
    return maps.W_o.weight @ torch.cat(heads)


def best(scores: list[float], count: int) -> list[int]:
    """The places of the highest scores, of equal ones the latest."""
    return sorted(range(len(scores)), key=lambda place: (-scores[place], -place))[:count]


def rows_of(model: nn.Module, batch: dict[str, Tensor]):
    """Of each row, its fields side by side, the target item, its real behaviours from the first to the latest."""
    tables = model.embedding_layer.embedding_dict.embedding_layers
    for row in range(len(batch["item"])):
        item, user, shop = (tables[name].weight[batch[name][row]] for name in ("item", "user", "shop"))
        pairs = zip(batch["items_seen"][row], batch["shops_seen"][row], strict=True)
        behaviours = [torch.cat([tables["item"].weight[seen], tables["shop"].weight[at]]) for seen, at in pairs if seen]
        yield row, torch.cat([item, user, shop]), torch.cat([item, shop]), behaviours


def check(model: nn.Module, name: str, expected: list[Tensor], batch: dict[str, Tensor]) -> None:
    predicted = model(batch)[name]
    assert predicted.std() > 1e-3
    torch.testing.assert_close(predicted, torch.stack(expected), rtol=0, atol=1e-9)
    weights = torch.linspace(-1, 2, len(expected), dtype=torch.float64).unsqueeze(1)
    parameters = list(model.parameters())
    slow = torch.autograd.grad((torch.stack(expected) * weights).sum(), parameters, allow_unused=True)
    fast = torch.autograd.grad((predicted * weights).sum(), parameters, allow_unused=True)
    for one, other in zip(fast, slow, strict=True):
        zero = torch.zeros(())
        torch.testing.assert_close(zero if one is None else one, zero if other is None else other, check_dtype=False)


@pytest.mark.parametrize("topk", [2, 50])
def test_sim_with_soft_search_is_its_equations(topk):
    model, batch = build("SIM", topk=topk, short_seq_len=3), shop_batch()
    predictions, searched = [], []
    for _, fields, target, behaviours in rows_of(model, batch):
        search = model.searches[0]
        scores = [(search.of_target.weight @ target) @ (search.of_behaviours.weight @ s) for s in behaviours]
        picked = [behaviours[place] for place in best([float(score.detach()) for score in scores], topk)]
        pooled = sum((r * s for r, s in zip(scores, behaviours, strict=True)), torch.zeros(WIDTH))
        short = attention(model.short_attentions[0], target, behaviours[-2:])
        long = attention(model.long_attentions[0], target, picked)
        predictions.append(model.dnn(torch.cat([fields, short, long])).sigmoid())
        searched.append(model.dnn_aux(torch.cat([fields, pooled])).sigmoid())
    check(model, "y_pred", predictions, batch)
    check(model, "y_search", searched, batch)


def test_sims_loss_is_that_of_the_prediction_and_of_the_search():
    model, batch = build("SIM", alpha=0.3, beta=0.7), shop_batch()
    labels, predicted = model.get_labels(batch).double(), model(batch)
    losses = {
        name: -(labels * predicted[name].log() + (1 - labels) * (1 - predicted[name]).log()).mean()
        for name in ("y_pred", "y_search")
    }
    torch.testing.assert_close(model.compute_loss(predicted, labels), 0.7 * losses["y_pred"] + 0.3 * losses["y_search"])


@pytest.mark.parametrize("topk", [1, 50])
def test_sim_with_hard_search_reads_the_behaviours_of_the_same_shop(topk):
    model = build("SIM", gsu_type="hard", search_field="shop", topk=topk, beta=1.0)
    batch, predictions = shop_batch(), []
    for row, fields, target, behaviours in rows_of(model, batch):
        shops = [
            int(shop) for shop, item in zip(batch["shops_seen"][row], batch["items_seen"][row], strict=True) if item
        ]
        same = [s for s, shop in zip(behaviours, shops, strict=True) if shop == batch["shop"][row]]
        short = attention(model.short_attentions[0], target, behaviours)
        long = attention(model.long_attentions[0], target, same[-topk:])
        predictions.append(model.dnn(torch.cat([fields, short, long])).sigmoid())
    assert model.dnn_aux is None
    check(model, "y_pred", predictions, batch)
    model.compute_loss(model(batch), model.get_labels(batch).double()).backward()


@pytest.mark.parametrize("hash_bits", [2, 40])
def test_eta_is_its_equations(hash_bits):
    model, batch, predictions = build("ETA", topk=2, short_seq_len=4, hash_bits=hash_bits), shop_batch(), []
    projections = model.hashes[0].projections[:, 0]
    for _, fields, target, behaviours in rows_of(model, batch):
        distances = [
            sum(bool(s @ projections[:, b] > 0) != bool(target @ projections[:, b] > 0) for b in range(hash_bits))
            for s in behaviours
        ]
        picked = [behaviours[place] for place in best([-d for d in distances], 2)]
        short = attention(model.short_attentions[0], target, behaviours[-3:])
        long = attention(model.long_attentions[0], target, picked)
        predictions.append(model.dnn(torch.cat([fields, short, long])).sigmoid())
    check(model, "y_pred", predictions, batch)


@pytest.mark.parametrize("l2_norm", [True, False])
def test_sdim_is_its_equations(l2_norm):
    model, batch = build("SDIM", num_hashes=3, hash_bits=2, l2_norm=l2_norm, short_seq_len=3), shop_batch()
    projections, predictions = model.hashes[0].projections, []
    for _, fields, target, behaviours in rows_of(model, batch):
        sums = []
        for h in range(3):
            bucket = [bool(target @ projections[:, h, b] > 0) for b in range(2)]
            inside = [s for s in behaviours if [bool(s @ projections[:, h, b] > 0) for b in range(2)] == bucket]
            total = sum(inside, torch.zeros(WIDTH, dtype=torch.float64))
            sums.append(total / total.norm() if l2_norm and inside else total)
        short = attention(model.short_attentions[0], target, behaviours[-2:])
        predictions.append(model.dnn(torch.cat([fields, short, sum(sums) / 3])).sigmoid())
    check(model, "y_pred", predictions, batch)


def test_sdim_of_behaviours_that_are_the_target_item_is_their_sum():
    model = build("SDIM", num_hashes=5, hash_bits=8)
    vector = torch.randn(WIDTH, dtype=torch.float64)
    same = model.hashes[0](vector.expand(4, WIDTH)) == model.hashes[0](vector)
    assert same.all()
    opposite = model.hashes[0](-vector) == model.hashes[0](vector)
    assert not opposite.any()


def test_vectors_share_a_bucket_as_often_as_their_angle_says():
    torch.manual_seed(0)
    hashed = SignHash(width=2, num_hashes=20_000, bits=3)
    one, other = torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0])  # at an angle of pi / 4
    shared = (hashed(one) == hashed(other)).all(dim=-1).float().mean().item()
    assert shared == pytest.approx((1 - 1 / 4) ** 3, abs=0.015)


@pytest.mark.parametrize("name", ["SIM", "ETA", "SDIM"])
def test_what_stands_in_the_padding_does_not_matter(name):
    model, batch = build(name), shop_batch()
    before = model(batch)
    assert all(values.isfinite().all() for values in before.values())
    tables = model.embedding_layer.embedding_dict.embedding_layers
    with torch.no_grad():
        tables["item"].weight[0], tables["shop"].weight[0] = 1e3, -1e3
    torch.testing.assert_close(model(batch), before, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["ETA", "SDIM"])
def test_the_projections_are_the_seeds_and_come_back_from_a_checkpoint(name):
    saved, loaded, batch = build(name), build(name), shop_batch()
    assert torch.equal(saved.hashes[0].projections, loaded.hashes[0].projections)
    loaded.hashes[0].projections.normal_()
    loaded.load_state_dict(saved.state_dict())
    assert torch.equal(loaded(batch)["y_pred"], saved(batch)["y_pred"])
    assert "hashes.0.projections" not in dict(saved.named_parameters())


@given(
    st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=8),
    st.integers(1, 9),
)
@settings(max_examples=100)
def test_the_best_of_the_real_are_picked_and_of_equal_ones_the_latest(behaviours, count):
    scores = torch.tensor([[float(score) for score, _ in behaviours]])
    real = torch.tensor([[is_real for _, is_real in behaviours]])
    places = pick(scores, real, count)[0].tolist()
    assert len(places) == min(count, len(behaviours))
    assert len(set(places)) == len(places)
    found = [place for place in places if behaviours[place][1]]
    all_real = [place for place, (_, is_real) in enumerate(behaviours) if is_real]
    assert found == sorted(all_real, key=lambda place: (-behaviours[place][0], -place))[:count]


@pytest.mark.parametrize(
    ("name", "chosen", "message"),
    [
        ("SIM", {"gsu_type": "hard"}, "hard search needs search_field, one of item, shop, but none is named"),
        ("SIM", {"gsu_type": "hard", "search_field": "user"}, "search_field must be one of item, shop, but"),
        ("SIM", {"search_field": "shop"}, "search_field has no meaning with gsu_type='soft'"),
        ("SIM", {"gsu_type": "hard", "search_field": "shop", "alpha": 1.0}, "alpha has no meaning with gsu_type='h"),
        ("SIM", {"gsu_type": "both"}, "gsu_type must be one of 'soft', 'hard'"),
        ("SIM", {"topk": 0}, "topk must be at least 1"),
        ("ETA", {"short_seq_len": 1}, "short_seq_len must be at least 2, the target item and a behaviour"),
        ("ETA", {"hash_bits": 0}, "hash_bits must be at least 1"),
        ("SDIM", {"num_heads": 3}, "attention_dim must be a multiple of num_heads"),
        ("SDIM", {"num_heads": 4, "use_qkvo": False}, "width_of_a_behaviour must be a multiple of num_heads"),
        ("SDIM", {"attention_dropout": 1.0}, "attention_dropout must be at least 0 and below 1"),
    ],
)
def test_what_does_not_fit_is_refused(name, chosen, message):
    with pytest.raises(ValueError, match=message):
        build(name, **chosen)


CHECKOUT = os.environ.get("LONGCTR_CHECKOUT")
# Settings of both, and the first row compared. LongCTR masks the latest one place off, so histories are empty or have
# four behaviours at least; and its SIM picks padding before a negative score, so that with few picked there is none.
CASES = [
    ("SIM", {"topk": 6}, 0),
    ("SIM", {"topk": 3, "alpha": 0.5, "beta": 2.0}, 2),
    ("ETA", {"topk": 6}, 0),
    ("ETA", {"topk": 3, "hash_bits": 400, "use_scale": False}, 0),  # so many bits that no distances are equal
    ("SDIM", {"num_hashes": 3, "hash_bits": 2}, 0),
    ("SDIM", {"num_hashes": 2, "l2_norm": True, "use_qkvo": False}, 0),
]
RENAMED = {
    "W_a.": "searches.0.of_target.",
    "W_b.": "searches.0.of_behaviours.",
    "short_attention.": "short_attentions.0.attention.",
    "long_attention.": "long_attentions.0.attention.",
    "embedding_layer.embedding_layer.": "embedding_layer.embedding_dict.",
    "random_rotations": "hashes.0.projections",
}


def longctr_class(name: str) -> type:
    spec = importlib.util.spec_from_file_location(f"_longctr_{name}", Path(CHECKOUT) / name / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


def given_to_longctr(key: str, value: Tensor, own: dict[str, Tensor], name: str) -> Tensor:
    """What LongCTR's entry is in our model: other names, and the fields of the item after all others."""
    if key == "powers_of_two":
        return value
    renamed = key
    for theirs, ours in RENAMED.items():
        renamed = renamed.replace(theirs, ours)
    given = own[renamed].reshape(value.shape)
    if key in ("dnn.mlp.0.weight", "dnn_aux.mlp.0.weight"):
        item, user, shop, *found = given.split(3, dim=1)
        short, long = found[:2], found[2:]
        swapped = [*long, *short] if name == "SDIM" else found
        given = torch.cat([user, item, shop, *swapped], dim=1)
    return given


@pytest.mark.skipif(not CHECKOUT, reason="LONGCTR_CHECKOUT names no checkout of reczoo/LongCTR")
@pytest.mark.parametrize(("name", "chosen", "first_row"), CASES)
def test_equal_weights_make_the_predictions_and_losses_of_longctr(name, chosen, first_row):
    chosen = {**chosen, "short_seq_len": 4}
    theirs = tiny.build(reading_rows(longctr_class(name)), shop_map(), **SETTINGS, **chosen).eval()
    ours = build(name, **chosen).float()
    own = ours.state_dict()
    theirs.load_state_dict({k: given_to_longctr(k, v, own, name) for k, v in theirs.state_dict().items()})
    count = sum(p.numel() for p in theirs.parameters() if p.requires_grad)
    assert sum(p.numel() for p in ours.parameters()) == count

    batch = tiny.take(shop_batch(32), [row for row in range(first_row, 32) if row != 2])  # it has one behaviour
    with torch.no_grad():
        predicted, reference = ours(batch), theirs(batch)
        losses = [model.add_loss(p, model.get_labels(batch)) for model, p in ((ours, predicted), (theirs, reference))]
    difference = (predicted["y_pred"] - reference["y_pred"]).abs().max()
    print(f"{name}: largest difference {difference:.1e}")
    assert predicted["y_pred"].std() > 1e-3
    torch.testing.assert_close(predicted["y_pred"], reference["y_pred"], rtol=0, atol=1e-6)
    torch.testing.assert_close(*losses, rtol=1e-5, atol=0)

"""Poly2 against its formula, pair by pair, and the hash against whole numbers in Python."""

import pytest
import torch

from fuxi_plugins.models.lr import LR
from fuxi_plugins.models.meta import count_parameters
from fuxi_plugins.models.poly2 import Poly2, hashed
from tests.models import tiny

BUCKETS = 1000


def built(**settings):
    model = tiny.build(Poly2, num_buckets=BUCKETS, **settings)
    tiny.randomize(model, scale=1.0)
    return model.eval()


def spelled_out_hash(pair: int, a: int, b: int, buckets: int) -> int:
    def signed(value: int) -> int:  # as 64 bits hold it
        value %= 2**64
        return value - 2**64 if value >= 2**63 else value

    mixed = signed((a * 0x1E3779B97F4A7C15 + b) * 0x3F58476D1CE4E5B9 + (pair + 1) * 0x14D049BB133111EB)
    mixed = signed((mixed ^ (mixed >> 30)) * 0x3F58476D1CE4E5B9)
    mixed = signed((mixed ^ (mixed >> 27)) * 0x14D049BB133111EB)
    return (mixed ^ (mixed >> 31)) % buckets


def values(batch, name: str, row: int) -> list[tuple[int, float]]:
    """The ids of a field in a row with their factors; padding is left out."""
    if name == "price":
        return [(0, float(batch[name][row]))]
    return [(int(value), 1.0) for value in batch[name][row].flatten() if value != 0]


@pytest.mark.parametrize("cross_field", [None, [["item", "user"], ["price", "history"]]])
def test_the_formula_pair_by_pair(cross_field):
    fields = ["user", "item", "device", "price", "history"]
    pairs = [(a, b) for i, a in enumerate(fields) for b in fields[i + 1 :]]
    if cross_field:
        pairs = [("user", "item"), ("price", "history")]
    model, batch = built(cross_field=cross_field), tiny.columns(8)
    batch["user"][0] = 0  # a missing value
    table = model.crosses.embedding_layer.embedding_layers["crosses"].weight
    linear = model.lr_layer(model.get_inputs(batch))
    with torch.no_grad():
        for row in range(8):
            logit = float(linear[row])
            for number, (first, second) in enumerate(pairs):
                for a, x in values(batch, first, row):
                    for b, y in values(batch, second, row):
                        logit += x * y * float(table[1 + spelled_out_hash(number, a, b, BUCKETS)])
            assert float(model(batch)["y_pred"][row]) == pytest.approx(1 / (1 + 2.718281828459045**-logit), abs=1e-6)


def test_the_hash_spreads_pairs_evenly_and_apart():
    """Of 40,000 pairs in 1,000 buckets, chi-squared with 999 degrees of freedom; 1,230 is 5 standard deviations up."""
    a, b = torch.arange(200).repeat_interleave(200).view(-1, 1), torch.arange(200).repeat(200).view(-1, 1)
    counts = torch.bincount(hashed(0, a, b, BUCKETS).flatten(), minlength=BUCKETS).double()
    assert len(counts) == BUCKETS
    assert 800 < float(((counts - 40) ** 2 / 40).sum()) < 1230
    for other in (hashed(1, a, b, BUCKETS), hashed(0, b, a, BUCKETS)):
        assert (hashed(0, a, b, BUCKETS) == other).double().mean() < 0.01


@pytest.mark.parametrize("pair", [0, 11, 12, 740])  # 39 fields have 741 pairs
def test_the_hash_of_any_pair_of_fields(pair):
    a, b = torch.tensor([[0], [3], [10**9]]), torch.tensor([[7], [0], [2**31]])
    expected = [spelled_out_hash(pair, x, y, BUCKETS) for x, y in zip(a[:, 0].tolist(), b[:, 0].tolist(), strict=True)]
    assert hashed(pair, a, b, BUCKETS).flatten().tolist() == expected


def test_the_table_of_pairs_counts_as_an_embedding():
    poly2, lr = count_parameters(built()), count_parameters(tiny.build(LR))
    assert (poly2.dense, poly2.embedding) == (lr.dense, lr.embedding + BUCKETS + 1)


@pytest.mark.parametrize(
    ("cross_field", "message"),
    [
        ([["user", "itme"]], "two fields a pair, of user, item, device, price, history, .*itme"),
        ([["user"]], "one pair is .'user'."),
        ([["user", "item", "device"]], "two fields a pair"),
        ([["history", "history"]], "two fields a pair"),
        ([["user", "item"], ["item", "user"]], "each pair once"),
    ],
)
def test_a_wrong_pair_is_one_clear_error(cross_field, message):
    with pytest.raises(ValueError, match=message):
        tiny.build(Poly2, cross_field=cross_field)

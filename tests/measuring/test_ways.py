"""Every way takes a step, and the bytes that are counted are those that operations read and write."""

import pytest
import torch
from measuring import ways

CPU = torch.device("cpu")


@pytest.mark.parametrize("way", ["exact", "plain-products", "bf16", "fuxictr", "token-loops"])
def test_a_way_takes_a_step(way):
    model = ways.WAYS[way]("RankElastor")
    assert torch.isfinite(torch.as_tensor(float(model.train_step(ways.CRITEO.batch(4, CPU)))))


def test_plain_products_are_torchs():
    turned, plain = (ways.WAYS[way]("DNN") for way in ("exact", "plain-products"))
    assert any("forward" in vars(layer) for layer in turned.modules())
    assert not any("forward" in vars(layer) for layer in plain.modules() if type(layer) is torch.nn.Linear)


def test_bytes_are_those_read_and_written():
    x, bias = torch.ones(30, 20), torch.ones(20)
    with ways.BytesMoved() as moved:
        y = (x + bias).t()  # 600 + 20 read, 600 written; a view moves none
        y @ x  # 600 + 600 read, 400 written
        bias.expand(7, 20).sum()  # 20 read, 1 written
    assert moved.others == 4 * (600 + 20 + 600 + 20 + 1)
    assert moved.products == 4 * (600 + 600 + 400)

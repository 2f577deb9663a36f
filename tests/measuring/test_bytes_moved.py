"""The bytes that are counted are those that operations read and write, compiled or not."""

import torch
from measuring.bytes_moved import BytesMoved


def test_bytes_are_those_read_and_written():
    x, bias = torch.ones(30, 20), torch.ones(20)
    with BytesMoved() as moved:
        y = (x + bias).t()  # 600 + 20 read, 600 written; a view moves none
        y @ x  # 600 + 600 read, 400 written
        bias.expand(7, 20).sum()  # 20 read, 1 written
        torch.add(x, 1, out=torch.empty(30, 20))  # 600 read, 600 written
        x.add_(1)  # 600 read, 600 written
    assert moved.others == 4 * (600 + 20 + 600 + 20 + 1 + 4 * 600)
    assert moved.products == 4 * (600 + 600 + 400)

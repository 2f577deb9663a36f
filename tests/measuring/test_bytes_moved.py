"""The bytes that are counted are those that operations read and write, compiled or not."""

import pytest
import torch
from measuring import bytes_moved
from measuring.bytes_moved import BytesMoved, watch_compiler
from torch._inductor.graph import GraphLowering


def test_bytes_are_those_read_and_written():
    x, bias = torch.ones(30, 20), torch.ones(20)
    with BytesMoved() as moved:
        y = (x + bias).t()  # 600 + 20 read, 600 written; a view moves none
        y @ x  # 600 + 600 read, 400 written
        bias.expand(7, 20).sum()  # 20 read, 1 written
        torch.add(x, 1, out=torch.empty(30, 20))  # 600 read, 600 written
        x.add_(1)  # 600 read, 600 written
        x.copy_(torch.empty(30, 20))  # 600 read, 600 written
        x.zero_()  # 600 written
    assert moved.others == 4 * (600 + 20 + 600 + 20 + 1 + 7 * 600)
    assert moved.products == 4 * (600 + 600 + 400)


@pytest.mark.slow  # it calls the C++ compiler
def test_what_a_compiler_fused_is_counted_once(monkeypatch):
    monkeypatch.setattr(GraphLowering, "compile_to_module", GraphLowering.compile_to_module)
    monkeypatch.setattr(bytes_moved.torch._inductor.config, "force_disable_caches", False)
    watch_compiler()
    x, weight = torch.ones(300, 20), torch.ones(20, 40)
    compiled = torch.compile(lambda x, weight: torch.relu(2 * (x @ weight) + 1))
    compiled(x, weight)
    for _ in range(2):
        with BytesMoved() as moved:
            compiled(x, weight)
        assert moved.products == 4 * (6000 + 800 + 12_000)
        assert moved.others == 4 * (12_000 + 12_000)  # one kernel reads the product and writes the result

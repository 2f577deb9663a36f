"""Where UniMixer's mixing starts, and Sinkhorn's normalisation in half precision. Values are tested with the model."""

import pytest
import torch
from torch import Tensor

from fuxi_plugins.layers.unimixing import UniMixing, UniMixingLite, sinkhorn

NUM_TOKENS, TOKEN_DIM, BLOCK = 8, 32, 8
BLOCKS = NUM_TOKENS * TOKEN_DIM // BLOCK
SHAPE = {"num_tokens": NUM_TOKENS, "token_dim": TOKEN_DIM, "block_size": BLOCK, "symmetric": False}


def require_std(values: Tensor, expected: float) -> None:
    assert values.std().item() == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(("iterations", "local", "of_all"), [(3, 1.0, 1.0), (0, BLOCK**-0.5, BLOCKS**-0.5)])
def test_logits_start_at_one_under_sinkhorn_and_else_at_the_scale_of_a_map(iterations, local, of_all):
    torch.manual_seed(0)
    full = UniMixing(iterations=iterations, **SHAPE)
    require_std(full.local_weight, local)
    require_std(full.global_weight, of_all)
    light = UniMixingLite(iterations=iterations, num_bases=30, rank=16, **SHAPE)
    require_std(light.bases, local)
    require_std(light.global_left, 1.0)
    require_std(light.global_right, of_all)
    require_std(light.global_logits(), of_all)


def test_without_sinkhorn_the_map_keeps_the_scale_of_its_input_at_the_start():
    torch.manual_seed(0)
    require_std(UniMixing(iterations=0, **SHAPE)(torch.randn(50, NUM_TOKENS, TOKEN_DIM), temperature=1.0), 1.0)


def test_each_block_starts_on_one_of_the_bases_in_turn():
    weight = UniMixingLite(iterations=0, num_bases=3, rank=2, **SHAPE).basis_weight
    expected = torch.eye(3).repeat(BLOCKS, 1)[:BLOCKS]
    torch.testing.assert_close(weight.detach(), expected, rtol=0, atol=0.06)
    assert not torch.equal(weight, expected)  # else two blocks would stay equal


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_loses_no_more_than_its_rounding(dtype):
    logits = torch.randn(5, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    found = sinkhorn(logits, temperature=0.05, iterations=20)
    assert found.dtype == dtype
    assert torch.equal(found, sinkhorn(logits.float(), temperature=0.05, iterations=20).to(dtype))

import pytest
import torch

from fuxi_plugins.layers.dropout import (
    BITS,
    Dropout,
    as_whole_numbers,
    drop_,
    keep_mask,
    keep_or_drop,
    random_bits,
    threshold,
)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.75])
def test_the_rate_and_the_mean(p):
    torch.manual_seed(0)
    x = torch.ones(1000, 1001, requires_grad=True)
    out = Dropout(p)(x)
    assert out.eq(0).double().mean().item() == pytest.approx(p, abs=3e-3)
    assert out.detach().double().mean().item() == pytest.approx(1, abs=1e-2)
    assert out[out != 0].unique().numel() == 1
    out.sum().backward()
    assert torch.equal(x.grad, out)


def test_values_are_dropped_independently():
    torch.manual_seed(0)
    kept = (Dropout(0.5)(torch.ones(400, 400)) != 0).double() - 0.5
    for shifted in (kept.roll(1, 0), kept.roll(1, 1), kept.roll(4, 1), kept.T):
        assert abs((kept * shifted).mean().item()) < 4 * 0.25 / 400


def test_the_seed_decides():
    def draw(seed):
        torch.manual_seed(seed)
        return Dropout(0.3)(torch.ones(7, 9)), Dropout(0.3)(torch.ones(7, 9))

    assert torch.equal(draw(1)[0], draw(1)[0])
    assert not torch.equal(draw(1)[0], draw(2)[0])
    assert not torch.equal(*draw(1))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("p", [0.1, 0.37, 0.5])
def test_a_mask_is_what_the_draws_say(dtype, p):
    dropped = round(p * 2**BITS)
    torch.manual_seed(0)
    mask = keep_mask(torch.empty(30, 40, dtype=dtype), dropped)
    torch.manual_seed(0)
    kept = random_bits(mask.numel()).view_as(mask) >= threshold(dropped)
    assert mask.dtype == dtype
    assert torch.equal(mask, kept.to(dtype).div_(1 - dropped / 2**BITS))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_values_are_dropped_in_place_by_the_draws_of_a_mask(dtype):
    x = torch.randn(30, 40).to(dtype)
    x[3] = torch.nan  # stays, so that a diverging run is seen
    torch.manual_seed(0)
    kept = keep_or_drop(torch.empty_like(x), 6554)
    dropped, buffer = x.clone(), torch.empty_like(x)
    torch.manual_seed(0)
    drop_(dropped, 6554, buffer)
    assert torch.equal(dropped.nan_to_num(9), torch.where(kept > 0, x, 0).nan_to_num(9))
    assert dropped[3].isnan().any()


def test_whole_numbers_of_bfloat16_are_dropped_and_stopped_alike():
    """Of numbers of 0 or more, which is what ReLU leaves."""
    x = torch.cat([torch.zeros(9), torch.logspace(-38, 38, 500)]).bfloat16()
    ones = torch.arange(len(x)).remainder(2)
    assert torch.equal(x * ones, as_whole_numbers(x.clone()).mul_(ones.short()).view(torch.bfloat16))
    assert torch.equal(as_whole_numbers(x) > 0, x > 0)


def test_it_rests_in_evaluation_and_at_zero():
    x = torch.randn(4, 5)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)
    assert Dropout(1.0)(x).eq(0).all()


def test_a_view_that_is_not_contiguous():
    x = torch.randn(6, 4, dtype=torch.float64).t().requires_grad_()
    torch.manual_seed(0)
    out = Dropout(0.5)(x)
    assert ((out == 0) | torch.isclose(out, 2 * x)).all()
    assert 0 < out.eq(0).sum() < out.numel()

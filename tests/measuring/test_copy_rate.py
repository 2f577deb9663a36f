"""A copy rate is a rate, and one that moved by more than a third says so."""

import pytest
import torch
from measuring.clock import seconds
from measuring.copy_rate import CopyRates, copy_rate


@pytest.mark.parametrize(
    ("before", "after", "moved"), [(9.0, 9.0, False), (9.0, 11.9, False), (9.0, 12.1, True), (12.1, 9.0, True)]
)
def test_a_rate_that_moved_by_more_than_a_third_has_moved(before, after, moved):
    assert CopyRates(before, after).moved == moved


def test_the_rate_is_what_a_copy_takes():
    source = torch.ones(1 << 24)
    target = torch.empty_like(source)
    taken = min(seconds(lambda: target.copy_(source), torch.device("cpu")) for _ in range(5))
    rate = 2 * source.nbytes / taken / 1e9
    assert rate / 5 < copy_rate(torch.device("cpu")) < rate * 5

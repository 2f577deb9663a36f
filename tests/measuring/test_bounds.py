"""The statements hold where their assumption does, and are passed where the model breaks it."""

import pytest
import torch
from measuring.bounds import STATEMENTS, check_statements, measure_effects, rank_of_one_plus_p, with_spectrum

from fuxi_plugins.diagnostics.rank import singular_values

SHAPES = [(6, 12), (7, 7)]
OUTCOMES = list(check_statements(SHAPES, ranks=[1, 2], draws=4))


@pytest.mark.parametrize("shape", [(2, 4), (3, 3), (4, 12), (7, 7)])
def test_half_of_what_mixing_by_transposes_sees_is_lost(shape):
    assert rank_of_one_plus_p(*shape) == shape[1] * (shape[0] + 1) / 2


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda statement: statement.name)
def test_a_bound_is_passed_where_its_assumption_is_broken_and_only_there(statement):
    found = [outcome for outcome in OUTCOMES if outcome.statement == statement.name]
    passed = [outcome.largest > outcome.bound for outcome in found]
    assert len(found) == 4
    assert any(passed) if statement.broken else not any(passed)


def test_a_bound_that_holds_is_reached_somewhere():
    for statement in STATEMENTS:
        if not statement.broken:
            assert any(o.largest == o.bound for o in OUTCOMES if o.statement == statement.name), statement.name


def test_the_inputs_have_the_spectrum_that_was_asked_for():
    torch.manual_seed(0)
    s = singular_values(with_spectrum(3, 5, 8, decay=1.5))
    torch.testing.assert_close(s, (torch.arange(1, 6, dtype=torch.float64) ** -1.5).expand(3, 5))


def test_full_mixing_fills_a_spectrum_before_any_training():
    effects = {effect.part: effect for effect in measure_effects([(8, 8)], decays=[3.0], draws=16)}
    assert effects["full mixing"].entropy_out > 2 * effects["full mixing"].entropy_in
    assert effects["full mixing"].entropy_out > effects["X + P X"].entropy_out

"""The parts of what a command takes add up to it."""

import pytest
from measure_fixed_costs import split

from tests.training.test_runner import make_job, run


def test_the_parts_add_up(workspace, tmp_path):
    record = run(make_job(workspace, tmp_path))
    record = record.model_copy(
        update={"seconds": record.seconds.model_copy(update={"train": 6.0, "evaluation": 1.0, "total": 8.0})}
    )
    parts = split([record, record], whole=20.0)
    assert list(parts.values()) == pytest.approx([12.0, 2.0, 2.0, 4.0])
    assert sum(parts.values()) == 20.0

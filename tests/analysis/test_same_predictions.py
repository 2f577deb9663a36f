"""Which seeds predict the same, and which of them are copies."""

import pytest

from fuxi_plugins.analysis.same_predictions import same_predictions
from fuxi_plugins.records.parts import Code, Epoch, Seconds
from tests.analysis.make import record


def run(seed, model="MyModel", *, loss=0.5, took=None, **changes):
    """A run whose time is its own, unless it is said."""
    took = took or float(seed)
    seconds = Seconds(train=took, evaluation=1.0, total=took + 1, per_epoch=took)
    epoch = Epoch(epoch=1, step=1, train_loss=loss, learning_rate=1e-3, valid={}, seconds=took, evaluation_seconds=1.0)
    return record(model, seed, seconds=seconds, history=[epoch], **changes)


def found(*runs, digests=None):
    return [(one.seeds, one.copied) for one in same_predictions(runs, lambda run: (digests or {}).get(run.seed, "d"))]


@pytest.mark.parametrize(
    ("runs", "copied"),
    [
        ([run(1, took=7.0), run(2, took=7.0)], True),
        ([run(1, "LightGBM"), run(2, "LightGBM")], False),
        ([run(1, "LightGBM", took=7.0), run(2, "LightGBM", took=7.0)], True),
        ([run(1, "DCNv2"), run(2, "DCNv2")], True),
        ([run(1, "DCNv2", loss=71.1), run(2, "DCNv2", loss=71.2)], False),
        ([run(1), run(2)], False),
    ],
    ids=[
        "the same times", "trees without sampling", "trees with the same times", "a network with the same losses",
        "a network that collapsed to a constant", "a model that we do not know",
    ],
)  # fmt: skip
def test_a_copy_is_told_from_a_model_that_the_seed_does_not_change(runs, copied):
    assert found(*runs) == [([1, 2], copied)]


def test_only_equal_predictions_of_the_same_settings_and_code_are_named():
    assert found(run(3), run(2), run(1), digests={2: "other"}) == [([1, 3], False)]
    assert found(run(1), run(2, code=Code(model="revision 2", training="revision 1"))) == []
    assert found(run(1), run(2, test=0.71)) == []
    assert found(run(1), run(2), digests={1: None, 2: None}) == []

"""Our metrics against FuxiCTR's own functions and against arithmetic done by hand."""

import numpy as np
import pytest
from fuxictr.metrics import evaluate_block, gAUC
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from fuxi_plugins.runs.metrics import evaluate_metrics, group_auc


def fuxictr_group_auc(labels, scores, groups):
    """FuxiCTR's definition, one group after the other (it would start a process pool)."""
    import polars as pl

    table = pl.DataFrame({"group_index": groups, "y_true": labels, "y_pred": scores})
    parts = [evaluate_block(part, [gAUC])[0] for part in table.partition_by("group_index")]
    total, weight = np.array(parts).sum(axis=0)
    return total / weight


def test_group_auc_by_hand():
    #          group 1: one of two pairs right | group 2: all right, three rows | group 3: one class, does not count
    groups = np.array([1, 1, 1, 2, 2, 2, 3, 3])
    labels = np.array([1, 0, 0, 0, 1, 1, 1, 1])
    scores = np.array([0.5, 0.4, 0.6, 0.1, 0.2, 0.3, 0.9, 0.1])
    assert group_auc(labels, scores, groups) == pytest.approx((0.5 * 3 + 1.0 * 3) / 6)


def test_tied_scores_count_half():
    assert group_auc(np.array([1, 0]), np.array([0.5, 0.5]), np.array([4, 4])) == 0.5


def test_without_a_group_of_both_classes_there_is_no_value():
    assert np.isnan(group_auc(np.array([1, 0]), np.array([0.5, 0.4]), np.array([1, 2])))


@given(st.lists(st.tuples(st.integers(-3, 4), st.integers(0, 1), st.integers(0, 5)), min_size=2, max_size=60))
def test_group_auc_is_fuxictrs(rows):
    groups, labels, scores = (np.array(column) for column in zip(*rows, strict=True))
    counted = [set(labels[groups == group]) == {0, 1} for group in set(groups)]
    if not any(counted):
        return
    assert group_auc(labels, scores / 5, groups) == pytest.approx(
        fuxictr_group_auc(labels, scores / 5, groups), abs=1e-9
    )


def test_group_auc_is_fuxictrs_at_size():
    random = np.random.default_rng(0)
    groups, labels = random.integers(0, 300, 20_000), random.integers(0, 2, 20_000)
    scores = np.round(random.random(20_000) * 0.5 + 0.1 * labels, 2)  # many ties
    assert group_auc(labels, scores, groups) == pytest.approx(fuxictr_group_auc(labels, scores, groups), abs=1e-9)


def test_auc_and_logloss_are_the_librarys():
    random = np.random.default_rng(1)
    labels, scores = random.integers(0, 2, 500), random.random(500).astype(np.float32)
    scores[:2] = 0.0, 1.0
    found = evaluate_metrics(labels, scores, ["AUC", "logloss"])
    assert found == {
        "AUC": roc_auc_score(labels, scores.astype(np.float64)),
        "logloss": log_loss(labels, scores.astype(np.float64)),
    }


def test_what_cannot_be_measured_is_an_error():
    with pytest.raises(ValueError, match="group_id"):
        evaluate_metrics([0, 1], [0.1, 0.2], ["gAUC"])
    with pytest.raises(ValueError, match="not 'auc'"):
        evaluate_metrics([0, 1], [0.1, 0.2], ["auc"])

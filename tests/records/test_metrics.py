"""Our metrics against FuxiCTR's own functions and against arithmetic done by hand."""

import numpy as np
import pytest
from fuxictr.metrics import MRR, NDCG, avgAUC, evaluate_block, gAUC
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from fuxi_plugins.records.metrics import evaluate_metrics

IN_GROUPS = {"gAUC": gAUC, "avgAUC": avgAUC, "MRR": MRR, **{f"NDCG(k={k})": NDCG(k=k) for k in (1, 3, 7)}}


def fuxictrs(metric, labels, scores, groups):
    """FuxiCTR's definition, one group after the other (it would start a process pool)."""
    import polars as pl

    table = pl.DataFrame({"group_index": groups, "y_true": labels, "y_pred": scores})
    parts = [evaluate_block(part, [IN_GROUPS[metric]])[0] for part in table.partition_by("group_index")]
    total, weight = np.array(parts).sum(axis=0)
    return total / weight


def test_group_auc_by_hand():
    #          group 1: one of two pairs right | group 2: all right, three rows | group 3: one class, does not count
    groups = np.array([1, 1, 1, 2, 2, 2, 3, 3])
    labels = np.array([1, 0, 0, 0, 1, 1, 1, 1])
    scores = np.array([0.5, 0.4, 0.6, 0.1, 0.2, 0.3, 0.9, 0.1])
    assert evaluate_metrics(labels, scores, ["gAUC"], groups)["gAUC"] == pytest.approx((0.5 * 3 + 1.0 * 3) / 6)


def test_tied_scores_count_half():
    assert evaluate_metrics([1, 0], [0.5, 0.5], ["gAUC"], np.array([4, 4])) == {"gAUC": 0.5}


def test_without_a_group_of_both_classes_there_is_no_value():
    assert np.isnan(evaluate_metrics([1, 0], [0.5, 0.4], ["gAUC"], np.array([1, 2]))["gAUC"])


@given(st.lists(st.tuples(st.integers(-3, 4), st.integers(0, 1), st.integers(0, 5)), min_size=2, max_size=60))
def test_aucs_within_groups_are_fuxictrs(rows):
    groups, labels, scores = (np.array(column) for column in zip(*rows, strict=True))
    counted = [set(labels[groups == group]) == {0, 1} for group in set(groups)]
    if not any(counted):
        return
    for metric in ("gAUC", "avgAUC"):
        ours = evaluate_metrics(labels, scores / 5, [metric], groups)[metric]
        assert ours == pytest.approx(fuxictrs(metric, labels, scores / 5, groups), abs=1e-9)


@given(st.lists(st.tuples(st.integers(-3, 4), st.integers(0, 1)), min_size=1, max_size=60), st.randoms())
def test_rankings_within_groups_are_fuxictrs(rows, random):
    """Without ties: FuxiCTR leaves their order to an unstable sort."""
    groups, labels = (np.array(column) for column in zip(*rows, strict=True))
    scores = np.array(random.sample(range(1000), len(rows))) / 1000
    for metric in ("MRR", "NDCG(k=1)", "NDCG(k=3)", "NDCG(k=7)"):
        ours = evaluate_metrics(labels, scores, [metric], groups)[metric]
        assert ours == pytest.approx(fuxictrs(metric, labels, scores, groups), abs=1e-9)


@pytest.mark.parametrize("metric", IN_GROUPS)
def test_metrics_within_groups_are_fuxictrs_at_size(metric):
    random = np.random.default_rng(0)
    groups, labels = random.integers(0, 300, 20_000), random.integers(0, 2, 20_000)
    scores = random.random(20_000) * 0.5 + 0.1 * labels
    if "AUC" in metric:
        scores = scores.round(2)  # many ties
    ours = evaluate_metrics(labels, scores, [metric], groups)[metric]
    assert ours == pytest.approx(fuxictrs(metric, labels, scores, groups), abs=1e-9)


def test_ranking_by_hand():
    groups, labels, scores = np.array([1, 1, 1, 2, 2]), np.array([0, 1, 1, 0, 0]), np.array([0.9, 0.5, 0.1, 0.3, 0.2])
    found = evaluate_metrics(labels, scores, ["MRR", "NDCG(k=2)"], groups)
    assert found["MRR"] == pytest.approx((1 / 2 + 1 / 3) / 2 / 2)  # the second group has no positive
    gain, ideal = 1 / np.log2(3), 1 + 1 / np.log2(3)
    assert found["NDCG(k=2)"] == pytest.approx(gain / ideal / 2)


def test_auc_and_logloss_are_the_librarys():
    random = np.random.default_rng(1)
    labels, scores = random.integers(0, 2, 500), random.random(500).astype(np.float32)
    scores[:2] = 0.0, 1.0
    scores[2:200] = scores[2:200].round(1)  # ties, some of them at 0 and 1
    found = evaluate_metrics(labels, scores, ["AUC", "logloss"])
    assert found["AUC"] == pytest.approx(roc_auc_score(labels, scores.astype(np.float64)), abs=1e-12)
    assert found["logloss"] == pytest.approx(log_loss(labels, scores.astype(np.float64)), abs=1e-12)
    assert np.isnan(evaluate_metrics([1, 1], [0.1, 0.2], ["AUC"])["AUC"])


def test_what_cannot_be_measured_is_an_error():
    with pytest.raises(ValueError, match="group_id"):
        evaluate_metrics([0, 1], [0.1, 0.2], ["gAUC"])
    with pytest.raises(ValueError, match="there is no metric 'auc'; did you mean 'AUC'"):
        evaluate_metrics([0, 1], [0.1, 0.2], ["auc"])

"""The table of metrics: what it says of each metric holds, and everything else asks it."""

import ast
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.metrics import (
    Scored,
    UnknownMetric,
    all_metrics,
    calibration,
    check_metrics,
    evaluate_metrics,
    find_metric,
    is_metric,
    main_metric,
    usual_group_metrics,
    usual_metrics,
)
from tests.conftest import ROOT
from tests.records.new_metric import load_page_script, new_metric

METRICS = {metric.name: metric for metric in all_metrics()}


@pytest.mark.parametrize("name", METRICS)
def test_an_entry_says_what_a_reader_needs(name):
    metric = METRICS[name]
    assert metric.name == name
    assert metric.meaning.endswith(".")
    assert len(metric.meaning) > 20 or name == "PCOC"
    assert metric.source
    assert metric.bounds[0] < metric.bounds[1]
    assert metric.target is None or metric.bounds[0] < metric.target < metric.bounds[1]


@st.composite
def scored(draw):
    """Any predictions, ties and certainties among them, with at least one row of each class."""
    rows = draw(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8), st.integers(0, 3)), min_size=1, max_size=30))
    labels, eighths, groups = (np.array(column) for column in zip((1, 3, 0), (0, 3, 0), *rows, strict=True))
    return Scored(labels, eighths / 8, groups, {"user_id": groups})


@given(scored())
def test_no_value_is_out_of_bounds(data):
    values = {name: metric.value(data) for name, metric in METRICS.items()}
    assert all(isinstance(value, float) for value in values.values())
    check_metrics({name: value for name, value in values.items() if np.isfinite(value)})


def test_bounds_are_reached():
    labels, group = np.array([1.0, 0.0]), np.zeros(2, int)
    wrong = Scored(labels, 1 - labels, group, {"user_id": group})
    assert METRICS["logloss"].value(wrong) == METRICS["logloss"].bounds[1]
    assert METRICS["AUC"].value(wrong) == METRICS["gAUC"].value(wrong) == 0
    assert METRICS["ECE"].value(wrong) == 1
    unclicked = Scored([0.0, 1.0], [1.0, 1.0], group, {"user_id": np.array([0, 1])})
    assert METRICS["field-RCE(user_id)"].value(unclicked) == METRICS["field-RCE(user_id)"].bounds[1] / 2


@pytest.mark.parametrize("name", METRICS)
def test_the_direction_is_the_right_one(name):
    """The true probabilities are better than the same with noise and too high, by every metric."""
    random = np.random.default_rng(0)
    truth = random.beta(1, 3, 20_000)
    labels, group = (random.random(20_000) < truth).astype(float), random.integers(0, 500, 20_000)
    noisy = (truth + random.normal(0.1, 0.2, 20_000)).clip(0.001, 0.999)
    good, bad = (METRICS[name].value(Scored(labels, scores, group, {"user_id": group})) for scores in (truth, noisy))
    assert METRICS[name].sort_key(good) < METRICS[name].sort_key(bad)


def test_a_target_is_missed_on_either_side():
    metric = find_metric("PCOC")
    assert metric.sort_key(1.1) == pytest.approx(metric.sort_key(0.9))
    assert metric.sort_key(1.05) < metric.sort_key(0.9)
    assert (metric.slope(1.1), metric.slope(0.9)) == (1, -1)
    assert metric.compared_name == "|PCOC - 1|"
    assert metric.compared(0.9) == pytest.approx(0.1)


def test_values_by_hand():
    labels, scores = np.array([0, 1, 0, 1.0]), np.array([0.1, 0.3, 0.6, 0.9])
    data = Scored(labels, scores, None, {"user_id": np.array([7, 7, 7, 9])})
    loss = -np.log([0.9, 0.3, 0.4, 0.9]).mean()
    assert METRICS["NE"].value(data) == pytest.approx(loss / np.log(2))
    assert METRICS["RIG"].value(data) == pytest.approx(1 - loss / np.log(2))
    assert METRICS["PCOC"].value(data) == pytest.approx(1.9 / 2)
    assert METRICS["ECE"].value(data) == pytest.approx((0.1 + 0.7 + 0.6 + 0.1) / 4)  # 20 bins: each row alone
    # Value 7: three rows, 1.0 predicted and 1 observed. Value 9: one row, 0.9 predicted, 1 observed.
    assert METRICS["field-RCE(user_id)"].value(data) == pytest.approx((3 * 0 + 1 * 0.1 / 1.01) / 4)


def test_the_base_rate_is_calibrated_and_says_nothing():
    data = Scored(np.tile([0, 0, 0, 1], 100), np.full(400, 0.25))
    assert calibration(data) == pytest.approx({"NE": 1, "ECE": 0, "PCOC": 1})


def test_bins_are_of_equal_mass():
    scores = np.r_[np.full(90, 0.01), np.linspace(0.5, 0.99, 10)]
    assert METRICS["ECE"].value(Scored(np.zeros(100), scores)) == pytest.approx(scores.mean())
    few_large = np.r_[np.full(95, 0.1), np.full(5, 0.9)]  # one bin of 20: its gaps of .1 and -.1 do not mix with others
    labels = np.r_[np.zeros(95), np.ones(5)]
    assert METRICS["ECE"].value(Scored(labels, few_large)) == pytest.approx(0.1)


@pytest.mark.parametrize("name", ["NE", "RIG", "AUC", "gAUC"])
def test_one_class_has_no_value(name):
    assert np.isnan(METRICS[name].value(Scored([1, 1], [0.1, 0.2], np.array([0, 0]))))


def test_names():
    assert find_metric("NDCG(k=12)").name == "NDCG(k=12)"
    assert find_metric("field-RCE(item_id)").field == "item_id"
    odd = ["auc", "NDCG", "NDCG(k=0)", "NDCG(k=05)", "NDCG(k=" + "9" * 5000 + ")", "NDCG(k=5) ", "field-RCE()",
           "field-RCE(a.b)", "field-RCE(\x1b)", ""]  # fmt: skip
    assert not any(map(is_metric, odd))
    for error in (UserError, ValueError):  # the one for the command line, the other for pydantic
        with pytest.raises(error, match="there is no metric 'logLoss'; did you mean 'logloss'"):
            find_metric("logLoss")


def test_what_is_measured_and_ranked_by_when_nobody_says():
    assert usual_metrics() == ["AUC", "logloss"]
    assert usual_group_metrics() == ["gAUC"]
    assert main_metric() == "AUC"
    assert main_metric(["MRR", "logloss"]) == "logloss"
    assert main_metric(["NDCG(k=7)"]) == "NDCG(k=7)"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"AUC": 1.7}, "AUC must be from 0 to 1, but is 1.7"),
        ({"AUC": 0.7, "logloss": -0.1}, "logloss must be from 0 to 36"),
        ({"NE": -1e-9}, "NE must be 0 or more"),
        ({"RIG": 1.1}, "RIG must be 1 or less"),
        ({"NDCG(k=3)": 2.0}, "NDCG"),
        ({"PCOC": float("nan")}, "PCOC must be 0 or more, but is nan"),
        ({"loss": 0.5}, "there is no metric 'loss'"),
    ],
)
def test_impossible_metrics_of_a_record_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        check_metrics(values)
    check_metrics({"AUC": 1.0, "logloss": 0.0, "RIG": -3.0, "PCOC": 40.0})


def test_what_a_metric_needs_is_asked_for():
    with pytest.raises(ValueError, match="group_id"):
        evaluate_metrics([0, 1], [0.1, 0.2], ["MRR"])
    with pytest.raises(ValueError, match=r"field-RCE\(item\) needs the categorical field 'item'"):
        evaluate_metrics([0, 1], [0.1, 0.2], ["field-RCE(item)"])
    with pytest.raises(UnknownMetric):
        evaluate_metrics([0, 1], [0.1, 0.2], ["acc"])


def test_no_k_needs_more_than_the_rows_do():
    random = np.random.default_rng(0)
    labels, scores, groups = random.integers(0, 2, 1000), random.random(1000), random.integers(0, 30, 1000)
    tracemalloc.start()
    huge = evaluate_metrics(labels, scores, ["NDCG(k=300000000)"], groups)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20
    of_all = evaluate_metrics(labels, scores, ["NDCG(k=1000)"], groups)
    assert huge["NDCG(k=300000000)"] == of_all["NDCG(k=1000)"]


def test_no_other_module_lists_metrics():
    """Two names in one list are a second table. The paper's report is about the metrics of the paper."""
    package = ROOT / "fuxi_plugins"
    for path in sorted(package.rglob("*.py")):
        if package / "records" / "metrics" in path.parents or package / "reporting" / "paper" in path.parents:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.List | ast.Tuple | ast.Set):
                names = [e.value for e in node.elts if isinstance(e, ast.Constant) and isinstance(e.value, str)]
                assert len([name for name in names if is_metric(name)]) < 2, f"{path}:{node.lineno}: {names}"


def test_the_page_of_metrics_is_not_stale():
    script = load_page_script()
    assert script.PAGE.read_text() == script.page(), "python scripts/make_metrics_page.py writes it anew"


def test_the_pages_example_is_a_metric():
    data = Scored([1, 0], [0.5, 0.1])
    with new_metric() as brier:
        assert brier.value(data) == pytest.approx((0.25 + 0.01) / 2)
        assert brier.influence(data) @ brier.influence(data) == pytest.approx(np.var([0.25, 0.01], ddof=1) / 2)
        assert "| `Brier` |" in load_page_script().page()
    assert not is_metric("Brier")

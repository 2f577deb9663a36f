"""A paper's table, worked out by hand on boards of a few models, and by laws on any."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuxi_plugins.analysis.compare import compare_on_board
from fuxi_plugins.analysis.measures import find_measure
from fuxi_plugins.analysis.table import build_table
from fuxi_plugins.analysis.uncertainty import infer_rows, ranked_by
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.metrics import all_metrics
from tests.analysis.make import board_of, record, suite_board


def table_of(boards, *measures, **settings):
    return build_table(boards, [find_measure(name) for name in measures], **settings)


def values(table, column=0):
    return {model: entries[column].value for model, entries in table.entries.items()}


def places(table, column=0):
    return {model: entries[column].place for model, entries in table.entries.items()}


def test_improvements_by_hand(tmp_path):
    board = suite_board("one", {"DNN": [0.7, 0.7], "A": [0.75, 0.75], "B": [0.65, 0.65]}, tmp_path)
    table = table_of([board], "RelaImpr", "Impr", "Impr(logloss)", baselines=["DNN"])
    assert values(table, 0) == pytest.approx({"A": 0.25 / 0.2 - 1, "DNN": 0, "B": 0.15 / 0.2 - 1})
    assert values(table, 1) == pytest.approx({"A": 0.75 / 0.7 - 1, "DNN": 0, "B": 0.65 / 0.7 - 1})
    assert values(table, 2) == pytest.approx({"A": 1 - 0.25 / 0.3, "DNN": 0, "B": 1 - 0.35 / 0.3})  # lower is better
    assert [table.text("A", place) for place in range(3)] == ["+25.00", "+7.14", "+16.67"]


def test_the_base_is_the_first_of_the_baselines(tmp_path):
    board = suite_board("one", {"DNN": [0.7], "FM": [0.6], "A": [0.75]}, tmp_path)
    found = values(table_of([board], "RelaImpr", baselines=["FM", "DNN"]))
    assert found["A"] == pytest.approx(0.25 / 0.1 - 1)


def test_the_best_and_the_second_are_those_of_the_shown_digits(tmp_path):
    board = suite_board("one", {"A": [0.70004], "B": [0.70001], "C": [0.6], "D": [0.5]}, tmp_path)
    assert places(table_of([board], "AUC", digits=4)) == {"A": 1, "B": 1, "C": 2, "D": None}
    assert places(table_of([board], "AUC", digits=5)) == {"A": 1, "B": 2, "C": None, "D": None}
    assert places(table_of([board], "logloss", digits=5)) == {"A": 1, "B": 2, "C": None, "D": None}


def test_the_first_column_orders_the_models_of_one_board(tmp_path):
    measured = {"A": (0.8, 0.7), "B": (0.7, 0.6), "C": (0.6, 0.5)}
    records = [
        record(name, metrics={"valid": {"AUC": 0.7}, "test": {"AUC": auc, "logloss": loss}})
        for name, (auc, loss) in measured.items()
    ]
    board = board_of("toy", [*records, record("D", failed="it was stopped")], tmp_path)
    assert table_of([board], "AUC", "logloss").models == ["A", "B", "C", "D"]
    assert table_of([board], "logloss", "AUC").models == ["C", "B", "A", "D"]


AUCS = st.lists(st.floats(0.5, 0.99), min_size=1, max_size=6)


@given(AUCS, st.integers(1, 6), st.sampled_from(["AUC", "logloss", "RelaImpr", "Impr(logloss)"]))
def test_bold_is_the_best_value_in_the_metrics_direction_and_underlined_the_next(tmp_path_factory, aucs, digits, name):
    board = suite_board("one", {f"M{i}": [auc] for i, auc in enumerate([0.8, *aucs])}, tmp_path_factory.getbasetemp())
    table = table_of([board], name, baselines=["M0"], digits=digits)
    shown = {model: float(table.text(model, 0)) for model in table.models}
    best = max if name != "logloss" else min
    exact = values(table)
    assert places(table)[best(exact, key=exact.get)] == 1
    ordered = sorted(set(shown.values()), reverse=best is max)
    for model, place in places(table).items():
        assert (place == 1) == (shown[model] == ordered[0])
        assert (place == 2) == (len(ordered) > 1 and shown[model] == ordered[1])


NOISY = {
    "best": [0.800, 0.801, 0.802], "good": [0.780, 0.781, 0.782], "like": [0.7605, 0.7615, 0.7625],
    "DNN": [0.760, 0.761, 0.762], "FM": [0.700, 0.701, 0.702],
}  # fmt: skip


@pytest.mark.parametrize("metric", ["AUC", "logloss"])
def test_stars_are_what_compare_says_of_the_best_baseline(tmp_path, metric):
    board = suite_board("one", NOISY, tmp_path)
    table = table_of([board], "AUC", "logloss", baselines=["FM", "DNN"])
    place = [column.measure.name for column in table.columns].index(metric)
    assert table.columns[place].best_baseline == "DNN"
    ranked = ranked_by(board.board, metric)
    rows = {row.display_name: row for row in ranked.rows}
    for model, entries in table.entries.items():
        said = compare_on_board(ranked, "one_board", rows[model], rows["DNN"]).words if model != "DNN" else ""
        assert entries[place].better == (said == "apparently better than"), model
    assert {model for model, entries in table.entries.items() if entries[place].better} == {"best", "good"}


def test_a_star_is_given_to_no_baseline_and_in_no_relative_column(tmp_path):
    board = suite_board("one", NOISY, tmp_path)
    table = table_of([board], "AUC", "RelaImpr", baselines=["DNN", "good"])
    assert {model for model, entries in table.entries.items() if entries[0].better} == {"best"}
    assert not any(entries[1].better for entries in table.entries.values())


def test_another_metric_ranks_and_compares_the_rows_anew(tmp_path):
    def run(name, auc, logloss, seed):
        test = {"AUC": auc + seed / 1e4, "logloss": logloss + seed / 1e4}
        return record(name, seed, dataset="one", experiment=f"{name}_one", metrics={"valid": test, "test": test})

    records = [run(*one, seed) for one in [("A", 0.8, 0.5), ("B", 0.7, 0.4)] for seed in (1, 2, 3)]
    board = board_of("one", records, tmp_path)
    found = ranked_by(board.board, "logloss")
    assert [(row.display_name, row.rank) for row in board.board.rows] == [("A", 1), ("B", 2)]
    assert [(row.display_name, row.rank) for row in found.rows] == [("B", 1), ("A", 2)]
    ours = infer_rows(board.board.ranked(), "logloss", None).difference("B_one", "A_one")
    assert found.difference(*found.rows).adjusted_p == pytest.approx(ours.adjusted_p)
    assert found.rows[0].letters != found.rows[1].letters
    table = table_of([board], "AUC", "logloss", baselines=["A"])
    assert [entry.better for entry in table.entries["B"]] == [False, True]


def two(tmp_path):
    """B and A change places; C has no result on two, D stands on one board alone."""
    return [
        suite_board("one", {"A": [0.8], "B": [0.7], "C": [0.75], "D": [0.9]}, tmp_path),
        suite_board("two", {"A": [0.6], "B": [0.7], "E": [0.65]}, tmp_path, C="OutOfMemory"),
    ]


def test_average_ranks_are_of_models_with_a_result_on_every_dataset(tmp_path):
    table = table_of(two(tmp_path), "AUC")
    ranks = {model: entry.value for model, entry in table.average_ranks.items()}
    assert ranks == {"A": 1.5, "B": 1.5, "C": None, "D": None, "E": None}  # among A and B alone
    assert table.models[:2] == ["A", "B"]
    assert table.average_ranks["A"].place == table.average_ranks["B"].place == 1


def test_every_hole_says_why(tmp_path):
    table = table_of(two(tmp_path), "AUC", "RelaImpr", baselines=["D"])
    assert table.entries["C"][2].reason == "seed 1: failed: OutOfMemory"
    assert table.entries["D"][2].reason == "not on the board two_board"
    assert table.entries["A"][3].reason == "D has no result on two"
    assert table.columns[2].best_baseline is None
    assert all((entry.value is None) == bool(entry.reason) for row in table.entries.values() for entry in row)
    assert set(table.reasons()) == {entry.reason for row in table.entries.values() for entry in row if entry.reason} | {
        "no result on every dataset"
    }


def test_a_row_with_missing_seeds_is_named(tmp_path):
    records = [record("A", 1, 0.7, dataset="one", experiment="A_one"),
               record("A", 2, failed="killed", dataset="one", experiment="A_one")]  # fmt: skip
    table = table_of([board_of("one", records, tmp_path)], "AUC")
    assert "A on one: 1 of 2 seeds (seed 2: failed: killed)." in table.notes


def test_seeds_of_other_settings_are_not_the_models(tmp_path):
    other = {"params": {"model": {"x": 1}, "training": {}}}
    records = [record("A", seed, auc, dataset="one", experiment="A_one", **changes)
               for seed, auc, changes in [(1, 0.7, {}), (2, 0.7, {}), (3, 0.9, other)]]  # fmt: skip
    assert values(table_of([board_of("one", records, tmp_path)], "AUC")) == {"A": pytest.approx(0.7)}
    records.append(record("A (seed 3)", 1, 0.6, dataset="one", experiment="B_one"))  # a model that is called so
    found = values(table_of([board_of("one", records, tmp_path)], "AUC"))
    assert found == {"A": pytest.approx(0.7), "A (seed 3)": pytest.approx(0.6)}


def test_chosen_models_stand_in_the_order_that_was_asked_for(tmp_path):
    assert table_of(two(tmp_path), "AUC", models=["B", "E", "A"]).models == ["B", "E", "A"]


@pytest.mark.parametrize(
    ("measures", "settings", "message"),
    [
        (["AUC"], {"models": ["Aa"]}, r"no model 'Aa' stands on one_board, two_board; did you mean 'A'\?"),
        (["AUC"], {"baselines": ["DNN"]}, "no model 'DNN' stands on"),
        (["RelaImpr"], {}, "RelaImpr is relative to a baseline, but none is named"),
        (["gAUC"], {}, "must have measured gAUC, but they measured AUC, logloss"),
        ([], {}, "at least one board and one metric"),
    ],
)
def test_what_cannot_be_is_said(tmp_path, measures, settings, message):
    with pytest.raises(UserError, match=message):
        table_of(two(tmp_path), *measures, **settings)


def test_a_dataset_stands_once(tmp_path):
    board = suite_board("one", {"A": [0.8]}, tmp_path)
    with pytest.raises(UserError, match="each dataset may stand once, but one is that of one_board and of one_board"):
        table_of([board, board], "AUC")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("RelaImpr(logloss)", r"chance reaches a known value \(AUC, gAUC, avgAUC\), but logloss"),
        ("Impr(PCOC)", "a ratio, but PCOC has none"),
        ("AUCC", "did you mean 'AUC'"),
        ("RelaImpr(x)", "there is no metric 'x'"),
    ],
)
def test_measures_that_do_not_exist(name, message):
    with pytest.raises(UserError, match=message):
        find_measure(name)


def test_a_base_that_is_no_better_than_chance_leaves_nothing_to_divide_by(tmp_path):
    table = table_of([suite_board("one", {"A": [0.5], "B": [0.7]}, tmp_path)], "RelaImpr", baselines=["A"])
    assert {entries[0].reason for entries in table.entries.values()} == {"A is no better than chance"}


def test_chance_is_known_of_the_metrics_of_pairs_alone():
    assert {metric.name: metric.chance for metric in all_metrics() if metric.chance is not None} == {
        "AUC": 0.5, "gAUC": 0.5, "avgAUC": 0.5,
    }  # fmt: skip


def test_metrics_may_differ_between_datasets_and_ranks_need_one_that_all_show(tmp_path):
    boards = [suite_board(name, {"A": [0.7, 0.7], "B": [0.6, 0.6]}, tmp_path) for name in ("one", "two")]
    auc, logloss = find_measure("AUC"), find_measure("logloss")
    table = build_table(boards, {"one": [auc, logloss], "two": [logloss]})
    assert [(column.dataset, column.measure.name) for column in table.columns] == [
        ("one", "AUC"), ("one", "logloss"), ("two", "logloss")
    ]  # fmt: skip
    assert table.ranked_by == "logloss"
    assert {model: entry.value for model, entry in table.average_ranks.items()} == {"A": 1, "B": 2}
    apart = build_table(boards, {"one": [auc], "two": [logloss]})
    assert (apart.average_ranks, apart.ranked_by) == (None, None)
    assert build_table(boards, [auc], with_ranks=False).average_ranks is None
    for wrong, message in (({"one": [auc]}, "no metrics are named for two"), ({"three": [auc]}, "named for three")):
        with pytest.raises(UserError, match=message):
            build_table(boards, wrong)


def test_average_ranks_count_a_log_once(tmp_path):
    orders = {"one": (0.8, 0.7, 0.6), "one_random": (0.8, 0.7, 0.6), "two": (0.6, 0.7, 0.8)}
    boards = [
        suite_board(name, dict(zip("ABC", map(pair, aucs), strict=True)), tmp_path) for name, aucs in orders.items()
    ]

    def ranks(**logs):
        table = build_table(boards, [find_measure("AUC")], logs=logs)
        return table.logs, {model: entry.value for model, entry in table.average_ranks.items()}

    each = {name: name for name in orders}
    assert ranks() == (each, {"A": pytest.approx(5 / 3), "B": 2, "C": pytest.approx(7 / 3)})
    assert ranks(one_random="one") == (each | {"one_random": "one"}, {"A": 2, "B": 2, "C": 2})


def pair(auc):
    return [auc, auc + 0.001]

"""Leaderboards worked out by hand."""

import csv
import io
import json
import math
from dataclasses import replace

import pytest
from rich.console import Console

from fuxi_plugins.analysis.leaderboard import Cell
from fuxi_plugins.analysis.ranking import build_leaderboard
from fuxi_plugins.analysis.uncertainty import with_uncertainty
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.parts import Code, Cost, Latency, Machine, Parameters, Seconds
from fuxi_plugins.reporting.formats import cells, render
from fuxi_plugins.reporting.notes import notes
from fuxi_plugins.reporting.terminal import print_board
from tests.analysis.make import board_of, card, record
from tests.conftest import write


def board(records, results, cells=None, **settings):
    if cells is None:
        cells = [Cell("toy", r.experiment, r.display_name, r.seed) for r in records]
    return build_leaderboard("toy", records, cells, results, **settings)


def test_mean_deviation_best_and_rank(tmp_path):
    rows = board(
        [record("A", 1, 0.70), record("A", 2, 0.74), record("B", 1, 0.73), record("B", 2, 0.73)], tmp_path
    ).rows
    assert [(row.rank, row.display_name) for row in rows] == [(1, "B"), (2, "A")]
    assert rows[1].test["AUC"].mean == pytest.approx(0.72)
    assert rows[1].test["AUC"].std == pytest.approx(math.sqrt(0.0008))  # of the sample: n - 1
    assert rows[1].test["AUC"].best == 0.74
    assert rows[1].test["logloss"].best == pytest.approx(0.26)  # the lowest


def test_seeds_with_different_outcomes_are_named(tmp_path):
    ends = {"A": [0.900, 0.901, 0.902], "B": [0.890, 0.891, 0.892], "C": [0.870, 0.871, 0.890], "D": [0.5]}
    runs = [
        record(display_name, seed, auc) for display_name, values in ends.items() for seed, auc in enumerate(values, 1)
    ]

    def said(records):
        found = notes(with_uncertainty(board(records, tmp_path), None))
        return [line for line in found if line.startswith("The seeds of these models end")]

    assert said(runs) == [
        "The seeds of these models end far apart, so that a mean describes none of them: C (0.8700 to 0.8900)."
    ]
    assert not said([run for run in runs if run.display_name != "C"])


def test_what_was_measured_on_validation_stands_apart_from_test(tmp_path):
    made = board([record("A", 1, test=0.7, valid=0.6), record("A", 2, test=0.9, valid=0.65)], tmp_path)
    (row,) = made.rows
    assert (row.valid["AUC"].mean, row.test["AUC"].mean) == (pytest.approx(0.625), pytest.approx(0.8))
    header, ((*texts,),) = cells(made)
    assert texts[header.index("valid AUC")] == "0.62500"
    (drawn,) = csv.DictReader(io.StringIO(render(made, "Toy", "csv")))
    assert (float(drawn["valid_AUC_mean"]), float(drawn["test_AUC_mean"])) == pytest.approx((0.625, 0.8))


def test_a_single_seed_has_no_deviation(tmp_path):
    assert board([record("A", 1, 0.7)], tmp_path).rows[0].test["AUC"].std is None


def test_lower_logloss_ranks_higher(tmp_path):
    rows = board([record("A", 1, 0.7), record("B", 1, 0.8)], tmp_path, rank_by="logloss").rows
    assert [row.display_name for row in rows] == ["B", "A"]


def test_validation_chooses_the_configuration_even_when_test_would_choose_another(tmp_path):
    better_by_test = record("A", 1, test=0.9, valid=0.5, experiment="A@x=1", variant="x=1")
    better_by_validation = record("A", 1, test=0.7, valid=0.6, experiment="A@x=2", variant="x=2")
    (row,) = board([better_by_test, better_by_validation], tmp_path).rows
    assert (row.experiment, row.test["AUC"].mean, row.variants) == ("A@x=2", 0.7, 2)
    assert "x=2 (of 2)" in render(board([better_by_test, better_by_validation], tmp_path), "Title", "md")


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"params": {"model": {"learning_rate": 0.5}, "training": {}}}, "learning_rate not set and 0.5"),
        (
            {"code": Code(model="sha256:" + "a" * 64, training="revision 1")},
            "code of the model revision 1 and sha256:aaa",
        ),
        ({"code": Code(model="revision 1", training="revision 2")}, "code of the training revision 1 and revision 2"),
    ],
)
def test_runs_of_other_settings_or_code_are_a_row_of_their_own(tmp_path, changes, difference):
    records = [record("A", 1, 0.9, **changes), record("A", 2, 0.7), record("A", 3, 0.6), record("B", 1, 0.5)]
    cells = [Cell("toy", "A_toy", "A", seed) for seed in (1, 2, 3)] + [Cell("toy", "B_toy", "B", 1)]
    made = board(records, tmp_path, cells)
    assert [(row.display_name, row.seeds, row.rank) for row in made.rows] == [
        ("A (seed 1)", [1], 1), ("A", [2, 3], 2), ("B", [1], 3),
    ]  # fmt: skip
    assert made.rows[1].test["AUC"].mean == pytest.approx(0.65)
    assert len({row.key for row in made.rows}) == 3
    assert any(difference in text for text in made.rows[0].problems)
    assert difference in render(made, "Title", "md")
    assert len(with_uncertainty(made, None).rows) == 3


def test_seconds_an_epoch_are_the_median_s_of_the_seeds(tmp_path):
    """One seed beside which the machine was busy must not decide."""
    records = [
        record("A", seed, seconds=Seconds(train=2.0, evaluation=1.0, total=4.0, per_epoch=epoch))
        for seed, epoch in ((1, 2.0), (2, 90.0), (3, 3.0))
    ]
    (row,) = board(records, tmp_path).rows
    assert row.seconds_per_epoch == 3.0


def test_seeds_on_several_kinds_of_machine_are_known(tmp_path):
    def on(processor):
        return Machine(device="cpu", processor=processor, threads=1, versions={"torch": "2"})

    records = [record("A", seed, machine=on(name)) for seed, name in ((1, "AMD"), (2, "Intel"), (3, "AMD"))]
    (row,) = board(records, tmp_path, [Cell("toy", "A_toy", "A", seed) for seed in (1, 2, 3)]).rows
    assert sorted(row.machines.values()) == [[1, 3], [2]]
    assert "Seeds of these models ran on several kinds of machine, whose last digits differ: A." in render(
        board(records, tmp_path, [Cell("toy", "A_toy", "A", seed) for seed in (1, 2, 3)]), "Title", "md"
    )


def test_failed_and_missing_runs_are_shown_with_their_reasons(tmp_path):
    records = [record("A", 1, 0.7), record("A", 2, failed="RuntimeError: boom"), record("B", 1, failed="OOM")]
    cells = [Cell("toy", f"{display_name}_toy", display_name, seed) for display_name in "ABC" for seed in (1, 2)]
    rows = {row.display_name: row for row in board(records, tmp_path, cells).rows}
    assert rows["A"].problems == ["seed 2: failed: RuntimeError: boom"]
    assert (rows["A"].rank, rows["B"].rank, rows["C"].rank) == (1, None, None)
    assert rows["B"].problems == ["seed 1: failed: OOM", "seed 2: not run"]
    assert rows["C"].problems == ["seed 1: not run", "seed 2: not run"]
    text = render(board(records, tmp_path, cells), "Title", "md")
    assert "1 of 2" in text
    assert "B (B_toy): seed 1: failed: OOM." in text
    assert "Not run yet: B (seed 2), C (seeds 1, 2)." in text


def test_runs_that_the_board_does_not_expect_do_not_enter_it(tmp_path):
    records = [record("A", 1, 0.7), record("A", 9, 0.99)]
    (row,) = board(records, tmp_path, [Cell("toy", "A_toy", "A", 1)]).rows
    assert row.seeds == [1]
    assert row.test["AUC"].mean == 0.7


def test_runs_on_other_data_than_the_latest_are_left_out(tmp_path):
    new = {"data": card(fingerprint="0" * 64), "started": "2026-02-01T00:00:00+00:00"}
    old = [record(name, seed) for name in "AB" for seed in (1, 2)]
    cells = [Cell("toy", run.experiment, run.display_name, run.seed) for run in old]
    a, b = board([*old, record("A", 2, 0.6, **new)], tmp_path, cells).rows
    assert (a.seeds, a.test["AUC"].mean) == ([2], 0.6)
    assert a.problems == ["seed 1: left out, for it ran on other data (ffffffffffff)"]
    assert (b.rank, b.seeds, len(b.problems)) == (None, [], 2)


def test_rows_of_different_labels_share_no_board(tmp_path):
    clicks, orders = (record(name, 1, data=card(label=label)) for name, label in (("A", "click"), ("B", "order")))
    with pytest.raises(UserError, match="A_toy seed 1 learns click; B_toy seed 1 learns order. Make a suite for each"):
        board([clicks, orders], tmp_path)


def test_a_row_that_was_not_computed_as_fuxictr_does_says_so(tmp_path):
    usual, half = record("A"), record("B", params={"model": {}, "training": {"amp": "bf16", "train_step": "fuxictr"}})
    assert {row.display_name for row in board([usual, half], tmp_path).rows} == {"A", "B [amp=bf16]"}
    off = record("C", params={"model": {}, "training": {"amp": None, "sparse_embeddings": False}})
    assert [row.display_name for row in board([off], tmp_path).rows] == ["C"]


def cost_on(processor: str) -> Cost:
    latency = {count: Latency(calls=9, p50_ms=1.0, p99_ms=2.5) for count in ("1", "256", "4096")}
    return Cost(
        device="cpu",
        processor=processor,
        threads=1,
        batch_size=4096,
        flops_per_row=12_345,
        flops_coverage=0.9,
        training_rows_per_second=50_000,
        inference_rows_per_second=200_000,
        latency=latency,
        peak_bytes=300 << 20,
    )


def test_costs_have_columns_where_they_were_measured_and_times_only_on_one_machine(tmp_path):
    header, rows = cells(board([record("A", cost=cost_on("one")), record("B")], tmp_path))
    shown = {title: [row[header.index(title)] for row in rows] for title in header}
    assert shown["kFLOP / row"] == ["12", "–"]
    assert shown["rows / s training"] == ["50,000", "–"]
    assert shown["rows / s inference"] == ["200,000", "–"]
    assert shown["p99 ms at 1"] == ["2.50", "–"]
    assert shown["peak MB"] == ["300", "–"]
    header, _ = cells(board([record("A", cost=cost_on("one")), record("B", cost=cost_on("another"))], tmp_path))
    assert "kFLOP / row" in header
    assert "rows / s training" not in header
    assert "kFLOP / row" not in cells(board([record("A")], tmp_path))[0]


def test_a_worse_row_is_not_better_than_a_baseline(tmp_path):
    ends = {"A": 0.9, "B": 0.8, "C": 0.7}
    runs = [record(name, seed, end + seed / 1000) for name, end in ends.items() for seed in (1, 2, 3)]
    made = with_uncertainty(board(runs, tmp_path), None)
    assert [row.display_name for row in made.better_than_best_of(["B"])] == ["A"]
    assert [row.display_name for row in made.better_than_best_of(["C"])] == ["A", "B"]
    assert made.better_than_best_of(["A"]) == []
    assert [row.display_name for row in made.better_than_best_of(["C", "B"])] == ["A"]


@pytest.mark.parametrize(("configurations", "origin"), [(1, "published"), (2, "tuned"), (3, "tuned")])
def test_a_choice_among_configurations_is_tuning(tmp_path, configurations, origin):
    runs = [record("A", 1, experiment=f"A_toy@x={number}") for number in range(configurations)]
    (row,) = board(runs, tmp_path, [Cell("toy", run.experiment, "A", 1, "published") for run in runs]).rows
    assert (row.hparam_source, row.variants) == (origin, configurations)


def test_a_record_that_could_not_be_read_is_a_problem_with_its_reason(tmp_path):
    cells = [Cell("toy", "A_toy", "A", seed) for seed in (1, 2, 3)]
    (row,) = board([record("A", 1)], tmp_path, cells, unread={("A_toy", 2): "it is cut"}).rows
    assert row.problems == ["seed 2: it is cut", "seed 3: not run"]


def test_runs_on_other_data_with_the_same_names_are_not_this_board_s(tmp_path):
    (row,) = board([record("A", 1, 0.7), record("A", 1, 0.9, dataset="other")], tmp_path).rows
    assert row.test["AUC"].mean == 0.7


def test_the_notes_give_each_split_its_rate_and_one_kind_of_machine_no_line(tmp_path):
    rates = {"train": 0.125, "valid": 0.25, "test": 0.5}
    machine = Machine(device="cpu", processor="one", threads=1, versions={"torch": "2"})
    said = notes(
        board([record("A", seed, data=card(positive_rate=rates), machine=machine) for seed in (1, 2)], tmp_path)
    )
    assert "train 8 (12.50% positive), valid 4 (25.00% positive), test 4 (50.00% positive)" in said[0]
    assert not any("kinds of machine" in line for line in said)
    assert not any("Validation is the test set" in line for line in said)


def test_a_board_without_a_finished_run_says_so(tmp_path):
    with pytest.raises(UserError, match="no finished run"):
        board([record("A", 1, failed="x")], tmp_path)


@pytest.fixture
def published(tmp_path):
    write(
        tmp_path / "published" / "published_results.csv",
        """\
        dataset,model,AUC,logloss,gAUC,source,config_ref
        Toy,A,0.9,0.1,,BARS leaderboard,x
        Toy,A,0.71,0.29,,BARS run somewhere (avg of 5 seeds),x
        Toy,A-v2,0.75,,,arXiv:1,x
        Other,A,0.5,0.5,,BARS run,x
        """,
    )
    return tmp_path


def test_the_published_value_with_most_runs_behind_it_stands_beside_ours(published):
    data = card(published_as="Toy")
    rows = {
        row.display_name: row
        for row in board([record("A", 1, 0.7, data=data), record("B", 1, data=data)], published).rows
    }
    assert rows["A"].published.metrics["AUC"] == 0.71
    assert rows["A"].published.kind == "mean of 5 seeds"
    assert rows["A"].difference("AUC") == pytest.approx(-0.01)
    assert rows["B"].published is None
    assert rows["B"].difference("AUC") is None


def test_a_model_may_be_published_under_another_name(published):
    (row,) = board([record("A", 1, 0.7, data=card(published_as="Toy"), published_as="A-v2")], published).rows
    assert row.published.metrics == {"AUC": 0.75}
    assert row.difference("logloss") is None


def test_a_dataset_that_was_never_published_has_no_such_columns(published):
    text = render(board([record("A", 1)], published), "Title", "md")
    assert "published" not in text.lower()


def test_the_bayes_row_is_first_and_unranked(tmp_path):
    data = card(synthetic=True, bayes={"AUC": 0.81, "logloss": 0.41})
    text = render(board([record("A", 1, 0.7, data=data)], tmp_path), "Title", "md")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert "Bayes" in lines[2]
    assert "0.81000" in lines[2]
    assert "synthetic" in text


def test_a_board_says_how_many_rows_had_no_label(tmp_path):
    left_out = board([record("A", 1, data=card(unlabelled={"train": 9430, "test": 4}))], tmp_path)
    assert "Rows without a label are left out: 9,430 of train, 4 of test." in render(left_out, "Title", "md")
    assert '"unlabelled": {' in render(left_out, "Title", "json")
    assert "unlabelled" not in render(board([record("A", 1)], tmp_path), "Title", "json")


def test_a_split_whose_validation_is_test_says_so(tmp_path):
    text = render(board([record("A", 1, data=card(valid_is_test=True))], tmp_path), "Title", "md")
    assert "validation set of this split is its test set" in text


def test_every_format_says_the_same(tmp_path):
    made = board([record("A", 1, 0.70), record("A", 2, 0.74), record("B", 1, failed="x")], tmp_path)
    rows = list(csv.DictReader(io.StringIO(render(made, "Title", "csv"))))
    assert float(rows[0]["test_AUC_mean"]) == pytest.approx(0.72, abs=1e-15)
    assert (rows[0]["display_name"], rows[0]["rank"], rows[0]["seeds"]) == ("A", "1", "1 2")
    assert (rows[1]["display_name"], rows[1]["rank"], rows[1]["problems"]) == ("B", "", "seed 1: failed: x")
    plain = json.loads(render(made, "Title", "json"))
    assert plain["rows"][0]["test"]["AUC"]["mean"] == pytest.approx(0.72)
    assert plain["rows"][0]["parameters"] == {"dense": 1234, "embedding": 56789}
    latex = render(made, "Title", "tex")
    assert r"\toprule" in latex
    assert "0.72000" in latex
    markdown = render(made, "Title", "md")
    assert "| 0.72000 ± 0.02828 |" in markdown.replace("  ", " ")
    assert "1,234" in markdown


def test_latex_escapes_what_latex_would_read(tmp_path):
    assert r"A\_b\&c" in render(board([record("A_b&c", 1, experiment="x")], tmp_path), "Title", "tex")


def test_an_unknown_format_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="md, csv, tex, json"):
        render(board([record()], tmp_path), "Title", "html")


@pytest.mark.parametrize("width", [60, 80, 100, 140, 220])
def test_a_narrow_terminal_loses_columns_but_no_digits(tmp_path, width):
    made = board([record("A", 1, 0.70), record("A", 2, 0.74), record("RankElastor", 1, 0.75)], tmp_path)
    console = Console(width=width, force_terminal=True, file=io.StringIO(), color_system=None)
    print_board(made, "Title", console)
    text = console.file.getvalue()
    assert "0.72000 ± 0.02828" in text
    assert "RankElastor" in text
    assert "…" not in text
    assert ("embedding" in text.split("•")[0]) == (width > 110)


def test_sizes_stand_beside_parameters_where_rows_are_not_equally_large(tmp_path):
    def board_with(size):
        parameters = {"A": Parameters(dense=1000, embedding=5), "B": Parameters(dense=size, embedding=5)}
        records = [record(name, test=0.7, parameters=found) for name, found in parameters.items()]
        return replace(board_of("toy", records, tmp_path).board, reference="A", remarks=("B is a variant of A.",))

    header, rows = cells(board_with(530))
    place = header.index("of A's")
    assert {row[header.index("model")]: row[place] for row in rows} == {"A": "1.00", "B": "0.53"}
    assert "of A's" not in cells(board_with(1010))[0]
    assert "of A's" not in cells(replace(board_with(530), reference=""))[0]
    assert "of A's" not in cells(replace(board_with(530), reference="C"))[0]
    assert "B is a variant of A." in notes(board_with(530))

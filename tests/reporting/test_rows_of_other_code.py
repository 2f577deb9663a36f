"""Runs of one experiment with other settings or code stand in a row of their own, in every format and every note."""

import pytest

from fuxi_plugins.analysis.compare import compare_on_board
from fuxi_plugins.analysis.leaderboard import Cell, Leaderboard
from fuxi_plugins.analysis.ranking import build_leaderboard, own_key
from fuxi_plugins.analysis.uncertainty import with_uncertainty
from fuxi_plugins.records.parts import Code
from fuxi_plugins.reporting.formats import FORMATS, render
from fuxi_plugins.reporting.notes import notes, tie_sentence
from tests.analysis.make import record

EDITED = Code(model="revision 2", training="revision 1")


def board(folder, own: list[float]) -> Leaderboard:
    """A, B and C with three seeds each; A has more seeds of edited code, whose values are ``own``."""
    ends = {"A": [0.900, 0.901, 0.902], "B": [0.890, 0.891, 0.892], "C": [0.870, 0.871, 0.872]}
    runs = [record(name, seed, value) for name, values in ends.items() for seed, value in enumerate(values, 1)]
    runs += [record("A", seed, value, code=EDITED) for seed, value in enumerate(own, 4)]
    cells = [Cell("toy", run.experiment, run.display_name, run.seed) for run in runs]
    return with_uncertainty(build_leaderboard("toy", runs, cells, folder), None)


def started(day: int) -> str:
    return f"2026-01-{day:02}T00:00:00+00:00"


@pytest.mark.parametrize(
    ("days", "edited_days", "usual"),
    [
        ([1, 1, 1], [9, 9], [1, 2, 3]),  # most seeds, however old
        ([1, 1], [9, 9, 9], [4, 5, 6]),
        ([1, 5], [2, 4], [1, 2]),  # of equals the one with the latest run
        ([2, 4], [1, 5], [4, 5]),
    ],
)
def test_most_seeds_then_the_latest_are_the_row_s(tmp_path, days, edited_days, usual):
    runs = [record("A", seed, started=started(day)) for seed, day in enumerate(days, 1)]
    runs += [record("A", seed, code=EDITED, started=started(day)) for seed, day in enumerate(edited_days, 4)]
    rows = build_leaderboard("toy", runs, [Cell("toy", "A_toy", "A", run.seed) for run in runs], tmp_path).rows
    assert next(row for row in rows if row.display_name == "A").seeds == usual
    assert sorted(seed for row in rows for seed in row.seeds) == sorted(run.seed for run in runs)


def test_only_the_row_that_is_left_out_is_left_out(tmp_path):
    runs = [record("A", seed) for seed in (1, 2, 3)] + [edited := record("A", 4, code=EDITED)]
    cells = [Cell("toy", "A_toy", "A", run.seed) for run in runs]

    def rows(key):
        found = build_leaderboard("toy", [*runs, record("B")], [*cells, Cell("toy", "B_toy", "B", 1)], tmp_path,
                                  left_out={key: "it was changed"}).rows  # fmt: skip
        return {row.display_name: row for row in found if row.seeds}

    assert set(rows(own_key(edited))) == {"A", "B"}
    assert set(rows("B_toy")) == {"A", "A (seed 4)"}
    assert "A" not in {name for name, row in rows("A_toy").items() if row.seeds == [1, 2, 3]}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("own", [[0.5], [0.5, 0.9]])
def test_every_format_draws_it(tmp_path, form, own):
    assert "A (seed 4" in render(board(tmp_path, own), "Toy", form)


def test_a_single_seed_of_edited_code_is_noted_as_its_own_row(tmp_path):
    said = "One seed only, whose noise is assumed to be as large as usual on this board: A (seed 4)."
    assert said in notes(board(tmp_path, [0.895]))


def test_different_outcomes_of_edited_code_are_noted_as_its_own_row_s(tmp_path):
    (line,) = [
        line
        for line in notes(board(tmp_path, [0.5, 0.8]))
        if line.startswith("The seeds of these models end far apart")
    ]
    assert line.endswith("A (seed 4, 5) (0.5000 to 0.8000).")


def test_a_tie_of_edited_code_marks_that_row_alone(tmp_path):
    made = board(tmp_path, [0.9011, 0.9012])
    best, other, *_ = made.ranked()
    assert {best.display_name, other.display_name} == {"A", "A (seed 4, 5)"}
    assert tie_sentence(made).startswith(
        f"Not significantly different from {best.display_name}, the best by its mean: "
    )
    drawn = render(made, "Toy", "tex").splitlines()
    daggers = [line for line in drawn if r"$^{\dagger}$ &" in line]
    assert len(daggers) == len(made.like_the_best())
    assert not any("0.90110 " in line and r"\textbf" in line for line in daggers)
    starred = [line for line in render(made, "Toy", "tex", ["C"]).splitlines() if "$^{*}$ &" in line]
    assert len(starred) == len(made.better_than_best_of(["C"]))


def test_it_is_compared_with_the_other_row_of_its_experiment(tmp_path):
    made = board(tmp_path, [0.95, 0.951])
    rows = {row.display_name: row for row in made.ranked()}
    own, usual = rows["A (seed 4, 5)"], rows["A"]
    compared = compare_on_board(made, "toy", own, usual)
    assert compared.means == pytest.approx((0.9505, 0.901))
    assert compared.seeds == (2, 3)
    assert compared.difference == made.difference(own, usual)

"""The seed ensembles of a board: a table of their own below it, on the terminal and in files beside the board's."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tabulate import tabulate

from fuxi_plugins.analysis.ensembles import Ensemble, find_ensembles
from fuxi_plugins.analysis.find_evidence import find_test_rows, predictions_path
from fuxi_plugins.analysis.leaderboard import Leaderboard
from fuxi_plugins.core.cleaning import csv_text, markdown
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import write_text
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.experiments.suite import Suite
from fuxi_plugins.records.files import find_records
from fuxi_plugins.records.metrics import find_metric
from fuxi_plugins.records.predictions import read_predictions
from fuxi_plugins.records.record import FinishedRun
from fuxi_plugins.reporting.boards import board_file, board_runs

TITLE = "Seed ensembles, beside the single models and not ranked among them"
NOTES = (
    "Each row is the mean of the probabilities that the seeds of a model predict, scored as one model. No training is "
    "added, but serving costs as many models as there are seeds.",
    "`gain` is over the mean of the seeds' own values. Intervals count the sampling of test rows alone, for these very "
    "seeds; other seeds would give another ensemble.",
)


def board_ensembles(board: Leaderboard, workspace: Workspace) -> list[Ensemble]:
    """The ensembles of a board's rows, from the predictions beside its records.

    Raises:
        UserError: the test labels are not on this machine, or predictions are missing.
    """
    runs = board_runs(board, find_records(workspace.results, board.dataset))
    test = find_test_rows(next(iter(runs.values()))[0], workspace)
    if test is None:
        raise UserError(
            f"seed ensembles need the test labels of {board.dataset}, which are not on this machine. Prepare the data "
            f"that the board was made of: fuxibench data prepare {board.dataset}."
        )

    def scores(record: FinishedRun) -> np.ndarray:
        return read_predictions(predictions_path(record, workspace), len(test.labels))

    return find_ensembles(board, runs, scores, test)


def cells(board: Leaderboard, ensembles: Sequence[Ensemble]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of text."""
    metric = find_metric(board.rank_by)
    header = ["mean of seeds", "seeds", *board.metrics, f"{metric.name} 95% interval", f"{metric.name} gain"]
    rows = []
    for one in ensembles:
        interval = one.intervals[metric.name]
        ends = f"{metric.show_end(interval.low)}–{metric.show_end(interval.high)}" if interval else "–"
        values = [find_metric(name).show(one.test[name]) for name in board.metrics]
        gain = metric.show_difference(one.gains[metric.name])
        rows.append([one.display_name, str(len(one.seeds)), *values, ends, gain])
    return header, rows


def render_ensembles(board: Leaderboard, ensembles: Sequence[Ensemble]) -> str:
    """The table in Markdown."""
    header, rows = cells(board, ensembles)
    table = tabulate(
        [[markdown(cell) for cell in row] for row in rows],
        headers=header,
        tablefmt="pipe",
        disable_numparse=True,
        colalign=["left", *["right"] * (len(header) - 1)],
    )
    listed = "\n".join(f"- {note}" for note in NOTES)
    return f"# {TITLE}\n\n{markdown(board.data.title)} (`{board.dataset}`)\n\n{table}\n\n{listed}\n"


def plain_rows(board: Leaderboard, ensembles: Sequence[Ensemble]) -> list[dict[str, object]]:
    """The rows in full precision, one plain name a column."""
    rows: list[dict[str, object]] = []
    for one in ensembles:
        row: dict[str, object] = {"dataset": board.dataset, "mean_of_seeds": one.display_name}
        row["seeds"] = " ".join(map(str, one.seeds))
        for name in board.metrics:
            interval = one.intervals[name]
            row[f"test_{name}"], row[f"gain_{name}"] = one.test[name], one.gains[name]
            row[f"test_{name}_low"] = interval.low if interval else None
            row[f"test_{name}_high"] = interval.high if interval else None
        rows.append(row)
    return rows


def write_ensembles(suite: Suite, board: Leaderboard, ensembles: Sequence[Ensemble], workspace: Workspace) -> Path:
    """Writes them beside the board's files, as ``NAME.ensembles.md`` and ``.csv``; returns the first."""
    rows = plain_rows(board, ensembles)
    path = board_file(suite, board.dataset, workspace, "ensembles.md")
    write_text(path, render_ensembles(board, ensembles))
    write_text(path.with_suffix(".csv"), csv_text(list(rows[0]), [list(row.values()) for row in rows]))
    return path

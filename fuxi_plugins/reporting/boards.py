"""A suite's leaderboards, from the records that are there, and their files in ``results/leaderboards``."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fuxi_plugins.analysis.comparisons import EVIDENCE
from fuxi_plugins.analysis.evidence import render_evidence
from fuxi_plugins.analysis.find_evidence import find_evidence
from fuxi_plugins.analysis.leaderboard import Cell, Leaderboard, build_leaderboard
from fuxi_plugins.analysis.suite_board import SuiteBoard
from fuxi_plugins.analysis.uncertainty import with_uncertainty
from fuxi_plugins.core.errors import unknown_name
from fuxi_plugins.core.files import write_text
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.experiments.suite import Suite, find_suite, load_suite, suite_names
from fuxi_plugins.records.files import LeftOut, find_records
from fuxi_plugins.records.record import FinishedRun, Record, finished_runs
from fuxi_plugins.reporting.formats import FORMATS, render


def suite_cells(suite: Suite) -> list[Cell]:
    """The runs that the suite's board expects."""
    return [
        Cell(config.dataset_id, config.id, config.display_name, seed, config.hparam_source)
        for config in suite.experiments
        for seed in suite.seeds_of(config.id)
    ]


def suite_boards(suite: Suite, workspace: Workspace, rank_by: str | None = None) -> list[Leaderboard]:
    """The suite's leaderboards, one a dataset, from the records that are there."""
    return [suite_board(suite, dataset, workspace, rank_by) for dataset in suite.datasets]


def suite_board(
    suite: Suite, dataset: str, workspace: Workspace, rank_by: str | None = None, *, leave_out: bool = False
) -> Leaderboard:
    """The suite's leaderboard of one dataset, with what is known of its uncertainty.

    Args:
        leave_out: rows whose records and predictions do not agree are left out and say why, instead of an error.

    Raises:
        UserError: no run has finished, or a record and its predictions do not agree.
    """
    left_out: list[LeftOut] = []
    records = find_records(workspace.results, dataset, left_out.append)
    unread = {(one.experiment, one.seed): one.reason for one in left_out}
    cells = suite_cells(suite)
    said: dict[str, Any] = {"reference": suite.reference, "remarks": suite.remarks}
    board = replace(build_leaderboard(dataset, records, cells, workspace.results, rank_by, unread=unread), **said)
    found = find_evidence([board_file(suite, dataset, workspace, EVIDENCE)], board_runs(board, records), workspace)
    if leave_out and found.problems:
        board = build_leaderboard(dataset, records, cells, workspace.results, rank_by, found.problems, unread)
        return with_uncertainty(replace(board, **said), found.evidence)
    return with_uncertainty(board, found.strict())


def named_boards(names: Sequence[str], workspace: Workspace) -> list[SuiteBoard]:
    """The boards of some suites, one for each dataset of each suite.

    Raises:
        UserError: no such suite, or none of its runs has finished.
    """
    suites = [find_suite(name, workspace) for name in names]
    return [SuiteBoard(suite.name, board) for suite in suites for board in suite_boards(suite, workspace)]


def find_boards(
    datasets: Sequence[str], models: Sequence[str], workspace: Workspace
) -> tuple[list[SuiteBoard], list[str]]:
    """Of each dataset the board with most of the models, then with most rows; and sentences that say which it is.

    Searches and the suites of templates are no candidates: they do not stand for their models.

    Args:
        models: that are wanted; none means all.

    Raises:
        UserError: a dataset on which no suite has results.
    """
    suites = [load_suite(workspace.all_configs, name) for name in suite_names(workspace.all_configs)]
    found, said = [], []
    for dataset in datasets:
        display_names = {
            suite.name: [
                one.display_name for one in suite.experiments if one.dataset_id == dataset and one.role == "result"
            ]
            for suite in suites
        }
        candidates = [suite for suite in suites if display_names[suite.name]]
        if not candidates:
            known = dict.fromkeys(one for suite in suites for one in suite.datasets)
            raise unknown_name("suite with results on the dataset", dataset, known, "fuxibench list suites")
        chosen = max(
            candidates,
            key=lambda suite: (len({*display_names[suite.name]} & {*models}), len(display_names[suite.name])),
        )
        found.append(SuiteBoard(chosen.name, suite_board(chosen, dataset, workspace)))
        wanted = "most of these models" if models else "most models"
        said.append(f"{dataset}: rows of {chosen.name}, the board with {wanted}.")
    return found, said


def board_runs(board: Leaderboard, records: Sequence[Record]) -> dict[str, list[FinishedRun]]:
    """The finished records of the board's ranked rows, by the rows' keys."""
    finished = finished_runs(records)
    return {
        row.key: [r for r in finished if r.experiment == row.experiment and r.seed in row.seeds]
        for row in board.ranked()
    }


def board_file(suite: Suite, dataset: str, workspace: Workspace, ending: str) -> Path:
    stem = suite.name if len(suite.datasets) == 1 else f"{suite.name}-{dataset}"
    return workspace.results / "leaderboards" / f"{stem}.{ending}"


def write_boards(
    suite: Suite, boards: Sequence[Leaderboard], workspace: Workspace, baselines: Sequence[str] = ()
) -> list[Path]:
    """Writes each board in every format to ``results/leaderboards``, and the evidence of its uncertainty."""
    written = []
    for board in boards:
        texts = {form: render(board, suite.title, form, baselines) for form in FORMATS}
        if board.evidence:
            texts[EVIDENCE] = render_evidence(board.evidence)
        for ending, text in texts.items():
            path = board_file(suite, board.dataset, workspace, ending)
            write_text(path, text)
            written.append(path)
    return written

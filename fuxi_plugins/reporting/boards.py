"""A suite's leaderboards, from the records that are there, and their files in ``results/leaderboards``."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from fuxi_plugins.analysis.evidence import Evidence, render_evidence
from fuxi_plugins.analysis.find_evidence import EVIDENCE, find_evidence, predictions_digest
from fuxi_plugins.analysis.leaderboard import Cell, Leaderboard, Row
from fuxi_plugins.analysis.ranking import build_leaderboard
from fuxi_plugins.analysis.same_predictions import same_predictions
from fuxi_plugins.analysis.suite_board import SuiteBoard
from fuxi_plugins.analysis.uncertainty import with_uncertainty
from fuxi_plugins.core.errors import UserError, unknown_name
from fuxi_plugins.core.files import write_text
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.experiments.outdated import changed_after, changed_data, code_today
from fuxi_plugins.experiments.suite import Suite, find_suite, load_suite, suite_names, with_experiment
from fuxi_plugins.records.differences import repeating_command
from fuxi_plugins.records.files import FoundRecords, find_records
from fuxi_plugins.records.record import FinishedRun, Record, finished_runs
from fuxi_plugins.reporting.formats import FORMATS, render

REPEAT_OR_KEEP = "'fuxibench run' with --update repeats them; to keep them, give the new data a name of its own."

_log = logging.getLogger(__name__)


def suite_cells(suite: Suite) -> list[Cell]:
    """The runs that the suite's board expects."""
    return [
        Cell(config.dataset_id, config.id, config.display_name, seed, config.hparam_source)
        for config in suite.experiments
        for seed in suite.seeds_of(config.id)
    ]


def submitted_cells(suite: Suite, records: Sequence[Record]) -> list[Cell]:
    """The runs that others sent for the suite's board, beside those of its own experiments."""
    own = {config.id for config in suite.experiments}
    board = suite.name.partition("+")[0]  # a model beside the rows makes "board+model" of the name
    return [
        Cell(record.dataset, record.experiment, record.display_name, record.seed, "submitted")
        for record in records
        if record.submitted_by and record.suite == board and record.experiment not in own
    ]


def suite_boards(
    suite: Suite, workspace: Workspace, rank_by: str | None = None, *, rank_unverified: bool = False
) -> list[Leaderboard]:
    """The suite's leaderboards, one a dataset, from the records that are there."""
    return [
        suite_board(suite, dataset, workspace, rank_by, rank_unverified=rank_unverified) for dataset in suite.datasets
    ]


def suite_board(
    suite: Suite,
    dataset: str,
    workspace: Workspace,
    rank_by: str | None = None,
    *,
    leave_out: bool = False,
    rank_unverified: bool = False,
    found: FoundRecords | None = None,
) -> Leaderboard:
    """The suite's leaderboard of one dataset, with what is known of its uncertainty.

    Args:
        leave_out: rows whose records and predictions do not agree are left out and say why, instead of an error.
        rank_unverified: rows that nobody has verified are ranked and compared like all others.
        found: the workspace's records on the dataset, where they have been read already.

    Raises:
        UserError: no run has finished, or a record and its predictions do not agree.
    """
    found = found or FoundRecords.below(workspace.results, dataset)
    records = found.records
    unread = {(one.experiment, one.seed): one.reason for one in found.left_out}
    unverified = find_records(workspace.unverified.results, dataset)
    if rank_unverified:
        records, unverified = records + unverified, []
    cells = suite_cells(suite) + submitted_cells(suite, records)
    board = build_leaderboard(dataset, records, cells, workspace.results, rank_by, unread=unread)
    measured = find_evidence([board_file(suite, dataset, workspace, EVIDENCE)], board_runs(board, records), workspace)
    if leave_out and measured.problems:
        board = build_leaderboard(dataset, records, cells, workspace.results, rank_by, measured.problems, unread)
    rows = board_runs(board, records)
    expected = {(cell.experiment, cell.seed) for cell in cells}
    seen = {run.data.fingerprint for run in finished_runs(records) if (run.experiment, run.seed) in expected}
    board = replace(
        board,
        reference=suite.reference,
        remarks=suite.remarks,
        same_predictions=tuple(_same_predictions(board, rows, measured.evidence, workspace)),
        outdated=tuple(_outdated(board, rows, suite, workspace, others=len(seen) > 1)),
        unverified=_unverified_rows(board, suite, unverified, workspace),
    )
    return with_uncertainty(board, measured.evidence if leave_out else measured.strict())


def _outdated(
    board: Leaderboard, rows: Mapping[str, Sequence[FinishedRun]], suite: Suite, workspace: Workspace, *, others: bool
) -> list[str]:
    """What was changed after the runs on the board, a sentence each with the command that repeats them.

    Args:
        rows: the runs of the board's ranked rows, by their keys.
        others: whether runs were left out because they are of other data.
    """
    settings = {config.id: config.settings for config in suite.experiments}
    changed: dict[str, list[Row]] = {}
    for row in board.ranked():
        first = rows[row.key][0]
        if clauses := changed_after(first, settings.get(first.experiment, {}), code_today(first.model)):
            changed.setdefault(" and ".join(clauses), []).append(row)
    said = []
    for what, listed in changed.items():
        names = ", ".join(row.display_name for row in listed)
        repeat = "'fuxibench run' with --update"
        if len(listed) == 1:
            repeat = repeating_command(listed[0].experiment, listed[0].seeds)
        said.append(f"{names}: {what} after these runs, which {repeat} repeats.")
    if changed_data([run for runs in rows.values() for run in runs], workspace):
        said.append(f"The data of {board.dataset} were changed after these runs. {REPEAT_OR_KEEP}")
    elif others:
        said.append(f"Runs on other data than the latest run's are left out. {REPEAT_OR_KEEP}")
    return said


def _same_predictions(
    board: Leaderboard, rows: Mapping[str, Sequence[FinishedRun]], evidence: Evidence | None, workspace: Workspace
) -> list[str]:
    """Which seeds of a row predict the same, a sentence each.

    Args:
        rows: the runs of the board's ranked rows, by their keys.
        evidence: knows the predictions whose files are not here.
    """

    def digest_of(run: FinishedRun, key: str) -> str | None:
        measured = evidence and evidence.runs.get(key, {}).get(run.seed)
        return predictions_digest(run, workspace) or (measured.predictions if measured else None)

    return [
        f"{row.display_name}: {same.sentence}"
        for row in board.ranked()
        for same in same_predictions(rows[row.key], partial(digest_of, key=row.key))
    ]


def _unverified_rows(board: Leaderboard, suite: Suite, records: Sequence[Record], workspace: Workspace) -> list[Row]:
    """The rows that others sent and nobody has verified, without ranks; runs on other data are logged and left out."""
    shown = []
    for record in finished_runs(records):
        if record.data.fingerprint != board.data.fingerprint or board.rank_by not in record.metrics["test"]:
            _log.warning(
                "the unverified run %s seed %d is of other data or metrics than the board, which leaves it out",
                record.experiment,
                record.seed,
            )
        else:
            shown.append(record)
    cells = submitted_cells(suite, shown)
    if not cells:
        return []
    rows = build_leaderboard(board.dataset, shown, cells, workspace.results, board.rank_by).rows
    return [replace(row, rank=None) for row in rows]


def named_boards(names: Sequence[str], workspace: Workspace, others: Sequence[str] = ()) -> list[SuiteBoard]:
    """The boards of some suites, one for each dataset of each suite.

    Args:
        others: experiments of none of them; each is one more row on the boards of its dataset.

    Raises:
        UserError: no such suite or experiment, none of its runs has finished, or an experiment on another dataset.
    """
    suites = [find_suite(name, workspace) for name in names]
    for other in (find_suite(name, workspace) for name in others):
        if not any(set(other.datasets) & set(suite.datasets) for suite in suites):
            raise UserError(f"{other.name} is on {', '.join(other.datasets)}, of which no board is named.")
        suites = [
            with_experiment(suite, other) if set(other.datasets) & set(suite.datasets) else suite for suite in suites
        ]
    return [
        SuiteBoard(suite.name.partition("+")[0], board) for suite in suites for board in suite_boards(suite, workspace)
    ]


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
    by_experiment: dict[str, list[FinishedRun]] = {}
    for record in finished_runs(records):
        by_experiment.setdefault(record.experiment, []).append(record)
    return {
        row.key: [record for record in by_experiment.get(row.experiment, []) if record.seed in row.seeds]
        for row in board.ranked()
    }


def board_file(suite: Suite, dataset: str, workspace: Workspace, ending: str) -> Path:
    stem = suite.name if len(suite.datasets) == 1 else f"{suite.name}-{dataset}"
    return workspace.boards_folder / f"{stem}.{ending}"


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

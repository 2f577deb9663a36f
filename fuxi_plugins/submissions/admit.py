"""Adds the runs of a submission to the results here, so that they stand on a board.

What was verified is a result like any other. What was not lies in a results folder of its own, ``results/unverified``,
so that nothing that draws conclusions ever reads it.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.experiments.suite import Suite, load_suite
from fuxi_plugins.records.files import RECORD_FILE, find_records, write_record
from fuxi_plugins.records.record import FinishedRun, finished_runs
from fuxi_plugins.submissions.bundle import Submission, opened, recompute

NOT_NAMED = "somebody"  # a contributor that a submission does not name


def add(path: Path, board: str, workspace: Workspace, *, verified: bool = True) -> list[FinishedRun]:
    """Adds a submission's runs to a board and returns their records as they are kept here.

    Args:
        path: a zip file or a folder.
        board: the suite on whose board the row is to stand.
        verified: whether the metrics are recomputed first, which needs the dataset.

    Raises:
        UserError: the submission is refused, does not fit the board, or its runs are here already.
    """
    suite = load_suite(workspace.all_configs, board)
    with opened(path) as submission:
        runs = list(submission.runs.values())
        _require_a_place(path, runs, suite, workspace)
        if verified:
            recompute(submission, workspace)
        return _keep(submission, suite, workspace if verified else workspace.unverified)


def _require_a_place(path: Path, runs: Sequence[FinishedRun], suite: Suite, workspace: Workspace) -> None:
    """
    Raises:
        UserError: the board's rows and these runs cannot be compared, or a run is here already.
    """
    first = runs[0]
    if first.dataset not in suite.datasets:
        listed = ", ".join(suite.datasets)
        raise UserError(f"{path} has runs on {first.dataset}, but {suite.name} is a board of {listed}.")
    if first.role != "result":
        raise UserError(f"{path}: a submitted run must stand for its model, but this one is a {first.role}.")
    for run in runs:
        for place in (workspace, workspace.unverified):
            folder = place.run_folder(run.dataset, run.experiment, run.seed)
            if folder.exists():
                raise UserError(f"{path}: {run.experiment} seed {run.seed} is here already, in {folder}.")
    rows = [row.id for row in suite.experiments]
    here = [r for r in finished_runs(find_records(workspace.results, first.dataset)) if r.experiment in rows]
    if not here:
        return
    if (own := here[0].data.fingerprint) != first.data.fingerprint:
        raise UserError(
            f"{path} was run on other data than {suite.name}: its fingerprint is {first.data.fingerprint[:16]}, that "
            f"of the board {own[:16]}."
        )
    wanted = [name for name in here[0].metrics["test"] if all(name in run.metrics["test"] for run in here)]
    missing = [name for name in wanted if any(name not in run.metrics["test"] for run in runs)]
    if missing:
        raise UserError(
            f"{path} must measure what the rows of {suite.name} do, but lacks {', '.join(missing)}; "
            f"'fuxibench run --beside {suite.name}' measures the same."
        )


def _keep(submission: Submission, suite: Suite, workspace: Workspace) -> list[FinishedRun]:
    contributor = submission.contributor or NOT_NAMED
    rows = {row.display_name: row.id for row in suite.experiments}
    kept = []
    for source, run in submission.runs.items():
        name = run.display_name
        if rows.get(name, run.experiment) != run.experiment:  # the name of another row
            name = f"{name} ({contributor})"
        changes = {"suite": suite.name, "submitted_by": contributor, "display_name": name}
        kept.append(run.model_copy(update=changes))
        folder = workspace.run_folder(run.dataset, run.experiment, run.seed)
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns(RECORD_FILE))
        write_record(folder, kept[-1])
    return kept

"""How a suite stands, from its records and leases alone; needs neither torch nor the data."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

from fuxi_plugins.analysis.find_evidence import changed_since_measured, evidence_files
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.execution.leases import current_lease
from fuxi_plugins.experiments.outdated import changed_after, changed_data, code_today
from fuxi_plugins.experiments.suite import Suite
from fuxi_plugins.records.files import RECORD_FILE, read_record
from fuxi_plugins.records.record import FinishedRun, Record

State = Literal["done", "running", "failed", "waiting", "skipped"]


@dataclass(frozen=True)
class RunStatus:
    """One run of a suite."""

    experiment: str
    seed: int
    state: State
    note: str = ""  # of a running one its progress, of a failed one the reason, of a done one what was changed


def suite_status(suite: Suite, workspace: Workspace) -> list[RunStatus]:
    """Every run of the suite, in its order.

    A run that is being repeated counts as running; one whose owner has died on this machine as waiting. The note of a
    finished run says what was changed since, or that its record or predictions are not what the suite's board
    measured.
    """
    kept = evidence_files(workspace, suite.name)
    found = []
    code = cache(code_today)  # of many runs of few models
    has_other_data: dict[str, bool] = {}  # by fingerprint
    for config in suite.experiments:
        for seed in suite.seeds_of(config.id):
            status, record = _run_status(workspace, config.dataset_id, config.id, seed)
            if isinstance(record, FinishedRun) and status.state == "done":
                notes = [f"{clause} since" for clause in changed_after(record, config.settings, code(record.model))]
                data = record.data.fingerprint
                if data not in has_other_data:
                    has_other_data[data] = changed_data([record], workspace)
                notes += ["the data were changed since"] if has_other_data[data] else []
                notes += changed_since_measured([record], kept, workspace).values()
                status = replace(status, note="; ".join(notes))
            found.append(status)
    return found


def counts(statuses: Iterable[RunStatus]) -> dict[State, int]:
    found: dict[State, int] = {"done": 0, "running": 0, "failed": 0, "waiting": 0}
    for status in statuses:
        found[status.state] = found.get(status.state, 0) + 1
    return found


def describe_progress(progress: dict[str, Any]) -> str:
    """Epoch, share and the time left if every epoch is used; early stopping may end the run before.

    >>> describe_progress({"epoch": 2, "epochs": 4, "step": 50, "steps": 100, "seconds": 90})
    'epoch 2 of at most 4, 38 %, at most 3 min left'
    >>> describe_progress({})
    'starting'
    """
    if not progress.get("steps"):
        return "starting"
    if progress.get("phase"):
        return f"{progress['phase']}, nearly done"
    share = (progress["epoch"] - 1 + progress["step"] / progress["steps"]) / progress["epochs"]
    seconds = progress["seconds"] / share * (1 - share) if share else 0.0
    time_left = f", at most {_duration(seconds)} left" if share else ""
    return f"epoch {progress['epoch']} of at most {progress['epochs']}, {share:.0%}{time_left}".replace("%", " %")


def _run_status(workspace: Workspace, dataset: str, experiment: str, seed: int) -> tuple[RunStatus, Record | None]:
    folder = workspace.run_folder(dataset, experiment, seed)
    path = folder / RECORD_FILE
    try:
        record = read_record(path) if path.exists() else None
    except UserError as error:  # a broken record stops no other run's status
        return RunStatus(experiment, seed, "failed", str(error)), None
    if isinstance(record, FinishedRun):  # a lease beside it is one that its runner did not live to release
        return RunStatus(experiment, seed, "done"), record
    lease = current_lease(folder)
    if lease is not None and not (lease.owner and lease.owner.is_gone()):
        host = f" on {lease.owner.host}" if lease.owner else ""
        return RunStatus(experiment, seed, "running", describe_progress(lease.progress) + host), record
    if record is None:
        return RunStatus(experiment, seed, "waiting"), None
    return RunStatus(experiment, seed, record.status, record.reason), record


def _duration(seconds: float) -> str:
    minutes = max(1, -(-int(seconds) // 60))
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.0f} h"

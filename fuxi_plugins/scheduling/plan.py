"""Which runs a suite still needs, judged by the records that are there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuxi_plugins.errors import UserError
from fuxi_plugins.records import RECORD_FILE, Record, read_record
from fuxi_plugins.runs.job import Job


@dataclass(frozen=True)
class Plan:
    todo: list[Job]
    finished: list[Record]  # with the same configuration and data: not run again


def plan_runs(jobs: list[Job], *, force: bool = False) -> Plan:
    """Sorts jobs into those to run and those whose finished record stands.

    A failed record is run again. ``force`` runs everything again.

    Raises:
        UserError: a finished record of the same name says that it was another configuration or other data.
    """
    todo, finished = [], []
    for job in jobs:
        record = existing_record(job.run_folder)
        if force or record is None or not record.finished:
            todo.append(job)
            continue
        differences = _differences(job, record)
        if differences:
            raise UserError(
                f"{job.run_folder} holds a finished run of another configuration: {'; '.join(differences)}. "
                "Give the new configuration an id of its own, or repeat the run with --force."
            )
        finished.append(record)
    return Plan(todo, finished)


def existing_record(run_folder: Path) -> Record | None:
    path = run_folder / RECORD_FILE
    return read_record(path) if path.exists() else None


def _differences(job: Job, record: Record) -> list[str]:
    found = []
    if record.data is None or record.data.fingerprint != job.data.card.fingerprint:
        seen = record.data.fingerprint[:12] if record.data else "none"
        found.append(f"data fingerprint {seen} in the record, {job.data.card.fingerprint[:12]} now")
    if record.config_digest != job.experiment.digest:
        if record.model != job.experiment.model:
            found.append(f"model {record.model} in the record, {job.experiment.model} now")
        for part, now in job.experiment.params.items():
            found += _changed_settings(record.params.get(part, {}), now)
    return found


def _changed_settings(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    names = sorted({*then, *now})
    absent = "absent"
    return [
        f"{name} {then.get(name, absent)} in the record, {now.get(name, absent)} now"
        for name in names
        if then.get(name, absent) != now.get(name, absent)
    ]

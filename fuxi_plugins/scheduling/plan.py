"""Which runs a suite still needs, judged by the records that are there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuxi_plugins.errors import UserError
from fuxi_plugins.experiments.settings import default_settings
from fuxi_plugins.records import RECORD_FILE, Record, read_record
from fuxi_plugins.registry import load_model_class
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
        usual = default_settings(load_model_class(job.experiment.model))
        for part, now in job.experiment.params.items():
            found += _changed_settings(record.params.get(part, {}), now, usual)
    return found


def _changed_settings(then: dict[str, Any], now: dict[str, Any], usual: dict[str, Any]) -> list[str]:
    """What differs; a setting that is younger than the record and stands at its default does not."""
    absent = "absent"
    before = {name: usual.get(name, absent) for name in now} | then
    return [
        f"{name} {before.get(name)} in the record, {now.get(name, absent)} now"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name, absent)
    ]

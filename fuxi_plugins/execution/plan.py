"""Which runs a suite still needs, judged by the records that are there."""

import shutil
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import replacing
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.experiments.experiment import Experiment
from fuxi_plugins.experiments.settings import default_settings
from fuxi_plugins.models.registry import load_model_class
from fuxi_plugins.records.differences import changed_code, short_code
from fuxi_plugins.records.files import PREDICTIONS_FILE, RANK_FILE, RECORD_FILE, read_record, write_record
from fuxi_plugins.records.parts import DataCard
from fuxi_plugins.records.record import FinishedRun, Record, finished_runs
from fuxi_plugins.training.job import Job

RecordState = tuple[int, int] | None  # what tells one writing of a record from the next; None without a record


@dataclass(frozen=True)
class Plan:
    todo: list[Job]
    finished: list[FinishedRun]  # with the same configuration and data: not run again
    equal: list[tuple[Job, FinishedRun]]  # finished under another experiment's name, as a tuning's winner is
    before: dict[Path, RecordState]  # by run folder, how the record of each job stood when this was planned
    skipped: list[tuple[Job, str]] = field(default_factory=list)  # what cannot be run, with the reason
    notes: list[str] = field(default_factory=list)  # what to know before the first run


def plan_runs(
    jobs: list[Job], records: Iterable[Record], *, forced: Collection[str] = (), update: bool = False
) -> Plan:
    """Sorts jobs into those to run and those whose finished record stands, under their own name or another.

    A failed record is run again, and so is one that was not probed where probes are wanted.

    Args:
        jobs: what is wanted.
        records: all records of the jobs' datasets.
        forced: experiments whose finished runs are repeated.
        update: whether finished runs of other settings, code or data are repeated.

    Raises:
        UserError: without ``update``, a finished record of the same name was of other settings, code or data.
    """
    ended = sorted(finished_runs(records), key=lambda record: record.rank is not None)
    done = {_run_key(record.digest, record.seed, record.data): record for record in ended}
    todo: list[Job] = []
    finished: list[FinishedRun] = []
    equal: list[tuple[Job, FinishedRun]] = []
    before = {job.run_folder: record_state(job.run_folder) for job in jobs}
    for job in jobs:
        record = existing_record(job.run_folder)
        if job.experiment.id in forced:
            todo.append(job)
            continue
        if not isinstance(record, FinishedRun):
            twin = done.get(_run_key(job.experiment.digest, job.seed, job.data.card))
            if twin and has_what_is_wanted(twin, job):
                equal.append((job, twin))
            else:
                todo.append(job)
            continue
        differences = _differences(job, record)
        if differences and update:
            todo.append(job)
        elif differences:
            raise UserError(
                f"{job.run_folder} holds a finished run of other settings, code or data: {'; '.join(differences)}. "
                f"To keep it, give the new {'dataset' if has_other_data(job, record) else 'experiment'} a name of its "
                "own. With --update, this command repeats all such runs and no others."
            )
        elif has_what_is_wanted(record, job):
            finished.append(record)
        else:
            todo.append(job)
    return Plan(todo, finished, equal, before)


def has_what_is_wanted(record: FinishedRun, job: Job) -> bool:
    """Probing changes nothing that is learned, so it is no part of the configuration; but it must have been done."""
    return record.rank is not None or not job.probe


def take_over(job: Job, twin: FinishedRun, workspace: Workspace) -> FinishedRun:
    """Writes the record and the predictions of an equal run under the job's own name."""
    source = workspace.run_folder(twin.dataset, twin.experiment, twin.seed)
    for name in (PREDICTIONS_FILE, *([RANK_FILE] if twin.rank else [])):
        with replacing(job.run_folder / name) as temporary:
            shutil.copyfile(source / name, temporary)
    own_name = {
        "suite": job.suite,
        "role": job.experiment.role,
        "variant": job.experiment.variant,
        "experiment": job.experiment.id,
        "display_name": job.experiment.display_name,
        "published_as": job.experiment.published_as,
        "same_run_as": twin.same_run_as or twin.experiment,
    }
    record = twin.model_copy(update=own_name)
    write_record(job.run_folder, record)
    return record


def _run_key(digest: str, seed: int, data: DataCard) -> tuple[str, int, str]:
    """Runs that agree in this are the same run: training is a function of settings, code, seed and data."""
    return digest, seed, data.fingerprint


def existing_record(run_folder: Path) -> Record | None:
    path = run_folder / RECORD_FILE
    return read_record(path) if path.exists() else None


def record_state(run_folder: Path) -> RecordState:
    """Inode and time of the record's file: each writing makes a new one."""
    try:
        found = (run_folder / RECORD_FILE).stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def has_other_data(job: Job, record: FinishedRun) -> bool:
    return record.data.fingerprint != job.data.card.fingerprint


def _differences(job: Job, record: FinishedRun) -> list[str]:
    found = []
    if has_other_data(job, record):
        then, now = record.data.fingerprint, job.data.card.fingerprint
        found.append(f"data fingerprint {then[:12]} in the record, {now[:12]} now")
    return found + differences_beside_data(job.experiment, record)


def differences_beside_data(experiment: Experiment, record: FinishedRun) -> list[str]:
    """In what settings and code a finished run differs from what its experiment would be today, a clause each."""
    found = [
        f"code of the {part} {short_code(was)} in the record, {short_code(is_now)} now"
        for part, was, is_now in changed_code(record.code, experiment.code)
    ]
    if record.digest != experiment.digest:
        if record.model != experiment.model:
            found.append(f"model {record.model} in the record, {experiment.model} now")
        usual = default_settings(load_model_class(experiment.model))
        for part, settings in experiment.params.items():
            found += _changed_settings(record.params.get(part, {}), settings, usual)
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

"""Runs jobs on this machine, each in a process of its own, a few at a time, beside any number of other runners."""

import json
import os
import selectors
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import cache_gone
from fuxi_plugins.execution.interrupts import interrupts
from fuxi_plugins.execution.leases import Lease
from fuxi_plugins.execution.limits import Limits, killed_for_memory, shorten_log, used_memory
from fuxi_plugins.execution.plan import RecordState, existing_record, record_state
from fuxi_plugins.execution.processes import STOP_SECONDS, Forked, RunProcess, Started, start_server
from fuxi_plugins.execution.queue import SharedQueue
from fuxi_plugins.records.files import LOG_FILE, write_record
from fuxi_plugins.records.record import Record
from fuxi_plugins.training import provenance
from fuxi_plugins.training.faults import DATA_GONE, DISK_FULL, FAILED, OUT_OF_MEMORY, is_disk_full
from fuxi_plugins.training.job import Job
from fuxi_plugins.training.runner import failed_record

MICRO_BATCHES = 4  # of a run that is tried again because memory ran out
OUT_OF_MEMORY_REASON = "out of memory"
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL)  # that somebody sends who wants an end


class ProgressListener(Protocol):
    """Is told what happens, to show it."""

    def started(self, job: Job) -> None: ...

    def progressed(self, job: Job, state: dict[str, Any]) -> None: ...

    def ended(self, job: Job, record: Record) -> None: ...


class DiskFull(Exception):
    """A run could not write; ``folder`` is the place."""

    def __init__(self, folder: Path):
        super().__init__(str(folder))
        self.folder = folder


@dataclass
class _Running:
    job: Job
    lease: Lease
    process: RunProcess
    slot: int
    since: float = field(default_factory=time.monotonic)
    unread: bytes = b""
    killed_before: int = field(default_factory=killed_for_memory)
    record_before: RecordState = None
    code: int = 0  # of its exit, once it has ended

    @property
    def log(self) -> Path:
        return self.job.run_folder / LOG_FILE


def run_jobs(
    jobs: Sequence[Job],
    *,
    before: Mapping[Path, RecordState],
    slots: Sequence[int],
    limits: Limits,
    listener: ProgressListener,
    worker: Sequence[str] | None = None,
) -> list[Record]:
    """Sees every job done and returns their records, finished or failed, in the order of their end.

    Each job is leased first, so that several runners share a results folder; the records of jobs that another
    runner carries out are waited for and returned as well. A crash, a signal or a broken limit becomes a failed
    record; the other jobs go on. Memory that ran out is tried once more in smaller batches. On an interrupt or
    SIGTERM the running processes are stopped, leaving no record, and the exception goes on.

    Args:
        jobs: what is wanted.
        before: how their records stood when they were planned.
        slots: one entry for every run that may be under way at once: the GPU it gets, or -1. Runs on one GPU get
            equal shares of its memory.
        limits: of one run.
        listener: is told of starts, progress and ends.
        worker: the command of a run's process; by default it is a fork of one that has imported everything.

    Raises:
        UserError: the disk is full, or the prepared data were deleted.
    """
    if not worker and jobs:  # before anything is leased and signals are caught
        start_server(jobs[0].threads)
    queue, free = SharedQueue(jobs, before), list(slots)
    running: list[_Running] = []
    records: list[Record] = []
    selector = selectors.DefaultSelector()
    try:
        with interrupts() as interrupted:
            while queue or running:
                if interrupted():
                    raise KeyboardInterrupt
                while free and (taken := queue.take()):
                    slot = free.pop(0)
                    job = replace(taken[0], gpu=slot, gpu_share=1 / slots.count(slot))
                    running.append(_start(job, taken[1], slot, worker, selector))
                    listener.started(job)
                for job, record in queue.settled_by_others():
                    records.append(record)
                    listener.ended(job, record)
                for key, _ in selector.select(timeout=0.5):
                    _read_progress(key.data, selector, listener)
                for entry in list(running):
                    holds = entry.lease.beat()
                    breach = _breach(entry, limits) if holds else "lost to another runner"
                    if not breach and not entry.process.has_ended():
                        continue
                    _end(entry, selector)
                    running.remove(entry)
                    if not breach and -entry.code in STOPS and _is_told_too(interrupted):
                        entry.lease.release()
                        raise KeyboardInterrupt
                    if not holds:
                        queue.give_back(entry.job)
                    elif _deserves_another_try(entry, breach):
                        job = replace(entry.job, micro_batches=MICRO_BATCHES)
                        running.append(_start(job, entry.lease, entry.slot, worker, selector))
                        continue
                    else:
                        try:
                            record = _record_of(entry, breach)
                        finally:
                            entry.lease.release()
                        records.append(record)
                        listener.ended(entry.job, record)
                    free.append(entry.slot)
    except DiskFull as error:
        raise UserError(_what_to_free(error.folder)) from error
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise UserError(_what_to_free(jobs[0].run_folder)) from error
    finally:
        for entry in running:
            _end(entry, selector)
            entry.lease.release()
        selector.close()
    return records


def _start(
    job: Job, lease: Lease, slot: int, worker: Sequence[str] | None, selector: selectors.BaseSelector
) -> _Running:
    job.run_folder.mkdir(parents=True, exist_ok=True)
    log = job.run_folder / LOG_FILE
    log.unlink(missing_ok=True)
    log.touch()
    before = record_state(job.run_folder)
    process: RunProcess = Started(worker, log, job.threads) if worker else Forked(log, job.threads)
    with suppress(BrokenPipeError):  # if it died at once, its exit is read like any other
        process.stdin.write(job.to_json().encode() + b"\n")
        process.stdin.flush()
    entry = _Running(job, lease, process, slot, record_before=before)
    selector.register(process.stdout, selectors.EVENT_READ, entry)
    return entry


def _read_progress(entry: _Running, selector: selectors.BaseSelector, listener: ProgressListener) -> None:
    news = os.read(entry.process.stdout.fileno(), 1 << 16)
    if not news:
        selector.unregister(entry.process.stdout)
        entry.process.wait(0.2)  # it is about to end
        return
    *lines, entry.unread = (entry.unread + news).split(b"\n")
    if lines:
        state = json.loads(lines[-1])  # states are cumulative; the last one says it all
        entry.lease.note({**state, "seconds": round(time.monotonic() - entry.since)})
        listener.progressed(entry.job, state)


def _breach(entry: _Running, limits: Limits) -> str:
    """Which limit the run has broken; empty if none."""
    shorten_log(entry.log, limits.log_bytes)
    if time.monotonic() - entry.since > limits.timeout_seconds:
        return f"timed out after {limits.timeout_seconds:.0f} s"
    used = used_memory(entry.process.pid, and_of_children=entry.job.processes > 1)
    if used > limits.memory_bytes:
        return f"{OUT_OF_MEMORY_REASON}: the process held {used >> 20:,} MB of {limits.memory_bytes >> 20:,} MB"
    return ""


def _deserves_another_try(entry: _Running, breach: str) -> bool:
    """Memory ran out and the batches have not been divided yet."""
    if entry.job.micro_batches > 1:
        return False
    if breach:
        return breach.startswith(OUT_OF_MEMORY_REASON)
    return entry.code == OUT_OF_MEMORY or _killed_for_memory(entry)


def _killed_for_memory(entry: _Running) -> bool:
    return entry.code == -signal.SIGKILL and killed_for_memory() > entry.killed_before


def _record_of(entry: _Running, breach: str) -> Record:
    job, code = entry.job, entry.code
    if code == DISK_FULL:
        raise DiskFull(job.run_folder)
    if code == DATA_GONE:
        raise cache_gone(job.data.folder)
    has_written = record_state(job.run_folder) != entry.record_before
    if code in (0, FAILED) and not breach and has_written and (written := existing_record(job.run_folder)):
        return written
    reason = breach or _exit_reason(entry)
    record = failed_record(job, reason, started=provenance.utc_now(), trace=_log_tail(entry.log))
    write_record(job.run_folder, record)
    return record


def _is_told_too(interrupted: Callable[[], bool]) -> bool:
    """Whether the stop that ended a run's process is meant for us as well.

    Who stops a process group or a job (``timeout``, systemd, Slurm) signals one process after the other, and a run's
    may be the first.
    """
    end = time.monotonic() + STOP_SECONDS
    while not interrupted() and time.monotonic() < end:
        time.sleep(0.01)
    return interrupted()


def _exit_reason(entry: _Running) -> str:
    code = entry.code
    if code == OUT_OF_MEMORY or _killed_for_memory(entry):
        return f"{OUT_OF_MEMORY_REASON}, also in batches divided by {entry.job.micro_batches}"
    if code < 0:
        return f"the process was ended by {signal.Signals(-code).name}"
    return f"the process ended with exit code {code} before it could write a record"


def _log_tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - (1 << 16)))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-30:])


def _what_to_free(folder: Path) -> str:
    return (
        f"the disk is full: {folder} could not be written. Free space there; the folders 'checkpoints' and 'datasets' "
        "of the cache may be deleted when nothing runs. Finished runs are kept, and the same command goes on from here."
    )


def _end(entry: _Running, selector: selectors.BaseSelector) -> None:
    with suppress(KeyError):  # already gone if its end has been read
        selector.unregister(entry.process.stdout)
    entry.code = entry.process.end()

"""Runs jobs on this machine, each in a process of its own, a few at a time."""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import IO, Any, Protocol

from fuxi_plugins.records import LOG_FILE, Record, write_record
from fuxi_plugins.runs import provenance
from fuxi_plugins.runs.job import Job
from fuxi_plugins.runs.runner import failed_record
from fuxi_plugins.runs.worker import FAILED
from fuxi_plugins.scheduling.plan import existing_record

# glibc maps, zeroes and unmaps every large temporary unless told to keep its memory, which costs about half of
# a training step on a CPU. Other allocators ignore these variables.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str((1 << 31) - 1),
    "MALLOC_TOP_PAD_": str(1 << 26),
}
GRACE_SECONDS = 10  # between asking a process to stop and stopping it


class Watcher(Protocol):
    """Is told what happens, to show it."""

    def started(self, job: Job) -> None: ...

    def progressed(self, job: Job, state: dict[str, Any]) -> None: ...

    def ended(self, job: Job, record: Record) -> None: ...


@dataclass
class _Running:
    job: Job
    process: subprocess.Popen
    log: IO[bytes]
    slot: int
    since: float = field(default_factory=time.monotonic)
    unread: bytes = b""


def run_jobs(jobs: Sequence[Job], *, slots: Sequence[int], timeout_seconds: float, watcher: Watcher) -> list[Record]:
    """Runs every job and returns their records, finished or failed, in the order of their end.

    A crash, a signal or a timeout becomes a failed record; the other jobs go on. On KeyboardInterrupt the
    running processes are stopped, leaving no record, and the exception goes on.

    Args:
        jobs: what to run.
        slots: one entry for every run that may be under way at once: the GPU it gets, or -1.
        timeout_seconds: of one run.
        watcher: is told of starts, progress and ends.
    """
    waiting, free = list(jobs), list(slots)
    running: list[_Running] = []
    records: list[Record] = []
    selector = selectors.DefaultSelector()
    try:
        while waiting or running:
            while waiting and free:
                running.append(_start(waiting.pop(0), free.pop(0), selector, watcher))
            for key, _ in selector.select(timeout=0.5):
                _read_progress(key.data, selector, watcher)
            for entry in list(running):
                timed_out = time.monotonic() - entry.since > timeout_seconds
                if timed_out:
                    _stop(entry.process)
                if entry.process.poll() is None:
                    continue
                reason = f"timed out after {timeout_seconds:.0f} s" if timed_out else ""
                with suppress(KeyError):  # already gone if its end has been read
                    selector.unregister(entry.process.stdout)
                records.append(_finish(entry, reason, watcher))
                running.remove(entry)
                free.append(entry.slot)
    finally:
        for entry in running:
            _stop(entry.process)
            entry.log.close()
        selector.close()
    return records


def _start(job: Job, slot: int, selector: selectors.BaseSelector, watcher: Watcher) -> _Running:
    job = replace(job, gpu=slot)
    job.run_folder.mkdir(parents=True, exist_ok=True)
    log = (job.run_folder / LOG_FILE).open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "fuxi_plugins.runs.worker"],
        stdin=subprocess.PIPE,  # stays open: its end tells the worker that we are gone
        stdout=subprocess.PIPE,
        stderr=log,
        env={**ALLOCATOR, **os.environ, "OMP_NUM_THREADS": str(job.threads)},
        start_new_session=True,  # Ctrl-C is ours to handle
    )
    with suppress(BrokenPipeError):  # if it died at once, its exit is read like any other
        process.stdin.write(job.to_json().encode() + b"\n")
        process.stdin.flush()
    entry = _Running(job, process, log, slot)
    selector.register(process.stdout, selectors.EVENT_READ, entry)
    watcher.started(job)
    return entry


def _read_progress(entry: _Running, selector: selectors.BaseSelector, watcher: Watcher) -> None:
    news = os.read(entry.process.stdout.fileno(), 1 << 16)
    if not news:
        selector.unregister(entry.process.stdout)
        return
    *lines, entry.unread = (entry.unread + news).split(b"\n")
    if lines:
        watcher.progressed(entry.job, json.loads(lines[-1]))  # states are cumulative; the last one says it all


def _finish(entry: _Running, reason: str, watcher: Watcher) -> Record:
    entry.log.close()
    for pipe in (entry.process.stdin, entry.process.stdout):
        pipe.close()
    job, code = entry.job, entry.process.returncode
    if code in (0, FAILED) and not reason:  # the worker has written its record, finished or failed
        record = existing_record(job.run_folder)
    else:
        record = failed_record(job, reason or _exit_reason(code), started=provenance.utc_now(), trace=_log_tail(job))
        write_record(job.run_folder, record)
    watcher.ended(job, record)
    return record


def _exit_reason(code: int) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        hint = "; the machine may have run out of memory" if name == "SIGKILL" else ""
        return f"the process was ended by {name}{hint}"
    return f"the process ended with exit code {code} before it could write a record"


def _log_tail(job: Job) -> str:
    lines = (job.run_folder / LOG_FILE).read_text(errors="replace").splitlines()
    return "\n".join(lines[-30:])


def _stop(process: subprocess.Popen) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

"""Runs jobs on this machine, each in a process of its own, a few at a time, beside any number of other runners."""

import selectors
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.execution.interrupts import interrupts
from fuxi_plugins.execution.leases import Lease
from fuxi_plugins.execution.limits import Limits
from fuxi_plugins.execution.plan import RecordState
from fuxi_plugins.execution.processes import STOP_SECONDS, start_server
from fuxi_plugins.execution.queue import SharedQueue
from fuxi_plugins.execution.running import DiskFull, Running
from fuxi_plugins.records.record import Record
from fuxi_plugins.training.faults import is_disk_full
from fuxi_plugins.training.job import Job

MICRO_BATCHES = 4  # of a run that is tried again because memory ran out


class ProgressListener(Protocol):
    """Is told what happens, to show it."""

    def started(self, job: Job) -> None: ...

    def progressed(self, job: Job, state: dict[str, Any]) -> None: ...

    def ended(self, job: Job, record: Record) -> None: ...


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
    runner = _Runner(SharedQueue(jobs, before), slots, limits, listener, worker)
    try:
        return runner.run()
    except DiskFull as error:
        raise UserError(_what_to_free(error.folder)) from error
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise UserError(_what_to_free(jobs[0].run_folder)) from error
    finally:
        runner.close()


class _Runner:
    """The loop over runs under way, and what it knows: which jobs wait, which run, which slots are free."""

    def __init__(
        self,
        queue: SharedQueue,
        slots: Sequence[int],
        limits: Limits,
        listener: ProgressListener,
        worker: Sequence[str] | None,
    ):
        self._queue, self._limits, self._listener, self._worker = queue, limits, listener, worker
        self._slots, self._free = slots, list(slots)
        self._running: list[Running] = []
        self._records: list[Record] = []
        self._selector = selectors.DefaultSelector()

    def run(self) -> list[Record]:
        with interrupts() as interrupted:
            while self._queue or self._running:
                if interrupted():
                    raise KeyboardInterrupt
                self._fill_slots()
                for job, record in self._queue.settled_by_others():
                    self._keep(job, record)
                for key, _ in self._selector.select(timeout=0.5):
                    self._read_progress(key.data)
                for run in list(self._running):
                    self._look_after(run, interrupted)
        return self._records

    def close(self) -> None:
        """Stops what still runs, without a record."""
        for run in self._running:
            self._end(run)
            run.lease.release()
        self._selector.close()

    def _fill_slots(self) -> None:
        while self._free and (taken := self._queue.take()):
            slot = self._free.pop(0)
            job = replace(taken[0], gpu=slot, gpu_share=1 / self._slots.count(slot))
            self._start(job, taken[1], slot)
            self._listener.started(job)

    def _start(self, job: Job, lease: Lease, slot: int) -> None:
        run = Running(job, lease, slot, self._worker)
        self._selector.register(run.process.stdout, selectors.EVENT_READ, run)
        self._running.append(run)

    def _read_progress(self, run: Running) -> None:
        state = run.read_progress()
        if state is None:
            self._selector.unregister(run.process.stdout)
            run.process.wait(0.2)  # it is about to end
        elif state:
            self._listener.progressed(run.job, state)

    def _look_after(self, run: Running, interrupted: Callable[[], bool]) -> None:
        """Ends a run that is over, or that must be, and settles its job."""
        holds = run.lease.beat()
        breach = run.breach(self._limits) if holds else "lost to another runner"
        if not breach and not run.process.has_ended():
            return
        self._end(run)
        self._running.remove(run)
        if not breach and run.was_stopped and _is_told_too(interrupted):
            run.lease.release()
            raise KeyboardInterrupt
        if holds and run.needs_smaller_batches(breach):
            self._start(replace(run.job, micro_batches=MICRO_BATCHES), run.lease, run.slot)
            return
        if holds:
            self._settle(run, breach)
        else:
            self._queue.give_back(run.job)
        self._free.append(run.slot)

    def _settle(self, run: Running, breach: str) -> None:
        try:
            record = run.record(breach)
        finally:
            run.lease.release()
        self._keep(run.job, record)

    def _keep(self, job: Job, record: Record) -> None:
        self._records.append(record)
        self._listener.ended(job, record)

    def _end(self, run: Running) -> None:
        with suppress(KeyError):  # already gone if its end has been read
            self._selector.unregister(run.process.stdout)
        run.end()


def _is_told_too(interrupted: Callable[[], bool]) -> bool:
    """Whether the stop that ended a run's process is meant for us as well.

    Who stops a process group or a job (``timeout``, systemd, Slurm) signals one process after the other, and a run's
    may be the first.
    """
    end = time.monotonic() + STOP_SECONDS
    while not interrupted() and time.monotonic() < end:
        time.sleep(0.01)
    return interrupted()


def _what_to_free(folder: Path) -> str:
    return (
        f"the disk is full: {folder} could not be written. Free space there; the folders 'checkpoints' and 'datasets' "
        "of the cache may be deleted when nothing runs. Finished runs are kept, and the same command goes on from here."
    )

"""One run under way, as its runner sees it: its process and log, the limits that it may break, and its record."""

import json
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from fuxi_plugins.core.files import cache_gone
from fuxi_plugins.execution.leases import Lease
from fuxi_plugins.execution.limits import Limits, killed_for_memory, shorten_log, used_memory
from fuxi_plugins.execution.plan import existing_record, record_state
from fuxi_plugins.execution.processes import Forked, RunProcess, Started
from fuxi_plugins.records.files import LOG_FILE, write_record
from fuxi_plugins.records.record import Record
from fuxi_plugins.training import provenance
from fuxi_plugins.training.faults import DATA_GONE, DISK_FULL, FAILED, OUT_OF_MEMORY
from fuxi_plugins.training.job import Job
from fuxi_plugins.training.runner import failed_record

OUT_OF_MEMORY_REASON = "out of memory"
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL)  # that somebody sends who wants an end


class DiskFull(Exception):
    """A run could not write; ``folder`` is the place."""

    def __init__(self, folder: Path):
        super().__init__(str(folder))
        self.folder = folder


class Running:
    """A leased job and the process that does it. Making one starts the process.

    Args:
        job: with its device.
        lease: on its run.
        slot: GPU or -1 that it occupies.
        worker: the command of its process; None: a fork of one that has imported everything.
    """

    def __init__(self, job: Job, lease: Lease, slot: int, worker: Sequence[str] | None):
        self.job, self.lease, self.slot = job, lease, slot
        self.log = job.run_folder / LOG_FILE
        self.code = 0  # of the process's exit, once it has ended
        self._unread = b""
        self._killed_before = killed_for_memory()
        job.run_folder.mkdir(parents=True, exist_ok=True)
        self.log.unlink(missing_ok=True)
        self.log.touch()
        self._record_before = record_state(job.run_folder)
        self.process: RunProcess = Started(worker, self.log, job.threads) if worker else Forked(self.log, job.threads)
        self._since = time.monotonic()
        with suppress(BrokenPipeError):  # if it died at once, its exit is read like any other
            self.process.stdin.write(job.to_json().encode() + b"\n")
            self.process.stdin.flush()

    def read_progress(self) -> dict[str, Any] | None:
        """The latest state that the process reports; nothing (``{}``) for half a line, and None where it has closed."""
        news = os.read(self.process.stdout.fileno(), 1 << 16)
        if not news:
            return None
        *lines, self._unread = (self._unread + news).split(b"\n")
        if not lines:
            return {}
        state = json.loads(lines[-1])  # states are cumulative; the last one says it all
        self.lease.note({**state, "seconds": round(time.monotonic() - self._since)})
        return state

    def breach(self, limits: Limits) -> str:
        """Which limit the run has broken; "" if none."""
        shorten_log(self.log, limits.log_bytes)
        if time.monotonic() - self._since > limits.timeout_seconds:
            return f"timed out after {limits.timeout_seconds:.0f} s"
        used = used_memory(self.process.pid, and_of_children=self.job.processes > 1)
        if used > limits.memory_bytes:
            return f"{OUT_OF_MEMORY_REASON}: the process held {used >> 20:,} MB of {limits.memory_bytes >> 20:,} MB"
        return ""

    def end(self) -> None:
        """Ends the process if it has not ended."""
        self.code = self.process.end()

    @property
    def was_stopped(self) -> bool:
        """Whether a signal ended it with which people and schedulers stop processes."""
        return -self.code in STOPS

    def needs_smaller_batches(self, breach: str) -> bool:
        """Whether it ended because memory ran out, and its batches have not been divided yet."""
        if self.job.micro_batches > 1:
            return False
        return breach.startswith(OUT_OF_MEMORY_REASON) if breach else self._ran_out_of_memory

    def record(self, breach: str) -> Record:
        """The record that the run has written, or one of its failure, which is written now.

        Args:
            breach: the limit for which it was ended, or "".

        Raises:
            DiskFull: the run could not write.
            UserError: the prepared data were deleted.
        """
        folder = self.job.run_folder
        if self.code == DISK_FULL:
            raise DiskFull(folder)
        if self.code == DATA_GONE:
            raise cache_gone(self.job.data.folder)
        has_written = record_state(folder) != self._record_before
        if self.code in (0, FAILED) and not breach and has_written and (written := existing_record(folder)):
            return written
        reason = breach or self._exit_reason()
        record = failed_record(self.job, reason, started=provenance.utc_now(), trace=self._log_tail())
        write_record(folder, record)
        return record

    @property
    def _ran_out_of_memory(self) -> bool:
        """The process said so by its exit code, or the system killed it for want of memory."""
        killed = self.code == -signal.SIGKILL and killed_for_memory() > self._killed_before
        return self.code == OUT_OF_MEMORY or killed

    def _exit_reason(self) -> str:
        if self._ran_out_of_memory:
            return f"{OUT_OF_MEMORY_REASON}, also in batches divided by {self.job.micro_batches}"
        if self.code < 0:
            return f"the process was ended by {signal.Signals(-self.code).name}"
        return f"the process ended with exit code {self.code} before it could write a record"

    def _log_tail(self) -> str:
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - (1 << 16)))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-30:])

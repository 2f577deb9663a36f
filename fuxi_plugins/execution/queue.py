"""The runs that a runner still has to see done, by itself or by others on the same results folder."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from fuxi_plugins.execution.leases import PATIENCE, Claim, Claimant
from fuxi_plugins.execution.plan import RecordState, existing_record, record_state
from fuxi_plugins.records.record import Record
from fuxi_plugins.training.job import Job

POLL = 2.0  # seconds between two looks at what others hold


class SharedQueue:
    """Jobs in their order, each given to one runner among all who hold the same list.

    A run is settled when a record appears that was not there at planning, whoever wrote it. So what another
    runner has just finished, or found to fail, is not run again.

    Args:
        jobs: what is wanted.
        before: how each job's record stood when the job was planned.
        patience: seconds after which a claim without a sign of life is taken over.
    """

    def __init__(self, jobs: Sequence[Job], before: Mapping[Path, RecordState], patience: float = PATIENCE):
        self._open = {job.run_folder: job for job in jobs}
        self._before = before
        self._claimant = Claimant(patience)
        self._next_claim = self._next_look = 0.0

    def __bool__(self) -> bool:
        return bool(self._open)

    def take(self) -> tuple[Job, Claim] | None:
        """The first job that nobody holds, claimed; None when all are settled or with others."""
        if time.monotonic() < self._next_claim:
            return None
        for folder, job in self._open.items():
            if self._settled(folder):
                continue
            claim = self._claimant.claim(folder)
            if claim is None:
                continue
            if self._settled(folder):  # its holder wrote the record and released the claim between our two looks
                claim.release()
                continue
            del self._open[folder]
            return job, claim
        self._next_claim = time.monotonic() + POLL
        return None

    def give_back(self, job: Job) -> None:
        """Waits for another runner to settle a job that it has taken over from us."""
        self._open[job.run_folder] = job

    def settled_by_others(self) -> list[tuple[Job, Record]]:
        """Jobs whose records others have written since the last call; they leave the queue."""
        if time.monotonic() < self._next_look:
            return []
        self._next_look = time.monotonic() + POLL
        settled = []
        for folder in list(self._open):
            if self._settled(folder) and (record := existing_record(folder)):
                settled.append((self._open.pop(folder), record))
        return settled

    def _settled(self, folder: Path) -> bool:
        now = record_state(folder)
        return now is not None and now != self._before[folder]

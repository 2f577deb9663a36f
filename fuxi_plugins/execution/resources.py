"""What runs may use of a machine: GPUs or CPU cores, and processes."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from fuxi_plugins.core.errors import UserError

MOST_JOBS = 8  # runs at once on a CPU unless told otherwise


@dataclass(frozen=True)
class Resources:
    """What runs may use: one slot for each run under way at once, with its GPU or -1, and threads a run."""

    slots: list[int]
    threads: int
    processes: int = 1  # of a run on each host; on GPUs they take the slot's and those that follow it
    hosts: int = 1  # that share each run
    rendezvous: str = ""  # where they meet
    host_wait: float = 45.0  # seconds for them to come there
    host_timeout: float = 300.0  # seconds without an answer of one of them, after which a run ends

    @classmethod
    def choose(cls, gpus: Sequence[int], jobs: int | None, threads: int | None, processes: int = 1) -> "Resources":
        """Fills in what was not asked for: a slot for each GPU named, or a few on the CPU, sharing its cores.

        Raises:
            UserError: a GPU that is not there, or that two runs of several processes would share by halves.
        """
        asked = [gpu for gpu in gpus if gpu >= 0]
        if asked:
            _require_gpus([gpu + place for gpu in asked for place in range(processes)])
        if any(0 < other - gpu < processes for gpu in asked for other in asked):
            raise UserError(
                f"with {processes} processes a run takes that many GPUs from the one named on, so those named must lie "
                f"as far apart; {','.join(map(str, asked))} do not."
            )
        slots = asked or [-1]
        cores = os.cpu_count() or 1
        jobs = jobs or (len(slots) if asked else max(1, min(cores, MOST_JOBS) // processes))
        threads = threads or max(1, cores // (jobs * processes))
        return cls([slots[i % len(slots)] for i in range(jobs)], threads, processes)


def _require_gpus(asked: Sequence[int]) -> None:
    import torch

    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    missing = sorted({gpu for gpu in asked if gpu >= there})
    if missing:
        raise UserError(
            f"GPU {', '.join(map(str, missing))} was asked for, but torch sees {there} GPU{'s' * (there != 1)} here; "
            "--gpu -1 runs on the CPU."
        )

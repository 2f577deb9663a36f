"""One process of a run that has several; started by ``launch`` with the file of the job as its argument."""

import logging
import os
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from fuxi_plugins.models import registry
from fuxi_plugins.training import provenance
from fuxi_plugins.training.distributed import ddp
from fuxi_plugins.training.distributed.launch import tell_failure
from fuxi_plugins.training.faults import FAILED, exit_code
from fuxi_plugins.training.job import Job
from fuxi_plugins.training.runner import carry_out, describe_failure
from fuxi_plugins.training.worker import set_up

# How Gloo and NCCL say that another process is gone.
CONNECTION_LOST = ("Connection closed", "Connection reset", "Broken pipe", "Timed out", "timed out", "Socket Timeout",
                   "NCCL Error", "remote process exited", "No route to host")  # fmt: skip
LOST_HOST = (
    "a process of the run on another host ended, or the connection to it broke; the same commands again go on from the "
    "last checkpoint"
)


def main() -> int:
    started, clock_start = provenance.utc_now(), time.perf_counter()
    rank = int(os.environ["RANK"])
    job = Job.from_json(Path(sys.argv[1]).read_text())
    job = replace(job, gpu=job.gpu + int(os.environ["LOCAL_RANK"]) if job.gpu >= 0 else -1)
    registry.use_sources(job.sources)
    report = set_up()
    try:
        with ddp.group(job.gpu, timedelta(seconds=job.host_timeout) if job.hosts > 1 else None):
            carry_out(job, report if rank == 0 else lambda news: None, started=started, clock_start=clock_start)
    except Exception as error:
        at = time.time_ns()
        logging.exception("process %d of the run failed", rank)
        if code := exit_code(error, job.data.folder):
            return code
        reason, trace = describe_failure(error)
        if job.hosts > 1 and any(text in reason for text in CONNECTION_LOST):
            reason = f"{LOST_HOST} ({reason})"
        tell_failure(job, rank, at, reason, trace)
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Starts the processes of a run that has several, by torchrun's launcher, and says how they ended."""

import json
import os
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import write_text
from fuxi_plugins.records.files import write_record
from fuxi_plugins.training.distributed import hosts
from fuxi_plugins.training.faults import DATA_GONE, DISK_FULL, FAILED, OUT_OF_MEMORY
from fuxi_plugins.training.job import Job
from fuxi_plugins.training.runner import failed_record

JOB_FILE = "job.json"  # beside the checkpoints
FAILURES = "failure-*.json"
LOST = 1  # a process ended without a word


def launcher(processes: int, entry: str | Callable) -> elastic_launch:
    """torchrun's launcher for some processes on this machine; what it is called with goes to each as arguments."""
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
    )
    return elastic_launch(config, entry)


def launcher_of_a_host(job: Job, number: int, call_id: str) -> elastic_launch:
    """The same for the processes of one of several hosts."""
    address = hosts.Address.read(job.rendezvous)
    config = LaunchConfig(
        min_nodes=job.hosts,
        max_nodes=job.hosts,
        nproc_per_node=job.processes // job.hosts,
        run_id=call_id,
        rdzv_backend="static",
        rdzv_endpoint=f"{address.host}:{address.port + 1}",
        rdzv_configs={"rank": number, "timeout": hosts.PATIENCE.seconds},
        local_addr=hosts.use_interface_towards(address),
        max_restarts=0,
    )
    return elastic_launch(config, sys.executable)


def launch(job: Job, started: str) -> int:
    """Carries out a job by ``job.processes`` processes and returns the exit code of a worker."""
    for path in job.checkpoint_folder.glob(FAILURES):  # of an earlier attempt
        path.unlink()
    if job.hosts == 1:
        return _launch(job, launcher(job.processes, sys.executable), started)
    job.checkpoint_folder.mkdir(parents=True, exist_ok=True)
    call_id = uuid.uuid4().hex
    try:
        with hosts.called(job, call_id):
            return _launch(job, launcher_of_a_host(job, 0, call_id), started)
    except UserError as error:
        write_record(job.run_folder, failed_record(job, str(error), started=started))
        return FAILED


def launch_beside(job: Job, number: int, call_id: str) -> str:
    """Carries out the part of a host that has joined a job; returns why it failed, or nothing."""
    log = job.checkpoint_folder / f"host-{number}.log"
    with _streams(log):
        try:
            launcher_of_a_host(job, number, call_id)(*_arguments(job, f"job-{number}.json"))
        except ChildFailedError:
            reason = first["reason"] if (first := _first_failure(job)) else "a process ended without a word"
            return f"{reason} (log: {log})"
    return ""


@contextmanager
def _streams(log: Path) -> Iterator[None]:
    """Gives processes that are started within it a log, and a standard input that ends only when we do."""
    its_input, ours = os.pipe()  # our end is open as long as we live
    kept = [os.dup(number) for number in range(3)]
    with log.open("ab") as file:
        for number, end in enumerate((its_input, file.fileno(), file.fileno())):
            os.dup2(end, number)
        try:
            yield
        finally:
            for number, former in enumerate(kept):
                os.dup2(former, number)
                os.close(former)
            os.close(its_input)
            os.close(ours)


def _arguments(job: Job, name: str) -> list[str]:
    job_file = job.checkpoint_folder / name
    write_text(job_file, job.to_json())
    return ["-m", "fuxi_plugins.training.distributed.worker", str(job_file)]


def _launch(job: Job, start: elastic_launch, started: str) -> int:
    try:
        start(*_arguments(job, JOB_FILE))
    except ChildFailedError as error:
        return _judge(job, started, {failure.exitcode for failure in error.failures.values()})
    except SignalException as error:  # we were told to end, and the processes have
        _end_by(error.sigval)
    return 0


def tell_failure(job: Job, rank: int, at: int, reason: str, trace: str) -> None:
    """Leaves word of why a process fails; the earliest word counts, for the others fail because of that."""
    content = {"at": at, "reason": reason, "trace": trace}
    write_text(job.checkpoint_folder / f"failure-{rank}.json", json.dumps(content))


def _judge(job: Job, started: str, codes: set[int]) -> int:
    for code in (DATA_GONE, DISK_FULL, OUT_OF_MEMORY):
        if code in codes:
            return code
    signals = [-code for code in codes if code < 0 and -code != signal.SIGTERM]  # with which the launcher ends the rest
    if signals:
        _end_by(signals[0])
    if codes == {-signal.SIGTERM}:  # sent to all of us
        _end_by(signal.SIGTERM)
    if (first := _first_failure(job)) is None:
        return LOST
    write_record(job.run_folder, failed_record(job, first["reason"], started=started, trace=first["trace"]))
    return FAILED


def _first_failure(job: Job) -> dict[str, Any] | None:
    told = [json.loads(path.read_text()) for path in job.checkpoint_folder.glob(FAILURES)]
    return min(told, key=lambda failure: failure["at"], default=None)


def _end_by(number: int) -> None:
    """Ends as the process of the run did, so that whoever waits for us sees it."""
    if number != signal.SIGKILL:  # which nobody can handle
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)

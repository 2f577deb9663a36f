"""The same jobs on a Ray cluster: each is one Ray task, which runs it as a runner on that node would.

A task leases its run, starts the run's process, keeps the limits and writes the record by ``run_jobs``, so nothing
differs from one machine but the place. Ray finds a node with free cores or GPUs, and submits a task anew whose node
has died; the leases beside the records keep a run from being done twice. Results and cache lie on a file system that
every node shares.
"""

import logging
import os
import socket
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

import fuxi_plugins
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.execution.interrupts import interrupts
from fuxi_plugins.execution.leases import HEARTBEAT, current_lease
from fuxi_plugins.execution.limits import Limits
from fuxi_plugins.execution.local import ProgressListener, run_jobs
from fuxi_plugins.execution.plan import RecordState
from fuxi_plugins.execution.processes import GRACE_SECONDS
from fuxi_plugins.execution.queue import POLL, SharedQueue
from fuxi_plugins.records.files import write_record
from fuxi_plugins.records.record import Record, parse_record
from fuxi_plugins.training import provenance
from fuxi_plugins.training.job import Job
from fuxi_plugins.training.runner import failed_record

MOST_DEATHS = 3  # of nodes under one run, after which the run is held to be the cause
ANSWER_SECONDS = 10.0  # for a cluster to accept a connection
PACKAGE_ROOT = Path(fuxi_plugins.__file__).resolve().parents[1]


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster and what a run may take of it."""

    address: str  # HOST:PORT of its head, or "auto" on one of its nodes
    gpus_per_run: float = 0.0  # 0.5 puts two runs on each GPU
    most_runs: int | None = None  # under way at once; None is as many as fit

    @property
    def runs_per_gpu(self) -> int:
        return round(1 / self.gpus_per_run) if 0 < self.gpus_per_run < 1 else 1

    @classmethod
    def choose(cls, address: str, gpus: Sequence[int], jobs: int | None, processes: int = 1) -> "Cluster":
        """Reads ``--gpu`` as on one machine: 0,1 is a run on each GPU, 0,1,0,1 two; which, Ray says.

        Raises:
            UserError: nothing answers at the address, or several processes would share a GPU.
        """
        _require_answer(address)
        named = Counter(gpu for gpu in gpus if gpu >= 0)
        share = 1 / max(named.values()) if named else 0.0
        if processes > 1 and 0 < share < 1:
            raise UserError("on a Ray cluster --nproc-per-run gives each process a GPU; name none twice in --gpu.")
        return cls(address, share * processes, jobs)


def run_jobs_on(
    cluster: Cluster,
    jobs: Sequence[Job],
    *,
    before: Mapping[Path, RecordState],
    results: Path,
    timeout_seconds: float,
    listener: ProgressListener,
) -> list[Record]:
    """Sees every job done on the cluster and returns their records, finished or failed, in the order of their end.

    Args:
        cluster: where, and how much of it.
        jobs: what is wanted; their threads, of all processes, are the cores that each asks Ray for.
        before: how their records stood when they were planned.
        results: the results folder, by which a node is known to share our files.
        timeout_seconds: of one run; the limit of memory is that of the node that it comes to.
        listener: is told of starts, progress and ends; what is under way it is told from the leases.

    Raises:
        UserError: no cluster answers, no node is large enough, a node does not share the files, a disk is full.
    """
    _connect(cluster.address)
    cores = max(job.threads * job.processes for job in jobs)
    try:
        _require_room(cores, cluster.gpus_per_run)
        with tempfile.TemporaryDirectory(dir=results, prefix=".ray-") as mark, interrupts() as interrupted:
            task = ray.remote(_run_one).options(
                num_cpus=cores, num_gpus=cluster.gpus_per_run, max_retries=MOST_DEATHS, scheduling_strategy="SPREAD"
            )
            waiting = deque(jobs)
            under_way: dict[ray.ObjectRef, Job] = {}
            records: list[Record] = []
            shown = _Shown(listener)
            try:
                while waiting or under_way:
                    if interrupted():
                        raise KeyboardInterrupt
                    while waiting and len(under_way) < (cluster.most_runs or len(jobs)):
                        job = waiting.popleft()
                        under_way[
                            task.remote(
                                job.to_json(), before[job.run_folder], mark, timeout_seconds, cluster.runs_per_gpu
                            )
                        ] = job
                    for done in ray.wait(list(under_way), timeout=0.5)[0]:
                        job = under_way.pop(done)
                        record = _record_of(done, job, before)
                        records.append(record)
                        listener.ended(job, record)
                    shown.look_at(under_way.values())
            finally:
                for unfinished in under_way:  # comes as Ctrl-C: the task stops its run and gives the lease back
                    ray.cancel(unfinished)
                if under_way:
                    ray.wait(list(under_way), num_returns=len(under_way), timeout=GRACE_SECONDS + 5)
    finally:
        ray.shutdown()
    return records


def _run_one(text: str, before: RecordState, mark: str, timeout_seconds: float, runs_per_gpu: int) -> str:
    """A Ray task: does one job on the node that it has come to, and returns the record as JSON."""
    job = Job.from_json(text)
    for folder in (Path(mark), job.data.folder):
        if not folder.is_dir():
            raise UserError(
                f"every node must see the same files, but {folder} does not exist on {socket.gethostname()}. Put the "
                "results (--results) and the cache (FUXIBENCH_CACHE) on a file system that all nodes share."
            )
    slot = 0 if ray.get_runtime_context().get_accelerator_ids().get("GPU") else -1  # it sees only the GPU it was given
    limits = Limits(timeout_seconds=timeout_seconds)
    slots = [slot] * runs_per_gpu  # one is used; by their number a run knows its share of the GPU's memory
    (record,) = run_jobs([job], before={job.run_folder: before}, slots=slots, limits=limits, listener=_Unseen())
    return record.model_dump_json()


def _record_of(done: ray.ObjectRef, job: Job, before: Mapping[Path, RecordState]) -> Record:
    try:
        return parse_record(ray.get(done))
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:  # the process of the task or its node has died, too often
        return _give_up(job, before, f"{type(error).__name__}: its Ray worker died {MOST_DEATHS + 1} times")


def _give_up(job: Job, before: Mapping[Path, RecordState], reason: str) -> Record:
    """Records that a job cannot be done, once nobody holds it any more, unless somebody has done it after all."""
    queue = SharedQueue([job], before)
    while True:
        if taken := queue.take():
            record = failed_record(job, reason, started=provenance.utc_now())
            write_record(job.run_folder, record)
            taken[1].release()
            return record
        for _, settled in queue.settled_by_others():
            return settled
        time.sleep(POLL)


class _Shown:
    """Tells a listener what the leases in the shared folder say of the runs under way."""

    def __init__(self, listener: ProgressListener):
        self._listener, self._next_look = listener, 0.0
        self._started: set[Path] = set()

    def look_at(self, jobs: Iterable[Job]) -> None:
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + HEARTBEAT
        for job in jobs:
            held = current_lease(job.run_folder)
            if held is None or held.owner is None:
                continue
            if job.run_folder not in self._started:
                self._started.add(job.run_folder)
                self._listener.started(job)
            if held.progress:
                self._listener.progressed(job, held.progress)


class _Unseen:
    """A listener on a node, where nobody looks."""

    def started(self, job: Job) -> None: ...

    def progressed(self, job: Job, state: dict[str, Any]) -> None: ...

    def ended(self, job: Job, record: Record) -> None: ...


def _require_answer(address: str) -> None:
    """Ray itself tries for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal()):
        raise UserError(f"--address is HOST:PORT of the Ray cluster's head, or auto, but this is {address!r}.")
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UserError(_no_answer(address, error)) from error


def _connect(address: str) -> None:
    path = os.pathsep.join(filter(None, [str(PACKAGE_ROOT), os.environ.get("PYTHONPATH")]))
    try:
        ray.init(
            address, runtime_env={"env_vars": {"PYTHONPATH": path}}, log_to_driver=False, logging_level=logging.ERROR
        )
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise UserError(_no_answer(address, error)) from error


def _no_answer(address: str, error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return (
        f"no Ray cluster answers at {address} ({lines[-1]}). Start one by 'ray start --head --port=6379' and "
        "'ray start --address=HOST:6379' on the other nodes, and run this command on one of them."
    )


def _require_room(cores: int, gpus: float) -> None:
    """A task that fits nowhere would wait for ever."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(node.get("CPU", 0) >= cores and node.get("GPU", 0) >= gpus for node in nodes):
        largest = ", ".join(f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in nodes)
        raise UserError(
            f"a run needs {cores} CPUs (--threads) and {gpus:g} GPUs (--gpu) of one node, but the nodes have {largest}."
        )

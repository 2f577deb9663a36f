"""One run over several hosts: the first calls it at an address, the others join it there.

The host that calls (``fuxibench run --hosts 2 --rendezvous HOST:PORT``) plans the run, writes its record and keeps its
limits. Those that join (``fuxibench join HOST:PORT``) only add processes. Before a process starts, each joining host
holds that its packages, its code and the prepared data are the calling host's, and says so; whatever is wrong ends in
one message on both. Then torchrun's launcher starts the processes of each host, at the port after this one.
"""

import fcntl
import json
import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pydantic import ValidationError
from torch.distributed import DistError, TCPStore

from fuxi_plugins import __version__
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.prepare import stored_fingerprint
from fuxi_plugins.experiments.code import code_of
from fuxi_plugins.models import registry
from fuxi_plugins.training import provenance
from fuxi_plugins.training.job import Job

PATIENCE = timedelta(seconds=45)  # for an address to answer, or for a host that has come to be ready
SAME_CODE = "all hosts must have the same code"
_GET_ADDRESS = 0x8915  # SIOCGIFADDR of Linux: the address of a network interface


@dataclass(frozen=True)
class Address:
    """Where hosts meet; the port after it is used too."""

    host: str
    port: int

    @classmethod
    def read(cls, text: str) -> "Address":
        host, _, port = text.rpartition(":")
        if not (host and port.isdecimal() and 0 < int(port) < 65535):
            raise UserError(f"the rendezvous must be HOST:PORT, as in node1:29400, but is {text!r}.")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Call:
    """A run as its first host announces it."""

    id: str
    job: str  # as JSON
    versions: dict[str, str]
    mark: str  # a file that whoever shares the folder of the checkpoints sees


@contextmanager
def called(job: Job, call_id: str) -> Iterator[None]:
    """Announces a job, and holds that enough hosts have joined it.

    Raises:
        UserError: the address is not this host's, too few have come, or one of them cannot join.
    """
    address = Address.read(job.rendezvous)
    for left in job.checkpoint_folder.glob("called-*"):  # by an attempt that was killed
        left.unlink()
    mark = job.checkpoint_folder / f"called-{call_id}"
    mark.touch()
    try:
        store = _open(address)
        call = Call(call_id, job.to_json(), _versions(), str(mark))
        store.set("call", json.dumps(vars(call)))
        try:
            _require_all(store, address, job.hosts, job.host_wait)
        except UserError as error:
            store.set("go", str(error))
            time.sleep(1)  # for the others to read it, before the store goes with this process
            raise
        store.set("go", "")
        yield
    finally:
        mark.unlink()


def joined(address: Address, known: str | None, wait: float) -> tuple[Job, int, str] | None:
    """Joins the next run that is announced: the job, this host's number, and the run's id.

    Args:
        known: the id of the run that this host has joined before.
        wait: seconds for a run to be announced.

    Raises:
        UserError: this host cannot take part, or another cannot.
    """
    end, why = time.monotonic() + wait, "no further one came"
    while time.monotonic() < end:
        try:
            store = _connect(address, end - time.monotonic())
        except (DistError, OSError) as error:
            why = _first_line(error)
            break
        if (found := _take(store, known)) is None:
            time.sleep(1)
            continue
        call, number = found
        try:
            _require_same_versions(call)
            job = _job_of(call)
            _require_same(job, call, number)
        except UserError as error:
            store.set(f"ready/{number}", f"{socket.gethostname()}: {error}")
            raise
        store.set(f"ready/{number}", "")
        try:
            store.set_timeout(timedelta(seconds=job.host_wait) + PATIENCE)
            refusal = store.get("go").decode()
        except DistError as error:
            raise UserError(f"the host that called the run at {address} has gone: {_first_line(error)}") from error
        if refusal:
            raise UserError(refusal)
        return job, number, call.id
    if known is None:
        raise UserError(
            f"no run was announced at {address} within {wait:.0f} s ({why}). Start fuxibench run with --hosts and "
            f"--rendezvous {address} on that host, and see that its ports {address.port} and {address.port + 1} can "
            "be reached from here."
        )
    return None


def use_interface_towards(address: Address) -> str:
    """Has Gloo and NCCL use the network that leads to an address; gives this host's own address there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address.host, address.port))  # sends nothing
        own = probe.getsockname()[0]
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode())
            try:
                found = socket.inet_ntoa(fcntl.ioctl(probe.fileno(), _GET_ADDRESS, request)[20:24])
            except OSError:  # an interface without an address
                continue
            if found == own:
                os.environ.setdefault("GLOO_SOCKET_IFNAME", name)
                os.environ.setdefault("NCCL_SOCKET_IFNAME", name)
    return own


def _take(store: TCPStore, known: str | None) -> tuple[Call, int] | None:
    """The run that is announced and this host's number in it; None if it is one that is ending."""
    try:
        call = Call(**json.loads(store.get("call")))
        return None if call.id == known else (call, store.add("joined", 1))
    except DistError:
        return None


def _open(address: Address) -> TCPStore:
    try:
        socket.create_server((address.host, address.port)).close()  # torch tries another host's address for minutes
        return TCPStore(address.host, address.port, is_master=True, wait_for_workers=False, timeout=PATIENCE)
    except (DistError, OSError) as error:
        raise UserError(
            f"the rendezvous {address} must be an address of this host and a free port: {_first_line(error)}"
        ) from error


def _connect(address: Address, seconds: float) -> TCPStore:
    """The store at an address once it answers; the last error if it does not in that time."""
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((address.host, address.port), timeout=max(0.5, end - time.monotonic())).close()
            return TCPStore(address.host, address.port, is_master=False, timeout=PATIENCE)
        except (DistError, OSError):
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def _require_all(store: TCPStore, address: Address, hosts: int, wait: float) -> None:
    end = time.monotonic() + wait
    waiting = [f"ready/{number}" for number in range(1, hosts)]
    while waiting:
        if store.check([waiting[0]]):
            if refusal := store.get(waiting.pop(0)).decode():
                raise UserError(f"a host cannot join the run. {refusal}")
        elif time.monotonic() > end:
            raise UserError(
                f"{hosts - len(waiting)} of {hosts} hosts came to {address} within {wait:.0f} s. Run "
                f"'fuxibench join {address}' on each of the others."
            )
        else:
            time.sleep(0.1)


def _job_of(call: Call) -> Job:
    try:
        return Job.from_json(call.job)
    except ValidationError as error:
        raise UserError(f"{SAME_CODE}, but this one cannot read the run that was called.") from error


def _versions() -> dict[str, str]:
    return {"fuxibench": __version__, **provenance.versions()}


def _require_same_versions(call: Call) -> None:
    for name, version in _versions().items():
        if version != (theirs := call.versions.get(name, "missing")):
            raise UserError(
                f"all hosts must have the same packages, but {name} is {version} here and {theirs} on the host that "
                "called the run."
            )


def _require_same(job: Job, call: Call, number: int) -> None:
    """This host must be able to do its part of the job."""
    if number >= job.hosts:
        raise UserError(f"the run has its {job.hosts} hosts already.")
    registry.use_sources(job.sources)
    if code_of(job.experiment.model) != job.experiment.code:
        raise UserError(f"{SAME_CODE}, but {job.experiment.model} or the training differs here.")
    if (fingerprint := stored_fingerprint(job.data.folder)) != job.data.card.fingerprint:
        seen = "other data lie" if fingerprint else "nothing lies"
        raise UserError(
            f"all hosts must see the prepared data in {job.data.folder}, but here {seen} there. Let FUXIBENCH_CACHE "
            "name a folder that all hosts share, under the same path."
        )
    if not Path(call.mark).exists():
        raise UserError(
            f"all hosts must share the folder of the checkpoints, but {job.checkpoint_folder} is another one here. Let "
            "FUXIBENCH_CACHE name a folder that all hosts share, under the same path."
        )


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__

"""Who is carrying out which run: leases beside the records, so that any number of runners share a results folder.

A lease is a file ``lease-<n>.json`` in the run's folder. It is made by a hard link, which fails if the name is
there: one atomic step on a local disk and over NFS, and nothing that a dead runner could leave locked. Whoever
finds that the owner of lease n is dead makes lease n + 1; of several who try at once, one succeeds. The highest
number holds the run.

An owner rewrites its lease every few seconds. It is dead when its process is gone from this machine, or when
another runner has seen no change for ``PATIENCE`` seconds of that runner's own monotonic clock. No time of day is ever
compared with another, so clocks that differ or jump do no harm.
"""

import json
import os
import re
import socket
import time
import uuid
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fuxi_plugins.core.files import replacing

HEARTBEAT = 5.0  # seconds between two rewritings of a lease
PATIENCE = 180.0  # seconds without change; NFS may show a file as it was a minute ago
_NAME = re.compile(r"lease-(\d+)\.json")


@dataclass(frozen=True)
class Owner:
    """A process, named so that one on another machine or in another container is never taken for it."""

    runner: str  # unique among all runners there ever were
    host: str
    system: str  # the boot and the process namespace in which ``pid`` and ``born`` mean something
    pid: int
    born: str  # the process's start in clock ticks since the boot; process ids are used again, this pair is not

    @classmethod
    def this_process(cls) -> "Owner":
        pid = os.getpid()
        return cls(uuid.uuid4().hex, socket.gethostname(), _system(), pid, _born(pid))

    def is_gone(self) -> bool:
        """Whether this machine can tell that the process has ended."""
        return bool(self.system) and self.system == _system() and _born(self.pid) != self.born


@dataclass(frozen=True)
class LeaseState:
    """A lease as its file says it."""

    path: Path
    owner: Owner | None  # None when the file is not to be read
    progress: dict[str, Any]
    changed: int  # the file's time in ns; only ever compared with an earlier value of the same file


class Lease:
    """A run that this process holds."""

    def __init__(self, path: Path, owner: Owner):
        self.path, self.owner = path, owner
        self._progress: dict[str, Any] = {}
        self._written = time.monotonic()

    def note(self, progress: dict[str, Any]) -> None:
        """Progress to be shown to others with the next heartbeat."""
        self._progress = progress

    def beat(self) -> bool:
        """Shows that the owner lives, if it is time to; False when the lease has been lost to another runner."""
        if time.monotonic() - self._written < HEARTBEAT:
            return True
        if _newest(self.path.parent) != self.path:
            return False
        try:
            with replacing(self.path) as temporary:
                temporary.write_text(_content(self.owner, self._progress))
        except FileNotFoundError:  # a new owner has cleared away what we were writing
            return False
        self._written = time.monotonic()
        return True

    def release(self) -> None:
        """Gives the run back; the leases that this one superseded go first."""
        number = _number(self.path)
        for path in _lease_files(self.path.parent):
            if _number(path) <= number:
                path.unlink(missing_ok=True)


class Leaser:
    """Makes leases for one runner and remembers since when it has seen others' leases unchanged."""

    def __init__(self, patience: float = PATIENCE):
        self.owner = Owner.this_process()
        self.patience = patience
        self._seen: dict[Path, tuple[int, float]] = {}

    def lease(self, folder: Path) -> Lease | None:
        """The run of this folder, or None while another lives that holds it."""
        folder.mkdir(parents=True, exist_ok=True)
        newest = _newest(folder)
        if newest is None:
            return self._make(folder / "lease-1.json")
        held = read_lease(newest)
        if held is None or not self._is_dead(held):  # None: released this very moment; asked again later
            return None
        return self._make(folder / f"lease-{_number(newest) + 1}.json")

    def _is_dead(self, held: LeaseState) -> bool:
        if held.owner is not None and held.owner.is_gone():
            return True
        now = time.monotonic()
        changed, since = self._seen.get(held.path, (None, now))
        if changed != held.changed:
            since = now
        self._seen[held.path] = (held.changed, since)
        return now - since > self.patience

    def _make(self, path: Path) -> Lease | None:
        own = path.parent / f".{path.name}.{self.owner.runner}"
        own.write_text(_content(self.owner, {}))
        try:
            os.link(own, path)
        except FileExistsError:
            if own.stat().st_nlink < 2:  # else the link was made and only the answer lost, as happens over NFS
                return None
        finally:
            own.unlink()
        for unfinished in path.parent.glob(".*.partial"):  # a former owner's, which died while it wrote
            unfinished.unlink(missing_ok=True)
        return Lease(path, self.owner)


def clear_dead_leases(folder: Path) -> None:
    """Removes what runners of this machine left that died between their record and the release of their lease.

    Only for a run that is finished: while it is not, the highest number must stay for the next lease to exceed.
    """
    for path in _lease_files(folder):
        held = read_lease(path)
        if held and held.owner and held.owner.is_gone():
            path.unlink(missing_ok=True)


def current_lease(folder: Path) -> LeaseState | None:
    """The lease on the run of this folder, if there is one."""
    newest = _newest(folder)
    return read_lease(newest) if newest else None


def read_lease(path: Path) -> LeaseState | None:
    """What a lease's file says; None when it is gone."""
    try:
        text, changed = path.read_text(errors="replace"), path.stat().st_mtime_ns
    except FileNotFoundError:
        return None
    try:
        content = json.loads(text)
        return LeaseState(path, Owner(**content["owner"]), dict(content["progress"]), changed)
    except (ValueError, TypeError, KeyError, RecursionError):  # damaged: its owner is unknown, only time frees it
        return LeaseState(path, None, {}, changed)


def _content(owner: Owner, progress: dict[str, Any]) -> str:
    return json.dumps({"owner": vars(owner), "progress": progress}) + "\n"


def _lease_files(folder: Path) -> list[Path]:
    """The leases in a run's folder, the newest last; a file of a like name is somebody else's."""
    return sorted((path for path in folder.glob("lease-*.json") if _NAME.fullmatch(path.name)), key=_number)


def _newest(folder: Path) -> Path | None:
    return next(reversed(_lease_files(folder)), None)


def _number(path: Path) -> int:
    return int(path.stem.removeprefix("lease-"))


@cache
def _system() -> str:
    """This boot and process namespace; empty where the system does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux: then only the heartbeat counts
        return ""


def _born(pid: int) -> str:
    """Start time of a living process; empty when there is none of this id."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if after_name[0] in "ZX" else after_name[19]

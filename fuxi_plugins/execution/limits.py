"""What a run may use, and how much of it a process has used."""

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

LOG_BYTES = 64 << 20
LOG_KEPT = 1 << 20  # of a log that grew too long, its beginning


def machine_memory() -> int:
    """Bytes that this machine or container has."""
    own = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        return min(own, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return own


@dataclass(frozen=True)
class Limits:
    """Limits of one run. A run that takes nearly all the memory is ended before the system ends whatever it chooses."""

    timeout_seconds: float
    memory_bytes: int = field(default_factory=lambda: machine_memory() * 9 // 10)
    log_bytes: int = LOG_BYTES


def used_memory(pid: int, and_of_children: bool = False) -> int:
    """Bytes that a process holds for itself; pages of mapped files, which runs share, do not count.

    Pages that a child shares with its parent since a fork would count twice, so children are only counted when asked.
    """
    if and_of_children:
        return used_memory(pid) + sum(used_memory(child, True) for child in _children(pid))
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it has just ended, or this is not Linux, where the system's own limit must do
        return 0
    sizes = [line.split()[1] for line in lines if line.startswith("RssAnon:")]
    return int(sizes[0]) * 1024 if sizes else 0


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # the thread or the process has just ended
            found += map(int, listed.read_text().split())
    return found


def shorten_log(path: Path, limit: int) -> None:
    """Cuts a log that has grown beyond ``limit`` bytes down to its beginning; what is written next follows it.

    The writer must append (``O_APPEND``), or it would go on beyond the cut.
    """
    if path.stat().st_size <= limit:
        return
    with path.open("rb+") as log:
        log.truncate(min(limit, LOG_KEPT))
        log.seek(0, os.SEEK_END)
        log.write(f"\n[the log grew beyond {limit:,} bytes; what stood here is cut]\n".encode())


def killed_for_memory() -> int:
    """How many processes this system has ended for want of memory since its start."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)

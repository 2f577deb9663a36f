"""Where and when a run happened: commit, versions, machine."""

import importlib.metadata
import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from fuxi_plugins.core.files import digest
from fuxi_plugins.models import registry
from fuxi_plugins.models.checkouts import folder_digest
from fuxi_plugins.records.record import Machine, ModelSource

_LIBRARIES = ("torch", "fuxictr", "numpy", "polars", "scikit-learn")


def utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def machine(device: str, threads: int, processes: int = 1) -> Machine:
    return Machine(device=device, processor=_processor(), threads=threads, versions=versions(), processes=processes)


def versions() -> dict[str, str]:
    libraries = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {"python": platform.python_version(), **libraries}


@cache
def commit() -> tuple[str | None, bool | None]:
    """The commit of the checkout that this package runs from, and whether its code or configs are changed.

    ``(None, None)`` outside a git checkout.
    """
    root = Path(__file__).resolve().parents[2]
    head = _git(root, "rev-parse", "HEAD")
    if head is None:
        return None, None
    changed = _git(root, "status", "--porcelain", "--", "fuxi_plugins", "benchmark_configs")
    return head, bool(changed)


def model_source(model: str) -> ModelSource | None:
    """Which code a model of a checkout or of a file is; None for native and installed ones."""
    found = registry.model_source(model)
    if found is None:
        return None
    file, checkout = found
    if checkout is None:
        return ModelSource(file=file.name, sha256=digest(file.read_text(encoding="utf-8")), commit=None)
    return ModelSource(
        file=str(file.relative_to(checkout)),
        sha256=folder_digest(file.parent),
        commit=_git(checkout, "rev-parse", "HEAD"),
    )


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=30)
    except (FileNotFoundError, subprocess.TimeoutExpired):  # no git: the record says that it does not know
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()

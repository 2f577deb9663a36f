"""Where and when a run happened: commit, versions, machine."""

import importlib.metadata
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from fuxi_plugins.models import registry
from fuxi_plugins.records.parts import Machine, ModelSource, Processor

# Instruction sets by which torch and its libraries choose between kernels that round differently.
_INSTRUCTION_SETS = ("avx", "amx", "fma", "sse4", "sve", "asimd")
_LIBRARIES = ("torch", "fuxictr", "numpy", "polars", "scikit-learn")


def utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def machine(device: str, threads: int, processes: int = 1, libraries: Mapping[str, str] | None = None) -> Machine:
    """
    Args:
        libraries: versions of further ones, by name.
    """
    return Machine(
        device=device,
        processor=processor_name(),
        cpu=processor(),
        threads=threads,
        versions={**versions(), **(libraries or {})},
        processes=processes,
    )


def versions() -> dict[str, str]:
    libraries = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {"python": platform.python_version(), **libraries}


@cache
def commit() -> tuple[str | None, bool | None]:
    """The commit of the checkout that this package runs from, and whether its code or configs are changed.

    ``(None, None)`` outside a git checkout, also where it is installed in a folder of another one's.
    """
    root = Path(__file__).resolve().parents[2]
    if _git(root, "ls-files", "fuxi_plugins/__init__.py") != "fuxi_plugins/__init__.py":
        return None, None
    head = _git(root, "rev-parse", "HEAD")
    changed = _git(root, "status", "--porcelain", "--", "fuxi_plugins", "benchmark_configs")
    return head, bool(changed)


def model_source(model: str) -> ModelSource | None:
    """Where a model of a checkout or of a file lies; None for native and installed ones."""
    found = registry.model_source(model)
    if found is None:
        return None
    if found.checkout is None:
        return ModelSource(file=found.file.relative_to(found.root).as_posix(), commit=None)
    commit = _git(found.checkout, "rev-parse", "HEAD")
    return ModelSource(file=str(found.file.relative_to(found.checkout)), commit=commit)


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=30)
    except (FileNotFoundError, subprocess.TimeoutExpired):  # no git: the record says that it does not know
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def processor_name() -> str:
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


def processor() -> Processor:
    """The kind of this CPU, and the kernels and the library that torch computes with on it."""
    import torch  # here, so that a record of failure can be written without it

    found = _cpuinfo()
    flags = found.get("flags", "").split()
    build = dict(part.split("=", 1) for part in torch.__config__.show().replace(",", " ").split() if "=" in part)
    return Processor(
        vendor=found.get("vendor_id", platform.machine()),
        family=found.get("cpu family", ""),
        model=found.get("model", ""),
        instruction_sets=sorted(flag for flag in flags if flag.startswith(_INSTRUCTION_SETS)),
        kernels=torch.backends.cpu.get_cpu_capability(),
        blas=build.get("BLAS_INFO", "unknown"),
    )


@cache
def _cpuinfo() -> dict[str, str]:
    """The entries of the first core; empty where the system has no such file."""
    path = Path("/proc/cpuinfo")
    first = path.read_text().partition("\n\n")[0] if path.exists() else ""
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}

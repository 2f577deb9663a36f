"""What the machine can do at best: the ceiling under every other figure."""

import os
from pathlib import Path

import torch

from fuxi_plugins.training import provenance
from measuring.clock import fastest
from measuring.copy_rate import copy_rate


def ceiling(device: torch.device) -> dict[str, float]:
    """Matrix products in 10^9 operations a second, by type, and copies in 10^9 bytes a second, read and written."""
    size = 8192 if device.type == "cuda" else 1024
    types = {"float32": torch.float32} | ({"bfloat16": torch.bfloat16} if device.type == "cuda" else {})
    found = {f"matmul_{name}_gflops": product_rate(device, dtype, size) / 1e9 for name, dtype in types.items()}
    found["copy_gbytes"] = copy_rate(device)
    return found


def product_rate(device: torch.device, dtype: torch.dtype, size: int) -> float:
    """Operations a second of a product of square matrices, additions and multiplications counted."""
    square = torch.randn(size, size, device=device).to(dtype)
    return 2 * size**3 / fastest(lambda: square @ square, device)


def description(device: torch.device) -> dict:
    """Machine, threads, versions and how busy the machine was."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    described = provenance.machine(name, torch.get_num_threads()).model_dump()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        **described,
        "cores": os.cpu_count(),
        "load_average": load,
        "allocator": "tuned" if "MALLOC_MMAP_THRESHOLD_" in os.environ else "default",
        "transparent_hugepages": _read("/sys/kernel/mm/transparent_hugepage/enabled"),
    }


def _read(path: str) -> str | None:
    return Path(path).read_text().strip() if Path(path).exists() else None

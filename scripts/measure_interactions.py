"""Measures how fast rows are made from a log of interactions, and how much memory that takes.

    python scripts/measure_interactions.py --interactions 300000 1000000 5000000

The log is drawn from a seed: users of 50 interactions each, and 20,000 items of which the popular ones are used more
often. Each measurement is a process of its own. Writes results/speed/interactions.json.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from fuxi_plugins.core.files import write_text
from fuxi_plugins.datasets.columns import SPLITS
from fuxi_plugins.datasets.interactions.rows import build_rows
from fuxi_plugins.datasets.interactions.settings import FromInteractions

ROOT = Path(__file__).resolve().parents[1]
ITEMS, LENGTH = 20_000, 50
PROTOCOL = FromInteractions.model_validate({"log": {"file": "log.csv"}, "split": {"by": "leave_last_out"}})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interactions", type=int, nargs="+", default=[300_000, 1_000_000, 5_000_000])
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "speed" / "interactions.json")
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)  # the folder to measure in this process
    arguments = parser.parse_args()
    if arguments.alone:
        print(json.dumps(measure(arguments.alone)))
        return
    measured = []
    for interactions in arguments.interactions:
        with tempfile.TemporaryDirectory() as folder:
            write_log(Path(folder), interactions)
            command = [sys.executable, __file__, "--alone", folder]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        measured.append({"interactions": interactions} | json.loads(done.stdout))
        print(json.dumps(measured[-1]), flush=True)
    asked = " ".join(map(str, arguments.interactions))
    content = {
        "command": f"python scripts/measure_interactions.py --interactions {asked}",
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "load": round(os.getloadavg()[0], 1),  # processes that wanted the cores at the end
        "measured": measured,
    }
    write_text(arguments.output, json.dumps(content, indent=1) + "\n")


def write_log(folder: Path, interactions: int) -> None:
    random = np.random.default_rng(2026)
    popular = (ITEMS * random.random(interactions) ** 3).astype(int)
    log = {"user_id": np.arange(interactions) // LENGTH, "item_id": popular, "timestamp": np.arange(interactions)}
    pl.DataFrame(log).write_csv(folder / "log.csv")


def measure(folder: Path) -> dict[str, float]:
    """Makes the rows in this process."""
    started, begun = time.perf_counter(), time.process_time()
    build_rows(folder, folder, PROTOCOL)
    seconds = time.perf_counter() - started
    cpu_seconds = time.process_time() - begun  # on a busy machine this says more than the clock
    rows = sum(pl.scan_csv(folder / f"{split}.csv").select(pl.len()).collect().item() for split in SPLITS)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "rows": rows,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "rows_per_cpu_second": round(rows / cpu_seconds),
        "peak_memory_gb": round(peak / 1e9, 2),
    }


if __name__ == "__main__":
    main()

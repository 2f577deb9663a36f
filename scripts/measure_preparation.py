"""Measures preparation: rows per second and peak memory, ours beside FuxiCTR's own build_dataset on the same rows.

    python scripts/measure_preparation.py --rows 1000000 2000000 5000000 --fuxictr-rows 1000000

The rows are those of the twin of Criteo_x1 with about two million ids. Each measurement is a process of its own; peak
memory is that of the process and its children together, sampled from /proc. Writes results/speed/preparation.json.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from fuxi_plugins.core.files import write_text
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.preprocessing import fuxictr_columns
from fuxi_plugins.datasets.sources.acquire import raw_folder
from fuxi_plugins.datasets.spec import DatasetSpec, load_dataset_spec

ROOT = Path(__file__).resolve().parents[1]
OURS = """
import sys
from pathlib import Path
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.spec import DatasetSpec
from fuxi_plugins.core.workspace import Workspace
spec = DatasetSpec.model_validate_json(sys.argv[1])
prepared = prepare_dataset(spec, Workspace(Path("."), Path("."), Path(sys.argv[2])))
"""
FUXICTR = """
import json, sys
from fuxictr.preprocess import FeatureProcessor, build_dataset
settings = json.loads(sys.argv[1])
build_dataset(FeatureProcessor(**settings["processor"]), **settings["build"])
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 2_000_000, 5_000_000])
    parser.add_argument("--fuxictr-rows", type=int, nargs="*", default=[1_000_000])
    parser.add_argument("--keep", type=Path, help="folder to keep the generated rows in")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "speed" / "preparation.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        measured = []
        for rows in sorted({*arguments.rows, *arguments.fuxictr_rows}):
            spec, raw = twin(rows, folder)
            if rows in arguments.rows:
                with tempfile.TemporaryDirectory(dir=folder) as cache:
                    measured.append(measure("fuxibench", rows, [OURS, spec.model_dump_json(), cache]))
                    for feature_map in Path(cache).glob("datasets/*/*/feature_map.json"):
                        measured[-1]["ids"] = json.loads(feature_map.read_text())["total_features"]
                report(measured, arguments)
            if rows in arguments.fuxictr_rows:
                with tempfile.TemporaryDirectory(dir=folder) as cache:
                    settings = json.dumps(fuxictr_settings(spec, raw, cache))
                    measured.append(measure("FuxiCTR build_dataset", rows, [FUXICTR, settings]))
                report(measured, arguments)


def report(measured: list[dict], arguments: argparse.Namespace) -> None:
    """Prints the latest measurement and writes all of them."""
    print(json.dumps(measured[-1]), flush=True)
    asked = {"--rows": arguments.rows, "--fuxictr-rows": arguments.fuxictr_rows}
    options = " ".join(f"{name} {' '.join(map(str, rows))}" for name, rows in asked.items())
    content = {
        "command": f"python scripts/measure_preparation.py {options}",
        "dataset": "criteo_x1_twin",
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "load": round(os.getloadavg()[0], 1),  # processes that wanted the cores at the end
        "measured": measured,
    }
    write_text(arguments.output, json.dumps(content, indent=1) + "\n")


def twin(rows: int, folder: Path) -> tuple[DatasetSpec, Path]:
    """The twin with so many rows of train as a dataset of csv files at hand."""
    spec = load_dataset_spec(ROOT / "benchmark_configs", "criteo_x1_twin")
    spec = spec.model_copy(update={"build_args": {"seed": 2026, "rows": [rows, 100_000, 100_000]}})
    raw = raw_folder(spec, Workspace(ROOT / "benchmark_configs", folder, folder / "raw"))
    return spec.model_copy(update={"build": None, "build_args": {}, "data_root": str(raw)}), raw


def fuxictr_settings(spec: DatasetSpec, raw: Path, folder: str) -> dict:
    files = {f"{split}_data": str(raw / spec.split_file(split)) for split in ("train", "valid", "test")}
    return {
        "processor": {
            "feature_cols": fuxictr_columns(spec, raw),
            "label_col": spec.label_col.model_dump(),
            "dataset_id": spec.dataset_id,
            "data_root": folder,
        },
        "build": {**files, "min_categr_count": spec.min_categr_count},
    }


def measure(what: str, rows: int, arguments: list[str]) -> dict:
    """Runs ``python -c`` with these arguments and watches its memory."""
    total = rows + 200_000
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    peak = [0]
    callback = threading.Thread(target=_watch, args=(process, peak), daemon=True)
    callback.start()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _, errors = process.communicate()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = time.perf_counter() - started
    result = {"what": what, "train_rows": rows, "seconds": round(seconds, 1), "rows_per_second": round(total / seconds)}
    # On a busy machine the processor's time says more than the clock; that of Ray's daemons is not in it.
    result["cpu_seconds"] = round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1)
    result["peak_memory_gb"] = round(peak[0] / 1e9, 2)
    if process.returncode:
        result["failed"] = errors.strip().splitlines()[-1] if errors.strip() else f"exit code {process.returncode}"
    return result


def _watch(process: subprocess.Popen, peak: list[int]) -> None:
    while process.poll() is None:
        peak[0] = max(peak[0], sum(_resident(pid) for pid in _tree(process.pid)))
        time.sleep(0.2)


def _tree(pid: int) -> list[int]:
    """The process and its descendants."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:  # it has just ended
                continue
    family = [pid]
    for member in family:
        family += [child for child, parent in parents.items() if parent == member]
    return family


def _resident(pid: int) -> int:
    """Bytes of memory, a page that processes share counted in parts."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


if __name__ == "__main__":
    main()

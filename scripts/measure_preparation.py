"""Measures preparation: rows per second and peak memory, ours beside FuxiCTR's own build_dataset on the same rows.

    python scripts/measure_preparation.py                                            some minutes
    python scripts/measure_preparation.py --rows 10000000 --fuxictr-rows --add       adds to what is measured already

The rows are those of the twin of Criteo_x1 with about two million ids, as csv and parquet. Each measurement is a
process of its own; ours and FuxiCTR's take turns, and medians over the rounds are reported. CPU time and peak memory
are those of the process and its children together, sampled from /proc. Writes results/speed/preparation.json, the
table of docs/datasets.md, and docs/scale.md, which computes with these figures.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import polars as pl
import torch
from measuring.machine import ceiling, description
from measuring.plan import write_page
from measuring.report import update_page
from tabulate import tabulate

from fuxi_plugins.core.files import write_text
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.preprocessing import fuxictr_columns
from fuxi_plugins.datasets.sources.acquire import raw_folder
from fuxi_plugins.datasets.spec import SPLITS, DatasetSpec

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "results" / "speed" / "preparation.json"
OURS = """
import sys
import time
from pathlib import Path
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.spec import DatasetSpec
from fuxi_plugins.core.workspace import Workspace
spec = DatasetSpec.model_validate_json(sys.argv[1])
started = time.thread_time()
prepare_dataset(spec, Workspace(Path("."), Path("."), Path(sys.argv[2])))
print(time.thread_time() - started)
"""
FUXICTR = """
import json, sys
from fuxictr.preprocess import FeatureProcessor, build_dataset
settings = json.loads(sys.argv[1])
build_dataset(FeatureProcessor(**settings["processor"]), **settings["build"])
"""


OWN, PEER = "fuxibench", "FuxiCTR build_dataset"
LARGE = 20e9  # bytes of csv for which memory is extrapolated


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[200_000, 1_000_000, 2_000_000, 5_000_000])
    parser.add_argument("--fuxictr-rows", type=int, nargs="*", default=[200_000])
    parser.add_argument("--formats", nargs="+", choices=["csv", "parquet"], default=["csv", "parquet"])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--add", action="store_true", help="keep the file's measurements that are not made anew")
    parser.add_argument("--keep", type=Path, help="folder to keep the generated rows in")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "datasets.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        measured: dict[tuple, list[dict]] = {}
        for rows in sorted({*arguments.rows, *arguments.fuxictr_rows}):
            for _ in range(arguments.rounds):
                for form in arguments.formats:
                    for what, wanted in ((OWN, arguments.rows), (PEER, arguments.fuxictr_rows)):
                        if rows in wanted:
                            one = measure_once(what, rows, form, folder)
                            measured.setdefault((what, form, rows), []).append(one)
                            print(json.dumps(one), flush=True)
                report(measured, arguments)


def measure_once(what: str, rows: int, form: str, folder: Path) -> dict:
    spec, raw = twin(rows, form, folder)
    with tempfile.TemporaryDirectory(dir=folder) as cache:
        called = [OURS, spec.model_dump_json(), cache]
        if what == PEER:
            called = [FUXICTR, json.dumps(fuxictr_settings(spec, raw, form, cache))]
        one = {"what": what, "format": form, "train_rows": rows, **measure(rows, called)}
        one["file_gb"] = round(sum((raw / spec.split_file(split)).stat().st_size for split in SPLITS) / 1e9, 3)
        for feature_map in Path(cache).rglob("feature_map.json"):
            one["ids"] = json.loads(feature_map.read_text())["total_features"]
    return one


def report(measured: dict[tuple, list[dict]], arguments: argparse.Namespace) -> None:
    """Writes the medians of what has been measured, and their table."""
    asked = {"--rows": arguments.rows, "--fuxictr-rows": arguments.fuxictr_rows, "--formats": arguments.formats}
    options = " ".join(f"{name} {' '.join(map(str, given))}" for name, given in asked.items())
    medians = [median(rounds) for rounds in measured.values()]
    command = f"python scripts/measure_preparation.py {options} --rounds {arguments.rounds}"
    commands = [command]
    if arguments.add:
        known = json.loads(arguments.output.read_text())
        made = [place(one) for one in medians]
        medians += [one for one in known["measured"] if place(one) not in made]
        commands = [*(earlier for earlier in known["commands"] if earlier != command), command]
    medians.sort(key=place)
    content = {
        "commands": commands,
        "dataset": "criteo_x1_twin",
        "machine": description(torch.device("cpu")) | {"copy_gbytes": ceiling(torch.device("cpu"))["copy_gbytes"]},
        "measured": medians,
        "memory_at_20_gb": extrapolated(medians),
    }
    write_text(arguments.output, json.dumps(content, indent=1) + "\n")
    update_page(arguments.page, "preparation", f"{as_table(medians)}\n\n{in_words(content)}")
    if arguments.output == OUTPUT:
        write_page(OUTPUT.parent, ROOT / "docs" / "scale.md")


def place(one: dict) -> tuple[bool, str, int]:
    """Where a measurement stands among the others."""
    return one["what"] == OWN, one["format"], one["train_rows"]


def in_words(content: dict) -> str:
    """What is measured, as a sentence or two."""
    most = max(load for one in content["measured"] for load in one["loads"])
    said = (
        "Valid and test add 200,000 rows. Times include the start of Python and its imports, on "
        f"{content['machine']['cores']} cores that up to {most:.0f} processes wanted."
    )
    if large := content["memory_at_20_gb"]:
        said += (
            f" Csv files of 20 GB have {large['rows'] / 1e6:.0f} million such rows. If memory grew for them as between "
            f"the largest two sizes, they would need {large['at_most_gb']:.1f} GB. Vocabularies grow more slowly."
        )
    timed = [one for one in content["measured"] if "one_thread_cpu_seconds" in one]
    if timed:
        largest = max(timed, key=lambda one: one["train_rows"])
        share = largest["one_thread_cpu_seconds"] / largest["cpu_seconds"]
        said += (
            f" Of the CPU time for {largest['train_rows']:,} rows, {share:.0%} is that of the thread that keeps the "
            "order. Up to four others share the rest."
        )
    return said


def median(rounds: list[dict]) -> dict:
    """Of the rounds of one measurement; the most of memory and all loads, that is processes that wanted the cores."""
    found = dict(rounds[0])
    for name in ("seconds", "cpu_seconds"):
        found[name] = round(statistics.median(one[name] for one in rounds), 1)
    total = found["train_rows"] + 200_000
    found["rows_per_second"] = round(total / found["seconds"])
    found["rows_per_cpu_second"] = round(total / found["cpu_seconds"])
    found["peak_memory_gb"] = max(one["peak_memory_gb"] for one in rounds)
    found["loads"] = [one["load"] for one in rounds]
    return {name: value for name, value in found.items() if name != "load"}


def extrapolated(medians: list[dict]) -> dict[str, float] | None:
    """Peak memory for csv files of 20 GB, as if it grew with rows as it does between the largest two measurements.

    That is more than it will be: ids become known, so that vocabularies grow more slowly than rows.
    """
    ours = [one for one in medians if one["what"] == OWN and one["format"] == "csv"]
    if len(ours) < 2:
        return None
    less, more = ours[-2:]
    rows = more["train_rows"] * LARGE / 1e9 / more["file_gb"]
    each = (more["peak_memory_gb"] - less["peak_memory_gb"]) / (more["train_rows"] - less["train_rows"])
    return {"rows": round(rows), "at_most_gb": round(more["peak_memory_gb"] + each * (rows - more["train_rows"]), 1)}


def as_table(medians: list[dict]) -> str:
    """One line a measurement, with how many times FuxiCTR takes of ours where both were measured."""
    peers = {(one["format"], one["train_rows"]): one for one in medians if one["what"] == PEER}
    lines = []
    for one in medians:
        peer = peers.get((one["format"], one["train_rows"])) if one["what"] == OWN else None
        lines.append([
            one["what"], one["format"], f"{one['train_rows']:,}", f"{one['ids']:,}", f"{one['seconds']:.1f} s",
            f"{one['rows_per_second']:,}", f"{one['rows_per_cpu_second']:,}", f"{one['peak_memory_gb']:.2f} GB",
            f"**{peer['seconds'] / one['seconds']:.1f}x**" if peer else "",
            f"{peer['cpu_seconds'] / one['cpu_seconds']:.1f}x" if peer else "",
        ])  # fmt: skip
    header = ["prepared by", "files", "train rows", "ids", "time", "rows/s", "rows per CPU second", "peak memory",
              "times as fast", "by CPU time"]  # fmt: skip
    return tabulate(lines, headers=header, tablefmt="pipe", disable_numparse=True)


def twin(rows: int, form: str, folder: Path) -> tuple[DatasetSpec, Path]:
    """The twin with so many rows of train as a dataset of files at hand."""
    spec = load_dataset_spec(ROOT / "benchmark_configs", "criteo_x1_twin")
    spec = spec.model_copy(update={"build_args": {"seed": 2026, "rows": [rows, 100_000, 100_000]}})
    raw = raw_folder(spec, Workspace(ROOT / "benchmark_configs", folder, folder / "raw"))
    files = {f"{split}_data": f"{split}.{form}" for split in SPLITS}
    if form == "parquet":
        for split in SPLITS:
            if not (raw / f"{split}.parquet").exists():
                pl.scan_csv(raw / f"{split}.csv").sink_parquet(raw / f"{split}.parquet")
    made = {"build": None, "build_args": {}, "data_root": str(raw), "data_format": form}
    return spec.model_copy(update={**made, **files}), raw


def fuxictr_settings(spec: DatasetSpec, raw: Path, form: str, folder: str) -> dict:
    files = {f"{split}_data": str(raw / spec.split_file(split)) for split in SPLITS}
    return {
        "processor": {
            "feature_cols": fuxictr_columns(spec, raw),
            "label_col": spec.label_col.model_dump(),
            "dataset_id": spec.dataset_id,
            "data_root": folder,
        },
        "build": {**files, "data_format": form, "min_categr_count": spec.min_categr_count},
    }


def measure(rows: int, arguments: list[str]) -> dict:
    """Runs ``python -c`` with these arguments and watches its memory and CPU time."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    watched = Watched()
    watcher = threading.Thread(target=watched.watch, args=(process,), daemon=True)
    watcher.start()
    printed, errors = process.communicate()
    seconds = time.perf_counter() - started
    watcher.join()
    if process.returncode:
        raise SystemExit(errors)
    serial = {"one_thread_cpu_seconds": round(float(printed), 2)} if arguments[0] == OURS else {}
    return {
        **serial,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(watched.cpu_seconds, 2),
        "peak_memory_gb": round(watched.peak / 1e9, 2),
        "load": round(os.getloadavg()[0], 1),
    }


class Watched:
    """What a process and all of its descendants have used, as sampled."""

    def __init__(self) -> None:
        self.peak = 0
        self._ticks: dict[int, int] = {}

    @property
    def cpu_seconds(self) -> float:
        return sum(self._ticks.values()) / os.sysconf("SC_CLK_TCK")

    def watch(self, process: subprocess.Popen) -> None:
        while process.poll() is None:
            family = _tree(process.pid)
            self.peak = max(self.peak, sum(_resident(pid) for pid in family))
            self._ticks |= {pid: ticks for pid in family if (ticks := _ticks(pid))}
            time.sleep(0.1)


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has just ended
        return 0
    return int(fields[11]) + int(fields[12])


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

"""A plan on paper for data and tables that no machine here holds, from constants that a script has measured.

Nothing in it is a measurement of that size: what is computed is a constant times a number, and says which.
"""

import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from fuxi_plugins.core.files import write_text

FIELDS, DIM, BYTES = 26, 20, 4  # of a row's lookups in the plan: categorical fields, floats an id, bytes a float
LARGE, SMALL, WIDE = "DNN, Criteo's tables", "DNN, small tables", "DCNv2, small tables"  # cases of ``scaling``


@dataclass(frozen=True)
class Constants:
    """What ``scripts/measure_scaling.py`` has measured, and of preparation ``scripts/measure_preparation.py``."""

    store_bytes_per_row: float
    prepared_rows_per_cpu_second: float
    loaded_rows_per_cpu_second: float
    trained_rows_per_second: float  # DCNv2 over small tables, one process
    efficiency: float  # of the measured number of processes, for the same
    processes: int
    batch_size: int
    bytes_per_parameter: float  # that a process holds while training
    seconds_per_parameter: float  # that each parameter of a table adds to a step
    reduced_bytes_per_second: float  # of gradients, over the processes of one machine


@dataclass(frozen=True)
class Line:
    """One line of the plan."""

    what: str
    value: str
    how: str  # "measured" or the sum that gives it


def read(folder: Path) -> Constants:
    """The constants from ``scaling.json`` and ``preparation.json`` in a folder."""
    measured = json.loads((folder / "scaling.json").read_text())
    prepared = json.loads((folder / "preparation.json").read_text())["measured"]
    of_csv = [one for one in prepared if (one["what"], one["format"]) == ("fuxibench", "csv")]
    cases = {case["case"]: case for case in measured["cases"]}
    data = {name: value for name, value in measured["data"].items() if name != "rows"}
    large, small, wide = cases[LARGE], cases[SMALL], cases[WIDE]
    added = large["parameters"] - small["parameters"]
    return Constants(
        **data,
        prepared_rows_per_cpu_second=max(of_csv, key=lambda one: one["train_rows"])["rows_per_cpu_second"],
        trained_rows_per_second=wide["rows_per_second"]["one"],
        efficiency=wide["efficiency"],
        processes=wide["processes"],
        batch_size=wide["batch_size"],
        bytes_per_parameter=large["bytes_per_parameter"],
        seconds_per_parameter=(large["seconds"]["one"] - small["seconds"]["one"]) / added,
        reduced_bytes_per_second=large["parameters"] * BYTES / large["seconds"]["reduce"],
    )


def plan(of: Constants, rows: float = 1e9, table_bytes: float = 100e9) -> list[Line]:
    """What ``rows`` rows and tables of ``table_bytes`` would take."""
    parameters, steps = table_bytes / BYTES, rows / of.batch_size
    dense_step = parameters * of.seconds_per_parameter
    exchanged = of.batch_size * FIELDS * DIM * BYTES
    return [
        Line("a row in the store", f"{of.store_bytes_per_row:.0f} bytes", "measured"),
        Line("the store", _bytes(rows * of.store_bytes_per_row), "rows x bytes a row"),
        Line(
            "preparation",
            f"{of.prepared_rows_per_cpu_second:,.0f} rows a core's second",
            "measured: [preparation](datasets.md#preparation)",
        ),
        Line(
            "preparation of all rows",
            _time(rows / of.prepared_rows_per_cpu_second),
            "one core; [up to four threads](#rows-larger-than-memory) of one machine share it",
        ),
        Line("loading, shuffled", f"{of.loaded_rows_per_cpu_second:,.0f} rows a core's second", "measured, in memory"),
        Line("loading an epoch", _time(rows / of.loaded_rows_per_cpu_second), "if the store fits in memory"),
        Line(
            "training DCNv2, small tables",
            f"{of.trained_rows_per_second:,.0f} rows a second",
            "measured, one process by the clock",
        ),
        Line("an epoch of it", _time(rows / of.trained_rows_per_second), "one process"),
        Line(f"efficiency of {of.processes} processes", f"{of.efficiency:.2f}", "measured"),
        Line(
            f"an epoch by {of.processes} processes",
            _time(rows / of.trained_rows_per_second / of.processes / of.efficiency),
            "the same, divided by processes and efficiency",
        ),
        Line("parameters of the tables", f"{parameters / 1e9:.1f} billion", "float32"),
        Line("held for a parameter", f"{of.bytes_per_parameter:.1f} bytes", "measured: weight, gradient, Adam's two"),
        Line("held by each process", _bytes(parameters * of.bytes_per_parameter), "parameters x bytes"),
        Line(
            "a table's parameter in a step",
            f"{of.seconds_per_parameter * 1e9:.2f} ns",
            "measured by the clock: large less small tables",
        ),
        Line("the tables in a step", _time(dense_step), "parameters x time"),
        Line("the tables in an epoch", _time(dense_step * steps), f"{steps:,.0f} steps of {of.batch_size} rows"),
        Line("gradients reduced", f"{of.reduced_bytes_per_second / 1e9:.2f} GB a second", "measured, Gloo on loopback"),
        Line("the tables' gradients in a step", _time(table_bytes / of.reduced_bytes_per_second), "dense, replicated"),
        Line(
            "sent by each of 8 processes in a step",
            _bytes(2 * 7 / 8 * table_bytes),
            "ring: 2 (n - 1) / n of the gradients",
        ),
        Line(
            "the same with sharded tables",
            _bytes(2 * 7 / 8 * exchanged / 8),
            f"rows / n x {FIELDS} fields x {DIM} floats, there and back, at most",
        ),
    ]


def write_page(folder: Path, page: Path) -> None:
    """Puts the measured scaling, the effect of a shuffle window and the plan between the page's markers."""
    measured = json.loads((folder / "scaling.json").read_text())
    text = _between(page.read_text(), "scaling", scaling_table(measured["cases"]))
    if measured.get("sharded"):
        text = _between(text, "sharded", sharded_table(**measured["sharded"]))
    windows = json.loads((folder / "shuffle_window.json").read_text())
    text = _between(text, "window", window_table(windows))
    write_text(page, _between(text, "plan", plan_table(plan(read(folder)))))


def scaling_table(cases: list[dict]) -> str:
    rows = [
        (
            case["case"], f"{case['parameters']:,}", f"{case['rows_per_second']['one']:,.0f}",
            f"{case['rows_per_second']['together']:,.0f}", f"{case['rows_per_second']['apart']:,.0f}",
            f"{case['efficiency']:.2f}", f"{case['efficiency_of_machine']:.2f}",
            f"{case['seconds']['reduce'] / case['seconds']['together']:.0%}",
        )
        for case in cases
    ]  # fmt: skip
    count = cases[0]["processes"]
    header = ["model", "parameters", "rows/s, 1 process", f"rows/s, {count} together", f"rows/s, {count} apart",
              "efficiency", "of the machine's limit", "all-reduce alone / step"]  # fmt: skip
    return tabulate(rows, headers=header, tablefmt="pipe", disable_numparse=True)


def sharded_table(ways: list[dict], memory: dict[str, int], **_: Any) -> str:
    """Without a second line for one process; the memory is that of ten million ids by two processes."""
    rows = [
        (
            way["tables"], way["way"], way["processes"], f"{way['rows_per_second']:,.0f}",
            f"{way['of_one_process']:.2f}", _bytes(way["held_bytes"]), _bytes(way["sent_bytes"]),
            _bytes(memory[way["way"]]) if way["processes"] == 2 and "million" in way["tables"] else "",
        )
        for number, way in enumerate(ways)
        if (way["tables"], way["way"], way["processes"]) not in [
            (other["tables"], other["way"], other["processes"]) for other in ways[:number]
        ]
    ]  # fmt: skip
    header = ["tables", "way", "processes", "rows/s", "of one process", "held by each", "sent by each / step",
              "largest memory of each"]  # fmt: skip
    return tabulate(rows, headers=header, tablefmt="pipe", disable_numparse=True)


def window_table(experiments: dict[str, dict]) -> str:
    """One line a window; its AUC less that of the whole shuffle with the same seed, as mean and extremes."""
    lines = []
    for name, found in experiments.items():
        whole = found["auc"][max(found["auc"], key=float)]
        for share, auc in sorted(found["auc"].items(), key=lambda item: -float(item[0])):
            less = [one - other for one, other in zip(auc, whole, strict=True)]
            change = f"{statistics.mean(less):+.4f} ({min(less):+.4f} to {max(less):+.4f})" if auc is not whole else ""
            rows = f"{round(found['rows'] * float(share)):,}" if auc is not whole else "all"
            spread = f"{statistics.mean(auc):.4f} ± {statistics.stdev(auc):.4f}"
            lines.append((name, f"{found['rows']:,}", rows, spread, change))
    header = ["experiment", "rows", "window", "test AUC", "less that of the whole shuffle"]
    return tabulate(lines, headers=header, tablefmt="pipe", disable_numparse=True)


def plan_table(lines: list[Line]) -> str:
    rows = [(line.what, line.value, line.how) for line in lines]
    return tabulate(
        rows, headers=["", "1 billion rows, 100 GB of tables", "how"], tablefmt="pipe", disable_numparse=True
    )


def _between(text: str, name: str, table: str) -> str:
    head, start, rest = text.partition(f"<!-- {name} -->")
    _, end, tail = rest.partition("<!-- end -->")
    if not (start and end):
        raise ValueError(f"the page has no place <!-- {name} --> ... <!-- end -->")
    return f"{head}{start}\n{table}\n{end}{tail}"


def _bytes(count: float) -> str:
    units = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3))
    unit, size = next(((u, s) for u, s in units if count >= s), ("bytes", 1))
    return f"{count / size:,.1f} {unit}"


def _time(seconds: float) -> str:
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.1f} s"

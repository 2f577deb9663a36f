"""The report on preparation: medians, what is added to earlier measurements, and the page."""

import argparse
import json

import measure_preparation
from measuring import machine


def one(rows: int, seconds: float, memory: float, what: str = measure_preparation.OWN) -> dict:
    return {"what": what, "format": "csv", "train_rows": rows, "seconds": seconds, "cpu_seconds": 2 * seconds,
            "peak_memory_gb": memory, "load": 1.0, "file_gb": rows / 1e6, "ids": 7}  # fmt: skip


def report(folder, rounds: list[dict], rows: list[int], add: bool) -> dict:
    given = {"fuxictr_rows": [], "formats": ["csv"], "rounds": len(rounds), "add": add}
    files = {"output": folder / "out.json", "page": folder / "page.md"}
    measured: dict[tuple, list[dict]] = {}
    for found in rounds:
        measured.setdefault((found["what"], "csv", found["train_rows"]), []).append(found)
    measure_preparation.report(measured, argparse.Namespace(rows=rows, **given, **files))
    return json.loads(files["output"].read_text())


def test_medians_are_kept_and_new_sizes_added(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "ceiling", lambda device: {"copy_gbytes": 1.0})
    monkeypatch.setattr(measure_preparation, "ceiling", lambda device: {"copy_gbytes": 1.0})
    (tmp_path / "page.md").write_text("<!-- preparation table -->\n<!-- end -->\n")
    first = report(tmp_path, [one(800_000, seconds, 1.0) for seconds in (1, 2, 9)], [800_000], add=False)
    assert first["measured"][0]["rows_per_second"] == 500_000
    assert first["memory_at_20_gb"] is None
    both = report(tmp_path, [one(1_800_000, 4, 1.5)], [1_800_000], add=True)
    assert [found["train_rows"] for found in both["measured"]] == [800_000, 1_800_000]
    assert len(both["commands"]) == 2
    # 20 GB are 20 million rows, 18.2 million more than the largest: 0.5 GB for each million.
    assert both["memory_at_20_gb"] == {"rows": 20_000_000, "at_most_gb": 10.6}
    assert "20 million such rows" in (tmp_path / "page.md").read_text()
    again = report(tmp_path, [one(1_800_000, 2, 1.5)], [1_800_000], add=True)
    assert [found["seconds"] for found in again["measured"]] == [2, 2]

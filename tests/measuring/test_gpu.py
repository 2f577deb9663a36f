"""What measures a GPU, gone through without one."""

import json
import time

import pytest
import torch
from click.testing import CliRunner
from measure_gpu import as_page, main, table
from measuring import gpu, machine
from measuring.gpu import Options, in_turns, largest_batch
from measuring.machine import product_rate
from measuring.whole_runs import Runs, quickstarts

from tests.conftest import ROOT

CPU = torch.device("cpu")


@pytest.mark.parametrize(("fits", "found"), [(5000, 4096), (100, 64), (10**9, 8192)])
def test_the_batch_is_the_largest_that_fits(fits, found):
    tried = []

    def step(rows):
        tried.append(rows)
        if rows > fits:
            raise torch.OutOfMemoryError

    assert largest_batch(step, 64, most=8192) == found
    assert max(tried) <= 8192


def test_ways_take_turns_and_the_median_counts(tmp_path):
    order = []
    ways = {"slow": lambda: order.append("slow") or time.sleep(0.02), "fast": lambda: order.append("fast")}
    taken = in_turns(ways, Options(CPU, tmp_path))
    assert order == 22 * ["slow", "fast"]
    assert taken["fast"] < 0.02 <= taken["slow"]


def test_a_device_s_limits_are_measured_on_it(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "copy_rate", lambda device: 7.0)
    rows = {row["what"]: row for row in gpu.limits(Options(CPU, tmp_path, is_rehearsal=True))}
    assert list(rows) == ["products in float32", "products in tf32", "products in bfloat16", "copies"]
    assert rows["copies"]["rate"] == 7.0
    assert 1e-3 < rows["products in float32"]["rate"] < 100  # TFLOP/s of any CPU
    assert not torch.backends.cuda.matmul.allow_tf32


def test_a_rate_of_products_counts_both_operations(monkeypatch):
    monkeypatch.setattr(machine, "fastest", lambda call, device: call() is not None and 2.0)
    assert product_rate(CPU, torch.float32, 10) == 1000.0


def test_without_a_gpu_nothing_is_measured_but_a_rehearsal():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    said = CliRunner().invoke(main, [])
    assert said.exit_code
    assert "torch sees no GPU here; --rehearse" in said.output


def test_a_section_that_fails_does_not_stop_the_others(monkeypatch, tmp_path):
    def fails(options):
        """Fails."""
        yield {"a": 1}
        raise ValueError("on purpose")

    def works(options):
        """Works."""
        yield {"a": 0.123456, "b": None}

    monkeypatch.setitem(gpu.SECTIONS, "tokens", fails)
    monkeypatch.setitem(gpu.SECTIONS, "loading", works)
    page = (ROOT / "docs" / "speed.md").read_text()
    said = CliRunner().invoke(main, ["--rehearse", "--only", "tokens", "--only", "loading", "--out", str(tmp_path)])
    assert "not measured: tokens" in said.output
    found = json.loads((tmp_path / "gpu.json").read_text())["sections"]
    assert found["tokens"]["error"] == "ValueError: on purpose"
    assert found["loading"]["rows"] == [{"a": 0.123456, "b": None}]
    assert found["loading"]["is_rehearsal"]
    assert "0.1235" in table(found["loading"]["rows"])
    assert "Works. cpu" in as_page(found)
    assert (ROOT / "docs" / "speed.md").read_text() == page


def test_no_run_begins_when_the_time_is_over(tmp_path):
    with pytest.raises(TimeoutError, match="no time left"):
        Runs(tmp_path, -1, True, until=time.monotonic() - 1).train({"one": quickstarts("AutoInt+")}, seeds=[1])


@pytest.mark.slow
def test_the_rehearsal_goes_through_everything(tmp_path):
    said = CliRunner().invoke(main, ["--rehearse", "--out", str(tmp_path)])
    assert said.exit_code == 0, said.output
    found = json.loads((tmp_path / "gpu.json").read_text())["sections"]
    assert set(found) == set(gpu.SECTIONS)
    assert all(section["rows"] and not section["error"] for section in found.values())
    by_arithmetic = {row["arithmetic"]: row for row in found["arithmetic"]["rows"]}
    if not torch.cuda.is_available():
        assert by_arithmetic["float32"]["test AUC"] == by_arithmetic["tf32"]["test AUC"]
    assert by_arithmetic["float32"]["test AUC"] != by_arithmetic["bf16"]["test AUC"]

"""Clocks that wait for the device, and the arithmetic that a run asks of it."""

import os
import time
from dataclasses import replace

import pytest
import torch

from fuxi_plugins.training import checkpoint, devices, hosted
from fuxi_plugins.training.devices import synchronize, use_arithmetic
from fuxi_plugins.training.hosted import TrainerMixin
from tests.training.test_runner import make_job, run

QUEUED = 1000.0  # seconds that a step takes on the device, long after it was asked for


def switches():
    return (
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        torch.backends.mkldnn.matmul.fp32_precision,
        torch.are_deterministic_algorithms_enabled(),
    )


@pytest.fixture
def former_arithmetic(monkeypatch):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    before = switches()
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before[:2]
    torch.backends.mkldnn.matmul.fp32_precision = before[2]
    torch.use_deterministic_algorithms(before[3])


def test_what_a_device_has_queued_is_training_and_neither_evaluation_nor_checkpoint(workspace, tmp_path, monkeypatch):
    queue = Queue()
    for module in (hosted, checkpoint):
        monkeypatch.setattr(module, "synchronize", queue.wait)
        monkeypatch.setattr(module, "time", queue)
    monkeypatch.setattr(TrainerMixin, "train_step", queue.filled_by(TrainerMixin.train_step))
    monkeypatch.setattr(torch, "save", queue.emptied_by(torch.save))  # which reads the weights
    job = make_job(workspace, tmp_path, changes={"epochs": 1})
    record = run(replace(job, checkpoint_steps=3))
    assert record.history[0].seconds > 6 * QUEUED  # all steps of the epoch
    assert record.history[0].evaluation_seconds < QUEUED


class Queue:
    """A device whose work takes its time when it is waited for, and a clock that shows that time."""

    def __init__(self) -> None:
        self.queued = self.passed = 0.0

    def filled_by(self, step):
        def filled(model, batch):
            self.queued += QUEUED
            return step(model, batch)

        return filled

    def emptied_by(self, reading):
        def waits(*values):
            self.wait(torch.device("cpu"))
            return reading(*values)

        return waits

    def wait(self, device: torch.device) -> None:
        self.passed, self.queued = self.passed + self.queued, 0.0

    def perf_counter(self) -> float:
        return time.perf_counter() + self.passed


def test_only_a_gpu_is_waited_for(monkeypatch):
    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    synchronize(torch.device("cpu"))
    synchronize(torch.device("cuda:1"))
    assert waited == [torch.device("cuda:1")]


def test_without_a_setting_all_products_are_float32(workspace, tmp_path, former_arithmetic):
    torch.backends.cudnn.allow_tf32 = True  # torch's default
    use_arithmetic(make_job(workspace, tmp_path).experiment.training)
    assert switches() == (False, False, "none", False)
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("tf32", (True, True, "none", False)),
        ("bf16_products", (False, False, "bf16", False)),
        ("deterministic", (False, False, "none", True)),
    ],
)
def test_a_run_computes_as_it_was_asked_to_and_says_so(workspace, tmp_path, former_arithmetic, setting, expected):
    plain = run(make_job(workspace, tmp_path / "plain"))
    record = run(make_job(workspace, tmp_path / "asked", changes={setting: True}))
    assert switches() == expected
    assert os.environ.get("CUBLAS_WORKSPACE_CONFIG") == (":4096:8" if setting == "deterministic" else None)
    assert record.params["training"][setting] is True
    assert [line.partition(":")[0] for line in record.deviations if line not in plain.deviations] == [setting]
    assert setting not in plain.params["training"]
    if setting != "bf16_products":
        assert record.metrics == plain.metrics  # on a CPU, where neither is another arithmetic
    assert record.digest != plain.digest
    run(make_job(workspace, tmp_path / "after"))
    assert switches() == (False, False, "none", False)


def test_factors_are_rounded_where_it_is_asked_for_on_a_cpu_that_can(former_arithmetic):
    x, rounded = (made := torch.randn(64, 64)), made.bfloat16().float()
    devices.use_products(True)
    can = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    torch.testing.assert_close(x @ x, (rounded if can else x) @ (rounded if can else x), rtol=1e-5, atol=1e-5)


def test_a_setting_is_said_once(workspace, tmp_path):
    training = make_job(workspace, tmp_path, changes={"tf32": True, "deterministic": True}).experiment.training
    assert len(devices.deviations(training)) == 2

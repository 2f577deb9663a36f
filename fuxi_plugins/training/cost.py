"""What a model costs: operations, throughput, latency and memory, on one device and apart from loading.

Run as a program it measures one job, read as a line of JSON from standard input, and prints the result as JSON: in a
process of its own, so that nothing measured before sits in its memory.
"""

import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fuxi_plugins.models.operations import operations
from fuxi_plugins.records.parts import Cost, Latency
from fuxi_plugins.training import assembly, provenance, trainer
from fuxi_plugins.training.devices import synchronize, use_arithmetic
from fuxi_plugins.training.job import Job

LATENCY_ROWS = (1, 256, 4096)
SECONDS = 2.0  # spent on each figure, but for the fewest calls
FEWEST, MOST = 5, 200  # calls that a figure stands on


def measure(job: Job) -> Cost:
    """Builds the job's model anew and measures it; weights and records of runs are not touched."""
    trainer.use_seed(job.seed, job.threads)
    use_arithmetic(job.experiment.training)
    model = assembly.build_model(job.experiment, job.data, gpu=job.gpu, checkpoint_folder=job.checkpoint_folder)
    model._max_gradient_norm = job.experiment.training.max_gradient_norm
    model.watch(lambda news: None, [], trainer.NEVER)
    model._total_steps, model._epoch_index, model._steps_per_epoch = 0, 0, 1  # as ``fit`` would set them
    split = trainer.load_split(model, job.data, "train", job.experiment, job.seed)
    batch = next(iter(split))
    rows = len(next(iter(batch.values())))
    flops, share = operations(model, batch)
    model.train()
    reset_peak(model.device)
    step = statistics.median(times(lambda: model.train_step(batch), model.device))
    peak = peak_bytes(model.device)
    latencies = {count: latency(model, repeated(batch, count)) for count in LATENCY_ROWS}
    machine = provenance.machine(_device_name(model.device), job.threads)
    return Cost(
        device=machine.device,
        processor=machine.processor,
        threads=job.threads,
        batch_size=rows,
        flops_per_row=flops / rows,
        flops_coverage=share,
        training_rows_per_second=rows / step,
        inference_rows_per_second=LATENCY_ROWS[-1] / (latencies[LATENCY_ROWS[-1]].p50_ms / 1e3),
        latency={str(count): found for count, found in latencies.items()},
        peak_bytes=peak,
    )


@torch.no_grad()
def latency(model: Any, batch: Mapping[str, Tensor]) -> Latency:
    """Of a prediction, from ids on the device to probabilities there."""
    model.eval()
    measured = sorted(times(lambda: model.forward(batch), model.device))
    return Latency(
        calls=len(measured),
        p50_ms=1e3 * statistics.median(measured),
        p99_ms=1e3 * measured[min(len(measured) - 1, round(0.99 * (len(measured) - 1)))],
    )


def times(call: Callable[[], object], device: torch.device) -> list[float]:
    """Seconds of each call, after two to warm up."""
    found: list[float] = []
    for _ in range(2):
        call()
    while len(found) < FEWEST or (len(found) < MOST and sum(found) < SECONDS):
        synchronize(device)
        start = time.perf_counter()
        call()
        synchronize(device)
        found.append(time.perf_counter() - start)
    return found


def repeated(batch: Mapping[str, Tensor], rows: int) -> dict[str, Tensor]:
    """That many rows of the batch, from its start again where it is shorter."""
    index = torch.arange(rows, device=next(iter(batch.values())).device) % len(next(iter(batch.values())))
    return {name: values[index] for name, values in batch.items()}


def reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_bytes(device: torch.device) -> int:
    """The most memory held so far: on a GPU by torch, on a CPU by the process with all that it has imported."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def main() -> None:
    job = Job.from_json(sys.stdin.readline())
    try:
        print(measure(job).model_dump_json())
    finally:
        (Path(job.checkpoint_folder) / job.data.spec.dataset_id).rmdir()  # ``build_model`` has made it


if __name__ == "__main__":
    main()

"""What a model costs: operations, throughput, latency and memory, on one device and apart from loading.

Whoever times several models lets them take turns (``execution/measure_cost.py``).
"""

import resource
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from fuxi_plugins.models.operations import operations
from fuxi_plugins.training import assembly, provenance, trainer
from fuxi_plugins.training.devices import synchronize, use_arithmetic
from fuxi_plugins.training.job import Job

SECONDS, MOST = 0.4, 40  # calls are repeated until they have taken as long, or are as many


class ModelAtHand:
    """A job's model, built anew, and a batch; weights and records of runs are not touched.

    Attributes:
        facts: what no clock measures, by the names that :class:`~fuxi_plugins.records.parts.Cost` has for it.
    """

    facts: dict[str, Any]

    def __init__(self, job: Job) -> None:
        trainer.use_seed(job.seed, job.threads)
        use_arithmetic(job.experiment.training)
        model = assembly.build_model(job.experiment, job.data, gpu=job.gpu, checkpoint_folder=job.checkpoint_folder)
        model._max_gradient_norm = job.experiment.training.max_gradient_norm
        model.watch(lambda news: None, [], trainer.NEVER)
        model._total_steps, model._epoch_index, model._steps_per_epoch = 0, 0, 1  # as ``fit`` would set them
        batch = next(iter(trainer.load_split(model, job.data, "train", job.experiment, job.seed)))
        rows = len(next(iter(batch.values())))
        flops, share = operations(model, batch)
        machine = provenance.machine(_device_name(model.device), job.threads)
        self.facts = {
            "device": machine.device,
            "processor": machine.processor,
            "threads": job.threads,
            "batch_size": rows,
            "flops_per_row": flops / rows,
            "flops_coverage": share,
        }
        self._model, self._batch = model, batch
        reset_peak(model.device)

    def step_seconds(self) -> list[float]:
        """Of some training steps."""
        self._model.train()
        return times(lambda: self._model.train_step(self._batch), self._model.device)

    @torch.no_grad()
    def prediction_seconds(self, rows: int) -> list[float]:
        """Of some predictions of as many rows, from ids on the device to probabilities there."""
        self._model.eval()
        batch = repeated(self._batch, rows)
        return times(lambda: self._model.forward(batch), self._model.device)

    def peak_bytes(self) -> int:
        """The most memory held so far: on a GPU by torch, on a CPU by the process with all that it has imported."""
        if self._model.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._model.device)
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return used if sys.platform == "darwin" else used * 1024


def times(call: Callable[[], object], device: torch.device) -> list[float]:
    """Seconds of each call, after one to warm up: another model may just have had the processor and its caches."""
    found: list[float] = []
    call()
    while not found or (len(found) < MOST and sum(found) < SECONDS):
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


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)

"""What sharded tables bring to one run: time, memory and traffic of its steps, against whole tables in each process.

``measure`` runs in each of the processes, and all ways take turns there. ``measure_memory`` measures one way in
processes of its own, whose largest memory is then that way's.
"""

import resource
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as processes

from fuxi_plugins.models.dnn import DNN
from fuxi_plugins.training.distributed import ddp
from measuring import peers
from measuring.scaling import HIDDEN, held_bytes, timed

TEN_MILLION = [10_000_000]
TABLES = {"Criteo's tables": peers.CRITEO, "10 million ids": TEN_MILLION}
DIM, L2 = 20, 1e-6
DEVICES = Path("/proc/net/dev")
# What peers.build is asked for.
WAYS: dict[str, dict[str, Any]] = {
    "one process": {},
    "one process, sparse": {"sparse": True},
    "whole tables": {"shared": True},
    "row_wise": {"sharding": "row_wise"},
    "row_wise, sparse": {"sharding": "row_wise", "sparse": True},
}
OF_ONE = ("one process", "one process, sparse")


@dataclass(frozen=True)
class Way:
    """One way to step one batch of rows. The three numbers of bytes are those of each process."""

    tables: str
    way: str
    processes: int
    batch_size: int
    seconds: float  # of a step; the median
    rows_per_second: float  # of all processes
    of_one_process: float  # rows a second, divided by those of one process with the same step; the median of rounds
    held_bytes: int  # the most that a process keeps between steps: weights, gradients, states
    sent_bytes: float  # in a step, by each process


def measure(rounds: int, steps: int, batch_size: int, tables: str, ways: list[str]) -> list[dict]:
    """The ways of one size of tables, in turns; the same list in each process."""
    torch.set_num_threads(1)
    with ddp.group(-1):
        first, size = ddp.is_first(), processes.get_world_size()
        models = {way: _build(tables, way) for way in ways if first or way not in OF_ONE}
        batch = _shape(tables).batch(batch_size, torch.device("cpu"))
        times: dict[str, list[float]] = {way: [] for way in ways}
        sent: dict[str, list[int]] = {way: [] for way in ways}
        for turn in range(rounds + 1):
            for way in ways:
                processes.barrier()
                before = loopback_bytes()
                taken = timed(_step(models.get(way), batch), steps, torch.device("cpu"))
                if turn:  # the first only makes what the optimizer keeps
                    times[way].append(taken)
                    sent[way].append(loopback_bytes() - before)
        found = []
        for way in ways:
            held = torch.tensor(held_bytes(models[way]) if way in models else 0)
            processes.all_reduce(held, processes.ReduceOp.MAX)
            ratios = [one / own for one, own in zip(times[OF_ONE["sparse" in way]], times[way], strict=True)]
            seconds = statistics.median(times[way])
            made = Way(
                tables=tables,
                way=way,
                processes=1 if way in OF_ONE else size,
                batch_size=batch_size,
                seconds=seconds,
                rows_per_second=batch_size / seconds,
                of_one_process=statistics.median(ratios),
                held_bytes=int(held),
                sent_bytes=0.0 if way in OF_ONE else statistics.median(sent[way]) / steps / size,
            )
            found.append(asdict(made))
        return found


def measure_memory(way: str, batch_size: int, steps: int = 3) -> int:
    """The largest resident memory of a process, in bytes, while it trains with ten million ids."""
    torch.set_num_threads(1)
    with ddp.group(-1):
        model = _build("10 million ids", way)
        batch = _shape("10 million ids").batch(batch_size, torch.device("cpu"))
        for _ in range(steps):
            model.train_step(batch)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def loopback_bytes() -> int:
    """What has gone through this machine's loopback device, which nothing else should use meanwhile."""
    (line,) = (line for line in DEVICES.read_text().splitlines() if line.strip().startswith("lo:"))
    return int(line.split()[1])


def _shape(tables: str) -> peers.Shape:
    return peers.Shape(TABLES[tables], numeric=13, embedding_dim=DIM)


def _build(tables: str, way: str) -> Any:
    asked = {"fast": True, "embedding_dim": DIM, "embedding_regularizer": L2, **HIDDEN, **WAYS[way]}
    model = peers.build(DNN, _shape(tables), **asked)
    if way not in OF_ONE:
        model.join(seed=0)
    return model


def _step(model: Any, batch: dict[str, torch.Tensor]) -> Callable[[], object]:
    return (lambda: None) if model is None else (lambda: model.train_step(batch))

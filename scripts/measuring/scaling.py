"""What more processes bring to one run: the same training steps by one alone, by all apart, and by all together.

``measure`` runs in each of the processes. The three ways take turns, so that a busy machine slows all alike; the way
"apart", in which each process steps a model of its own without a word to the others, is what the machine's cores and
memory allow at best. ``measure_data`` is what rows cost before they are learned from.
"""

import os
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as processes

from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.dataloader import ColumnLoader
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.sources.acquire import raw_folder
from fuxi_plugins.models.dcnv2 import DCNv2
from fuxi_plugins.models.dnn import DNN
from fuxi_plugins.training.distributed import ddp
from fuxi_plugins.training.fast_step import moved_rows
from fuxi_plugins.training.feature_maps import load_feature_map
from measuring import peers
from measuring.clock import synchronize

CONFIGS = Path(__file__).resolve().parents[2] / "benchmark_configs"


@dataclass(frozen=True)
class Case:
    """A model over tables of a size."""

    name: str
    model_class: type
    settings: dict[str, Any]
    vocabulary: list[int]
    embedding_dim: int


HIDDEN = {"hidden_units": [400, 400]}
DEEP_AND_CROSS = {"num_cross_layers": 3, "parallel_dnn_hidden_units": [400, 400]}
CASES = [
    Case("DCNv2, small tables", DCNv2, DEEP_AND_CROSS, peers.SMALL, 20),
    Case("DNN, small tables", DNN, HIDDEN, peers.SMALL, 20),
    Case("DNN, Criteo's tables", DNN, HIDDEN, peers.CRITEO, 20),
]


@dataclass(frozen=True)
class Scaling:
    """Medians over rounds of one case. Times are of one step of the same global batch, but for ``apart``."""

    case: str
    processes: int
    batch_size: int
    parameters: int
    rounds: int
    seconds: dict[str, float]  # one: by one process; apart: a whole batch in each; together: a part in each; reduce
    rows_per_second: dict[str, float]  # of all processes
    efficiency: float  # one / (processes x together): 1 is as many times faster as there are processes
    efficiency_of_machine: float  # (apart / processes) / together: what of that is not the machine's own limit
    bytes_per_parameter: float  # of weights, gradients and the optimizer's state in each process


def measure(rounds: int, steps: int, batch_size: int, threads: int, gpus: bool) -> list[dict]:
    """Every case; the same list in each process, of which the first one's times count."""
    torch.set_num_threads(threads)
    gpu = int(os.environ["LOCAL_RANK"]) if gpus else -1
    with ddp.group(gpu):
        return [asdict(_scaling(case, rounds, steps, batch_size, gpu)) for case in CASES]


def measure_data(rows: int, epochs: int = 3) -> dict[str, float]:
    """What the rows of Criteo's twin take on disk, and of one core to load in shuffled order."""
    spec = load_dataset_spec(CONFIGS, "criteo_x1_twin")
    spec = spec.model_copy(update={"build_args": {"seed": 2026, "rows": [rows, 1000, 1000]}})
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(CONFIGS, Path(folder), Path(folder))
        raw_folder(spec, workspace)  # the generated files
        data = prepare_dataset(spec, workspace)
        train = data.split_folder("train")
        loader = ColumnLoader(load_feature_map(data, None), train, batch_size=4096, shuffle=True, seed=1, num_workers=0)
        loaded = []
        for _ in range(epochs):
            started = time.process_time()
            deque(loader, maxlen=0)
            loaded.append(time.process_time() - started)
        return {
            "rows": rows,
            "store_bytes_per_row": sum(path.stat().st_size for path in train.glob("*.npy")) / rows,
            "loaded_rows_per_cpu_second": rows / statistics.median(loaded),
        }


def _scaling(case: Case, rounds: int, steps: int, batch_size: int, gpu: int) -> Scaling:
    size, first = processes.get_world_size(), ddp.is_first()
    shape = peers.Shape(case.vocabulary, numeric=13, embedding_dim=case.embedding_dim)
    settings = {"fast": True, "gpu": gpu, "embedding_dim": case.embedding_dim, **case.settings}
    alone = peers.build(case.model_class, shape, **settings)
    parameters = sum(parameter.numel() for parameter in alone.parameters())
    batch = shape.batch(batch_size, alone.device)
    shared = peers.build(case.model_class, shape, shared=True, **settings)
    shared.join(seed=0)
    gradients = torch.zeros(parameters, device=alone.device)
    ways = {
        "one": lambda: alone.train_step(batch) if first else None,
        "apart": lambda: alone.train_step(batch),
        "together": lambda: shared.train_step(batch),
        "reduce": lambda: processes.all_reduce(gradients),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        timed(way, 1, alone.device)
    for _ in range(rounds):
        for name, way in ways.items():
            times[name].append(timed(way, steps, alone.device))
    one, apart, shared_times = times["one"], times["apart"], times["together"]
    seconds = {name: statistics.median(taken) for name, taken in times.items()}
    return Scaling(
        case=case.name,
        processes=size,
        batch_size=batch_size,
        parameters=parameters,
        rounds=rounds,
        seconds=seconds,
        rows_per_second={
            name: batch_size * (size if name == "apart" else 1) / seconds[name] for name in ("one", "apart", "together")
        },
        efficiency=statistics.median(a / (size * t) for a, t in zip(one, shared_times, strict=True)),
        efficiency_of_machine=statistics.median(a / (size * t) for a, t in zip(apart, shared_times, strict=True)),
        bytes_per_parameter=held_bytes(shared) / parameters,
    )


def timed(way: Callable[[], object], steps: int, device: torch.device) -> float:
    """Seconds a step until the last process is done."""
    processes.barrier()
    start = time.perf_counter()
    for _ in range(steps):
        way()
    synchronize(device)
    processes.barrier()
    return (time.perf_counter() - start) / steps


def held_bytes(model: Any) -> int:
    """What a model keeps between two steps; activations, which grow with the batch, are not in it."""
    optimizers = getattr(model.optimizer, "optimizers", [model.optimizer])
    states = [value for one in optimizers for state in one.state.values() for value in state.values()]
    gradients = [moved_rows(p.grad) for p in model.parameters() if p.grad is not None]
    return sum(tensor.nbytes for tensor in [*model.parameters(), *gradients, *states] if torch.is_tensor(tensor))

"""Compares three ways to share an embedding table among processes, on the CPU.

    python scripts/measure_sharding.py            what the packages of this project can do
    python scripts/measure_sharding.py --torchrec TorchRec too; see docs/scale.md for the packages that it needs

Each way trains the same small network over one table by Adam with L2, with half of the batch in each of two
processes, from the same weights. Printed are the distance of the trained table from one process's, what a process
holds for the table, what goes over the network in a step, and the time of a step. Network traffic is read from the
counters of the loopback device, so nothing else may use it: ``unshare -rn sh -c 'ip link set lo up; python ...'``.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as processes
from tabulate import tabulate
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard
from torch.distributed.tensor.parallel import RowwiseParallel, parallelize_module
from torch.nn.parallel import DistributedDataParallel

from fuxi_plugins.training.distributed.launch import launcher
from fuxi_plugins.training.distributed.placement import Layout
from fuxi_plugins.training.distributed.sharded_table import ShardedTable

DIM, FIELDS, BATCH, L2 = 20, 26, 4096, 1e-5
DEVICES = Path("/proc/net/dev")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torchrec", action="store_true")
    parser.add_argument("--rows", type=int, default=500_000, help="of the table")
    parser.add_argument("--steps", type=int, default=30)
    arguments = parser.parse_args()
    ways = ["one", "ours", "dtensor", *(["torchrec"] if arguments.torchrec else [])]
    found = [launcher(1 if way == "one" else 2, measure)(way, arguments.rows, arguments.steps) for way in ways]
    whole = found[0][0]["table"]
    lines = [
        (
            way, f"{float((here[0]['table'] - whole).norm() / whole.norm()):.1g}",
            f"{here[0]['held'] / 1e6:.0f} MB", f"{here[0]['peak'] / 1e6:.0f} MB", f"{here[0]['sent'] / 1e6:.1f} MB",
            f"{here[0]['seconds'] * 1e3:.0f} ms",
        )
        for way, here in zip(ways, found, strict=True)
    ]  # fmt: skip
    header = ["way", "distance from one process", "weights and states", "and gradient", "sent in a step", "a step"]
    print(tabulate(lines, headers=header, tablefmt="pipe"))


class Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(FIELDS * DIM, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, rows: Tensor) -> Tensor:
        return self.mlp(rows.flatten(1)).squeeze(1)


def measure(way: str, rows: int, steps: int) -> dict:
    """Trains in one way; runs in each process."""
    torch.set_num_threads(1)
    processes.init_process_group("gloo")
    rank, size = processes.get_rank(), processes.get_world_size()
    torch.manual_seed(0)
    start = torch.randn(rows, DIM) * 1e-2
    head = Head()
    if size > 1:
        head = DistributedDataParallel(head)
    table, look_up, whole = WAYS[way](start)
    del start
    optimizer = torch.optim.Adam([table, *head.parameters()], lr=1e-3, foreach=False)
    share = slice(BATCH * rank // size, BATCH * (rank + 1) // size)
    seconds, sent = [], []
    for step in range(steps):
        generator = torch.Generator().manual_seed(step)
        ids = (torch.rand(BATCH, FIELDS, generator=generator) ** 3 * rows).long()[share]
        labels = (torch.rand(BATCH, generator=generator) < 0.25).float()[share]
        processes.barrier()
        before, clock = _sent(), time.perf_counter()
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(head(look_up(ids)), labels).backward()
        if way in ("dtensor", "torchrec"):  # sums of the processes' means
            table.grad /= size
        with torch.no_grad():
            table.grad.add_(table, alpha=L2)
        optimizer.step()
        processes.barrier()
        seconds.append(time.perf_counter() - clock)
        sent.append(_sent() - before)
    held = sum(_bytes(value) for value in (table, *optimizer.state[table].values()))
    found = {"held": held, "peak": held + _bytes(table.grad)}
    found |= {"sent": statistics.median(sent) / size, "seconds": statistics.median(seconds), "table": whole()}
    processes.destroy_process_group()
    return found


def _one(start: Tensor) -> tuple[nn.Parameter, Callable[[Tensor], Tensor], Callable[[], Tensor]]:
    table = nn.Embedding.from_pretrained(start.clone(), freeze=False)
    return table.weight, table, lambda: table.weight.detach()


def _ours(start: Tensor) -> tuple[nn.Parameter, Callable[[Tensor], Tensor], Callable[[], Tensor]]:
    layout = Layout(len(start), processes.get_world_size())
    table = ShardedTable(len(start), DIM, None, layout)
    places = layout.places(torch.arange(len(start)))
    by_place = torch.empty_like(start).index_copy_(0, places, start)
    with torch.no_grad():
        table.shard.copy_(by_place[table.held.start : table.held.stop])

    def whole() -> Tensor:
        gathered = [torch.empty(len(layout.held(k)), DIM) for k in range(layout.processes)]
        processes.all_gather(gathered, table.shard.detach())
        return torch.cat(gathered)[places]

    return table.shard, table, whole


def _dtensor(start: Tensor) -> tuple[nn.Parameter, Callable[[Tensor], Tensor], Callable[[], Tensor]]:
    mesh = init_device_mesh("cpu", (processes.get_world_size(),))
    table = nn.Embedding.from_pretrained(start.clone(), freeze=False)
    parallelize_module(table, mesh, RowwiseParallel(input_layouts=Shard(0), output_layouts=Shard(0)))
    return table.weight, table, lambda: table.weight.full_tensor().detach()


def _torchrec(start: Tensor) -> tuple[nn.Parameter, Callable[[Tensor], Tensor], Callable[[], Tensor]]:
    from torchrec import EmbeddingCollection, EmbeddingConfig, KeyedJaggedTensor
    from torchrec.distributed import DistributedModelParallel
    from torchrec.distributed.embedding import EmbeddingCollectionSharder
    from torchrec.distributed.sharding_plan import construct_module_sharding_plan, row_wise
    from torchrec.distributed.types import ShardingPlan

    class RowWise(EmbeddingCollectionSharder):  # on a CPU it is refused, and so is a kernel with torch's optimizers
        def sharding_types(self, compute_device_type: str) -> list[str]:
            return ["row_wise"]

        def compute_kernels(self, sharding_type: str, compute_device_type: str) -> list[str]:
            return ["dense"]

    size, sharders = processes.get_world_size(), [RowWise()]
    config = EmbeddingConfig(num_embeddings=len(start), embedding_dim=DIM, name="t", feature_names=["f"])
    collection = EmbeddingCollection(tables=[config], device=torch.device("meta"))
    split = {"t": row_wise(compute_kernel="dense")}
    plan = ShardingPlan({"": construct_module_sharding_plan(collection, split, sharders[0], size, size, "cpu")})
    model = DistributedModelParallel(collection, device=torch.device("cpu"), plan=plan, sharders=sharders)
    ((_, weight),) = model.named_parameters()
    rank, chunk = processes.get_rank(), -(-len(start) // size)
    with torch.no_grad():
        weight.copy_(start[rank * chunk : (rank + 1) * chunk].view_as(weight))

    def look_up(ids: Tensor) -> Tensor:
        lengths = torch.full((len(ids),), FIELDS)
        asked = KeyedJaggedTensor(keys=["f"], values=ids.flatten(), lengths=lengths)
        return model(asked)["f"].values().view(len(ids), FIELDS, DIM)

    def whole() -> Tensor:
        gathered = [torch.empty(len(part), DIM) for part in start_parts]
        processes.all_gather(gathered, weight.detach().view(-1, DIM))
        return torch.cat(gathered)

    start_parts = [range(k * chunk, min((k + 1) * chunk, len(start))) for k in range(size)]
    return weight, look_up, whole


WAYS = {"one": _one, "ours": _ours, "dtensor": _dtensor, "torchrec": _torchrec}


def _bytes(tensor: Tensor) -> int:
    """What this process holds of a tensor."""
    return (tensor.to_local() if isinstance(tensor, DTensor) else tensor).nbytes


def _sent() -> int:
    """Bytes that have gone through the loopback device."""
    (line,) = (line for line in DEVICES.read_text().splitlines() if line.strip().startswith("lo:"))
    return int(line.split()[1])


if __name__ == "__main__":
    main()

"""The state of a model with sharded tables, on disk by ``torch.distributed.checkpoint``.

Each process writes its part of the tables, and what all have is written once. A table is written as torch's
``DTensor``, which says where in the whole the part belongs, so that any number of processes can read the state again.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.distributed as processes
from torch import Tensor
from torch.distributed import checkpoint
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Placement, Replicate, Shard

from fuxi_plugins.training.distributed.sharded_table import ShardedTable, sharded_tables_of


def save_weights(model: Any, folder: Path) -> None:
    checkpoint.save(_State(model).weights(), checkpoint_id=folder)


def load_weights(model: Any, folder: Path) -> None:
    checkpoint.load(_State(model).weights(), checkpoint_id=folder)


def save(model: Any, folder: Path) -> None:
    """Writes weights, buffers, the weights' averages, what the optimizer keeps, and each process's random state."""
    state = _State(model)
    everything = {**state.weights(), **state.averages(), **state.of_optimizer(), **_random_states()}
    checkpoint.save(everything, checkpoint_id=folder)


def load(model: Any, folder: Path) -> None:
    """Reads what :func:`save` has written, perhaps by another number of processes.

    A process whose place nobody had keeps the random state that it has.
    """
    there = checkpoint.FileSystemReader(folder).read_metadata().state_dict_metadata
    state, random = _State(model), _random_states()
    state.make_room_in_optimizer(there)
    wanted = {**state.weights(), **state.averages(), **state.of_optimizer(), **random}
    checkpoint.load({name: value for name, value in wanted.items() if name in there}, checkpoint_id=folder)
    state.give_numbers_back()
    if _random_name() in there:
        torch.set_rng_state(random[_random_name()])


class _State:
    """A model's tensors by name, those of sharded tables as parts of the whole. They share the model's memory."""

    def __init__(self, model: Any):
        self.model = model
        self.tables = {id(table.shard): table for table in sharded_tables_of(model)}

    def weights(self) -> dict[str, Tensor]:
        return self._named("model", {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())})

    def averages(self) -> dict[str, Tensor]:
        if not hasattr(self.model, "average_state"):
            return {}
        parameters = dict(self.model.named_parameters())
        return {
            f"average/{name}": self._placed(value, parameters.get(name))
            for name, value in self.model.average_state()["averages"].items()
        }

    def of_optimizer(self) -> dict[str, Tensor]:
        return {
            prefix + name: self._placed(value if isinstance(value, Tensor) else torch.tensor(value), parameter)
            for prefix, parameter, kept in self._kept()
            for name, value in kept.items()
        }

    def make_room_in_optimizer(self, there: dict[str, Any]) -> None:
        """Makes what an optimizer keeps, which has made no step yet."""
        for prefix, parameter, kept in self._kept():
            for name in (name for name in there if name.startswith(prefix)):
                size, kind = there[name].size, there[name].properties.dtype
                table = self.tables.get(id(parameter))
                is_part = table is not None and tuple(size) == (table.num_embeddings, table.embedding_dim)
                shape = parameter.shape if is_part else size
                kept[name.removeprefix(prefix)] = torch.empty(shape, dtype=kind, device=parameter.device)

    def give_numbers_back(self) -> None:
        """What an optimizer counts in a plain integer, as ``SparseAdam`` its steps, has been read as a tensor."""
        for _, _, kept in self._kept():
            for name, value in kept.items():
                if value.dtype == torch.int64:
                    kept[name] = int(value)

    def _kept(self) -> Iterator[tuple[str, Tensor, dict[str, Any]]]:
        """For each parameter the beginning of its states' names, itself, and the dict in which they are."""
        names = {parameter: name for name, parameter in self.model.named_parameters()}
        optimizers = getattr(self.model.optimizer, "optimizers", [self.model.optimizer])
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    yield f"optimizer/{names[parameter]}/", parameter, optimizer.state[parameter]

    def _named(self, kind: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {f"{kind}/{name}": self._placed(tensor.detach(), tensor) for name, tensor in tensors.items()}

    def _placed(self, value: Tensor, parameter: Tensor | None) -> Tensor:
        """A value of a parameter's own shape as the part of the whole that it is, any other as it is."""
        table = self.tables.get(id(parameter))
        if table is None or value.shape != table.shard.shape:
            return value
        mesh, placement = _place(table)
        shape = torch.Size((table.num_embeddings, table.embedding_dim))
        return DTensor.from_local(
            value, mesh, [placement], run_check=False, shape=shape, stride=(table.embedding_dim, 1)
        )


def _place(table: ShardedTable) -> tuple[DeviceMesh, Placement]:
    device, owner = table.shard.device.type, table.layout.owner
    everyone = tuple(range(table.layout.processes))
    if owner is None:
        return _mesh(processes.group.WORLD, device, everyone), Shard(0)
    return [_mesh(processes.group.WORLD, device, (rank,)) for rank in everyone][owner], Replicate()


@cache
def _mesh(world: processes.ProcessGroup, device: str, ranks: tuple[int, ...]) -> DeviceMesh:
    """All processes make each mesh, and in the same order, whether or not they are in it."""
    return DeviceMesh(device, list(ranks))


def _random_name() -> str:
    return f"random/{processes.get_rank()}"


def _random_states() -> dict[str, Tensor]:
    return {_random_name(): torch.get_rng_state()}

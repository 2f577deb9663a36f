"""Checkpoints of a run with sharded tables: it goes on from them by the same or another number of processes.

A checkpoint is a folder that all processes have written, and a small file that names it and says how far the run had
come. The file is replaced last, by the first process: whatever is interrupted, it names a folder that is whole.
"""

import json
import logging
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch.distributed as processes

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import write_text
from fuxi_plugins.training.checkpoint import Checkpointer
from fuxi_plugins.training.distributed import sharded_state
from fuxi_plugins.training.distributed.ddp import is_first

PROGRESS_FILE = "state.json"
STATES = "state-"  # folders of states begin so


class ShardedCheckpointer(Checkpointer):
    """As :class:`Checkpointer`; every method is collective. The folder is one that all processes share."""

    def _is_affordable(self) -> bool:
        """The first process's clock decides for all."""
        answer = [super()._is_affordable()]
        processes.broadcast_object_list(answer)
        return answer[0]

    def _write(self, model: Any, folder: Path, progress: dict[str, Any]) -> None:
        state = f"{STATES}{progress['epoch']}-{progress['batch']}"
        sharded_state.save(model, folder / state)
        best = model.best_weights
        losses = [0.0] * processes.get_world_size()  # each process adds up those of its own parts of batches
        processes.all_gather_object(losses, progress["counters"]["_loss_sum"])
        if is_first():
            of_numpy: Any = np.random.get_state()  # a tuple, unless its newer form is asked for
            name, keys, *rest = of_numpy
            content = {
                **progress,
                "state": state,
                "best": best and str(best.relative_to(folder)),
                "rates": [group["lr"] for group in model.optimizer.param_groups],
                "averaged": getattr(model, "_averaged", 0),
                "losses": losses,
                "python": random.getstate(),
                "numpy": [name, keys.tolist(), *rest],
            }
            write_text(folder / PROGRESS_FILE, json.dumps(content))
            for path in folder.glob(f"{STATES}*"):
                if path.is_dir() and path.name != state:
                    shutil.rmtree(path)
        model.keep_best_weights()
        processes.barrier()

    def _load(self) -> dict[str, Any] | None:
        """What the first process reads; all go on from it, or none."""
        found = [self._readable() if is_first() else None]
        processes.broadcast_object_list(found)
        state = found[0]
        if state is None or self.folder is None:
            return None
        needed = [self.folder / name for name in (state["state"], state["best"]) if name]
        seen: list[bool] = [False] * processes.get_world_size()
        processes.all_gather_object(seen, all(path.is_dir() for path in needed))
        if not any(seen[1:]) and not seen[0]:
            logging.warning("starting anew: the checkpoint in %s is not whole", self.folder)
            return None
        if not all(seen):
            raise UserError(
                f"the processes of a run with sharding must share the folder of its checkpoints, {self.folder}, but "
                f"{seen.count(False)} of {len(seen)} do not see the checkpoint there. Let FUXIBENCH_CACHE name a "
                "folder that all hosts share."
            )
        return state

    def _readable(self) -> dict[str, Any] | None:
        if self.folder is None or not (self.folder / PROGRESS_FILE).exists():
            return None
        path = self.folder / PROGRESS_FILE
        try:
            state = json.loads(path.read_text())
            seen = state["identity"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            logging.warning("starting anew: the checkpoint %s cannot be read (%s)", path, error)
            return None
        if seen != self.identity:
            logging.warning("starting anew: the checkpoint %s is of another run, %s", path, seen)
            return None
        return state

    def _read(self, model: Any, state: dict[str, Any], folder: Path) -> None:
        if hasattr(model, "average_state") and state["averaged"]:
            room = {name: value.detach().clone() for name, value in model.averaged_values().items()}
            model.load_average_state({"averages": room, "averaged": state["averaged"]})
        sharded_state.load(model, folder / state["state"])
        for group, rate in zip(model.optimizer.param_groups, state["rates"], strict=True):
            group["lr"] = rate
        if state["best"]:
            model.best_weights = folder / state["best"]
        version, keys, gauss = state["python"]
        random.setstate((version, tuple(keys), gauss))
        name, keys, *rest = state["numpy"]
        np.random.set_state((name, np.array(keys, np.uint32), *rest))
        losses, here = state["losses"], processes.get_rank()
        if len(losses) != processes.get_world_size():
            logging.info("the checkpoint was written by %d processes", len(losses))
            losses = [sum(losses) / len(losses)] * processes.get_world_size()
        state["counters"]["_loss_sum"] = losses[here]

    def delete(self) -> None:
        processes.barrier()
        if self.folder is not None and is_first():
            (self.folder / PROGRESS_FILE).unlink(missing_ok=True)
            for path in (*self.folder.glob(f"{STATES}*"), *self.folder.glob("*/best.model-*")):
                shutil.rmtree(path)

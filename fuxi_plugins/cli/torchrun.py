"""``torchrun ... -m fuxi_plugins run SUITE``: what each of the processes that torchrun starts has to do.

torchrun starts the command once for every process that a run is to have. But a run starts its processes itself, so that
it can keep its limits and record how they end. So the first process on torchrun's first host plans and calls the
runs, the first on every other host joins them, and the rest end at once.
"""

import os
from dataclasses import dataclass

from fuxi_plugins.core.errors import UserError

_STARTED_BY = "TORCHELASTIC_RUN_ID"
# What torchrun tells its processes; it is taken away, so that none of a run's processes takes it for its own.
_TOLD = ("RANK", "WORLD_SIZE", "ROLE_RANK", "ROLE_WORLD_SIZE", "TORCHELASTIC_USE_AGENT_STORE", _STARTED_BY)


@dataclass(frozen=True)
class Place:
    """Which of torchrun's processes this is."""

    number: int  # on its host
    host: int
    hosts: int
    processes: int  # on each host
    rendezvous: str  # of the hosts of a run; torchrun itself has the port before


def place() -> Place | None:
    """Where torchrun has put this process; None where it has not started it."""
    if _STARTED_BY not in os.environ:
        return None
    for name in _TOLD:
        os.environ.pop(name, None)
    number, host, hosts, processes, port = (
        int(os.environ.pop(name))
        for name in ("LOCAL_RANK", "GROUP_RANK", "GROUP_WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_PORT")
    )
    return Place(number, host, hosts, processes, f"{os.environ.pop('MASTER_ADDR')}:{port + 1}")


def require_no_other_engine(hosts: int, rendezvous: str | None, processes: int, engine: str) -> None:
    if hosts > 1 or rendezvous or processes > 1 or engine != "local":
        raise UserError(
            "torchrun says how many hosts and processes share a run. Leave out --hosts, --rendezvous, --nproc-per-run "
            "and --engine, or torchrun."
        )

"""``fuxibench join``: a further host of a run over several hosts."""

import dataclasses
import os
import sys

import click

from fuxi_plugins.cli.console import say
from fuxi_plugins.cli.failures import FAILED_RUNS


@click.command()
@click.argument("address", metavar="HOST:PORT")
@click.option("--gpu", type=click.IntRange(min=-1), default=-1, help="First GPU of this host's processes. -1: CPU.")
@click.option("--wait", type=click.FloatRange(min=1), default=45, help="Seconds to wait for the first run.")
def join(address: str, gpu: int, wait: float) -> None:
    """Adds this host's processes to another host's runs.

    The other host starts them by 'run --hosts N --rendezvous HOST:PORT'. This command ends when no further run is
    announced. FUXIBENCH_CACHE must be a folder that all hosts share.
    """
    sys.exit(FAILED_RUNS if join_runs(address, gpu, wait) else 0)


def join_runs(address: str, gpu: int, wait: float) -> bool:
    """Joins all runs that are announced at an address; returns whether one has failed.

    Args:
        gpu: the first GPU of this host's processes; -1 is the CPU.
        wait: seconds for the first run to be announced.
    """
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # else torch prints C++ frames where a host is slow to answer
    from fuxi_plugins.training.distributed.hosts import PATIENCE, Address, joined
    from fuxi_plugins.training.distributed.launch import launch_beside

    place, known, failed = Address.read(address), None, False
    while found := joined(place, known, PATIENCE.seconds if known else wait):
        job, number, known = found
        say(f"joined {job.name} as host {number + 1} of {job.hosts}")
        if reason := launch_beside(dataclasses.replace(job, gpu=gpu), number, known):
            say(f"error: {job.name}: {reason}", err=True)
            failed = True
    say(f"no further run is announced at {place}.")
    return failed

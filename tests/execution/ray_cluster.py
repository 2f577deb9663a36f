"""A real Ray cluster on this machine: a ``ray start`` a node, each a process tree of its own that can be killed.

Its nodes share the machine's network, or each is in a network namespace.
"""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.training.distributed.namespaces import Host

START = (sys.executable, "-m", "ray.scripts.scripts", "start")
# A token of our own, whatever the user's Ray has; the driver needs it too.
ENVIRONMENT = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
# Small, and on ports that collide with nothing.
EVERY_NODE = (
    "--block", "--num-gpus=0", "--object-store-memory=80000000",
    "--dashboard-agent-listen-port=0", "--disable-usage-stats", "--include-log-monitor=false",
)  # fmt: skip


class Node:
    """One node of a cluster, started by ``ray start``."""

    def __init__(self, folder: Path, cpus: int, *place: str, host: Host | None = None):
        self.log = folder / "ray.log"
        address = host.address if host else "127.0.0.1"
        folder.mkdir()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*(host.enter if host else ()), *START, *EVERY_NODE, f"--node-ip-address={address}",
                 f"--num-cpus={cpus}", f"--temp-dir={folder}", *place],
                stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
                env={**os.environ, **ENVIRONMENT},
            )  # fmt: skip

    def processes(self) -> list[int]:
        return [self.process.pid, *descendants(self.process.pid)]

    def kill(self) -> None:
        """As when its machine loses power: everything on it at once."""
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()


@contextmanager
def ray_cluster(nodes: int, cpus: int = 1, hosts: Sequence[Host] = ()) -> Iterator[tuple[str, list[Node]]]:
    """A cluster's address and its nodes, the head first; with hosts, one on each of them."""
    address = f"{hosts[0].address if hosts else '127.0.0.1'}:{free_port()}"
    places = [*hosts] or [None] * nodes
    started: list[Node] = []
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:  # sockets need
        try:  # short paths
            head = ("--head", f"--port={address.rpartition(':')[2]}", "--include-dashboard=false")
            started.append(Node(Path(folder) / "0", cpus, *head, host=places[0]))
            wait_for(lambda: "--block" in started[0].log.read_text(), started[0])
            for number in range(1, nodes):
                started.append(Node(Path(folder) / str(number), cpus, f"--address={address}", host=places[number]))
            for node in started:
                wait_for(lambda node=node: "--block" in node.log.read_text(), node)
            yield address, started
        finally:
            for node in reversed(started):
                node.kill()


def descendants(pid: int) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    return [found for child in map(int, listed) for found in (child, *descendants(child))]


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def wait_for(condition, node: Node, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert node.process.poll() is None, node.log.read_text()
        assert time.monotonic() < end, node.log.read_text()
        time.sleep(0.2)

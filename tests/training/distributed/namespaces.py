"""Two hosts on this machine: network namespaces that are joined by a cable, which can be cut."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT


@dataclass(frozen=True)
class Host:
    """A network namespace with one address; files and processes are those of the machine."""

    name: str
    address: str
    plug: str  # its end of the cable

    @property
    def enter(self) -> tuple[str, ...]:
        """What a command begins with that runs on this host."""
        return "ip", "netns", "exec", self.name

    def start(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> subprocess.Popen:
        return subprocess.Popen(
            [*self.enter, *command],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip

    def fuxibench(self, *arguments: str) -> subprocess.Popen:
        return self.start([sys.executable, "-m", "fuxi_plugins", *arguments])

    def processes(self, of: str = "") -> list[int]:
        """Those whose command line holds some text."""
        found = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True).stdout.split()
        return [int(number) for number in found if of in _command_line(number)]

    def cut_cable(self) -> None:
        """Nothing arrives any more, and nobody is told."""
        subprocess.run(["ip", "-n", self.name, "link", "set", self.plug, "down"], check=True)

    def mend_cable(self) -> None:
        subprocess.run(["ip", "-n", self.name, "link", "set", self.plug, "up"], check=True)

    def lose_power(self) -> None:
        """No process is left, and none could say goodbye."""
        self.cut_cable()
        while left := self.processes():
            for number in left:
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Skips the test where namespaces are not permitted."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("network namespaces need iproute2 and root")
    hosts = tuple(Host(f"fuxi-{os.getpid()}-{n}", f"10.77.1.{n}", f"fx{os.getpid()}-{n}") for n in (1, 2))
    lines = [f"netns add {host.name}" for host in hosts]
    lines += [f"link add {hosts[0].plug} type veth peer name {hosts[1].plug}"]
    for host in hosts:
        lines += [f"link set {host.plug} netns {host.name}"]
        lines += [f"-n {host.name} link set {own} up" for own in ("lo", host.plug)]
        lines += [f"-n {host.name} addr add {host.address}/24 dev {host.plug}"]
    try:
        for line in lines:
            made = subprocess.run(["ip", *line.split()], capture_output=True, text=True)
            if made.returncode:
                pytest.skip(f"network namespaces are not permitted here: {made.stderr.strip()}")
        yield hosts
    finally:
        for host in hosts:
            for number in host.processes():
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", host.name], capture_output=True)


def _command_line(number: str) -> str:
    try:
        return Path(f"/proc/{number}/cmdline").read_text().replace("\0", " ")
    except OSError:  # it has ended
        return ""

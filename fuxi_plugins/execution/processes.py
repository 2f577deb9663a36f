"""The process of a run as its runner holds it: forked from one that has imported everything, or started by a command.

Importing torch and FuxiCTR takes seconds, which for a small run is as long as its training. So the standard library's
fork server imports them once, and each run is a fork of it: a process of its own all the same, with its own memory,
process group, standard streams and end.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO

from fuxi_plugins.core.errors import UserError

# glibc maps, zeroes and unmaps every large temporary unless told to keep its memory, which can cost half of a
# training step on a CPU. Other allocators ignore these variables.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str((1 << 31) - 1),
    "MALLOC_TOP_PAD_": str(1 << 26),
}
THREADS = "OMP_NUM_THREADS"
STOP_SECONDS = 1.0  # within which a stop of many processes has come to each of them
GRACE_SECONDS = 10  # between asking a process to stop and stopping it

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["fuxi_plugins.execution.fork_server", "fuxi_plugins.training.preload"])


def begin_server(threads: int) -> None:
    """Has the server begin its imports, which :func:`start_server` waits for: they take as long as the caller's own.

    Args:
        threads: as there.
    """
    with _environment(threads):
        forkserver.ensure_running()


def start_server(threads: int) -> None:
    """Has the server started and its imports done, which an interrupt may break off: nothing depends on it yet.

    Args:
        threads: that libraries find at their import there.
    """
    nothing = FORKS.Process(target=os.getpid)
    try:
        start_fork(nothing, threads)
        nothing.join()
    except (EOFError, ConnectionError) as error:
        time.sleep(STOP_SECONDS)  # a stop that ended it while it started comes to us as well, as an exception
        raise UserError("the process from which runs are started has ended while it started; try again.") from error
    nothing.close()


class RunProcess:
    """A run's process. It reads its job from ``stdin`` and writes its progress to ``stdout`` (``training.worker``).

    The end of its standard input, which stays open, tells it that we are gone.
    """

    stdin: IO[bytes]
    stdout: IO[bytes]
    pid: int

    def has_ended(self) -> bool:
        raise NotImplementedError

    def _terminate(self) -> None:
        raise NotImplementedError

    def _reap(self) -> int:
        raise NotImplementedError

    def end(self) -> int:
        """Ends the process, if it has not ended, and whatever it has started; returns its exit code."""
        if not self.has_ended():
            self._terminate()
            self.wait(GRACE_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        code = self._reap()
        for pipe in (self.stdin, self.stdout):
            with suppress(BrokenPipeError):
                pipe.close()
        return code

    def wait(self, seconds: float) -> None:
        """Waits for its end, but no longer than this."""
        end = time.monotonic() + seconds
        while not self.has_ended() and time.monotonic() < end:
            time.sleep(0.002)


class Forked(RunProcess):
    """A fork of the server, which is started if it is not there."""

    def __init__(self, log: Path, threads: int):
        its_stdin, stdin = FORKS.Pipe(duplex=False)
        stdout, its_stdout = FORKS.Pipe(duplex=False)
        environment = {**os.environ, **_variables(threads)}
        self._process = FORKS.Process(target=_work, args=(its_stdin, its_stdout, str(log), environment))
        start_fork(self._process, threads)
        its_stdin.close()
        its_stdout.close()
        assert self._process.pid is not None  # it has been started
        self.pid = self._process.pid
        self.stdin, self.stdout = os.fdopen(_own(stdin), "wb"), os.fdopen(_own(stdout), "rb")

    def has_ended(self) -> bool:
        return self._process.exitcode is not None

    def _terminate(self) -> None:
        self._process.terminate()

    def _reap(self) -> int:
        self._process.kill()  # if it has not come to have a process group
        self._process.join()
        code = self._process.exitcode
        assert code is not None  # it has ended
        self._process.close()
        return code


class Started(RunProcess):
    """A command's process, child of the runner."""

    def __init__(self, command: Sequence[str], log: Path, threads: int):
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                env={**os.environ, **_variables(threads)},
                start_new_session=True,  # Ctrl-C is the runner's to handle, and its children end with it
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None  # both are pipes
        self.pid, self.stdin, self.stdout = self._process.pid, self._process.stdin, self._process.stdout

    def has_ended(self) -> bool:
        """Does not reap it: until then no other process group can have its number."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _terminate(self) -> None:
        self._process.terminate()

    def _reap(self) -> int:
        return self._process.wait()


def _work(stdin: Connection, stdout: Connection, log: str, environment: dict[str, str]) -> None:
    """Makes a fork of the server what a process started by a command would be, and does a worker's work."""
    from fuxi_plugins.training import worker

    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # which the server ignores
    os.setsid()
    os.environ.clear()  # the server's, which may be older than what the runner has now
    os.environ.update(environment)
    with open(log, "ab") as file:
        for number, end in enumerate((stdin.fileno(), stdout.fileno(), file.fileno())):
            os.dup2(end, number)
    stdin.close()
    stdout.close()
    sys.stdin, sys.stdout = os.fdopen(0, encoding="utf-8"), os.fdopen(1, "w", encoding="utf-8")
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8")
    sys.exit(worker.main())


def start_fork(process: BaseProcess, threads: int) -> None:
    """Starts a process of :data:`FORKS` with the settings that runs have.

    Args:
        threads: that libraries find at their import in a server that is not there yet.
    """
    with _environment(threads):  # which a new server inherits
        process.start()


def _own(connection: Connection) -> int:
    """The connection's file descriptor, which outlives the connection."""
    number = os.dup(connection.fileno())
    connection.close()
    return number


@contextmanager
def _environment(threads: int) -> Iterator[None]:
    former = {name: os.environ.get(name) for name in (*ALLOCATOR, THREADS)}
    os.environ.update(_variables(threads))
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _variables(threads: int) -> dict[str, str]:
    """What a run's process needs to find in its environment; who has set the allocator has a reason."""
    return {**{name: os.environ.get(name, value) for name, value in ALLOCATOR.items()}, THREADS: str(threads)}

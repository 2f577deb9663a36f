"""A run's process: a fork with torch in it, or a command; each its own process, and none outlives its runner."""

import os
import sys
import time

import pytest

from fuxi_plugins.execution import processes
from fuxi_plugins.execution.processes import ALLOCATOR, FORKS, Forked, Started, start_server


def what_it_has(answer) -> None:
    answer.send(
        ["torch" in sys.modules, "fuxi_plugins.training.trainer" in sys.modules, *map(os.environ.get, ALLOCATOR)]
    )


def test_a_fork_has_everything_imported_and_the_allocator_set():
    start_server(threads=1)
    seen, answer = FORKS.Pipe(duplex=False)
    child = FORKS.Process(target=what_it_has, args=(answer,))
    child.start()
    assert seen.recv() == [True, True, *ALLOCATOR.values()]
    child.join()


@pytest.mark.parametrize("kind", ["forked", "started"])
def test_a_process_is_ended_with_its_group_and_says_how_it_ended(tmp_path, kind):
    log = tmp_path / "run.log"
    log.touch()
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    process = Forked(log, threads=1) if kind == "forked" else Started(command, log, threads=1)
    assert not process.has_ended()  # it waits for its job
    end = time.monotonic() + 60
    while os.getpgid(process.pid) != process.pid:  # what it starts will end with it
        assert time.monotonic() < end, "it has come to no process group of its own"
    assert process.end() < 0  # by a signal
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_a_fork_ends_when_its_input_does(tmp_path):
    log = tmp_path / "run.log"
    log.touch()
    process = Forked(log, threads=1)
    process.stdin.close()  # before it has got a job
    process.wait(60)
    assert process.has_ended()
    assert process.end() == 1
    assert "ValidationError" in log.read_text()  # what it prints is in the log


def test_the_environment_is_as_it_was():
    before = dict(os.environ)
    with processes._environment(threads=3):
        assert os.environ["OMP_NUM_THREADS"] == "3"
    assert dict(os.environ) == before

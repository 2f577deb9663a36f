"""A few processes that are joined by Gloo, forked from the test so that they start at once."""

import multiprocessing
import traceback
import uuid
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import torch.distributed as processes

SECONDS = 300  # for an answer, on a busy machine


def in_processes(count: int, folder: Path, function: Callable[..., Any], *given: Any) -> list[Any]:
    """What the function returns in each of the processes; a process that fails fails the test with its traceback."""
    fork = multiprocessing.get_context("fork")
    meeting = folder / f"meeting-{uuid.uuid4().hex}"
    pipes = [fork.Pipe(duplex=False) for _ in range(count)]
    started = [
        fork.Process(target=_one, args=(rank, count, meeting, there, function, given), daemon=True)
        for rank, (_, there) in enumerate(pipes)
    ]
    for process, (_, there) in zip(started, pipes, strict=True):
        process.start()
        there.close()
    found = [_answer_of(process, here) for process, (here, _) in zip(started, pipes, strict=True)]
    for process in started:
        process.kill()
    if failed := [what for is_well, what in found if not is_well]:
        raise AssertionError("\n".join(failed))
    return [what for _, what in found]


def _answer_of(process: Any, here: Connection) -> tuple[bool, Any]:
    try:
        return here.recv() if here.poll(SECONDS) else (False, f"no answer in {SECONDS} s")
    except EOFError:
        process.join()
        return False, f"the process ended with {process.exitcode}"


def _one(rank: int, count: int, meeting: Path, there: Connection, function: Callable[..., Any], given: tuple) -> None:
    torch.set_num_threads(1)
    store = processes.FileStore(str(meeting), count)
    processes.init_process_group("gloo", store=store, rank=rank, world_size=count)
    try:
        there.send((True, function(*given)))
    except Exception:
        there.send((False, traceback.format_exc()))
    processes.destroy_process_group()

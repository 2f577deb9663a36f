"""Times of alternatives that take turns, so that a busy machine slows all of them alike."""

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from typing import Any

OURS = "ours"


@dataclass(frozen=True)
class Case:
    """One job that can be done in several ways, one of them ours."""

    section: str
    job: str
    unit: str  # of the seconds: "an epoch", "a step"
    ways: Mapping[str, Callable[[], object]]
    rounds: int  # of all ways, after one that warms up
    note: str = ""
    own_cpu: bool = True  # whether a way's work is done in its own process, so that the CPU time there says anything


@dataclass(frozen=True)
class Comparison:
    """What a case took."""

    section: str
    job: str
    unit: str
    seconds: dict[str, float]  # way -> median over the rounds, wall clock
    cpu_seconds: dict[str, float]  # way -> median of its process's CPU time, all threads together
    rounds: int
    note: str = ""

    def ratio(self, peer: str) -> float:
        """How many times longer the peer takes."""
        return self.seconds[peer] / self.seconds[OURS]

    def plain(self) -> dict:
        peers = [peer for peer in self.seconds if peer != OURS]
        return {**asdict(self), "ratios": {peer: self.ratio(peer) for peer in peers}}


Section = Callable[[Any], Iterator[Case]]  # of the options


def compare(
    section: Section, options: Any, our_environment: Mapping[str, str], peers_environment: Mapping[str, str]
) -> Iterator[Comparison]:
    """Measures each case of a section: our way in one process and its peers in another, one call at a time.

    Args:
        section: a module's function; both processes call it.
        options: its argument.
        our_environment, peers_environment: all variables of the two processes, such as those of the allocator.

    Raises:
        RuntimeError: one of the two ended early; its traceback is on standard error.
    """
    with Side(section, options, our_environment) as ours, Side(section, options, peers_environment) as peers:
        while (case := ours.next_case()) is not None:
            peers.next_case()
            sides = {way: ours if way == OURS else peers for way in case.ways}
            for way, side in sides.items():
                side.time(way)
            taken = [{way: side.time(way) for way, side in sides.items()} for _ in range(case.rounds)]
            wall, cpu = (
                {way: statistics.median(times[way][clock] for times in taken) for way in sides} for clock in (0, 1)
            )
            yield Comparison(
                case.section, case.job, case.unit, wall, cpu if case.own_cpu else {}, case.rounds, case.note
            )


class Side(AbstractContextManager):
    """A process with an environment of its own that has a section's cases ready, and does what it is told to."""

    def __init__(self, section: Section, options: Any, environment: Mapping[str, str]):
        spawning = multiprocessing.get_context(
            "spawn"
        )  # a new interpreter: an allocator reads its settings at its start
        self._connection, its = spawning.Pipe()
        self._process = spawning.Process(target=_serve, args=(its, section, options))
        ours = dict(os.environ)
        try:
            _replace_environment(environment)
            self._process.start()
        finally:
            _replace_environment(ours)
        its.close()

    def next_case(self) -> Case | None:
        """The section's next case, whose ways are names alone here; ``None`` after the last."""
        return self._ask(None)

    def time(self, way: str) -> tuple[float, float]:
        """Does the current case in a way once; seconds by the clock and of the process's CPU time."""
        return self._ask(way)

    def _ask(self, way: str | None) -> Any:
        try:
            self._connection.send(way)
            return self._connection.recv()
        except (EOFError, ConnectionError):
            raise RuntimeError("a measuring process ended early; its traceback stands above") from None

    def __exit__(self, *_) -> None:
        self._connection.close()
        self._process.join()


def _serve(connection: Connection, section: Section, options: Any) -> None:
    cases, case = section(options), None
    while True:
        try:
            way = connection.recv()
        except EOFError:
            return  # nobody asks any more
        if way is None:
            case = next(cases, None)
            connection.send(case and _named(case))
        else:
            connection.send(_timed(case.ways[way]))


def _named(case: Case) -> Case:
    """The case without its functions, which stay in their process."""
    return Case(**{**vars(case), "ways": dict.fromkeys(case.ways)})


def _timed(way: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    way()
    return time.perf_counter() - wall, time.process_time() - cpu


def _replace_environment(variables: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)

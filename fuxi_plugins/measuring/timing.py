"""Times of alternatives that take turns, so that a busy machine slows all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

OURS = "ours"


@dataclass(frozen=True)
class Comparison:
    """One job done in several ways, one of them ours."""

    section: str
    job: str
    unit: str  # of the seconds: "an epoch", "a step"
    seconds: dict[str, float]  # way -> median over the rounds, wall clock
    cpu_seconds: dict[str, float]  # way -> median of the process's CPU time, all threads together
    rounds: int
    note: str = ""

    def ratio(self, peer: str) -> float:
        """How many times longer the peer takes."""
        return self.seconds[peer] / self.seconds[OURS]

    def plain(self) -> dict:
        peers = [peer for peer in self.seconds if peer != OURS]
        return {**asdict(self), "ratios": {peer: self.ratio(peer) for peer in peers}}


def compare(
    section: str, job: str, unit: str, ways: Mapping[str, Callable[[], object]], rounds: int, note: str = ""
) -> Comparison:
    """Runs every way once to warm it up, then all of them in turns.

    Args:
        section, job, unit, note: what is measured, for the table.
        ways: name -> what to time, one of them named ``OURS``.
        rounds: of all ways.
    """
    wall: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(rounds):
        for name, way in ways.items():
            wall_start, cpu_start = time.perf_counter(), time.process_time()
            way()
            wall[name].append(time.perf_counter() - wall_start)
            cpu[name].append(time.process_time() - cpu_start)
    medians = [{name: statistics.median(times) for name, times in clock.items()} for clock in (wall, cpu)]
    return Comparison(section, job, unit, *medians, rounds, note)

"""How long runs took before, by the kind of machine: what a suite will cost, said before it starts."""

import csv
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fuxi_plugins.core.workspace import CATALOGUE
from fuxi_plugins.records.record import Record, finished_runs

SHIPPED = CATALOGUE / "results" / "speed" / "run_seconds.csv"


@dataclass(frozen=True)
class Measured:
    """The runs of one experiment on one kind of machine."""

    experiment: str
    machine: str  # device or processor, and threads
    runs: int
    seconds: float  # median, from a run's first import to its record


@dataclass(frozen=True)
class Estimate:
    """What a number of runs take on one kind of machine, one after the other."""

    machine: str
    seconds: float
    known: int  # runs of experiments that were measured there
    of: int

    @property
    def sentence(self) -> str:
        hours = self.seconds / 3600
        time = f"{hours:,.1f} h" if hours >= 1 else f"{max(1, round(self.seconds / 60))} min"
        return f"{self.known} of {self.of} runs took {time} on {self.machine}, one after the other"


def measured(records: Iterable[Record]) -> list[Measured]:
    """The times of finished runs, by experiment and kind of machine, sorted."""
    seconds: dict[tuple[str, str], list[float]] = {}
    for record in finished_runs(records):
        if machine := record.machine:
            kind = machine.processor if machine.device == "cpu" else machine.device
            named = f"{kind}, {machine.threads} thread{'s' * (machine.threads > 1)}"
            seconds.setdefault((record.experiment, named), []).append(record.seconds.total)
    return [
        Measured(experiment, machine, len(values), round(statistics.median(values), 1))
        for (experiment, machine), values in sorted(seconds.items())
    ]


def shipped(path: Path = SHIPPED) -> list[Measured]:
    """The times that the package brings, of the runs in its repository."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Measured(row["experiment"], row["machine"], int(row["runs"]), float(row["seconds"]))
            for row in csv.DictReader(file)
        ]


def estimates(experiments: Sequence[str], times: Iterable[Measured]) -> list[Estimate]:
    """What runs of these experiments take, by kind of machine; that with most of them known first.

    Args:
        experiments: of each run, so that one stands as often as it has seeds.
    """
    by_machine: dict[str, dict[str, float]] = {}
    for one in times:
        by_machine.setdefault(one.machine, {})[one.experiment] = one.seconds
    found = []
    for machine, seconds in by_machine.items():
        known = [seconds[name] for name in experiments if name in seconds]
        if known:
            found.append(Estimate(machine, sum(known), len(known), len(experiments)))
    return sorted(found, key=lambda one: (-one.known, one.machine))

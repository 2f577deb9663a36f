"""Shows runs under way: bars on a terminal, lines elsewhere."""

import time
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from fuxi_plugins.core.cleaning import visible
from fuxi_plugins.records.record import FinishedRun, Record
from fuxi_plugins.training.job import Job


def outcome(record: Record) -> str:
    """One line on how a run ended."""
    if not isinstance(record, FinishedRun):
        return visible(f"FAILED {record.experiment} seed {record.seed}: {record.reason}")
    split = "valid" if record.role == "trial" else "test"  # who chooses by trials must not see their test scores
    scores = "  ".join(f"{name} {value:.6f}" for name, value in record.metrics[split].items())
    of_label = f" of {record.data.label}" if record.further_metrics else ""  # by which boards rank
    return visible(
        f"{record.experiment} seed {record.seed}: {split}{of_label} {scores}  "
        f"(best epoch {record.best_epoch} of {record.history[-1].epoch}, {record.seconds.total:.0f} s)"
    )


def _of_what(job: Job) -> str:
    """What the metrics of an epoch are of, where several labels are learned: they steer the training by their mean."""
    labels = job.data.card.learned_labels
    return f"  (mean of {len(labels)} labels)" if len(labels) > 1 else ""


class Lines:
    """One line a start, an epoch and an end; for logs and pipes."""

    def __init__(self, total: int):
        self.total, self.ends = total, 0
        self._shown: dict[str, dict[str, float]] = {}  # the latest validation, by job

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def started(self, job: Job) -> None:
        print(f"start {job.name}", flush=True)

    def progressed(self, job: Job, state: dict[str, Any]) -> None:
        valid = state.get("valid")
        if valid and valid != self._shown.get(job.name):
            self._shown[job.name] = valid
            metrics = "  ".join(f"{name} {value:.6f}" for name, value in valid.items())
            print(f"      {job.name}: epoch {state['epoch']}  valid {metrics}{_of_what(job)}", flush=True)

    def ended(self, job: Job, record: Record) -> None:
        self.ends += 1
        print(f"[{self.ends}/{self.total}] {outcome(record)}", flush=True)


class Bars:
    """One bar a run with its epoch, steps, latest validation and time left in the epoch, and one for the suite."""

    def __init__(self, total: int, console: Console):
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[count]}"),
            TextColumn("{task.fields[valid]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            speed_estimate_period=24 * 3600,  # runs end minutes apart
        )
        self._total, self._ends = total, 0
        self._all = self._progress.add_task("all runs", total=total, count=f"0/{total}", valid="")
        self._bars: dict[str, Any] = {}

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def started(self, job: Job) -> None:
        self._bars[job.name] = self._progress.add_task(job.name, total=None, count="", valid="loading")

    def progressed(self, job: Job, state: dict[str, Any]) -> None:
        step, steps = state.get("step", 0), state.get("steps")
        metrics = "  ".join(f"{name} {value:.5f}" for name, value in state.get("valid", {}).items())
        self._progress.update(
            self._bars[job.name],
            total=steps,
            completed=step,
            description=f"{job.name}  epoch {state.get('epoch', 0)}",
            count=f"{step}/{steps}",
            valid=f"{metrics}{_of_what(job)}" if metrics else "first epoch",
        )

    def ended(self, job: Job, record: Record) -> None:
        if job.name in self._bars:  # else another runner carried it out
            self._progress.remove_task(self._bars.pop(job.name))
        self._ends += 1
        self._progress.update(self._all, completed=self._ends, count=f"{self._ends}/{self._total}")
        self._progress.console.print(f"{time.strftime('%H:%M:%S')} {outcome(record)}", markup=False, highlight=False)


def display(total: int) -> Lines | Bars:
    """Bars when somebody watches, lines when a file does."""
    console = Console()
    return Bars(total, console) if console.is_terminal else Lines(total)

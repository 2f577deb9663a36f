"""Measures the costs of models that take turns, each in a process of its own with the settings that runs have."""

import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.execution.processes import FORKS, start_fork
from fuxi_plugins.records.parts import Cost, Latency
from fuxi_plugins.training.job import Job

ROUNDS = 5  # in each of which every model is timed; a figure stands on at least as many calls
LATENCY_ROWS = (1, 256, 4096)


def measure_in_turns(jobs: Sequence[Job], gpu: int) -> list[Cost]:
    """The costs of the jobs' models, in the order of the jobs.

    A machine's speed changes within seconds. So all models are built first. Then, figure by figure, they are timed one
    after another in several rounds: what slows one of them down slows the others too.

    Raises:
        UserError: a model could not be built or timed.
    """
    turn = datetime.now(UTC).isoformat(timespec="milliseconds")
    with ExitStack() as stack:
        models = [stack.enter_context(_Apart(job, gpu)) for job in jobs]
        facts = [model.answer() for model in models]
        steps = _in_rounds(models, "step_seconds")
        peaks = [model.ask("peak_bytes") for model in models]
        predictions = {rows: _in_rounds(models, "prediction_seconds", rows) for rows in LATENCY_ROWS}
    costs = []
    for place, fact in enumerate(facts):
        latency = {str(rows): _latency(found[place]) for rows, found in predictions.items()}
        costs.append(
            Cost(
                **fact,
                training_rows_per_second=fact["batch_size"] / statistics.median(steps[place]),
                inference_rows_per_second=LATENCY_ROWS[-1] / (latency[str(LATENCY_ROWS[-1])].p50_ms / 1e3),
                latency=latency,
                peak_bytes=peaks[place],
                turn=turn,
            )
        )
    return costs


class _Apart:
    """A :class:`~fuxi_plugins.training.cost.ModelAtHand` in a process of its own: nothing else sits in its memory."""

    def __init__(self, job: Job, gpu: int) -> None:
        self._name = job.experiment.id
        self._connection, its_end = FORKS.Pipe()
        self._process = FORKS.Process(target=_serve, args=(replace(job, gpu=gpu), its_end))
        start_fork(self._process, job.threads)
        its_end.close()

    def __enter__(self) -> "_Apart":
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()  # which ends it
        self._process.join()

    def ask(self, method: str, *arguments: object) -> Any:
        """What a method of the model at hand returns."""
        self._connection.send((method, arguments))
        return self.answer()

    def answer(self) -> Any:
        try:
            answer = self._connection.recv()
        except EOFError:
            self._process.join()
            answer = UserError(f"its process has ended, with the exit code {self._process.exitcode}")
        if isinstance(answer, UserError):
            raise UserError(f"the cost of {self._name} could not be measured: {answer}")
        return answer


def _serve(job: Job, connection: Connection) -> None:
    """Answers with the model's facts, then each question with what that method returns, until nobody asks any more."""
    from fuxi_plugins.models import registry
    from fuxi_plugins.training.cost import ModelAtHand

    registry.use_sources(job.sources)
    # Standard output is the table's, whatever a model prints; and FuxiCTR makes a folder for each model.
    with redirect_stdout(sys.stderr), TemporaryDirectory() as folder:
        try:
            model = ModelAtHand(replace(job, checkpoint_folder=Path(folder)))
            connection.send(model.facts)
            while True:
                method, arguments = connection.recv()
                connection.send(getattr(model, method)(*arguments))
        except (EOFError, ConnectionError):
            pass  # the other end is closed
        except Exception as error:
            connection.send(UserError(f"{type(error).__name__}: {error}"))


def _in_rounds(models: Sequence[_Apart], method: str, *arguments: object) -> list[list[float]]:
    """Seconds of each model's calls in all rounds."""
    rounds = [[model.ask(method, *arguments) for model in models] for _ in range(ROUNDS)]
    return [[seconds for one in rounds for seconds in one[place]] for place in range(len(models))]


def _latency(seconds: Sequence[float]) -> Latency:
    in_order = sorted(seconds)
    return Latency(
        calls=len(in_order),
        p50_ms=1e3 * statistics.median(in_order),
        p99_ms=1e3 * in_order[min(len(in_order) - 1, round(0.99 * (len(in_order) - 1)))],
    )

"""Who is told of a run's evaluations while it goes on: a file of JSON lines, TensorBoard, W&B, MLflow.

A tracker is a function of the model and the epoch, called after each evaluation; ``model.history`` holds every
evaluation so far. It changes nothing that is learned. The three services are extras: each is imported only when
it is named, and what it is told are numbers that the record holds too.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import write_text
from fuxi_plugins.records.parts import Epoch

Tracker = Callable[[Any, int], None]


def write_epochs(path: Path) -> Tracker:
    """One JSON object a line and evaluation; written whole each time, so that a continued run has no line twice."""

    def tracker(model: Any, epoch: int) -> None:
        write_text(path, "".join(entry.model_dump_json() + "\n" for entry in model.history))

    return tracker


def scalars(entry: Epoch) -> dict[str, float]:
    """What a service is told of one evaluation."""
    valid = {f"valid/{name}": value for name, value in entry.valid.items()}
    return {"train/loss": entry.train_loss, "train/learning_rate": entry.learning_rate, **valid}


def tensorboard(name: str, params: dict[str, Any], folder: Path) -> Tracker:
    """Event files in ``folder``, for ``tensorboard --logdir``."""
    from torch.utils.tensorboard import SummaryWriter

    def tracker(model: Any, epoch: int) -> None:
        with SummaryWriter(str(folder)) as writer:  # closed each time: a killed run loses no evaluation
            for key, value in scalars(model.history[-1]).items():
                writer.add_scalar(key, value, model.history[-1].step)

    return tracker


def wandb(name: str, params: dict[str, Any], folder: Path) -> Tracker:
    """A run of W&B's, in the project that its own environment names."""
    import wandb as service

    run = service.init(name=name, config=params, dir=str(folder), resume="allow", id=name.replace(" ", "-"))
    return lambda model, epoch: run.log(scalars(model.history[-1]), step=model.history[-1].step)


def mlflow(name: str, params: dict[str, Any], folder: Path) -> Tracker:
    """A run of MLflow's, on the server that its own environment names."""
    import mlflow as service

    service.start_run(run_name=name)
    service.log_params({key: value for part in params.values() for key, value in part.items()})
    return lambda model, epoch: service.log_metrics(scalars(model.history[-1]), step=model.history[-1].step)


SERVICES: dict[str, Callable[[str, dict[str, Any], Path], Tracker]] = {
    "tensorboard": tensorboard,
    "wandb": wandb,
    "mlflow": mlflow,
}


def connect(names: Sequence[str], run_name: str, params: dict[str, Any], folder: Path) -> list[Tracker]:
    """The services of these names, each told of the run and its settings.

    Raises:
        UserError: a service whose package is not installed.
    """
    trackers = []
    for name in names:
        try:
            trackers.append(SERVICES[name](run_name, params, folder / name))
        except ImportError as error:
            raise UserError(f"to report to {name}, its package must be installed: pip install {name}") from error
    return trackers

"""What is tried before hours are spent: a model without its weights, a first batch, whether processes can share it."""

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.tracebacks import own_line
from fuxi_plugins.datasets.prepare import PreparedData
from fuxi_plugins.experiments.experiment import Experiment
from fuxi_plugins.models.keywords import takes_keywords
from fuxi_plugins.models.meta import StaysOnMeta, count_parameters, on_meta
from fuxi_plugins.models.registry import load_model_class, load_tree_class, model_source
from fuxi_plugins.records.metrics import find_metric
from fuxi_plugins.records.parts import Parameters
from fuxi_plugins.training.assembly import build_model, construct
from fuxi_plugins.training.distributed.ddp import can_be_distributed
from fuxi_plugins.training.trainer import load_split


def preflight(experiment: Experiment, data: PreparedData) -> Parameters:
    """Builds the model without memory for its weights, to find what is wrong before hours are spent.

    Raises:
        UserError: the model's constructor refuses its settings, or the dataset lacks what they need.
    """
    _require_columns(experiment, data)
    with on_meta():
        return count_parameters(construct((StaysOnMeta,), experiment, data, gpu=-1, model_root="unused"))


def require_shareable(experiment: Experiment, checkpoint_steps: int | None = None) -> None:
    """Holds that several processes can share a run, with a checkpoint every so many steps.

    Raises:
        UserError: the model trains in a way of its own.
    """
    if experiment.is_of_trees:
        raise UserError(
            f"experiment {experiment.id!r}: {experiment.model} trains in one process, by as many threads as --threads "
            "says. Leave out --nproc-per-run."
        )
    if not can_be_distributed(load_model_class(experiment.model)):
        raise UserError(
            f"experiment {experiment.id!r}: {experiment.model} has its own training step, loss or regulariser, "
            "whose values on parts of a batch may not add up, so it cannot be run by several processes. "
            "Leave out --nproc-per-run."
        )
    if checkpoint_steps and not experiment.training.sharding:
        raise UserError(
            f"experiment {experiment.id!r}: a run by several processes keeps checkpoints only with sharding. Set "
            "sharding: row_wise, or leave out --checkpoint-steps or --nproc-per-run."
        )
    if experiment.training.sparse_embeddings and not experiment.training.sharding:
        raise UserError(
            f"experiment {experiment.id!r}: sparse_embeddings: true needs sharding to be run by several processes. Set "
            "sharding: row_wise, or leave out --nproc-per-run."
        )


def missing_library(experiment: Experiment, data: PreparedData) -> str | None:
    """Why a tree model cannot be trained here: its library is not installed; None where it is.

    In place of :func:`preflight` for tree models.

    Raises:
        UserError: the dataset lacks what the experiment's metrics need.
    """
    _require_columns(experiment, data)
    try:
        load_tree_class(experiment.model).library()
    except UserError as error:
        return str(error)
    return None


def try_one_batch(experiment: Experiment, data: PreparedData, checkpoints: Path) -> str | None:
    """Builds the model on the CPU and takes the loss of a few rows and its gradient: what fails, or None.

    In place of :func:`preflight` for models that nobody has tested here, for not all can be built without memory, and
    where the dataset gives columns another width than the experiment.

    Raises:
        UserError: the model's constructor refuses its settings, or the dataset lacks what they need.
    """
    _require_columns(experiment, data)
    folder = checkpoints / "preflight"
    if not takes_keywords(load_model_class(experiment.model)):
        return (
            f"experiment {experiment.id!r}: the constructor of {experiment.model} must take **kwargs and hand it to "
            "super().__init__, for FuxiCTR's metrics, patience and others come with it"
        )
    try:
        model = build_model(experiment, data, gpu=-1, checkpoint_folder=folder)
        batch = next(iter(load_split(model, data, "valid", experiment, seed=0)))
        few = {name: column[:16] for name, column in batch.items()}
        model.train()
        output = model(few)
        if wrong := _wrong_output(output, len(next(iter(few.values())))):
            return f"experiment {experiment.id!r} fails on its first batch: {wrong}"
        loss = model.compute_loss(output, model.get_labels(few))
        if not torch.isfinite(loss).all():
            return f"experiment {experiment.id!r} fails on its first batch: its loss must be finite, but is {loss:.4g}"
        loss.backward()
    except UserError:
        raise
    except Exception as error:  # another's code may raise anything
        source = model_source(experiment.model)
        place = own_line(traceback.format_exc(), source.root) if source else ""
        said = f"experiment {experiment.id!r} fails on its first batch: {type(error).__name__}: {error}".rstrip(".")
        return f"{said} (at {place})" if place else said
    return None


def _wrong_output(output: Any, rows: int) -> str:
    """What is wrong with the output of a model's ``forward``; nothing where it is a probability a row."""
    if not isinstance(output, Mapping) or not isinstance(output.get("y_pred"), torch.Tensor):
        kind = type(output).__name__
        seen = f"a dict of {', '.join(map(str, output))}" if isinstance(output, Mapping) else f"a {kind}"
        return f'forward must return {{"y_pred": probabilities}}, but returns {seen}'
    predicted = output["y_pred"].detach()
    if predicted.shape != (rows, 1):
        return f"y_pred must have the shape (batch size, 1), here ({rows}, 1), but has {tuple(predicted.shape)}"
    if bad := int((~torch.isfinite(predicted)).sum()):
        return f"y_pred must be finite, but {bad} of {rows} values are not"
    if predicted.min() < 0 or predicted.max() > 1:
        return (
            f"y_pred must be probabilities, but lies in {predicted.min():.4g} to {predicted.max():.4g}; "
            "self.output_activation makes probabilities of logits"
        )
    return ""


def _require_columns(experiment: Experiment, data: PreparedData) -> None:
    """The dataset must have the groups and fields that the metrics need."""
    spec = data.spec
    for metric in map(find_metric, experiment.training.metrics):
        if metric.per_group and spec.group_id is None:
            raise UserError(
                f"experiment {experiment.id!r}: {metric.name} needs a group_id, which {spec.dataset_id} does not have. "
                "Name one in the dataset's config, or take the metric out of the experiment's."
            )
        if metric.field and metric.field not in (known := spec.categorical_columns):
            raise UserError(
                f"experiment {experiment.id!r}: {metric.name} needs a categorical column {metric.field!r}, which "
                f"{spec.dataset_id} does not have; it has {', '.join(known)}."
            )

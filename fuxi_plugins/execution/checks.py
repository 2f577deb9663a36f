"""What can be checked of a suite before hours are spent: settings, data, and models without their weights."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import require_writable
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.prepare import PreparedData, prepare_dataset
from fuxi_plugins.datasets.spec import DatasetSpec
from fuxi_plugins.execution.resources import Resources
from fuxi_plugins.experiments.experiment import Experiment, resolve
from fuxi_plugins.experiments.requirements import other_widths, unmet_need
from fuxi_plugins.experiments.suite import Suite
from fuxi_plugins.models.registry import load_model_class, model_source
from fuxi_plugins.training.compiling import require_compiler
from fuxi_plugins.training.preflight import missing_library, preflight, require_shareable, try_one_batch


@dataclass(frozen=True)
class Checked:
    """An experiment with its prepared data, and why it cannot be run on them; "" where it can."""

    experiment: Experiment
    data: PreparedData
    reason: str


def check_experiments(
    suite: Suite,
    workspace: Workspace,
    resources: Resources,
    checkpoint_steps: int | None = None,
    not_skipped: Collection[str] = (),
) -> list[Checked]:
    """Checks every setting, prepares every dataset, and builds every model without its weights.

    In a suite of several experiments, one may lack something of its dataset, or a library that is not installed. That
    is the reason to skip it.

    Args:
        not_skipped: experiments for which such a lack is an error, as it is for one by itself.

    Raises:
        UserError: the first thing that is wrong.
    """
    experiments = [resolve(config) for config in suite.experiments]
    specs = {name: _with_labels(load_dataset_spec(workspace.all_configs, name), experiments) for name in suite.datasets}
    needed = [experiments[0].id] if len(experiments) == 1 else not_skipped
    unmet = {one.id: _unmet(one, specs[one.dataset_id]) for one in experiments}
    for name in needed:
        if unmet.get(name):  # said before data are prepared, which may take long
            raise UserError(f"{unmet[name]}.")
    require_writable(workspace.results, "the results folder")
    require_writable(workspace.cache, "the cache folder")
    prepared = {name: prepare_dataset(spec, workspace) for name, spec in specs.items()}
    checked = []
    for experiment in experiments:
        data = prepared[experiment.dataset_id]
        if resources.processes * resources.hosts > 1:
            require_shareable(experiment, checkpoint_steps)
        if experiment.training.compile and -1 in resources.slots:
            require_compiler(experiment.id)
        reason = unmet[experiment.id] or _no_evaluation(experiment, data) or _failure(experiment, data, workspace)
        if reason and experiment.id in needed:
            raise UserError(f"{reason}.")
        checked.append(Checked(experiment, data, reason))
    return checked


def _unmet(experiment: Experiment, spec: DatasetSpec) -> str:
    return unmet_need(load_model_class(experiment.model), experiment.display_name, spec) or ""


def _no_evaluation(experiment: Experiment, data: PreparedData) -> str:
    """Why validation would never choose an epoch, with the numbers of steps; "" where it does."""
    training = experiment.training
    if experiment.is_of_trees or training.eval_steps is None:
        return ""
    steps = training.epochs * math.ceil(data.card.rows["train"] / training.batch_size)
    if training.eval_steps <= steps:
        return ""
    epochs = "1 epoch" if training.epochs == 1 else f"{training.epochs} epochs"
    return (
        f"{experiment.id}: eval_steps {training.eval_steps} is more than the {steps} steps of {epochs}, so nothing "
        f"would be evaluated; take {steps} or less, or leave it out for an evaluation an epoch"
    )


def _failure(experiment: Experiment, data: PreparedData, workspace: Workspace) -> str:
    """Why the model cannot be trained here although its dataset has what it needs; "" where it can.

    A model of this package or of an installed one is only built, without its weights. One of a file or a checkout
    computes a few rows as well, and so does any on columns of several widths.
    """
    if experiment.is_of_trees:
        return missing_library(experiment, data) or ""
    widths = other_widths(data.spec, experiment.embedding_dim)
    if not widths and model_source(experiment.model) is None:
        preflight(experiment, data)
        return ""
    reason = try_one_batch(experiment, data, workspace.cache / "checkpoints")
    return "; ".join(filter(None, (reason, widths))) if reason else ""


def _with_labels(spec: DatasetSpec, experiments: Sequence[Experiment]) -> DatasetSpec:
    """The dataset with the label, or the labels, that the experiments on it learn.

    Raises:
        UserError: they learn different ones, whose runs cannot share a board.
    """
    learned: dict[str, tuple[str, DatasetSpec]] = {}
    for experiment in experiments:
        if experiment.dataset_id == spec.dataset_id:
            chosen = spec.with_labels(experiment.training.learned_labels)
            names = " and ".join(column.name for column in chosen.learned_labels)
            learned.setdefault(names, (experiment.id, chosen))
    if len(learned) > 1:
        seen = ", ".join(f"{name} by {experiment}" for name, (experiment, _) in learned.items())
        raise UserError(
            f"experiments that run together on {spec.dataset_id} must learn the same label, but they learn {seen}. "
            "Their runs cannot share a board: make a suite for each label."
        )
    return next((chosen for _, chosen in learned.values()), spec)

"""Puts a trainable model together: the experiment's class, what trains it, its settings and the columns.

FuxiCTR's classes train themselves, by methods of their base class. So a class that
stands in front of the model's own replaces what is done otherwise here, such as the step.
"""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.prepare import PreparedData
from fuxi_plugins.experiments.experiment import Experiment
from fuxi_plugins.experiments.settings import constructor_arguments
from fuxi_plugins.experiments.training_settings import OWN_SETTINGS
from fuxi_plugins.models import checkouts
from fuxi_plugins.models.registry import load_model_class
from fuxi_plugins.training import accumulation, devices, fast_step, options, sample_weights, sparse_embeddings
from fuxi_plugins.training.accumulation import AccumulatingStep
from fuxi_plugins.training.distributed import ddp, sharded
from fuxi_plugins.training.distributed.ddp import DistributedMixin
from fuxi_plugins.training.distributed.sharded import ShardedMixin
from fuxi_plugins.training.distributed.sharded_table import sharded_tables
from fuxi_plugins.training.feature_maps import as_named_inside_models, as_tuples, keep_unpooled, load_feature_map
from fuxi_plugins.training.hosted import TrainerMixin, TrainingFailed
from fuxi_plugins.training.several_labels import SeveralLabels
from fuxi_plugins.training.sparse_embeddings import SparseEmbeddings

DEVIATIONS = [
    "batches: seeded order from memory-mapped columns (FuxiCTR's own loader shuffles without a seed)",
    "evaluation: metrics over whole arrays (same definitions)",
]


def mixins(experiment: Experiment, data: PreparedData, parts: int = 1, processes: int = 1) -> tuple[type, ...]:
    """What stands in front of the experiment's model class to train it.

    Raises:
        UserError: the settings ask for a step that the model cannot be given.
    """
    training, is_fast = experiment.training, uses_fast_step(experiment)
    if training.sparse_embeddings and not is_fast:
        raise UserError(
            f"experiment {experiment.id!r}: sparse_embeddings: true replaces the training step, but {experiment.model} "
            "brings one, a loss or a regulariser of its own. Leave the setting out."
        )
    if training.sharding and processes > 1 and not is_fast:
        raise UserError(
            f"experiment {experiment.id!r}: sharding replaces the training step, but {experiment.model} brings one, a "
            "loss or a regulariser of its own. Leave the setting out."
        )
    if training.labels and data.spec.weight_col:
        raise UserError(
            f"experiment {experiment.id!r}: rows are weighted where one label is learned, but {data.spec.dataset_id} "
            f"has weights in {data.spec.weight_col} and labels names {len(training.labels)}."
        )
    fast = SparseEmbeddings if training.sparse_embeddings else fast_step.FastStep if is_fast else None
    own_step = AccumulatingStep if parts > 1 else fast
    tied = ShardedMixin if training.sharding else DistributedMixin
    shared = (tied,) if processes > 1 else (SeveralLabels,) if training.labels else ()
    weighted = (sample_weights.WeightedRows,) if data.spec.weight_col else ()
    return (*shared, TrainerMixin, *weighted, *options.mixins(training), *((own_step,) if own_step else ()))


def deviations(experiment: Experiment, data: PreparedData, parts: int = 1, processes: int = 1) -> list[str]:
    """In what a run of this experiment on these data is not plain FuxiCTR, for its record."""
    training = experiment.training
    how_it_steps = sparse_embeddings.DEVIATION if training.sparse_embeddings else fast_step.DEVIATION
    return [
        *DEVIATIONS,
        *([how_it_steps] if uses_fast_step(experiment) and parts == 1 else []),
        *([accumulation.deviation(parts)] if parts > 1 else []),
        *([ddp.deviation(processes)] if processes > 1 else []),
        *([sharded.deviation(training.sharding)] if processes > 1 and training.sharding else []),
        *([sample_weights.deviation(data.spec.weight_col)] if data.spec.weight_col else []),
        *(
            [f"shuffle_window={window}: rows are shuffled within windows"]
            if (window := training.shuffle_window)
            else []
        ),
        *options.deviations(training),
        *devices.deviations(training),
    ]


def uses_fast_step(experiment: Experiment) -> bool:
    wanted = experiment.training.train_step == "fast"
    return wanted and fast_step.can_replace_the_step_of(load_model_class(experiment.model))


def build_model(
    experiment: Experiment,
    data: PreparedData,
    *,
    gpu: int,
    checkpoint_folder: Path,
    parts: int = 1,
    processes: int = 1,
) -> TrainerMixin:
    """The experiment's model, initialised, on its device, ready for :func:`train_model`.

    Args:
        parts: in which each batch is computed, to need less memory.
        processes: that share the run.

    Raises:
        UserError: the model's constructor refuses its settings.
        TrainingFailed: the training step is one that cannot be done in parts.
    """
    training = experiment.training
    if parts > 1:
        _require_divisible_step(experiment, processes)
    folder = checkpoint_folder / data.spec.dataset_id  # FuxiCTR writes there but does not make it
    folder.mkdir(parents=True, exist_ok=True)
    with sharded_tables(training.sharding) if training.sharding and processes > 1 else nullcontext():
        model: TrainerMixin = construct(
            mixins(experiment, data, parts, processes), experiment, data, gpu=gpu, model_root=str(checkpoint_folder)
        )
    model.parts = parts
    model.checkpoint = str(folder / "best.model")  # FuxiCTR would name it after the experiment
    return model


def _require_divisible_step(experiment: Experiment, processes: int) -> None:
    training = experiment.training
    if training.sparse_embeddings:
        whose = "with sparse_embeddings the"
    elif training.sharding and processes > 1:
        whose = "with sharding the"
    elif not fast_step.can_replace_the_step_of(load_model_class(experiment.model)):
        whose = "the model's own"
    else:
        return
    raise TrainingFailed(f"memory ran out, and {whose} training step cannot be done in parts")


def construct(
    mixins: tuple[type, ...], experiment: Experiment, data: PreparedData, *, gpu: int, model_root: str
) -> Any:
    model_class = load_model_class(experiment.model)
    hosted = type(f"{mixins[0].__name__}_{model_class.__name__}", (*mixins, model_class), {})
    others = {"epochs", "max_gradient_norm", "batch_size", "shuffle", "num_workers", *OWN_SETTINGS}  # fit's, ours
    training = experiment.training.model_dump(exclude=others)
    feature_map = load_feature_map(data, experiment.embedding_dim)
    arguments = constructor_arguments(model_class, experiment.model_params, f"experiment {experiment.id!r}")
    model_params = as_named_inside_models(arguments)
    tasks, labels = model_params.get("num_tasks", 1), len(data.spec.learned_labels)
    if tasks != labels:
        raise UserError(
            f"experiment {experiment.id!r}: num_tasks must be the number of labels, {labels}, but is {tasks}."
        )
    is_of_zoo = experiment.model.startswith(checkouts.PREFIX)
    if is_of_zoo:
        keep_unpooled(feature_map, model_params)
    try:
        return hosted(
            feature_map,
            model_id=experiment.id,
            gpu=gpu,
            model_root=model_root,
            verbose=0,
            **training,
            **(as_tuples(model_params) if is_of_zoo else model_params),
        )
    except (ValueError, AssertionError) as error:
        settings = json.dumps(experiment.model_params)
        raise UserError(f"experiment {experiment.id!r}: {error} (settings: {settings})") from error

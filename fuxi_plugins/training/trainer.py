"""Builds any FuxiCTR model, lets FuxiCTR train it, and watches. Only this module, ``hosted`` and the training
steps know how FuxiCTR trains.

Training is FuxiCTR's ``BaseModel.fit`` with its semantics: learning rate x 0.1 on every evaluation that does not
improve (floor 1e-6), gradients clipped at norm 10, best checkpoint by the monitored metric, early stopping.
"""

import json
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.torch_utils import seed_everything

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.dataloader import ColumnLoader
from fuxi_plugins.datasets.module_names import module_name
from fuxi_plugins.datasets.prepare import FEATURE_MAP_FILE, PreparedData
from fuxi_plugins.experiments.experiment import Experiment
from fuxi_plugins.experiments.settings import constructor_arguments
from fuxi_plugins.experiments.training_settings import OWN_SETTINGS
from fuxi_plugins.models import checkouts
from fuxi_plugins.models.registry import load_model_class
from fuxi_plugins.records.parts import Epoch
from fuxi_plugins.training import accumulation, devices, fast_step, options, sample_weights, sparse_embeddings
from fuxi_plugins.training.accumulation import AccumulatingStep
from fuxi_plugins.training.checkpoint import NEVER, Checkpointer
from fuxi_plugins.training.distributed import ddp, sharded
from fuxi_plugins.training.distributed.ddp import DistributedMixin
from fuxi_plugins.training.distributed.sharded import ShardedMixin
from fuxi_plugins.training.distributed.sharded_checkpoint import ShardedCheckpointer
from fuxi_plugins.training.distributed.sharded_table import sharded_tables
from fuxi_plugins.training.fuxictr_model import FuxiCTRModel
from fuxi_plugins.training.hosted import Callback, Report, TrainerMixin, TrainingFailed
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


def checkpointer_of(
    model: TrainerMixin, folder: Path | None, identity: dict[str, Any], steps: int | None
) -> Checkpointer:
    """What keeps the checkpoints of a model's run; a run by several processes has them if its tables are sharded.

    Args:
        folder, identity, steps: as those of :class:`Checkpointer`.
    """
    if isinstance(model, ShardedMixin):
        any_number = {name: value for name, value in identity.items() if name != "processes"}
        return ShardedCheckpointer(folder, any_number, steps)
    return Checkpointer(None if isinstance(model, DistributedMixin) else folder, identity, steps)


def train_model(
    model: TrainerMixin,
    experiment: Experiment,
    data: PreparedData,
    seed: int,
    report: Report,
    callbacks: Sequence[Callback] = (),
    checkpointer: Checkpointer = NEVER,
) -> list[Epoch]:
    """Trains by FuxiCTR's ``fit`` and leaves the best weights by validation in the model.

    ``checkpointer`` writes checkpoints and continues from the one that an earlier process has left.

    Raises:
        TrainingFailed: the loss is not finite, or no evaluation improved on the start.
    """
    training = experiment.training
    model.delete_weights()  # a run that never improves must not load an older one's
    model.watch(report, callbacks, checkpointer)
    report({"epochs": training.epochs})
    try:
        model.fit(
            load_split(model, data, "train", experiment, seed),
            validation_data=load_split(model, data, "valid", experiment, seed),
            epochs=training.epochs,
            max_gradient_norm=training.max_gradient_norm,
        )
    except FileNotFoundError as error:
        if error.filename != model.checkpoint:
            raise
        raise TrainingFailed("no evaluation gave a number to keep a checkpoint by") from error
    return model.history


def load_split(model: FuxiCTRModel, data: PreparedData, split: str, experiment: Experiment, seed: int) -> ColumnLoader:
    training, trains = experiment.training, split == "train"
    # Averages by SWA measure batch normalisation on whole batches.
    reads_share = (
        trains and isinstance(model, DistributedMixin) and not (training.weight_average or "").startswith("swa")
    )
    return ColumnLoader(
        model.feature_map,
        data.split_folder(split),
        split=split,
        batch_size=training.batch_size,
        shuffle=training.shuffle and trains,
        window=training.shuffle_window,
        share=ddp.part_of if reads_share else None,
        seed=seed,
        num_workers=training.num_workers,
        weight=data.spec.weight_col if trains else None,
        device=model.device,
    )


def load_feature_map(data: PreparedData, embedding_dim: int | None) -> FeatureMap:
    """FuxiCTR's description of the prepared columns, under the names that they have inside models, and of the labels.

    Raises:
        UserError: a column with pretrained vectors, which FuxiCTR looks up by its name, has a name that torch refuses.
    """
    feature_map = FeatureMap(data.spec.dataset_id, str(data.folder))
    group = data.spec.group_id
    params = {"group_id": module_name(group) if group else None, "embedding_dim": embedding_dim}
    feature_map.load(str(data.folder / FEATURE_MAP_FILE), params)
    for name, spec in feature_map.features.items():  # as the config has them now; FuxiCTR leaves them out on meta ones
        spec["source"] = data.spec.source_of.get(name, "")
        if "share_embedding" in spec:
            spec["share_embedding"] = module_name(spec["share_embedding"])
        if "pretrained_emb" in spec and module_name(name) != name:
            raise UserError(
                f"{data.spec.dataset_id}: a column with pretrained vectors must have a name that torch gives modules, "
                f"but {name!r} is none. Rename the column."
            )
    feature_map.features = OrderedDict((module_name(name), spec) for name, spec in feature_map.features.items())
    feature_map.labels = [column.name for column in data.spec.learned_labels]
    feature_map.column_index = {}
    feature_map.set_column_index()
    return feature_map


def use_seed(seed: int, threads: int) -> None:
    """Fixes every random state and the number of threads, on which sums in floating point depend."""
    torch.set_num_threads(threads)
    seed_everything(seed)


def use_gpu_share(gpu: int, share: float) -> None:
    """Keeps a run to its share of a GPU's memory, so that it runs out of its own and not of its neighbour's."""
    if gpu >= 0 and share < 1:
        torch.cuda.set_per_process_memory_fraction(share, gpu)


def construct(
    mixins: tuple[type, ...], experiment: Experiment, data: PreparedData, *, gpu: int, model_root: str
) -> Any:
    model_class = load_model_class(experiment.model)
    hosted = type(f"{mixins[0].__name__}_{model_class.__name__}", (*mixins, model_class), {})
    others = {"epochs", "max_gradient_norm", "batch_size", "shuffle", "num_workers", *OWN_SETTINGS}  # fit's, ours
    training = experiment.training.model_dump(exclude=others)
    feature_map = load_feature_map(data, experiment.embedding_dim)
    arguments = constructor_arguments(model_class, experiment.model_params, f"experiment {experiment.id!r}")
    model_params = _inside_models(arguments)
    tasks, labels = model_params.get("num_tasks", 1), len(data.spec.learned_labels)
    if tasks != labels:
        raise UserError(
            f"experiment {experiment.id!r}: num_tasks must be the number of labels, {labels}, but is {tasks}."
        )
    is_of_zoo = experiment.model.startswith(checkouts.PREFIX)
    if is_of_zoo:
        _keep_unpooled(feature_map, model_params)
    try:
        return hosted(
            feature_map,
            model_id=experiment.id,
            gpu=gpu,
            model_root=model_root,
            verbose=0,
            **training,
            **(_as_fuxictr_writes_fields(model_params) if is_of_zoo else model_params),
        )
    except (ValueError, AssertionError) as error:
        settings = json.dumps(experiment.model_params)
        raise UserError(f"experiment {experiment.id!r}: {error} (settings: {settings})") from error


def _inside_models(model_params: dict[str, Any]) -> dict[str, Any]:
    """The settings with the columns that they name, as ``din_target_field`` does, under their names inside models."""
    return {key: _renamed(value) if key.endswith("_field") else value for key, value in model_params.items()}


def _renamed(named: Any) -> Any:
    return module_name(named) if isinstance(named, str) else named and [_renamed(part) for part in named]


def _keep_unpooled(feature_map: FeatureMap, model_params: dict[str, Any]) -> None:
    """A sequence that a zoo model's setting names is one that the model reads itself, behaviour by behaviour."""
    named = [name for key, value in model_params.items() if key.endswith("_field") for name in _names_in(value)]
    for name in named:
        spec = feature_map.features.get(name, {})
        if spec.get("type") == "sequence":
            spec.pop("feature_encoder", None)


def _names_in(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [name for part in value or [] for name in _names_in(part)]


def _as_fuxictr_writes_fields(model_params: dict[str, Any]) -> dict[str, Any]:
    """Fields that belong together are a tuple in FuxiCTR, which JSON has not."""
    return {
        key: [tuple(part) if isinstance(part, list) else part for part in value]
        if key.endswith("_field") and isinstance(value, list)
        else value
        for key, value in model_params.items()
    }

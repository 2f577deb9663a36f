"""Lets FuxiCTR train a model, and watches.

Training is FuxiCTR's ``BaseModel.fit`` with its semantics: learning rate x 0.1 on every evaluation that does not
improve (floor 1e-6), gradients clipped at norm 10, best checkpoint by the monitored metric, early stopping.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from fuxictr.pytorch.torch_utils import seed_everything

from fuxi_plugins.datasets.dataloader import ColumnLoader
from fuxi_plugins.datasets.prepare import PreparedData
from fuxi_plugins.experiments.experiment import Experiment
from fuxi_plugins.records.parts import Epoch
from fuxi_plugins.training.checkpoint import NEVER, Checkpointer
from fuxi_plugins.training.distributed import ddp
from fuxi_plugins.training.distributed.ddp import DistributedMixin
from fuxi_plugins.training.distributed.sharded import ShardedMixin
from fuxi_plugins.training.distributed.sharded_checkpoint import ShardedCheckpointer
from fuxi_plugins.training.fuxictr_model import FuxiCTRModel
from fuxi_plugins.training.hosted import Callback, Report, TrainerMixin, TrainingFailed


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


def use_seed(seed: int, threads: int) -> None:
    """Fixes every random state and the number of threads, on which sums in floating point depend."""
    torch.set_num_threads(threads)
    seed_everything(seed)


def use_gpu_share(gpu: int, share: float) -> None:
    """Keeps a run to its share of a GPU's memory, so that it runs out of its own and not of its neighbour's."""
    if gpu >= 0 and share < 1:
        torch.cuda.set_per_process_memory_fraction(share, gpu)

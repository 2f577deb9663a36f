"""Numbers that must not change unless a revision is raised: of every model, and of a short training.

A model is built from a fixed seed (its initial parameters), then given parameters by a formula and computed in float64
(its predictions, and its gradients), so that two kinds of CPU agree to many digits. A training is float32: its numbers
are held to what rounding leaves.
"""

import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.dataloader import ColumnLoader
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.experiments.catalogue import load_experiment_config
from fuxi_plugins.experiments.experiment import resolve
from fuxi_plugins.models.registry import load_model_class
from fuxi_plugins.models.variants import VARIANTS
from fuxi_plugins.records.metrics import evaluate_metrics
from fuxi_plugins.training import assembly, trainer
from fuxi_plugins.training.feature_maps import load_feature_map
from fuxi_plugins.training.tree_runs import train_trees
from tests.models import tiny

ROWS = 6
SCALE = 0.2
MODEL_TOLERANCE = 1e-9  # relative, of float64
INITIAL_TOLERANCE = 1e-4  # relative: torch draws normal numbers by other approximations on other CPUs
TREE_TOLERANCE = 1e-4  # relative: predictions are float32, and libraries add in another order on other CPUs
TRAINING_TOLERANCE = 5e-3  # relative, of float32 after two epochs


def model_values(name: str) -> dict[str, list[float]]:
    """Initial parameters, predictions and gradients of a model or a variant, each as a few numbers."""
    variant = VARIANTS.get(name)
    class_name, fixed = (variant.model, variant.fixed) if variant else (name, {})
    model_class = load_model_class(class_name)
    with tiny.in_float64():
        model = tiny.build(model_class, **{**model_class.small_settings, **fixed})
        initial = _shadow(dict(model.named_parameters()))
        model.double()
        _give_parameters(model)
        batch = _rows()
        model.eval()
        with torch.no_grad():
            predicted = model(batch)["y_pred"].flatten()
        model.train()
        model.compute_loss(model(batch), model.get_labels(batch)).backward()
        gradients = {label: p.grad for label, p in model.named_parameters() if p.grad is not None}
    return {"initial": [initial], "predictions": predicted.tolist(), "gradient": [_shadow(gradients)]}


def training_values(folder: Path, workspace: Workspace) -> dict[str, list[float]]:
    """Order of the rows, evaluation, and the parameters after two epochs by each step."""
    data = prepare_dataset(load_dataset_spec(workspace.configs, "tiny"), workspace)
    values = {"metrics": _metrics(), "order": _order(data.split_folder("train"), load_feature_map(data, 4))}
    for step in ("fast", "fuxictr"):
        changes = {"train_step": step, "embedding_regularizer": 1e-3, "net_dropout": 0.1}
        experiment = resolve(load_experiment_config(workspace.configs, "DNN_tiny").varied(changes))
        trainer.use_seed(1, 1)
        model = assembly.build_model(experiment, data, gpu=-1, checkpoint_folder=folder / step)
        trainer.train_model(model, experiment, data, 1, lambda news: None)
        values[step] = [_shadow(dict(model.named_parameters()))]
    return values


def tree_values(model: str, workspace: Workspace) -> dict[str, list[float]]:
    """Predictions and metrics of a few trees.

    Raises:
        UserError: the model's library is not installed.
    """
    data = prepare_dataset(load_dataset_spec(workspace.configs, "tiny"), workspace)
    config = load_experiment_config(workspace.configs, "LR_tiny")
    settings = {"max_rounds": 10, "eval_rounds": 5, "metrics": ["AUC", "logloss"], "monitor": "AUC"}
    run = train_trees(resolve(replace(config, model=model, settings=settings)), data, 1, 1, lambda news: None)
    return {"trees": run.predictions[:20].tolist(), "metrics of trees": list(run.metrics["valid"].values())}


def tolerance(kind: str) -> float:
    """Relative tolerance of the values of one kind."""
    own = {"initial": INITIAL_TOLERANCE, "fast": TRAINING_TOLERANCE, "fuxictr": TRAINING_TOLERANCE}
    own |= dict.fromkeys(("trees", "metrics of trees"), TREE_TOLERANCE)
    return own.get(kind, MODEL_TOLERANCE)


def differing(now: dict[str, list[float]], golden: dict[str, list[float]]) -> list[str]:
    """The kinds of values that differ by more than rounding."""
    return [
        kind
        for kind in sorted({*now, *golden})
        if not np.allclose(now.get(kind, [np.nan]), golden.get(kind, [np.nan]), rtol=tolerance(kind), atol=1e-12)
    ]


def _order(train: Path, feature_map: Any) -> list[float]:
    """The first rows of three epochs, as the loader mixes them."""
    loader = ColumnLoader(feature_map, train, split="train", batch_size=50, shuffle=True, seed=7)
    return [float(value) for _ in range(3) for value in next(iter(loader))["price"].flatten()[:8]]


def _metrics() -> list[float]:
    rows = np.arange(200)
    labels, scores, groups = (rows * rows % 7 < 3).astype(float), rows * 37 % 101 / 101, rows % 9
    names = ["AUC", "logloss", "gAUC", "avgAUC", "MRR", "NDCG(k=5)"]
    return list(evaluate_metrics(labels, scores, names, groups).values())


def _give_parameters(model: nn.Module) -> None:
    """Parameters by a formula of their name and place, of both signs; padding stays zero."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(SCALE * _wave(name, parameter))
        for module in model.modules():
            if isinstance(module, nn.Embedding) and module.padding_idx is not None:
                module.weight[module.padding_idx].zero_()


def _shadow(tensors: dict[str, Tensor]) -> float:
    """One number of many tensors, to which every element of each contributes by a weight of its own."""
    return float(sum((_wave(name, value) * value.detach().double()).sum() for name, value in tensors.items()))


def _wave(name: str, like: Tensor) -> Tensor:
    place = torch.arange(like.numel(), dtype=torch.float64)
    return torch.cos(1.7 * place + zlib.crc32(name.encode()) % 1000).view(like.shape)


def _rows() -> dict[str, Tensor]:
    batch = tiny.columns(ROWS)
    return {name: values.double() if values.is_floating_point() else values for name, values in batch.items()}

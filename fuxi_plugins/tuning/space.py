"""What may vary in a search: a FuxiCTR ``tuner_space``, a file of ranges, or the same default for every model."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import model_validator

from fuxi_plugins.core.errors import UserError, did_you_mean
from fuxi_plugins.core.explain import Strict, checked
from fuxi_plugins.core.yaml_files import load_yaml
from fuxi_plugins.experiments.settings import legal_settings, model_settings
from fuxi_plugins.models.registry import is_tree_model, load_model_class, load_tree_class

DIGITS = 3  # significant ones of a value drawn from a range, so that names stay short

# In FuxiCTR's tuner files, but no settings of a model or its training: its own folders and talk, and what the command
# line (seed) and the dataset (the rest) say here.
_NOT_SETTINGS = {"model_root", "verbose", "save_best_only", "seed", "group_id", "feature_specs"}


class Range(Strict):
    """Numbers from ``low`` to ``high``; evenly in the logarithm where ``log``."""

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _goes_up(self) -> "Range":
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError("a range goes from low to a higher high, and a logarithmic one from above 0")
        return self


@dataclass(frozen=True)
class Space:
    """Ranges and choices by setting."""

    axes: Mapping[str, Range | list[Any]]

    def draw(self, trial: Any) -> dict[str, Any]:
        """The settings that an Optuna trial stands for."""
        drawn = {}
        for name, axis in self.axes.items():
            if isinstance(axis, Range):
                value = trial.suggest_float(name, axis.low, axis.high, log=axis.log)
                drawn[name] = float(f"{value:.{DIGITS}g}")
            else:  # Optuna's choices are plain values, so lists go as text
                drawn[name] = json.loads(trial.suggest_categorical(name, [json.dumps(choice) for choice in axis]))
        return drawn

    def __str__(self) -> str:
        parts = []
        for name, axis in self.axes.items():
            if isinstance(axis, Range):
                parts.append(f"{name} {axis.low:g} to {axis.high:g}{' (log)' if axis.log else ''}")
            else:
                parts.append(f"{name} {', '.join(map(str, axis))}")
        return "; ".join(parts)


def default_space(model: str) -> Space:
    """Learning rate, regularisation of the embeddings and dropout, the last two where the model has them.

    A tree model has a space of its own.
    """
    if is_tree_model(model):
        return _space(load_tree_class(model).tuning_space, model)
    settings = model_settings(load_model_class(model)).model_fields
    axes: dict[str, Range | list[Any]] = {"learning_rate": Range(low=1e-4, high=1e-2, log=True)}
    regularizer = next((name for name in ("embedding_regularizer", "regularizer") if name in settings), None)
    if regularizer:
        axes[regularizer] = Range(low=1e-7, high=1e-1, log=True)
    if "net_dropout" in settings:
        axes["net_dropout"] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    return Space(axes)


def read_space(path: Path) -> Space:
    """A file of FuxiCTR's tuner, whose ``tuner_space`` lists choices, or a mapping of the same kind with ranges.

    A single value is a setting that all trials share.

    Raises:
        UserError: neither of both, or a range that is none.
    """
    content = load_yaml(path)
    listed = content.get("tuner_space", content)
    if not isinstance(listed, dict) or not listed:
        raise UserError(f"{path} must hold a tuner_space, a mapping of settings to choices or ranges.")
    return _space({name: value for name, value in listed.items() if name not in _NOT_SETTINGS}, str(path))


def _space(listed: Mapping[str, Any], where: str) -> Space:
    return Space({name: _axis(where, name, value) for name, value in listed.items()})


def spread(space: Space, models: Mapping[str, str]) -> dict[str, Space]:
    """Gives each experiment the part of a shared space that its model has, its one regulariser under its own name.

    Args:
        space: for all.
        models: by experiment.

    Raises:
        UserError: a setting that none of the models has, or a model without any of them.
    """
    parts = {experiment: _for_model(space, model) for experiment, model in models.items()}
    used = {origin for part in parts.values() for origin in part}
    for name in space.axes:
        if name not in used:
            legal = {field for model in models.values() for field in _legal(model)}
            named = ", ".join(sorted(set(models.values())))
            raise UserError(f"the space varies {name!r}, which {named} do not have{did_you_mean(name, legal) or '.'}")
    return {experiment: Space(dict(part.values())) for experiment, part in parts.items()}


def _for_model(space: Space, model: str) -> dict[str, tuple[str, Range | list[Any]]]:
    """The model's own name and axis of each setting of the space that it has."""
    legal = _legal(model)
    own = {
        name: "regularizer" if name == "embedding_regularizer" and name not in legal else name for name in space.axes
    }
    found = {name: (own[name], axis) for name, axis in space.axes.items() if own[name] in legal}
    if not found:
        raise UserError(f"{model} has none of the settings {', '.join(space.axes)}, so there is nothing to tune.")
    return found


def _legal(model: str) -> set[str]:
    return legal_settings(load_model_class(model))


def _axis(where: str, name: str, value: Any) -> Range | list[Any]:
    if isinstance(value, dict) and value.keys() & {"low", "high"}:
        return checked(Range, value, f"{where}: {name}")
    choices = value if isinstance(value, list) else [value]
    if not choices:
        raise UserError(f"{where}: {name} has no choice.")
    return choices

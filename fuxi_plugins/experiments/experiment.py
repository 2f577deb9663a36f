"""Experiments: a model on a dataset with hyper-parameters, in FuxiCTR's YAML form."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.experiments.code import code_of
from fuxi_plugins.experiments.settings import resolve_settings
from fuxi_plugins.experiments.training_settings import SETTINGS_OF_TREES, Training
from fuxi_plugins.models.registry import is_tree_model, load_model_class
from fuxi_plugins.records.parts import Code
from fuxi_plugins.records.record import Role, run_digest

OWN_KEYS = ("model", "dataset_id", "display_name", "published_as", "seed", "hparam_source")
HPARAM_SOURCES = ("default", "published", "tuned")  # where hyper-parameters come from, as a board marks them
NAME_CHARACTERS = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-=,")


@dataclass(frozen=True)
class ExperimentConfig:
    """An experiment as its file says it, its hyper-parameters not yet checked against the model."""

    id: str
    file: Path
    model: str
    dataset_id: str
    display_name: str
    published_as: str | None
    seed: int | None
    settings: Mapping[str, Any]
    hparam_source: str = "default"  # one of HPARAM_SOURCES
    role: Role = "result"
    variant: str = ""  # what sets it apart among the trials of a search or the variants of a study
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)  # setting -> who says so, in words

    def varied(self, changes: Mapping[str, Any]) -> "ExperimentConfig":
        """The same experiment with some settings changed, as one trial of a search."""
        variant = ",".join(f"{name}={in_a_name(value)}" for name, value in changes.items())
        return replace(
            self,
            id=f"{self.id}@{variant}",
            settings={**self.settings, **changes},
            role="trial",
            variant=variant,
            origins={**self.origins, **dict.fromkeys(changes, "the variant")},
        )


@dataclass(frozen=True)
class Experiment:
    """An experiment whose every setting has been checked and resolved."""

    id: str
    model: str
    dataset_id: str
    display_name: str
    published_as: str | None
    seed: int | None  # FuxiCTR's key; a run's own seed comes from the suite or the command line first
    model_params: dict[str, Any]
    training: Training
    code: Code
    role: Role = "result"
    variant: str = ""

    @property
    def params(self) -> dict[str, dict[str, Any]]:
        """All settings as a record holds them."""
        training = self.training.recorded()
        if self.is_of_trees:
            training = {name: training[name] for name in SETTINGS_OF_TREES if name in training}
        return {"model": self.model_params, "training": training}

    @property
    def is_of_trees(self) -> bool:
        """Whether a library of tree models trains it, not FuxiCTR."""
        return is_tree_model(self.model)

    @property
    def digest(self) -> str:
        return run_digest(self.dataset_id, self.model, self.params, self.code)

    @property
    def embedding_dim(self) -> int | None:
        return self.model_params.get("embedding_dim")


def resolve(config: ExperimentConfig) -> Experiment:
    """Checks every setting against the model's signature and fills in the defaults; imports the model.

    Raises:
        UserError: an unknown model or setting, or a value of the wrong kind.
    """
    where = f"experiment {config.id!r} ({config.file.name})"
    try:
        model_class = load_model_class(config.model)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    model_params, training = resolve_settings(model_class, config.settings, where)
    return Experiment(
        id=config.id,
        model=config.model,
        dataset_id=config.dataset_id,
        display_name=config.display_name,
        published_as=config.published_as,
        seed=config.seed,
        model_params=model_params,
        training=training,
        code=code_of(config.model),
        role=config.role,
        variant=config.variant,
    )


def grid(config: ExperimentConfig, axes: Mapping[str, list[Any]]) -> list[ExperimentConfig]:
    """One variant of the experiment for every combination of the axes' values."""
    return [config.varied(dict(zip(axes, values, strict=True))) for values in itertools.product(*axes.values())]


def in_a_name(value: Any) -> str:
    """A value as a part of an experiment's id, which is a folder's name."""
    text = str(value).replace(" ", "")
    return "".join(character if character in NAME_CHARACTERS else "_" for character in text)

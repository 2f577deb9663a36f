"""Experiments: a model on a dataset with hyper-parameters, in FuxiCTR's YAML form."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuxi_plugins.datasets.spec import config_files
from fuxi_plugins.errors import UserError, unknown_name
from fuxi_plugins.experiments.settings import resolve_settings
from fuxi_plugins.records import config_digest
from fuxi_plugins.registry import load_model_class
from fuxi_plugins.strict.yaml_files import load_yaml
from fuxi_plugins.variants import apply_variant

OWN_KEYS = ("model", "dataset_id", "preset", "published_as", "seed", "settings_from")
SETTINGS_FROM = ("default", "published", "tuned")  # where hyper-parameters come from, as a board marks them
_NAME_CHARACTERS = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-=,")


@dataclass(frozen=True)
class ExperimentConfig:
    """An experiment as its file says it, its hyper-parameters not yet checked against the model."""

    id: str
    file: Path
    model: str
    dataset_id: str
    preset: str
    published_as: str | None
    seed: int | None
    settings: Mapping[str, Any]
    settings_from: str = "default"  # one of SETTINGS_FROM

    def varied(self, changes: Mapping[str, Any]) -> "ExperimentConfig":
        """The same experiment with some settings changed, its id saying which."""
        suffix = ",".join(f"{name}={_in_a_name(value)}" for name, value in changes.items())
        return ExperimentConfig(
            **{**self.__dict__, "id": f"{self.id}@{suffix}", "settings": {**self.settings, **changes}}
        )


@dataclass(frozen=True)
class Experiment:
    """An experiment whose every setting has been checked and resolved."""

    id: str
    model: str
    dataset_id: str
    preset: str
    published_as: str | None
    seed: int | None  # FuxiCTR's key; a run's own seed comes from the suite or the command line first
    params: dict[str, dict[str, Any]]  # {"model": ..., "training": ...}

    @property
    def digest(self) -> str:
        return config_digest(self.dataset_id, self.model, self.params)

    @property
    def embedding_dim(self) -> int | None:
        return self.params["model"].get("embedding_dim")


def load_experiment_configs(configs: Path) -> dict[str, ExperimentConfig]:
    """Every experiment of ``configs/model_config.yaml`` or ``configs/model_config/*.yaml``, by id.

    A file's ``Base`` holds what its experiments share, and only its own: FuxiCTR would let a file without one
    inherit another's.

    Raises:
        UserError: a file that is not valid, or an id that stands in two files.
    """
    experiments: dict[str, ExperimentConfig] = {}
    for path in config_files(configs, "model_config"):
        content = load_yaml(path)
        base = content.pop("Base", None) or {}
        for experiment_id, settings in content.items():
            if experiment_id in experiments:
                raise UserError(
                    f"the experiment {experiment_id!r} stands in {experiments[experiment_id].file} and in {path}."
                )
            experiments[experiment_id] = _read(experiment_id, path, base, settings)
    return experiments


def load_experiment_config(configs: Path, experiment_id: str) -> ExperimentConfig:
    """One experiment as its file says it.

    Raises:
        UserError: there is none of that id. (FuxiCTR would run ``Base`` under the misspelt name.)
    """
    from fuxi_plugins.experiments.template import load_templated_experiment

    experiments = load_experiment_configs(configs)
    if experiment_id not in experiments:
        templated = load_templated_experiment(configs, experiment_id)
        if templated is not None:
            return templated
        raise unknown_name("experiment", experiment_id, experiments, "fuxibench list experiments")
    return experiments[experiment_id]


def resolve(config: ExperimentConfig) -> Experiment:
    """Checks every setting against the model's signature and fills in the defaults; imports the model.

    Raises:
        UserError: an unknown model or setting, or a value of the wrong kind.
    """
    where = f"experiment {config.id!r} ({config.file.name})"
    model_params, training = resolve_settings(load_model_class(config.model), config.settings, where)
    return Experiment(
        id=config.id,
        model=config.model,
        dataset_id=config.dataset_id,
        preset=config.preset,
        published_as=config.published_as,
        seed=config.seed,
        params={"model": model_params, "training": training},
    )


def grid(config: ExperimentConfig, axes: Mapping[str, list[Any]]) -> list[ExperimentConfig]:
    """One variant of the experiment for every combination of the axes' values."""
    return [config.varied(dict(zip(axes, values, strict=True))) for values in itertools.product(*axes.values())]


def _read(experiment_id: str, path: Path, base: Any, settings: Any) -> ExperimentConfig:
    if not isinstance(experiment_id, str) or set(experiment_id) - _NAME_CHARACTERS or experiment_id.startswith("."):
        raise UserError(f"{path}: an experiment's id becomes a folder's name, which {experiment_id!r} cannot be.")
    if not isinstance(settings, dict) or not isinstance(base, dict):
        raise UserError(f"{path}: the experiment {experiment_id!r} must be a mapping of settings.")
    merged = {**base, **settings}
    merged = apply_variant(merged.get("preset"), merged, f"{path}: the experiment {experiment_id!r}")
    for key in ("model", "dataset_id"):
        if not isinstance(merged.get(key), str):
            raise UserError(f"{path}: the experiment {experiment_id!r} must name its {key}.")
    seed = merged.get("seed")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
        raise UserError(f"{path}: the seed of {experiment_id!r} must be a whole number of 0 or more, but is {seed!r}.")
    origin = merged.get("settings_from", "default")
    if origin not in SETTINGS_FROM:
        raise UserError(
            f"{path}: settings_from of {experiment_id!r} must be {', '.join(SETTINGS_FROM)}, but is {origin!r}."
        )
    return ExperimentConfig(
        id=experiment_id,
        file=path,
        model=merged["model"],
        dataset_id=merged["dataset_id"],
        preset=merged.get("preset") or merged["model"],
        published_as=merged.get("published_as"),
        seed=seed,
        settings={key: value for key, value in merged.items() if key not in OWN_KEYS},
        settings_from=origin,
    )


def _in_a_name(value: Any) -> str:
    text = str(value).replace(" ", "")
    return "".join(character if character in _NAME_CHARACTERS else "_" for character in text)

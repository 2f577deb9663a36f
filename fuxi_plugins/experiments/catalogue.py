"""Experiments by their id: those that stand in a file, and those that a template makes."""

from pathlib import Path
from typing import Any

from fuxi_plugins.core.configs import AnyConfigs, config_files, folders_of
from fuxi_plugins.core.errors import UserError, unknown_name
from fuxi_plugins.core.renamed import with_new_names
from fuxi_plugins.core.yaml_files import load_yaml
from fuxi_plugins.experiments.experiment import HPARAM_SOURCES, NAME_CHARACTERS, OWN_KEYS, ExperimentConfig
from fuxi_plugins.experiments.template import load_templated_experiment
from fuxi_plugins.experiments.training_settings import SETTINGS_OF_TREES
from fuxi_plugins.models.registry import is_tree_model
from fuxi_plugins.models.variants import apply_variant
from fuxi_plugins.records.files import read_record, record_files

RECORDED = "its record"  # the origin of a setting of an experiment that stands in no file

# Of an experiment's keys; old -> new.
NEW_NAMES = {
    "preset": "display_name",
    "settings_from": "hparam_source",
    "lazy_tables": "sparse_embeddings",
    "reading": "formulation",
}


def load_experiment_configs(configs: AnyConfigs) -> dict[str, ExperimentConfig]:
    """Every experiment of ``configs/model_config.yaml`` or ``configs/model_config/*.yaml``, by id.

    A file's ``Base`` holds what its experiments share, and only its own: FuxiCTR would let a file without one
    inherit another's. A tree model takes from it what is monitored, and nothing that is about steps or embeddings.

    Raises:
        UserError: a file that is not valid, or an id that stands in two files of one folder.
    """
    experiments: dict[str, ExperimentConfig] = {}
    for folder in folders_of(configs):
        experiments = experiments | {name: one for name, one in _configs_of(folder).items() if name not in experiments}
    return experiments


def _configs_of(folder: Path) -> dict[str, ExperimentConfig]:
    experiments: dict[str, ExperimentConfig] = {}
    for path in config_files(folder, "model_config"):
        content = load_yaml(path)
        base = content.pop("Base", None) or {}
        for experiment_id, settings in content.items():
            if experiment_id in experiments:
                raise UserError(
                    f"the experiment {experiment_id!r} is defined in {experiments[experiment_id].file} and in {path}."
                )
            experiments[experiment_id] = _read(experiment_id, path, base, settings)
    return experiments


def load_experiment_config(configs: AnyConfigs, experiment_id: str) -> ExperimentConfig:
    """One experiment as its file says it.

    Raises:
        UserError: there is none of that id. (FuxiCTR would run ``Base`` under the misspelt name.)
    """
    experiments = load_experiment_configs(configs)
    if experiment_id not in experiments:
        templated = load_templated_experiment(configs, experiment_id)
        if templated is not None:
            return templated
        raise unknown_name("experiment", experiment_id, experiments, "fuxibench list experiments")
    return experiments[experiment_id]


def load_recorded_experiment(results: Path, experiment_id: str) -> tuple[ExperimentConfig, list[int]] | None:
    """An experiment by its records alone, with its seeds; None where no run of that id is recorded.

    It is how one is found again that stands in no file: a record holds every setting.
    """
    found = record_files(results, experiment=experiment_id)
    if not found:
        return None
    records = [read_record(path) for path in found]
    first = records[0]
    settings = {**first.params["model"], **first.params["training"]}
    config = ExperimentConfig(
        id=first.experiment,
        file=found[0],
        model=first.model,
        dataset_id=first.dataset,
        display_name=first.display_name,
        published_as=first.published_as,
        seed=None,
        settings=settings,
        role=first.role,
        variant=first.variant,
        origins=dict.fromkeys(settings, RECORDED),
    )
    return config, sorted({record.seed for record in records})


def _read(experiment_id: str, path: Path, base: Any, settings: Any) -> ExperimentConfig:
    if not isinstance(experiment_id, str) or set(experiment_id) - NAME_CHARACTERS or experiment_id.startswith("."):
        raise UserError(f"{path}: an experiment's id becomes a folder's name, which {experiment_id!r} cannot be.")
    if not isinstance(settings, dict) or not isinstance(base, dict):
        raise UserError(f"{path}: the experiment {experiment_id!r} must be a mapping of settings.")
    where = f"{path}: the experiment {experiment_id!r}"
    base, settings = with_new_names(base, NEW_NAMES, f"{path}: Base"), with_new_names(settings, NEW_NAMES, where)
    if is_tree_model(settings.get("model", base.get("model"))):
        base = {name: value for name, value in base.items() if name in (*OWN_KEYS, *SETTINGS_OF_TREES)}
    merged = {**base, **settings}
    if merged.get("formulation") == "repository":
        merged["formulation"] = "official_code"
    origins = dict.fromkeys(base, f"Base of {path.name}") | dict.fromkeys(settings, path.name)
    merged = apply_variant(merged.get("display_name"), merged, where)
    for key in ("model", "dataset_id"):
        if not isinstance(merged.get(key), str):
            raise UserError(f"{path}: the experiment {experiment_id!r} must name its {key}.")
    seed = merged.get("seed")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
        raise UserError(f"{path}: the seed of {experiment_id!r} must be a whole number of 0 or more, but is {seed!r}.")
    origin = merged.get("hparam_source", "default")
    if origin not in HPARAM_SOURCES:
        raise UserError(
            f"{path}: hparam_source of {experiment_id!r} must be {', '.join(HPARAM_SOURCES)}, but is {origin!r}."
        )
    return ExperimentConfig(
        id=experiment_id,
        file=path,
        model=merged["model"],
        dataset_id=merged["dataset_id"],
        display_name=merged.get("display_name") or merged["model"],
        published_as=merged.get("published_as"),
        seed=seed,
        settings={key: value for key, value in merged.items() if key not in OWN_KEYS},
        hparam_source=origin,
        origins={name: origins.get(name, f"the variant {merged.get('display_name')}") for name in merged},
    )

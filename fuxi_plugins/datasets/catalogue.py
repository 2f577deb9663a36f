"""Datasets by their id, as the files of configs define them."""

import warnings
from pathlib import Path
from typing import Any

from fuxi_plugins.core.configs import AnyConfigs, config_files, folders_of
from fuxi_plugins.core.errors import UserError, unknown_name
from fuxi_plugins.core.explain import checked
from fuxi_plugins.core.yaml_files import load_yaml
from fuxi_plugins.datasets.spec import DatasetSpec


def load_dataset_specs(configs: AnyConfigs) -> dict[str, DatasetSpec]:
    """Every dataset of ``configs/dataset_config.yaml`` or ``configs/dataset_config/*.yaml``, by id.

    Raises:
        UserError: a file that is not valid, or an id that stands in two files of one folder.
    """
    specs: dict[str, DatasetSpec] = {}
    for folder in folders_of(configs):
        specs = specs | {name: spec for name, spec in _specs_of(folder).items() if name not in specs}
    for dataset_id, spec in specs.items():
        owner = specs.get(spec.files_of or dataset_id)
        if owner is None or owner.files_of or owner.files != spec.files:
            raise UserError(
                f"dataset {dataset_id!r}: files_of must name a dataset that has the same files of its own, "
                f"but is {spec.files_of!r}."
            )
        other = specs.get(spec.log_of or dataset_id)
        if other is None or (spec.log_of and (spec.files_of or other.files_of or other.log_of)):
            raise UserError(
                f"dataset {dataset_id!r}: log_of must name a dataset that has neither files_of nor log_of, and stand "
                f"beside no files_of, but is {spec.log_of!r}."
            )
    return specs


def logs_of_datasets(configs: AnyConfigs) -> dict[str, str]:
    """By dataset, the one that stands for its log: itself, or the first of those whose rows are of the same log.

    Two splits of one log share rows, users and items, so results on them are no independent evidence. Datasets are of
    one log if they have the same provided files, if they read the same file for training from a folder of the user's,
    or if ``log_of`` says so.
    """
    specs = load_dataset_specs(configs)
    first: dict[tuple[str, ...], str] = {}  # dataset that reads such files
    owners = {}
    for dataset_id, spec in specs.items():
        owners[dataset_id] = spec.files_of or dataset_id
        if spec.data_root:
            read = spec.from_interactions.log.files if spec.from_interactions else [spec.train_data]
            owners[dataset_id] = first.setdefault((spec.data_root, *read), owners[dataset_id])
    return {
        dataset_id: owners[spec.log_of or specs[owners[dataset_id]].log_of or dataset_id]
        for dataset_id, spec in specs.items()
    }


def load_dataset_spec(configs: AnyConfigs, dataset_id: str) -> DatasetSpec:
    """One dataset.

    Raises:
        UserError: there is none of that id.
    """
    specs = load_dataset_specs(configs)
    if dataset_id not in specs:
        raise unknown_name("dataset", dataset_id, specs, "fuxibench list datasets")
    return specs[dataset_id]


def _specs_of(folder: Path) -> dict[str, DatasetSpec]:
    specs: dict[str, DatasetSpec] = {}
    for path in config_files(folder, "dataset_config"):
        for dataset_id, settings in load_yaml(path).items():
            if dataset_id in specs:
                raise UserError(f"the dataset {dataset_id!r} is defined in two files; one of them is {path}.")
            specs[dataset_id] = read_spec(dataset_id, settings, path)
    return specs


def read_spec(dataset_id: str, settings: Any, where: Path) -> DatasetSpec:
    """One entry of a dataset config.

    Raises:
        UserError: it is not valid; ``where`` says what it was read from.
    """
    if not isinstance(settings, dict):
        raise UserError(f"{where}: the dataset {dataset_id!r} must be a mapping of settings.")
    named = {**_with_holdout(dataset_id, settings), "dataset_id": dataset_id}
    return checked(DatasetSpec, named, f"{where}: dataset {dataset_id!r}")


def _with_holdout(dataset_id: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Older configs held validation out of train by ``build: carved``; today it is the same ``split``."""
    if settings.get("build") != "carved":
        return settings
    arguments = dict(settings.get("build_args") or {})
    split = {"by": arguments.pop("by", None), "valid": arguments.pop("share", None), **arguments}
    warnings.warn(
        f"dataset {dataset_id!r}: build: carved is now written without valid_data and with split: {split}.",
        FutureWarning,
        stacklevel=2,
    )
    left = {key: value for key, value in settings.items() if key not in ("build", "build_args", "valid_data")}
    return left | {"split": split}

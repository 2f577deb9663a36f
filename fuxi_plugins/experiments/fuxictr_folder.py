"""A folder of FuxiCTR's or BARS's configs, as they were published -> the same experiment in this harness's strict form.

FuxiCTR has renamed settings over its releases and ignores what it does not know, so published folders hold dead names.
Here each is renamed, dropped for a reason that can be said, or refused.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fuxi_plugins.core.configs import config_files
from fuxi_plugins.core.errors import UserError, did_you_mean
from fuxi_plugins.core.files import write_text
from fuxi_plugins.core.yaml_files import load_yaml
from fuxi_plugins.experiments.experiment import OWN_KEYS
from fuxi_plugins.experiments.settings import DEAD_NAMES, legal_settings
from fuxi_plugins.models.registry import load_model_class

# Settings of FuxiCTR's own scripts -> why they say nothing here, and the values of which that is true (any, if None).
WITHOUT_MEANING: dict[str, tuple[str, tuple[Any, ...] | None]] = {
    "model_id": ("a run is named after its experiment", None),
    "model_root": ("checkpoints lie in the cache", None),
    "gpu": ("the command line says it", None),
    "verbose": ("the log has everything", None),
    "version": ("the framework is PyTorch", ("pytorch", "torch", None)),
    "debug": ("for FuxiCTR's developers", (False, None)),
    "debug_mode": ("for FuxiCTR's developers", (False, None)),
    "save_best_only": ("the best checkpoint is kept", (True, None)),
    "every_x_epochs": ("an evaluation is made every epoch", (1, None)),
    "use_hdf5": ("of an old loader", None),
    "pickle_feature_encoder": ("of an old loader", None),
    "num_workers": ("it does not change what is learned", None),
    "workers": ("it does not change what is learned", None),
    "data_block_size": ("of FuxiCTR's writer", None),
    "partition_block_size": ("of FuxiCTR's writer", None),
    "embedding_dropout": ("FuxiCTR has none any more", (0, 0.0, None)),
    "use_features": ("every active column is used", (None,)),
    "feature_config": ("of the dataset", (None,)),
    "feature_specs": ("it goes into the dataset", None),
}
_POOLINGS = {"MaskedSumPooling": "layers.MaskedSumPooling()", "MaskedAveragePooling": "layers.MaskedAveragePooling()"}
_DATA_SETTINGS = ("min_categr_count", "group_id")


@dataclass(frozen=True)
class Translated:
    """A folder of configs that holds one experiment and its dataset, and what of the original it does without."""

    configs: Path
    dropped: list[str]


def translate_folder(folder: Path, experiment_id: str, target: Path, data: Path | None = None) -> Translated:
    """Writes the experiment and its dataset to ``target`` as ``model_config.yaml`` and ``dataset_config.yaml``.

    A folder that is in the strict form already (its datasets have titles) is left as it is.

    Args:
        folder: with FuxiCTR's ``dataset_config.yaml`` and ``model_config.yaml``, or folders of these names.
        experiment_id: which experiment.
        target: folder to write to.
        data: folder with the csv files, if they do not lie where the config says (from the current folder).

    Raises:
        UserError: no such experiment or dataset, or a setting that has no translation.
    """
    experiments = _all(folder, "model_config", "Base")
    if experiment_id not in experiments:
        raise _not_in(folder, "experiment", experiment_id, experiments)
    original = experiments[experiment_id]
    datasets = _all(folder, "dataset_config", None)
    dataset_id = original.get("dataset_id")
    if dataset_id not in datasets:
        raise _not_in(folder, "dataset", str(dataset_id), datasets)
    if "title" in datasets[dataset_id]:
        return Translated(folder, [])
    model = original.get("model")
    if not isinstance(model, str):
        raise UserError(f"{folder}: the experiment {experiment_id!r} must name its model.")

    settings, dropped = _translate_settings(model, original)
    dataset = _translate_dataset(datasets[dataset_id], original, data)
    _write(target / "model_config.yaml", {experiment_id: settings})
    _write(target / "dataset_config.yaml", {dataset_id: dataset})
    return Translated(target, dropped)


def _all(folder: Path, name: str, base: str | None) -> dict[str, dict[str, Any]]:
    files = config_files(folder, name)
    if not files:
        raise UserError(f"{folder} must hold {name}.yaml or a folder {name}, but holds neither.")
    found: dict[str, dict[str, Any]] = {}
    for path in files:
        content = load_yaml(path)
        shared = content.pop(base, None) or {} if base else {}
        found |= {key: {**shared, **settings} for key, settings in content.items() if isinstance(settings, dict)}
    return found


def _not_in(folder: Path, kind: str, wrong: str, known: Mapping[str, Any]) -> UserError:
    suggestion = did_you_mean(wrong, known) or f"; there are {', '.join(known) or 'none'}."
    return UserError(f"{folder} has no {kind} {wrong!r}{suggestion}")


def _translate_settings(model: str, original: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    legal = {*legal_settings(load_model_class(model)), *OWN_KEYS}
    settings: dict[str, Any] = {}
    dropped: list[str] = []
    for name, value in original.items():
        today = name if name in legal else DEAD_NAMES.get(name)
        reason, values = WITHOUT_MEANING.get(name, (None, None))
        if name in _DATA_SETTINGS:
            continue
        if reason is not None:
            if values is not None and value not in values:
                raise UserError(f"{name}: {value!r} cannot be followed here ({reason}); take it out to run without it.")
            dropped.append(f"{name} ({reason})")
        elif today in legal:
            settings[today] = [] if value is None and today.endswith("units") else value
        else:
            settings[name] = value  # refused where settings are checked, with the names that there are
    return settings, dropped


def _translate_dataset(original: Mapping[str, Any], experiment: Mapping[str, Any], data: Path | None) -> dict[str, Any]:
    files = {f"{split}_data": original.get(f"{split}_data") for split in ("train", "valid", "test")}
    missing = [name for name, value in files.items() if not isinstance(value, str)]
    if missing:
        raise UserError(f"a dataset must name its csv files of all three splits, but this lacks {', '.join(missing)}.")
    if data is not None:
        paths = {name: (data / Path(value).name).resolve() for name, value in files.items()}
    else:
        paths = {name: Path(value).resolve() for name, value in files.items()}
    root = Path(os.path.commonpath([path.parent for path in paths.values()]))
    columns = [_translate_column(column) for column in original.get("feature_cols") or []]
    for specified in experiment.get("feature_specs") or []:
        columns = _apply(specified, columns)
    known = {"feature_cols", "label_col", "data_format", *_DATA_SETTINGS}
    settings = {name: value for name, value in {**original, **experiment}.items() if name in known}
    return {
        "title": f"Data of {root}",
        "data_root": str(root),
        **settings,
        **{name: str(path.relative_to(root)) for name, path in paths.items()},
        "feature_cols": columns,
    }


def _translate_column(column: Mapping[str, Any]) -> dict[str, Any]:
    translated = {DEAD_NAMES[name] if name == "na_value" else name: value for name, value in column.items()}
    if "encoder" in translated:
        encoder = translated.pop("encoder")
        if encoder is not None:
            translated["feature_encoder"] = _POOLINGS.get(encoder, encoder)
    return translated


def _apply(specified: Mapping[str, Any], columns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The columns, those that a model's ``feature_specs`` entry names with its settings added."""
    wanted = [specified["name"]] if isinstance(specified["name"], str) else list(specified["name"])
    added = {name: value for name, value in specified.items() if name != "name"}
    result = []
    for column in columns:
        names = [column["name"]] if isinstance(column["name"], str) else list(column["name"])
        result += [{**column, "name": name, **(added if name in wanted else {})} for name in names]
    return result


def _write(path: Path, content: dict[str, Any]) -> None:
    write_text(path, yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=120))

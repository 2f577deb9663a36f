"""A published dataset config -> one of this harness, with its files found and its columns in today's names."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuxi_plugins.core.errors import UserError, did_you_mean
from fuxi_plugins.core.explain import checked, describe
from fuxi_plugins.datasets import encoded
from fuxi_plugins.datasets.columns import SPLITS, FeatureColumn
from fuxi_plugins.experiments.translation.accounts import Account
from fuxi_plugins.experiments.translation.table import (
    NO_EFFECT_OF_DATASETS,
    OF_THE_DATASET,
    POOLINGS,
    RENAMED_OF_COLUMNS,
    RENAMED_OF_DATASETS,
)

_FILES = tuple(f"{split}_data" for split in SPLITS)
_ENCODED = ("parquet", "npz", "h5")  # which FuxiCTR takes as encoded already; csv files it encodes itself
KEPT = ("feature_cols", "label_col", "data_format", "data_root", "min_categr_count", "group_id", "separator", *_FILES)


@dataclass(frozen=True)
class Places:
    """Where files may lie: in ``data`` if it is given, else from the current folder or from where the scripts lie.

    FuxiCTR's ``run_expid.py`` goes to its own folder first, which is the one that holds the folder of configs.
    """

    configs: Path
    data: Path | None = None

    def find(self, name: str) -> Path:
        """The file of that name, there or not."""
        if self.data is not None:
            return (self.data / Path(name).name).resolve()
        above = [self.configs.resolve(), *self.configs.resolve().parents][:3]
        candidates = [(folder / name).resolve() for folder in (Path.cwd(), *above[1:], above[0])]
        return next((path for path in candidates if path.exists()), candidates[0])


@dataclass(frozen=True)
class TranslatedDataset:
    settings: dict[str, Any]
    accounts: list[Account]
    remarks: list[str]  # what was decided about files, to be said aloud
    at_hand: bool  # whether its files are there

    @property
    def labels(self) -> list[str]:
        """The names of its labels."""
        told = self.settings["label_col"]
        return [str(column.get("name")) for column in (told if isinstance(told, list) else [told])]


def require_description(dataset_id: str, published: Mapping[str, Any], file: Path) -> None:
    """
    Args:
        file: where it stands.

    Raises:
        UserError: a split without a file, columns that are no list of mappings, or one with a setting unknown here.
    """
    missing = [name for name in _FILES if not isinstance(published.get(name), str)]
    if missing:
        raise UserError(
            f"the dataset {dataset_id!r} must name one file for each of its three splits, but does not by "
            f"{', '.join(missing)}. 'fuxibench data describe' writes a config that holds out rows of one file."
        )
    for name in ("feature_cols", "label_col"):
        told = [] if published.get(name) is None else published[name]
        listed = told if isinstance(told, list) or name == "feature_cols" else [told]
        if not isinstance(listed, list) or not all(isinstance(column, dict) for column in listed):
            raise UserError(
                f"{name} of the dataset {dataset_id!r} must be mappings, as {{name: x, dtype: float}}, but is "
                f"{describe(told)}."
            )
    for column in published.get("feature_cols") or []:
        where = f"{file}: the column {column.get('name')!r} of the dataset {dataset_id!r}"
        translated = _column(column) | {"pretrained_emb": None}  # its path, which may be anywhere, is made relative
        checked(FeatureColumn, translated, where)


def require_known(dataset_id: str, names: Iterable[str], file: Path) -> None:
    """Refuses settings of a dataset that are none, of it or of its experiment.

    Args:
        names: the settings.
        file: where they stand.

    Raises:
        UserError: there are some.
    """
    known = {*KEPT, *NO_EFFECT_OF_DATASETS, *RENAMED_OF_DATASETS}
    said = [f"{name!r}{did_you_mean(name, known)}" for name in names]
    if said:
        raise UserError(f"{file}: the dataset {dataset_id!r} has settings that are unknown here: {', '.join(said)}")


def translate_dataset(
    dataset_id: str, published: Mapping[str, Any], experiment: Mapping[str, Any], places: Places, target: Path
) -> TranslatedDataset:
    """The dataset's settings; what the experiment says of it is added, but the dataset's own word goes first.

    Args:
        experiment: the published settings of the experiment.
        places: where to look for files.
        target: folder for files that must be written anew.

    Raises:
        UserError: files of a kind that is not read here, or no word on the columns.
    """
    files = {name: places.find(published[name]) for name in _FILES}
    remarks = [f"{published[name]} is {path}" for name, path in files.items() if ".." in Path(published[name]).parts]
    found = _found_files(dataset_id, published, files, places, target)
    said = {OF_THE_DATASET[k]: v for k, v in experiment.items() if k in OF_THE_DATASET and v is not None}
    said |= {RENAMED_OF_DATASETS.get(name, name): v for name, v in published.items() if v is not None}
    columns = [_column(column) for column in found.settings["feature_cols"]]
    for specified in said.get("feature_specs", []):
        columns, unknown = _apply(specified, columns)
        remarks += [f"feature_specs names {name}, which is no column of {dataset_id}" for name in unknown]
    vectors: dict[str, Path] = {
        c["pretrained_emb"]: places.find(c["pretrained_emb"]) for c in columns if c.get("pretrained_emb")
    }
    remarks += [f"{name} is {path}" for name, path in vectors.items() if ".." in Path(name).parts]
    everything = [*found.files.values(), *vectors.values()]
    root = Path(os.path.commonpath([path.parent for path in everything]))
    located: list[tuple[str, Path]] = [*found.files.items(), *vectors.items()]
    inside = {name: str(path.relative_to(root)) for name, path in located}
    for column in columns:
        if column.get("pretrained_emb"):
            column["pretrained_emb"] = inside[column["pretrained_emb"]]
    of_text = found.settings["data_format"] == "csv"
    settings: dict[str, Any] = {
        "title": f"Data of {root}",
        "data_root": str(root),
        **{name: said[name] for name in ("group_id", "min_categr_count") if name in said},
        **found.settings,
        **({"separator": said["separator"]} if "separator" in said and of_text else {}),
        **{name: inside[name] for name in _FILES},
        "feature_cols": columns,
    }
    at_hand = all(path.exists() for path in everything)
    return TranslatedDataset(settings, _accounts(published), [*remarks, *found.remarks], at_hand)


def overriding(published: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of an experiment that stand with the dataset, where FuxiCTR lets them win."""
    of_datasets = {*KEPT, *NO_EFFECT_OF_DATASETS, *RENAMED_OF_DATASETS}
    return {name: value for name, value in published.items() if name not in of_datasets}


def _accounts(published: Mapping[str, Any]) -> list[Account]:
    accounts = []
    for name, value in published.items():
        if name in NO_EFFECT_OF_DATASETS:
            accounts.append(Account(name, value, "no effect", NO_EFFECT_OF_DATASETS[name].reason))
        elif name in RENAMED_OF_DATASETS:
            accounts.append(Account(name, value, "translated", f"{RENAMED_OF_DATASETS[name]}: {value!r}"))
        elif name in KEPT:
            accounts.append(Account(name, value if isinstance(value, str | int | None) else "...", "dataset"))
    return accounts


@dataclass(frozen=True)
class _Found:
    """Files by setting, there or not, and what is to be said of their format and columns."""

    files: dict[str, Path]
    settings: dict[str, Any]
    remarks: list[str]


def _found_files(
    dataset_id: str, published: Mapping[str, Any], files: dict[str, Path], places: Places, target: Path
) -> _Found:
    data_format = published.get("data_format", "csv")
    own = {name: published[name] for name in ("feature_cols", "label_col") if published.get(name) is not None}
    if data_format == "csv" and len(own) == 2:
        return _Found(files, {"data_format": "csv", **own}, [])
    if data_format not in ("csv", *_ENCODED):
        raise UserError(
            f"the dataset {dataset_id!r} must be of csv, parquet, npz or h5 files, but is of {data_format}. Write its "
            "rows in one of these, and name them in its config."
        )
    root = places.find(str(Path(published.get("data_root") or ".") / dataset_id))
    maps = [folder / encoded.MAP_NAME for folder in (next(iter(files.values())).parent, root)]
    feature_map = next((path for path in maps if path.is_file()), None)
    there = all(path.exists() for path in files.values())
    if there and feature_map and data_format in _ENCODED:
        taken, settings = encoded.as_parquet(files, feature_map, target)
        remark = f"the columns are those of {feature_map}; the numbers in the encoded files are taken for ids"
        return _Found(taken, {"data_format": "parquet", **settings}, [remark])
    if len(own) < 2:
        raise UserError(
            f"the dataset {dataset_id!r} says no columns, so that its files and {encoded.MAP_NAME} are needed, which "
            f"FuxiCTR writes beside them; of {', '.join(map(str, [*files.values(), maps[0]]))} some are missing."
        )
    if there and data_format == "parquet":
        return _Found(files, {"data_format": "parquet", **own}, [f"no {encoded.MAP_NAME}: the files are read as raw"])
    as_csv = {name: path.with_suffix(".csv") for name, path in files.items()}
    remark = f"in the place of {data_format} files that FuxiCTR has encoded, csv files of the same names are read"
    return _Found(as_csv, {"data_format": "csv", **own}, [remark])


def _column(column: Mapping[str, Any]) -> dict[str, Any]:
    translated = {RENAMED_OF_COLUMNS.get(name, name): value for name, value in column.items()}
    if isinstance(translated.get("feature_encoder"), str):
        translated["feature_encoder"] = POOLINGS.get(translated["feature_encoder"], translated["feature_encoder"])
    return {name: value for name, value in translated.items() if not (name == "feature_encoder" and value is None)}


def _apply(specified: Mapping[str, Any], columns: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """The columns, those that a model's ``feature_specs`` entry names with its settings added; and unknown names.

    Raises:
        UserError: the entry names no column.
    """
    if not isinstance(specified, Mapping) or not specified.get("name"):
        raise UserError(f"each entry of feature_specs must name its columns by name, but one is {describe(specified)}.")
    wanted = [specified["name"]] if isinstance(specified["name"], str) else list(specified["name"])
    added = {name: value for name, value in specified.items() if name != "name"}
    result = []
    for column in columns:
        names = [column["name"]] if isinstance(column["name"], str) else list(column["name"])
        result += [{**column, "name": name, **(added if name in wanted else {})} for name in names]
    known = {column["name"] for column in result}
    return result, [name for name in wanted if name not in known]

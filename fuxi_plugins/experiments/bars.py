"""BARS's tuned settings: facts in ``results/published/hyperparameters.csv`` -> settings in today's names.

The facts bear the names of the FuxiCTR release of their time. A name that has changed stands in ``RENAMED``, one
that is not a setting any more in ``DROPPED`` with the reason; what stands in neither is left as it is, and is an
error where the settings are checked against the model.
"""

import ast
import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.yaml_files import StrictLoader
from fuxi_plugins.models.variants import VARIANTS

FACTS_FILE = "published/hyperparameters.csv"

# BARS's names of models that have another name here.
MODEL_NAMES = {"CrossNetv2": "CrossNetV2", "DeepCross": "DeepCrossing"}

# Old name -> today's, of every model and of single ones.
RENAMED = {
    "patience": "early_stop_patience",
    "crossing_layers": "num_cross_layers",
    "cin_layer_units": "cin_hidden_units",
    "use_field_gate": "use_feature_gating",
}
RENAMED_OF = {
    "CIN": {"hidden_activations": "dnn_activations"},
    "xDeepFM": {"hidden_activations": "dnn_activations"},
    "DeepCross": {"dnn_activations": "hidden_activations"},
}


@dataclass(frozen=True)
class Dropped:
    """A name that says nothing today: why, and which values may be dropped (any, if None)."""

    reason: str
    values: tuple[Any, ...] | None = None


DROPPED = {
    "model": Dropped("said by the fact's model column"),
    "dataset_id": Dropped("said by the experiment"),
    "feature_config": Dropped("the dataset's"),
    "feature_specs": Dropped("the dataset's"),
    "group_id": Dropped("the dataset's"),
    "min_categr_count": Dropped("the dataset's"),
    "ordered_features": Dropped("the dataset's"),
    "use_features": Dropped("the dataset's"),
    "seed": Dropped("the suite's"),
    "debug_mode": Dropped("of FuxiCTR's printing alone"),
    "embedding_dropout": Dropped("FuxiCTR has none any more; BARS set it to 0", (0, None)),
    "aux_activation": Dropped("no model has an auxiliary loss of passed-over items here"),
    "aux_hidden_units": Dropped("no model has an auxiliary loss of passed-over items here"),
    "aux_loss_alpha": Dropped("DIEN's weight of that loss; BARS switched it off", (0,)),
    "aux_loss_beta": Dropped("DMR's weight of that loss; BARS switched it off", (0,)),
    "aux_loss_lambda": Dropped("DMIN's weight of that loss; BARS switched it off", (0,)),
    "dien_neg_seq_field": Dropped("of that loss", ([],)),
    "neg_seq_field": Dropped("of that loss", (None,)),
    "context_field": Dropped("DMR knows of a behaviour its position alone, as in BARS", (None,)),
    "use_regulation_module": Dropped("EDCN always has its regulation modules", (True,)),
}

# Where a class here departs from the FuxiCTR of BARS's runs, the option that follows FuxiCTR.
AS_BARS_RAN_IT: dict[str, dict[str, Any]] = {
    "DESTINE": {"head_split": "fuxictr"},
    "DMIN": {"refiner_mask": "fuxictr"},
    "EDCN": {"cross_residual": False},
    "InterHAt": {"head_split": "fuxictr"},
}


@dataclass(frozen=True)
class PublishedSettings:
    """One row of BARS: the preset's name here, its class, its settings, and what BARS said about it."""

    preset: str
    model: str
    settings: dict[str, Any]
    source: str  # folder in BARS
    parameters: int | None  # as BARS's log counts them, embeddings included


def published_settings(results: Path, dataset: str) -> dict[str, PublishedSettings]:
    """Every preset that BARS has for a dataset, by BARS's name of it; models that are not here included.

    Args:
        results: the folder of results.
        dataset: BARS's name, as ``Frappe_x1``.

    Raises:
        UserError: a value is dropped that means something.
    """
    facts = _facts(results / FACTS_FILE)
    return {name: _translate(name, raw) for (of, name), raw in facts.items() if of == dataset}


@cache
def _facts(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            value = row["value"] if row["param"].startswith("_") else _parsed(row["value"])
            found.setdefault((row["dataset"], row["model"]), {})[row["param"]] = value
    return found


def _parsed(text: str) -> Any:
    """A value as the facts write it: as in YAML, but tuples as in Python."""
    return ast.literal_eval(text) if text.startswith(("(", "[(", "None")) else yaml.load(text, StrictLoader)


def _translate(name: str, raw: Mapping[str, Any]) -> PublishedSettings:
    preset = MODEL_NAMES.get(name, name)
    model = VARIANTS[preset].model if preset in VARIANTS else preset
    renamed = {**RENAMED, **RENAMED_OF.get(name, {})}
    settings: dict[str, Any] = {}
    for key, value in raw.items():
        dropped = DROPPED.get(key)
        if key.startswith("_"):
            continue
        if dropped is None:
            settings[renamed.get(key, key)] = _value(name, key, value)
        elif dropped.values is not None and value not in dropped.values:
            raise UserError(f"BARS's {name} has {key}: {value!r}, which cannot be dropped ({dropped.reason}).")
    count = raw.get("_num_parameters")
    settings |= AS_BARS_RAN_IT.get(model, {})
    return PublishedSettings(preset, model, settings, raw["_bars_dir"], int(count) if count else None)


def _value(name: str, key: str, value: Any) -> Any:
    """No list of widths is an empty one; AFM's one rate is both of its two; a tuple of fields is a list in a list."""
    if value is None and key.endswith("units"):
        return []
    if name == "AFM" and key == "attention_dropout" and not isinstance(value, list):
        return [value, value]
    if key.endswith(("target_field", "sequence_field")):
        fields = value if isinstance(value, list) else [value]
        return [list(field) if isinstance(field, tuple) else field for field in fields]
    return value

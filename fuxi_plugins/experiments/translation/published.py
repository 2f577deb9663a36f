"""BARS's tuned settings: facts in ``results/published/hyperparameters.csv`` -> settings in today's names.

The facts bear the names of the FuxiCTR release of their time, and are translated as a folder of BARS's is.
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
from fuxi_plugins.experiments.experiment import OWN_KEYS
from fuxi_plugins.experiments.translation.settings import translate_settings

FACTS_FILE = "published/hyperparameters.csv"


@dataclass(frozen=True)
class PublishedSettings:
    """One row of BARS: the preset's name here, its class, its settings, and what BARS said about it."""

    preset: str
    model: str
    settings: dict[str, Any]
    source: str  # folder in BARS
    parameters: int | None  # as BARS's log counts them, embeddings included


def published_settings(results: Path, dataset: str) -> dict[str, PublishedSettings]:
    """Every preset that BARS has for a dataset, by BARS's name of it; loads the models' classes.

    Args:
        results: the folder of results.
        dataset: BARS's name, as ``Frappe_x1``.

    Raises:
        UserError: a setting cannot be followed.
    """
    facts = _facts(results / FACTS_FILE)
    return {name: _translate(dataset, name, raw) for (of, name), raw in facts.items() if of == dataset}


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


def _translate(dataset: str, name: str, raw: Mapping[str, Any]) -> PublishedSettings:
    try:
        translated = translate_settings(name, {key: value for key, value in raw.items() if not key.startswith("_")})
    except UserError as error:
        raise UserError(f"BARS's {name} on {dataset}: {error}") from error
    settings = {key: value for key, value in translated.settings.items() if key not in OWN_KEYS}
    count = raw.get("_num_parameters")
    return PublishedSettings(
        translated.preset or translated.model,
        translated.model,
        settings,
        raw["_bars_dir"],
        int(count) if count else None,
    )

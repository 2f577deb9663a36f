"""The settings of the training as a table, for a listing and for the documentation."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fuxi_plugins.experiments.training_settings import OWN_SETTINGS, SETTINGS_OF_TREES, Training
from fuxi_plugins.records.record import DEVIATING_SETTINGS

KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a weight for each of several names",
}  # JSON's -> words
BOUNDS = {"minimum": "from", "exclusiveMinimum": "above"}


@dataclass(frozen=True)
class Setting:
    """One setting of the training."""

    name: str
    takes: str
    default: str
    meaning: str

    @property
    def is_fuxictrs(self) -> bool:
        """Whether FuxiCTR has it too."""
        return self.name not in OWN_SETTINGS

    @property
    def deviates(self) -> bool:
        """Whether a run with it computes something else than FuxiCTR would, so that boards name it."""
        return self.name in DEVIATING_SETTINGS

    @property
    def is_of_trees(self) -> bool:
        """Whether tree models have it."""
        return self.name in SETTINGS_OF_TREES


def settings_table() -> list[Setting]:
    """All settings of the training, in their order."""
    schema = Training.model_json_schema()["properties"]
    return [
        Setting(name, _takes(schema[name]), json.dumps(field.default), " ".join((field.description or "").split()))
        for name, field in Training.model_fields.items()
    ]


def _takes(schema: Mapping[str, Any]) -> str:
    """What a value may be, in words."""
    kinds = [one for one in schema.get("anyOf", [schema]) if one["type"] != "null"]
    return " or ".join(map(_kind, kinds))


def _kind(schema: Mapping[str, Any]) -> str:
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    if values:
        return ", ".join(map(str, values))
    bounds = [f" {word} {schema[bound]:g}" for bound, word in BOUNDS.items() if bound in schema]
    return KINDS[schema["type"]] + "".join(bounds)

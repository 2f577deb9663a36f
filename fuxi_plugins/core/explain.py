"""Checks what a config says, and says in one sentence what is wrong with it."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from fuxi_plugins.core.errors import UserError, did_you_mean

_EXPECTED = {
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "is_instance_of": "a list",
    "sequence_str": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "mapping_type": "a mapping",
    "dataclass_type": "a mapping",
}


class Strict(BaseModel):
    """A part of a config: a setting that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Config = TypeVar("Config", bound=BaseModel)


def checked(model: type[Config], settings: Mapping[str, Any], where: str) -> Config:
    """The settings as the model of a config.

    Raises:
        UserError: they are not valid; the message begins with ``where``.
    """
    try:
        return model(**settings)
    except ValidationError as error:
        raise UserError(f"{where}: {explain(error, model)}") from error


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """The first error: which setting, what must hold, what was seen."""
    # A name that does not exist comes first: it may be the misspelt form of one that is missing.
    unknown = ("extra_forbidden", "unexpected_keyword_argument")  # the latter of a dataclass
    details = sorted(error.errors(), key=lambda detail: detail["type"] not in unknown)
    # A union reports one error per member; the sentence lists what the members expect.
    first = details[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    same = [detail for detail in details if detail["loc"][:1] == first["loc"][:1]]
    kind, seen = first["type"], first["input"]
    if kind in unknown:
        known = model.model_fields if len(first["loc"]) == 1 else ()
        return f"there is no setting {_place(first['loc'])!r}{did_you_mean(str(first['loc'][-1]), known) or '.'}"
    if kind == "missing":
        return f"the setting {_place(first['loc'])!r} is missing."
    expected = list(dict.fromkeys(_EXPECTED[d["type"]] for d in same if d["type"] in _EXPECTED))
    if expected:
        return f"{_place(first['loc'][:1]) or name} must be {' or '.join(expected)}, but is {describe(seen)}."
    if kind in ("literal_error", "enum"):
        return f"{_place(first['loc'])} must be one of {first['ctx']['expected']}, but is {describe(seen)}."
    if not first["loc"]:  # of the whole, which is too long to be shown
        return f"{first['msg'].removeprefix('Value error, ')}."
    return f"{_place(first['loc'])}: {first['msg'].removeprefix('Value error, ')}; seen: {describe(seen)}."


def describe(value: Any) -> str:
    """A value with its kind, as a reader of YAML would call it."""
    kinds = {bool: "a boolean", int: "a whole number", float: "a number", str: "text", list: "a list"}
    shown = shortened(repr(value))
    return f"{shown} ({kinds[type(value)]})" if type(value) in kinds else shown


def shortened(text: str, length: int = 80) -> str:
    """The beginning of a text that is too long for a message."""
    return text if len(text) <= length else text[: length - 3] + "..."


def _place(location: tuple) -> str:
    return ".".join(str(part) for part in location)

"""The settings of an experiment and which of them are legal.

What a model understands stands in its constructor's signature, so there is no list of names to maintain: the
signature becomes a pydantic model, and a key that fits nowhere is an error instead of vanishing in ``**kwargs``.
"""

import inspect
import json
import re
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import PydanticSerializationError, to_jsonable_python

from fuxi_plugins.core.errors import UserError, did_you_mean
from fuxi_plugins.core.explain import checked, describe, explain
from fuxi_plugins.experiments.training_settings import SETTINGS_OF_TREES, Training, sum_in_words
from fuxi_plugins.experiments.translation.table import RENAMED
from fuxi_plugins.models.keywords import keywords_read, parameters_of
from fuxi_plugins.models.trees.base import TreeModel

_WEIGHT = r"\s*[0-9.]+([eE][-+]?[0-9]+)?\s*"
_REGULARIZER = re.compile(rf"l[12]\({_WEIGHT}\)|l1_l2\({_WEIGHT},{_WEIGHT}\)")

# Constructor parameters that the harness passes itself.
_HARNESS_OWN = {"feature_map", "model_id", "gpu", "kwargs"}
_HARNESS_KEYWORDS = {"verbose", "model_root", "model_id", "gpu"}  # that it passes beside them

Part = TypeVar("Part", bound=BaseModel)


@cache
def model_settings(model_class: type) -> type[BaseModel]:
    """A strict pydantic model of the hyper-parameters in a model's constructor.

    A parameter without annotation takes its default's type or null; one whose default is None takes anything. So does
    what the constructor takes out of its ``**kwargs``. A parameter whose default JSON cannot hold, such as a function,
    is no setting: the constructor is left its default.
    """
    fields: dict[str, Any] = {}
    for name, parameter in parameters_of(model_class).items():
        if name in _HARNESS_OWN or name in Training.model_fields or not _can_be_set(parameter):
            continue
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[name] = (_parameter_type(parameter), default)
    for name, default in keywords_read(model_class).items():
        if name not in fields and name not in Training.model_fields and name not in _HARNESS_KEYWORDS:
            fields[name] = (Any, default)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Field name .* shadows an attribute")  # as copy; nothing here reads that
        return create_model(
            f"{model_class.__name__}Settings",
            __config__=ConfigDict(extra="forbid", strict=True, protected_namespaces=(), arbitrary_types_allowed=True),
            **fields,
        )


def resolve_settings(model_class: type, given: Mapping[str, Any], where: str) -> tuple[dict[str, Any], Training]:
    """Sorts settings into those of the model and those of the training, checked and with defaults filled in.

    Args:
        model_class: a FuxiCTR model class.
        given: settings by name, model's and training's together, as in FuxiCTR's YAML.
        where: names the experiment in an error.

    Returns:
        Those of the model, plain values that JSON can hold, and those of the training. Of the model's
        ``added_settings`` those at their default are left out.

    Raises:
        UserError: a name that neither understands, or a value of the wrong kind.
    """
    schema = model_settings(model_class)
    legal = legal_settings(model_class)
    for name in given:
        if name not in legal:
            raise UserError(f"{where}: {unknown_setting(name, model_class.__name__, legal)}{_hint(model_class)}")
    plain = _in_json(given, where)
    regularizers = {name: _regularizer(given[name], name, where) for name in given if name.endswith("regularizer")}
    settings = {**plain, **regularizers}
    of_the_model = _chosen_of_model(schema, settings, where).model_dump(mode="json")
    defaults = default_settings(model_class)
    for name in getattr(model_class, "added_settings", ()):
        if of_the_model[name] == defaults[name]:
            del of_the_model[name]
    return of_the_model, _chosen(Training, settings, where)


def _chosen(part: type[Part], settings: Mapping[str, Any], where: str) -> Part:
    """The settings that belong to this part, checked."""
    return checked(part, {name: value for name, value in settings.items() if name in part.model_fields}, where)


def _chosen_of_model(schema: type[Part], settings: Mapping[str, Any], where: str) -> Part:
    """The same from JSON, so that a mapping becomes the dataclass and a text the member of an enum that a constructor
    is annotated with.
    """
    try:
        return schema.model_validate_json(
            json.dumps({name: value for name, value in settings.items() if name in schema.model_fields})
        )
    except ValidationError as error:
        raise UserError(f"{where}: {explain(error, schema)}") from error


def constructor_arguments(model_class: type, settings: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The settings of a model, as :func:`resolve_settings` gives them, as its constructor takes them."""
    made = _chosen_of_model(model_settings(model_class), settings, where)
    return {name: getattr(made, name) for name in settings}


def _in_json(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    for name, value in given.items():
        if not _fits_json(value):
            raise UserError(f"{where}: {name} must be a value that YAML can hold, but is {describe(value)}.")
    return to_jsonable_python(dict(given))


def monitored(settings: Mapping[str, Any], where: str) -> tuple[str, bool]:
    """What an experiment's settings choose by on validation, and whether higher values of it are better.

    Raises:
        UserError: the settings monitor what cannot be monitored.
    """
    said = {name: settings[name] for name in ("metrics", "monitor", "monitor_mode") if name in settings}
    training = _chosen(Training, said, where)
    return sum_in_words(training.weights), training.monitor_mode == "max"


def legal_settings(model_class: type) -> set[str]:
    """The names of all settings that an experiment with this model may have."""
    return set(model_settings(model_class).model_fields) | training_settings(model_class)


def training_settings(model_class: type) -> set[str]:
    """The names of the settings of the training that a model has."""
    return set(SETTINGS_OF_TREES if issubclass(model_class, TreeModel) else Training.model_fields)


def default_settings(model_class: type) -> dict[str, Any]:
    """What every optional setting of the model and of the training is when nothing is said."""
    legal = legal_settings(model_class)
    fields = {**model_settings(model_class).model_fields, **Training.model_fields}
    defaults = {name: field.default for name, field in fields.items() if name in legal and not field.is_required()}
    return to_jsonable_python(defaults)


def unknown_setting(name: str, model: str, legal: set[str]) -> str:
    """A sentence on a name that is none of the model's settings."""
    replacement = RENAMED.get(name)
    if replacement in legal:
        return f"{model} has no setting {name!r}; today it is called {replacement!r}."
    return f"{model} has no setting {name!r}{did_you_mean(name, legal) or '.'}"


def _hint(model_class: type) -> str:
    """What makes a name a setting, for whoever wrote the class."""
    if model_class.__module__.partition(".")[0] == __name__.partition(".")[0]:
        return ""
    return (
        " The settings of a model are the parameters of its constructor whose defaults are numbers, text, lists or "
        "mappings, and what it reads as kwargs['name'] or kwargs.get('name')."
    )


def _regularizer(value: Any, name: str, where: str) -> float | str | None:
    """FuxiCTR takes an integer weight for no regularisation at all, so a whole number becomes a float here."""
    if value is None or (isinstance(value, str) and _REGULARIZER.fullmatch(value)):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise UserError(
            f"{where}: {name} must be a weight of 0 or more, or text such as 'l1(1e-5)', but is {describe(value)}."
        )
    return float(value) or None


def _can_be_set(parameter: inspect.Parameter) -> bool:
    """Whether an experiment can set it; pydantic has no field whose name begins with ``_``, nor ``model_config``."""
    name_fits = not parameter.name.startswith("_") and parameter.name != "model_config"
    return name_fits and (parameter.default is parameter.empty or _fits_json(parameter.default))


def _fits_json(value: Any) -> bool:
    try:
        to_jsonable_python(value)
    except PydanticSerializationError:
        return False
    return True


def _parameter_type(parameter: inspect.Parameter) -> Any:
    told = parameter.annotation
    if told is not parameter.empty and not isinstance(told, str):
        try:
            or_none = told | None
        except TypeError:  # no type, as in `x: any = None` and `x: [int] = None`
            return Any
        return or_none if parameter.default is None else told
    if parameter.default in (None, parameter.empty):
        return Any
    # FuxiCTR takes one activation or rate where it takes a list of them, and null for a part that is off.
    default = parameter.default
    if isinstance(default, list | tuple):
        return type(default) | _kind(default[0]) | None if default else type(default) | None
    takes_list = type(default) in (str, int, float)
    return list | _kind(default) | None if takes_list else type(default) | None


def _kind(value: Any) -> Any:
    """Of a value that stands for others of its kind; a whole number stands for any number."""
    return int | float if type(value) is int else type(value)

"""The published settings of an experiment -> settings that a model here has: the one translator.

Each is kept, translated, moved to the dataset, said to be without effect, or refused with the reason. A setting that
the config leaves out is what FuxiCTR takes for it.
"""

import collections.abc
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args, get_origin

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.experiments.experiment import OWN_KEYS
from fuxi_plugins.experiments.settings import default_settings, legal_settings, model_settings, unknown_setting
from fuxi_plugins.experiments.translation import authors
from fuxi_plugins.experiments.translation.accounts import Account, of
from fuxi_plugins.experiments.translation.table import (
    AS_FUXICTR,
    FIRST_ORDER,
    FUXICTR_DEFAULTS,
    FUXICTR_TRAINING,
    MODELS,
    NO_EFFECT,
    NO_EFFECT_ON,
    OF_THE_DATASET,
    RENAMED,
    NoEffect,
)
from fuxi_plugins.models.registry import load_model_class
from fuxi_plugins.models.variants import VARIANTS
from fuxi_plugins.records.metrics import find_metric, is_metric


@dataclass(frozen=True)
class TranslatedSettings:
    """An experiment's settings in today's names; ``accounts`` has an entry for each published one."""

    model: str
    display_name: str | None  # of a variant, whose class ``model`` is
    settings: dict[str, Any]  # those of the model, of the training, and the experiment's own such as its seed
    accounts: list[Account]

    @property
    def named(self) -> dict[str, str]:
        """What an experiment's file says of its model."""
        return {"display_name": self.display_name} if self.display_name else {"model": self.model}

    @property
    def has_first_order(self) -> bool:
        """Whether its class here has a weight of its own for each value of a column."""
        if self.model not in FIRST_ORDER:
            return False
        switch = FIRST_ORDER[self.model]
        return switch is None or {**default_settings(load_model_class(self.model)), **self.settings}[switch]


def translate_settings(model: str, published: Mapping[str, Any]) -> TranslatedSettings:
    """Translates an experiment's settings; loads the model's class, whose signature says which there are.

    Args:
        model: as the publisher calls it, or ``zoo:NAME``.
        published: all settings, in the publisher's names; ``model`` may stand among them.

    Raises:
        UserError: no such model, or settings that cannot be followed; names all of them.
    """
    if authors.is_theirs(model, published):
        name, of_the_model, accounts = authors.translate(published)
        why = "which the authors' class computes with these settings"
        others = {key: value for key, value in published.items() if key not in {account.name for account in accounts}}
        rest = _translate(name, None, {**others, **of_the_model})
        accounts += [account for account in rest.accounts if account.name not in of_the_model]
    else:
        alias = MODELS.get(model)
        name, why = (alias.name, alias.why) if alias else (model, "")
        variant = VARIANTS.get(name)
        rest = _translate(variant.model if variant else name, name if variant else None, published)
        accounts = rest.accounts
    if name != model:
        said = Account("model", model, "translated", f"{name}, {why}")
        accounts = [said, *(account for account in accounts if account.name != "model")]
    return replace(rest, accounts=accounts)


def _translate(model: str, display_name: str | None, published: Mapping[str, Any]) -> TranslatedSettings:
    model_class = load_model_class(model)
    legal = legal_settings(model_class)
    no_effect = {**NO_EFFECT, **NO_EFFECT_ON.get(model, {})}
    settings: dict[str, Any] = {}
    accounts: list[Account] = []
    for name, value in published.items():
        if name in ("model", "dataset_id"):
            accounts.append(Account(name, value, "kept"))
            continue
        account, translated = _one(name, value, model, model_class, legal, no_effect)
        clash = next((key for key in translated if key in settings and settings[key] != translated[key]), None)
        if clash:
            account = Account(name, value, "refused", f"{clash} is {settings[clash]!r} under its other name")
        settings |= translated
        accounts.append(account)
    for name, value in _left_out(model, legal, {*published, *settings}, settings).items():
        account, translated = _one(name, value, model, model_class, legal, no_effect)
        why = "FuxiCTR's default, as the config leaves it out"
        if account.outcome == "refused":
            accounts.append(replace(account, detail=f"{why}; {account.detail}"))
        else:
            settings |= translated
            accounts.append(Account(name, translated.get(name, value), "added", why))
    refused = [f"{a.name}: {a.value!r} ({a.detail.rstrip('.')})" for a in of(accounts, "refused")]
    if refused:
        raise UserError(
            f"settings of {model} must be known here, but these cannot be followed: {'; '.join(refused)}. Without them "
            "it would be another experiment than the published one."
        )
    for name, value in AS_FUXICTR.get(model, {}).items():
        if name not in settings:
            settings[name] = value
            accounts.append(Account(name, value, "added", f"as FuxiCTR's {model} computes"))
    return TranslatedSettings(model, display_name, settings, accounts)


def is_setting(name: str, model: str, published: Mapping[str, Any]) -> bool:
    """Whether the name of a setting says something in an experiment with this model, as the publisher calls both.

    Args:
        published: all settings of the experiment.

    Raises:
        UserError: no such model.
    """
    if authors.is_theirs(model, published):
        return True  # the authors' datasets have none of their own
    alias = MODELS.get(model)
    found = alias.name if alias else model
    found = VARIANTS[found].model if found in VARIANTS else found
    legal = legal_settings(load_model_class(found))
    without_effect = {*NO_EFFECT, *NO_EFFECT_ON.get(found, {})}
    return name in {"model", *legal, *without_effect, *OWN_KEYS, *OF_THE_DATASET} or RENAMED.get(name) in legal


def _left_out(model: str, legal: set[str], said: set[str], settings: Mapping[str, Any]) -> dict[str, Any]:
    """FuxiCTR's defaults of settings that nothing is said of, where they are other than those here.

    What a model monitors is to be as high as possible in FuxiCTR, even where the metric is better when low.
    """
    of_training = {name: value for name, value in FUXICTR_TRAINING.items() if name in legal}
    monitor = settings.get("monitor")
    if isinstance(monitor, str) and is_metric(monitor) and not find_metric(monitor).higher_is_better:
        of_training["monitor_mode"] = "max"
    defaults = {**of_training, **FUXICTR_DEFAULTS.get(model, {})}
    return {name: value for name, value in defaults.items() if name not in said}


def _one(
    name: str, value: Any, model: str, model_class: type, legal: set[str], no_effect: Mapping[str, NoEffect]
) -> tuple[Account, dict[str, Any]]:
    """What becomes of one setting, and the settings here that come of it."""
    rule = no_effect.get(name)
    if name in OF_THE_DATASET:
        return Account(name, value, "dataset", "it goes into the dataset"), {}
    if rule and name not in model_settings(model_class).model_fields:
        if rule.values is None or value in rule.values:
            return Account(name, value, "no effect", rule.reason), {}
        return Account(name, value, "refused", "; ".join(filter(None, (rule.reason, rule.remedy)))), {}
    if name in OWN_KEYS:
        return Account(name, value, "kept"), {name: value}
    today = name if name in legal else RENAMED.get(name, "")
    if today not in legal:
        return Account(name, value, "refused", unknown_setting(name, model_class.__name__, legal)), {}
    if isinstance(value, str) and today.endswith("units"):
        return Account(name, value, "refused", f"{today} is a list of whole numbers, as [16, 8] without quotes"), {}
    converted = _value(model_class, today, value)
    if today == name and converted == value and type(converted) is type(value):
        return Account(name, value, "kept"), {name: value}
    return Account(name, value, "translated", f"{today}: {converted}"), {today: converted}


def _value(model_class: type, name: str, value: Any) -> Any:
    """A value in the form that is wanted here.

    FuxiCTR takes one value where a list of them is meant; fields that belong together are a tuple there and a list in
    the list here; widths that are null are none at all. AFM's one rate is that of both its dropouts. A model of several
    tasks has a task and a loss for each label there, which must be the same here.
    """
    if name in ("task", "loss") and isinstance(value, list) and value and value.count(value[0]) == len(value):
        return value[0]
    if name.endswith("_field"):
        fields = value if isinstance(value, list) else [] if value is None else [value]
        return [list(field) if isinstance(field, tuple) else field for field in fields]
    if value is None:
        return [] if name.endswith("units") else None
    field = model_settings(model_class).model_fields.get(name)
    if isinstance(value, list | tuple | Mapping) or field is None or not _only_a_list(field.annotation):
        return list(value) if isinstance(value, tuple) else value
    length = len(field.default) if model_class.__name__ == "AFM" and name == "attention_dropout" else 1
    return [value] * length


def _only_a_list(annotation: Any) -> bool:
    """Whether a type lets lists through and no single value."""
    kinds = {get_origin(part) or part for part in (get_args(annotation) or ())} - {type(None)}
    own = get_origin(annotation) or annotation
    sequences = {list, tuple, collections.abc.Sequence}
    return own in sequences or (bool(kinds) and kinds <= sequences)

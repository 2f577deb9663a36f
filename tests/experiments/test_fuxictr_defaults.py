"""A setting that a published config leaves out is what FuxiCTR's code takes for it, which these tests read."""

import ast
import inspect
import os
from pathlib import Path

import pytest
from fuxictr.pytorch.dataloaders import RankDataLoader
from fuxictr.pytorch.models import BaseModel

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.experiments.settings import default_settings, legal_settings, resolve_settings
from fuxi_plugins.experiments.training_settings import OWN_SETTINGS, Training
from fuxi_plugins.experiments.translation.accounts import of
from fuxi_plugins.experiments.translation.settings import translate_settings
from fuxi_plugins.experiments.translation.table import FUXICTR_DEFAULTS, MODELS, RENAMED
from fuxi_plugins.models import checkouts
from fuxi_plugins.models.registry import NATIVE_MODELS, load_model_class

CHECKOUT = os.environ.get("FUXICTR_CHECKOUT")
SAID = {"DMR": {"context_field": None}}  # the one setting whose default in FuxiCTR cannot be followed


def defaults_of(function):
    parameters = inspect.signature(function).parameters.values()
    return {one.name: one.default for one in parameters if one.default is not inspect.Parameter.empty}


@pytest.mark.parametrize("model", ["DCN", "LR", "DIN"])
def test_the_training_is_fuxictrs(model):
    theirs = defaults_of(RankDataLoader) | defaults_of(BaseModel.__init__) | defaults_of(BaseModel.fit)
    ours = resolve_settings(load_model_class(model), translate_settings(model, {}).settings, model)[1]
    shared = {*theirs} & {*Training.model_fields} - {*OWN_SETTINGS}
    assert {"epochs", "batch_size", "shuffle", "early_stop_patience", "monitor", "eval_steps"} <= shared
    assert {name: getattr(ours, name) for name in shared} == {name: theirs[name] for name in shared}


def test_what_is_added_is_said_and_what_is_given_is_not_touched():
    translated = translate_settings("DCN", {"batch_size": 7, "embedding_dim": 3})
    assert [str(account) for account in of(translated.accounts, "added")] == [
        "epochs: 1 (FuxiCTR's default, as the config leaves it out)",
        "dnn_hidden_units: [] (FuxiCTR's default, as the config leaves it out)",
    ]
    assert translated.settings["batch_size"] == 7
    given = {"hidden_units": [8], "epochs": 2, "batch_size": 7}  # the older name
    assert translate_settings("DCN", given).settings == {"dnn_hidden_units": [8], "epochs": 2, "batch_size": 7}


def test_a_default_that_cannot_be_followed_is_refused():
    with pytest.raises(UserError, match=r"context_field: 'btag' \(FuxiCTR's default, as the config leaves it out; DMR"):
        translate_settings("DMR", {})
    translate_settings("DMR", {"context_field": None})


def test_the_highest_value_is_monitored_unless_a_mode_is_said():
    """FuxiCTR would keep the epoch with the highest loss; a config that asks for that is not valid here."""
    translated = translate_settings("LR", {"monitor": "logloss"})
    with pytest.raises(UserError, match="monitor_mode: max looks for the opposite"):
        resolve_settings(load_model_class("LR"), translated.settings, "here")
    assert translate_settings("LR", {"monitor": "logloss", "monitor_mode": "min"}).settings["monitor_mode"] == "min"


def test_the_table_has_what_differs_here():
    for model, settings in FUXICTR_DEFAULTS.items():
        here = default_settings(load_model_class(model))
        assert all(value != here[name] for name, value in settings.items() if name in here), model


def plain(value):
    """A value in the one form of all that mean the same: an activation's case, null or nothing, one or a list of it."""
    if isinstance(value, list | tuple):
        parts = [plain(part) for part in value]
        return (parts[0] if parts.count(parts[0]) == len(parts) else parts) if parts else None
    return value.casefold() if isinstance(value, str) else None if value == {} else value


def constructor_defaults(model):
    """The defaults in the signature of a class of the checkout, read without running it."""
    body = ast.parse(model.file.read_text()).body
    owner = next(node for node in body if isinstance(node, ast.ClassDef) and node.name == model.class_name)
    made = next(node for node in owner.body if isinstance(node, ast.FunctionDef) and node.name == "__init__").args
    return {
        argument.arg: ast.literal_eval(default)
        for argument, default in zip(made.args[::-1], made.defaults[::-1], strict=False)
    }


@pytest.mark.skipif(not CHECKOUT, reason="FUXICTR_CHECKOUT names no checkout of reczoo/FuxiCTR")
def test_the_models_are_fuxictrs():
    compared = 0
    for name, model in checkouts.discover(Path(CHECKOUT)).models.items():
        alias = MODELS.get(name)
        if "/" in name or not (alias or name in NATIVE_MODELS):
            continue  # another package's, or no class here
        theirs = constructor_defaults(model)
        translated = translate_settings(name, SAID.get(name, {}))
        model_class = load_model_class(translated.model)
        legal = legal_settings(model_class)
        ours = default_settings(model_class) | translated.settings
        for setting, value in theirs.items():
            today = setting if setting in legal else RENAMED.get(setting, "")
            if today in legal:
                assert plain(ours[today]) == plain(value), (name, today)
                compared += 1
    assert compared > 400

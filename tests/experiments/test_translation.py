"""The one translator of published settings: laws over its table, and what single settings become."""

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.experiments.settings import default_settings, legal_settings, resolve_settings
from fuxi_plugins.experiments.translation import authors
from fuxi_plugins.experiments.translation.accounts import of
from fuxi_plugins.experiments.translation.settings import translate_settings
from fuxi_plugins.experiments.translation.table import (
    AS_FUXICTR,
    FIRST_ORDER,
    MODELS,
    NO_EFFECT,
    NO_EFFECT_OF_DATASETS,
    NO_EFFECT_ON,
    OF_THE_DATASET,
    RENAMED,
)
from fuxi_plugins.models.registry import NATIVE_MODELS, load_model_class
from fuxi_plugins.models.variants import VARIANTS

DCN = load_model_class("DCN")
LEGAL = sorted(legal_settings(DCN))
NAMES = [*LEGAL, *RENAMED, *NO_EFFECT, *OF_THE_DATASET, "seed", "dataset_id", "layers_crossing"]


@given(st.dictionaries(st.sampled_from(NAMES), st.sampled_from([None, 1, 0, False, "relu", [8], (1, 2)])))
def test_every_setting_has_one_account_or_the_refusal_names_it(published):
    refusal = ""
    try:
        translated = translate_settings("DCN", published)
    except UserError as error:
        refusal = str(error)
    if refusal:
        assert any(name in refusal for name in published)
        return
    accounts = {account.name: account for account in translated.accounts}
    assert len(accounts) == len(translated.accounts)
    assert set(accounts) - {account.name for account in of(translated.accounts, "added")} == set(published)
    changed = {name for name, account in accounts.items() if account.outcome in ("no effect", "dataset")}
    assert not changed & set(translated.settings)
    assert set(translated.settings) <= {*LEGAL, "seed"}


def test_the_table_speaks_of_what_there_is():
    every = {name for model in NATIVE_MODELS for name in legal_settings(load_model_class(model))}
    assert set(RENAMED.values()) <= every
    for alias in MODELS.values():
        assert alias.name in NATIVE_MODELS or alias.name in VARIANTS
    assert not set(MODELS) & {*NATIVE_MODELS, *VARIANTS}
    for model, options in AS_FUXICTR.items():
        defaults = default_settings(load_model_class(model))
        assert all(defaults[name] != value for name, value in options.items())
    for model, rules in NO_EFFECT_ON.items():
        assert not set(rules) & legal_settings(load_model_class(model))
    for rule in [*NO_EFFECT.values(), *NO_EFFECT_OF_DATASETS.values()]:
        assert rule.reason


def test_every_model_with_first_order_weights_is_known():
    sources = {name: inspect.getsource(inspect.getmodule(load_model_class(name))) for name in NATIVE_MODELS}
    has_them = {
        name for name, text in sources.items() if "LinearPart(" in text or "import FactorizationMachine" in text
    }
    assert set(FIRST_ORDER) == has_them
    assert all(switch is None or switch in legal_settings(load_model_class(m)) for m, switch in FIRST_ORDER.items())


@pytest.mark.parametrize(
    ("model", "published", "name", "value"),
    [
        ("DIN", {"din_target_field": "item"}, "din_target_field", ["item"]),
        ("DIN", {"din_target_field": ("item", "cate")}, "din_target_field", [["item", "cate"]]),
        ("DIN", {"din_target_field": [("item", "cate"), "shop"]}, "din_target_field", [["item", "cate"], "shop"]),
        ("AFM", {"attention_dropout": 0.1}, "attention_dropout", [0.1, 0.1]),
        ("DNN", {"hidden_units": 8}, "hidden_units", [8]),
        ("DNN", {"hidden_activations": "relu"}, "hidden_activations", "relu"),
        ("DCN", {"dnn_hidden_units": None}, "dnn_hidden_units", []),
        ("xDeepFM", {"hidden_activations": "relu"}, "dnn_activations", "relu"),
        ("DeepCross", {"dnn_activations": "relu"}, "hidden_activations", "relu"),
        ("FINAL", {"use_field_gate": True}, "use_feature_gating", True),
        ("FiBiNET", {"reduction_ratio": 0.3}, "reduction_ratio", 0.3),
        ("EDCN", {"use_regulation_module": True}, "cross_residual", False),
        ("EDCN", {"use_regulation_module": False}, "use_regulation", False),
        ("DMIN", {"aux_activation": "ReLU", "aux_loss_lambda": 0}, "refiner_mask", "fuxictr"),
        ("DIEN", {"aux_loss_alpha": 0}, "formulation", "fuxictr"),
        ("TransAct", {"mlp_hidden_units": None}, "mlp_hidden_units", []),
        ("TransAct", {"mlp_hidden_units": [64]}, "max_pool_linear", True),
        ("TransAct", {}, "empty_history", "padding"),
        ("EulerNet", {"shape": [5]}, "initialization", "fuxictr"),
    ],
)
def test_a_setting_becomes_what_the_model_here_takes(model, published, name, value):
    translated = translate_settings(model, published)
    assert translated.settings[name] == value
    resolve_settings(load_model_class(translated.model), translated.settings, model)


@pytest.mark.parametrize(
    ("model", "published"),
    [
        ("DIEN", {"aux_loss_alpha": 0.5}),
        ("TransAct", {"use_time_window_mask": True}),
        ("DNN", {"embedding_dropout": 0.2}),
        ("DNN", {"version": "tensorflow"}),
        ("WideDeep", {"wide_learning_rate": 1e-4}),
    ],
)
def test_what_would_compute_something_else_is_refused(model, published):
    with pytest.raises(UserError, match=f"{next(iter(published))}: .*it would be another experiment"):
        translate_settings(model, published)


@pytest.mark.parametrize(
    ("published", "said"),
    [
        ({"use_features": ["user"]}, "active: false for the others in the dataset's feature_cols"),
        ({"feature_config": [{"name": "user"}]}, "say it of these columns in its feature_cols"),
        ({"save_best_only": False}, "write true to have the weights of the best epoch"),
        ({"dnn_hidden_units": "[16, 8]"}, "dnn_hidden_units is a list of whole numbers, as [16, 8] without quotes"),
    ],
)
def test_a_refusal_says_what_to_do(published, said):
    with pytest.raises(UserError) as error:
        translate_settings("DCN", published)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("model", "ours", "display_name"),
    [("GDCNP", "GDCN", "GDCN-P"), ("WuKong", "Wukong", None), ("ONNv2", "ONN", None), ("FINAL", "FinalNet", None)],
)
def test_a_model_under_its_published_name(model, ours, display_name):
    translated = translate_settings(model, {"model": model})
    assert (translated.model, translated.display_name) == (ours, display_name)
    (account,) = [account for account in translated.accounts if account.name == "model"]
    assert account.outcome == "translated"


AUTHORS = {
    "model": "UniMixer", "Token_num": 4, "Token_dim": 6, "depth": 2, "mixing_type": 999, "pred_head": "mlp",
    "use_tokenizer": True, "net_dropout": 0.1, "use_opq": False, "learning_rate": 1e-3,
    "proj_param": {"hidden_units": [5], "dropout": 0.1, "activation": "relu", "trans_type": "matrix",
                   "use_layer_norm": True},
    "interaction_mlp_params": {"hidden_units": [7], "dropout": 0.0, "activation": "swiglu", "expansion_rate": 3.0,
                               "use_layer_norm": True},
}  # fmt: skip


def authors_with(**changes):
    return translate_settings("UniMixer", AUTHORS | changes)


def network(activation):
    return {**AUTHORS["interaction_mlp_params"], "activation": activation}


def test_the_authors_class_is_rankmixer_where_it_transposes_with_gelu_and_else_rankelastor():
    assert authors_with().model == "RankElastor"
    assert authors_with(mixing_type=2).settings["mixing"] == "block_transpose"
    assert authors_with(mixing_type=2).model == "RankElastor"
    mixer = authors_with(mixing_type=2, interaction_mlp_params=network("gelu"))
    assert mixer.model == "RankMixer"
    assert not {"mixing", "ffn", "ffn_expansion"} & set(mixer.settings)
    assert authors_with(interaction_mlp_params=network("relu")).settings["ffn"] == "relu"


def test_the_authors_settings_in_the_names_used_here():
    translated = authors_with(mixing_type=[8882, 8882], use_tokenizer=False, epochs=9, batch_size=8)
    assert {account.name for account in translated.accounts} == {*AUTHORS, "epochs", "batch_size"}
    assert translated.settings == {
        "formulation": "official_code", "num_tokens": 4, "token_dim": 6, "num_blocks": 2, "tokenizer": "reshape",
        "mixing": "grouped", "mixing_groups": 2, "mixing_norm": "after", "ffn": "glu", "ffn_hidden_units": [7],
        "ffn_norm": True, "ffn_dropout": 0.0, "ffn_expansion": 3.0, "head": "mlp", "learning_rate": 1e-3,
        "epochs": 9, "batch_size": 8,
    }  # fmt: skip
    resolve_settings(load_model_class("RankElastor"), translated.settings, "here")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mixing_type": 3}, "mixing_type must be one of 1, 2, 999, 8881, 8882, but is 3"),
        ({"mixing_type": True}, "mixing_type must be one of"),
        ({"mixing_type": [2, 999]}, "mixing_type must be the same in every block"),
        ({"proj_param": None}, "proj_param must say activation, dropout, hidden_units, trans_type, use_layer_norm"),
        ({"interaction_mlp_params": {"hidden_units": [3]}}, "interaction_mlp_params must say"),
        ({"use_opq": True}, "use_opq: false"),
        ({"pred_head": "attention"}, "pred_head must be one of mlp, flatten, noparam_mean"),
        ({"mixing_attn_params": {}}, "mixing_attn_params"),
    ],
)
def test_parts_that_the_authors_did_not_publish_are_refused(changes, said):
    with pytest.raises(UserError, match=said):
        authors_with(**changes)


def test_the_model_of_the_paper_unimixer_is_another():
    assert not authors.is_theirs("UniMixer", {"num_tokens": 4})
    assert translate_settings("UniMixer", {"num_tokens": 4}).model == "UniMixer"

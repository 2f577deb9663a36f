"""Strict reading of experiments: what is wrong is named, with the remedy."""

import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.experiments.catalogue import load_experiment_config, load_experiment_configs
from fuxi_plugins.experiments.experiment import grid, resolve
from fuxi_plugins.experiments.settings import model_settings, monitored, resolve_settings
from fuxi_plugins.experiments.suite import load_suite
from fuxi_plugins.models.registry import load_model_class
from tests.conftest import ROOT, write


def resolve_with(workspace, line, experiment="DNN_tiny"):
    """Resolves an experiment with a line of its config added or replaced."""
    path = workspace.configs / "model_config" / "tiny.yaml"
    head, own = path.read_text().split(f"{experiment}:\n")
    kept = [other for other in own.splitlines() if other.split(":")[0].strip() != line.split(":")[0]]
    path.write_text("\n".join([head + f"{experiment}:", *kept, f"    {line}", ""]))
    return resolve(load_experiment_config(workspace.configs, experiment))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("net_droput: 0.1", "DNN has no setting 'net_droput'; did you mean 'net_dropout'"),
        ("crossing_layers: 3", "DNN has no setting 'crossing_layers'"),
        ("patience: 3", "today it is called 'early_stop_patience'"),
        ("dnn_hidden_units: [4]", "today it is called 'hidden_units'"),
        ("learning_rate: fast", "learning_rate must be a number, but is 'fast' (text)"),
        ("learning_rate: '1e-3'", "learning_rate must be a number, but is '1e-3' (text)"),
        ("batch_norm: 1", "batch_norm must be true or false, but is 1 (a whole number)"),
        ("epochs: 2.5", "epochs must be a whole number, but is 2.5 (a number)"),
        ("epochs: true", "epochs must be a whole number, but is True (a boolean)"),
        ("epochs: 0", "epochs"),
        ("hidden_units: 16", "hidden_units must be a list, but is 16 (a whole number)"),
        ("monitor_mode: up", "monitor_mode must be one of 'max' or 'min', but is 'up' (text)"),
        ("metrics: [AUC, auc]", "there is no metric 'auc'; did you mean 'AUC'?"),
        ("metrics: [AUC]\n    monitor: gAUC", "what is monitored must be measured; add gAUC"),
        ("monitor: {AUC: 1, loss: -1}", "there is no metric 'loss'; did you mean 'logloss'?"),
        ("monitor_mode: min", "of AUC, higher is better, but monitor with monitor_mode: min looks for the opposite"),
        ("monitor: logloss\n    monitor_mode: max", "of logloss, lower is better, but"),
        ("monitor: {AUC: 1, logloss: 1}", "of logloss, lower is better, but"),
        ("metrics: [PCOC]\n    monitor: PCOC", "of PCOC, nearest to 1 is best, so neither"),
        ("metrics: [NDCG(k=0)]", "there is no metric 'NDCG(k=0)'"),
        ("embedding_regularizer: high", "must be a weight of 0 or more, or text such as 'l1(1e-5)', but is 'high'"),
        ("embedding_regularizer: -1", "must be a weight of 0 or more"),
        ("optimizer: adamm", "optimizer must be 'adam' or the name of a class of torch.optim"),
    ],
)
def test_a_wrong_setting_is_one_clear_error(workspace, line, message):
    with pytest.raises(UserError) as raised:
        resolve_with(workspace, line)
    assert message in str(raised.value)
    assert "DNN_tiny" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_setting_of_the_harness_is_in_the_configuration_only_where_it_was_asked_for(workspace):
    """So that the configurations of older records keep their digests."""
    usual = resolve_with(workspace, "train_step: fast").params["training"]
    assert not {"train_step", "amp", "compile"} & set(usual)
    asked = resolve_with(workspace, "train_step: fuxictr\n    amp: bf16").params["training"]
    assert (asked["train_step"], asked["amp"]) == ("fuxictr", "bf16")


@pytest.mark.parametrize(
    ("line", "part", "name", "value"),
    [
        ("learning_rate: 1e-3", "model", "learning_rate", 1e-3),
        ("embedding_regularizer: 1", "model", "embedding_regularizer", 1.0),  # FuxiCTR takes the int 1 for none
        ("embedding_regularizer: 0", "model", "embedding_regularizer", None),
        ("embedding_regularizer: l1(1e-5)", "model", "embedding_regularizer", "l1(1e-5)"),
        ("monitor: {AUC: 1, logloss: -1}", "training", "monitor", {"AUC": 1.0, "logloss": -1.0}),
        ("max_gradient_norm: 5", "training", "max_gradient_norm", 5.0),
    ],
)
def test_right_settings_are_read_as_meant(workspace, line, part, name, value):
    resolved = resolve_with(workspace, line).params[part][name]
    assert resolved == value
    assert type(resolved) is type(value)


def test_no_default_is_left_unsaid(workspace):
    params = resolve(load_experiment_config(workspace.configs, "DNN_tiny")).params
    assert params["model"].keys() == model_settings(load_model_class("DNN")).model_fields.keys()
    assert params["training"]["max_gradient_norm"] == 10.0
    assert params["training"]["early_stop_patience"] == 2


def test_the_digest_follows_the_meaning_not_the_words(workspace):
    before = resolve(load_experiment_config(workspace.configs, "DNN_tiny")).digest
    assert resolve_with(workspace, "net_dropout: 0").digest == before  # the default, said aloud
    assert resolve_with(workspace, "epochs: 3").digest != before


@pytest.mark.parametrize(
    ("experiment", "message"),
    [("DNN_tini", "no experiment 'DNN_tini'; did you mean 'DNN_tiny'"), ("Base", "no experiment 'Base'")],
)
def test_a_misspelt_experiment_is_not_base_under_another_name(workspace, experiment, message):
    with pytest.raises(UserError, match=message):
        load_experiment_config(workspace.configs, experiment)


def test_an_unknown_model_suggests_the_right_one(workspace):
    with pytest.raises(UserError, match="did you mean 'RankElastor'"):
        resolve_with(workspace, "model: RankElaster")


def test_base_belongs_to_its_own_file(workspace):
    write(workspace.configs / "model_config" / "other.yaml", "Lonely:\n    model: LR\n")
    with pytest.raises(UserError, match="'Lonely' must name its dataset_id"):
        load_experiment_configs(workspace.configs)


def test_the_same_id_in_two_files_is_refused(workspace):
    write(workspace.configs / "model_config" / "two.yaml", "LR_tiny: {model: LR, dataset_id: tiny}\n")
    with pytest.raises(UserError, match="'LR_tiny' is defined in"):
        load_experiment_configs(workspace.configs)


@pytest.mark.parametrize("name", ["../escape", "a/b", ".hidden", "x y", "a@b"])
def test_an_id_that_is_no_folder_name_is_refused(workspace, name):
    write(workspace.configs / "model_config" / "odd.yaml", f"'{name}': {{model: LR, dataset_id: tiny}}\n")
    with pytest.raises(UserError, match="becomes a folder's name"):
        load_experiment_configs(workspace.configs)


def test_a_grid_names_its_variants(workspace):
    config = load_experiment_config(workspace.configs, "DNN_tiny")
    variants = grid(config, {"learning_rate": [0.1, 0.01], "hidden_units": [[4, 4], [8]]})
    assert [variant.id for variant in variants] == [
        "DNN_tiny@learning_rate=0.1,hidden_units=_4,4_",
        "DNN_tiny@learning_rate=0.1,hidden_units=_8_",
        "DNN_tiny@learning_rate=0.01,hidden_units=_4,4_",
        "DNN_tiny@learning_rate=0.01,hidden_units=_8_",
    ]
    assert {variant.display_name for variant in variants} == {"DNN"}
    assert variants[1].settings["hidden_units"] == [8]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: A\nexperiments: [DNN_tinny]\nseeds: [1]\n", "'DNN_tinny'; did you mean 'DNN_tiny'"),
        ("title: A\nexperiments: [DNN_tiny]\nseeds: one\n", "seeds must be a list"),
        ("title: A\nexperiments: [DNN_tiny]\nseed: [1]\n", "no setting 'seed'; did you mean 'seeds'"),
        ("title: A\nexperiments: [DNN_tiny]\n", "'seeds' is missing"),
    ],
)
def test_a_wrong_suite_is_one_clear_error(workspace, text, message):
    write(workspace.configs / "suites" / "wrong.yaml", text)
    with pytest.raises(UserError, match=message):
        load_suite(workspace.configs, "wrong")


def test_a_signature_without_annotations_is_checked_by_its_defaults():
    class Plain:
        def __init__(self, feature_map, model_id="Plain", gpu=-1, depth=2, rate=0.5, on=True, units=[4], **kwargs):  # noqa: B006
            pass

    def given(**settings):
        return resolve_settings(Plain, settings, "here")[0]

    assert given(depth=3, rate=1, units=[1, 2]) == {"depth": 3, "rate": 1.0, "on": True, "units": [1, 2]}
    assert given(units=None)["units"] is None  # how FuxiCTR's configs switch a part off
    for wrong in ({"depth": "3"}, {"rate": "1e-3"}, {"on": "yes"}, {"units": "4"}, {"width": 1}):
        with pytest.raises(UserError):
            given(**wrong)


@pytest.mark.parametrize("experiment", load_experiment_configs(ROOT / "benchmark_configs"))
def test_every_shipped_experiment_is_in_order(experiment):
    resolve(load_experiment_config(ROOT / "benchmark_configs", experiment))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ("AUC", True)),
        ({"monitor": "logloss"}, ("logloss", False)),
        ({"metrics": ["RIG", "NE"], "monitor": "NE", "learning_rate": 0.1}, ("NE", False)),
        ({"monitor": {"AUC": 1, "logloss": -1}}, ("AUC - logloss", True)),
        ({"monitor": {"AUC": -1, "logloss": 1}, "monitor_mode": "min"}, ("-AUC + logloss", False)),
        ({"monitor": {"AUC": 1, "logloss": 0}}, ("AUC + 0 logloss", True)),
    ],
)
def test_what_is_monitored_has_the_direction_of_its_metric(settings, expected):
    assert monitored(settings, "experiment 'x'") == expected


def test_what_cannot_be_monitored_names_the_experiment():
    with pytest.raises(UserError, match="experiment 'x': .*PCOC, nearest to 1 is best"):
        monitored({"metrics": ["PCOC"], "monitor": "PCOC"}, "experiment 'x'")


def test_a_setting_that_a_model_got_later_is_said_only_where_it_is_not_at_its_default():
    model_class = load_model_class("EDCN")
    unsaid, _ = resolve_settings(model_class, {}, "here")
    assert "use_regulation" not in unsaid
    assert resolve_settings(model_class, {"use_regulation": True}, "here")[0] == unsaid
    assert resolve_settings(model_class, {"use_regulation": False}, "here")[0] == {**unsaid, "use_regulation": False}

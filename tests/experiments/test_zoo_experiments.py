"""The experiments of the zoo are what the facts and the script say, and the models are of the size that BARS logged."""

import importlib.util
from pathlib import Path

import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.yaml_files import load_yaml
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.experiments.catalogue import load_experiment_config, load_experiment_configs
from fuxi_plugins.experiments.experiment import resolve
from fuxi_plugins.experiments.settings import resolve_settings
from fuxi_plugins.experiments.suite import load_suite
from fuxi_plugins.experiments.translation.published import published_settings
from fuxi_plugins.models.registry import NATIVE_MODELS, TREE_MODELS, load_model_class
from fuxi_plugins.models.variants import VARIANTS, apply_variant
from tests.models import tiny

ROOT = Path(__file__).resolve().parents[2]
CONFIGS, RESULTS = ROOT / "benchmark_configs", ROOT / "results"
BARS_DATASETS = ["Avazu_x4_001", "Avazu_x4_002", "Criteo_x1", "Frappe_x1", "KuaiVideo_x1", "TaobaoAd_x1"]
FRAPPE = published_settings(RESULTS, "Frappe_x1")


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("make_zoo_experiments", ROOT / "scripts/make_zoo_experiments.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_files_are_what_the_script_writes(script):
    folder = CONFIGS / "model_config"
    for dataset, published in script.DATASETS.items():
        assert (folder / f"{dataset}_zoo.yaml").read_text() == script.zoo_file(dataset, published)
    assert (folder / "ml100k_zoo.yaml").read_text() == script.common_file()
    assert (CONFIGS / "suites" / "ml100k_zoo_board.yaml").read_text() == script.common_suite()
    assert (folder / "ml100k_random.yaml").read_text() == script.common_file("ml100k_random")
    assert (folder / "frappe_x1r_common.yaml").read_text() == script.frappe_file()
    assert (CONFIGS / "suites" / "ml100k_random_board.yaml").read_text() == script.random_suite()
    assert (folder / "s3rec_toys_common.yaml").read_text() == script.toys_file()
    for dataset in script.LIKE_TOYS:
        assert (folder / f"{dataset}.yaml").read_text() == script.like_toys_file(dataset)
        assert (CONFIGS / "suites" / f"{dataset}_board.yaml").read_text() == script.like_toys_suite(dataset)
    for dataset in script.SIZED_BOARDS:
        assert (folder / f"{dataset}.yaml").read_text() == script.sized_file(dataset)
        assert (CONFIGS / "suites" / f"{dataset}_board.yaml").read_text() == script.sized_suite(dataset)


@pytest.mark.parametrize("dataset", BARS_DATASETS)
def test_every_published_setting_is_legal_today_or_dropped_with_a_reason(dataset):
    for name, fact in published_settings(RESULTS, dataset).items():
        if fact.model in NATIVE_MODELS:
            settings = apply_variant(fact.display_name, fact.settings, name)
            settings.pop("model", None)
            resolve_settings(load_model_class(fact.model), settings, name)


def test_what_means_something_is_not_dropped(tmp_path):
    (tmp_path / "published").mkdir()
    facts = tmp_path / "published" / "hyperparameters.csv"
    facts.write_text("dataset,model,param,value\nD,DNN,_bars_dir,x\nD,DNN,embedding_dropout,0.2\n")
    with pytest.raises(UserError, match="BARS's DNN on D: .*embedding_dropout: 0.2"):
        published_settings(tmp_path, "D")


@pytest.mark.parametrize("name", sorted(FRAPPE))
def test_the_frappe_experiments_have_the_published_settings(name):
    """Those written by hand too."""
    fact = FRAPPE[name]
    ours = resolve(load_experiment_config(CONFIGS, f"{fact.display_name}_frappe_x1r")).params
    settings = apply_variant(fact.display_name, fact.settings, name)
    settings.pop("model", None)
    model, typed = resolve_settings(load_model_class(fact.model), settings, name)
    training = typed.recorded()
    ignored = _without_effect(fact.model, model)
    assert {**ours["model"], **ignored} == {**model, **ignored}
    assert {**ours["training"], "optimizer": "adam"} == {**training, "optimizer": "adam"}


def _without_effect(model: str, settings: dict) -> dict:
    """Settings of parts that a model does not have, by which two equal models may differ."""
    unused = {
        "AutoInt": [] if settings.get("dnn_hidden_units") else ["dnn_activations"],
        "DCNv2": ["low_rank", "num_experts", "stacked_dnn_hidden_units"],
    }
    return dict.fromkeys(unused.get(model, []))


# Where our count is another than BARS logged: ours less BARS's, and why.
COUNTS_APART = {
    "DNN": (-364_001, "the log of that release counts the MLP twice"),
    "DeepFM": (1, "the first-order part of that release had no bias"),
    "DESTINE": (-4, "one scalar a layer that a softmax takes no notice of"),
    "FiBiNET": (100, "field_each: that release had no matrix for the last field, which is first in no pair"),
}


@pytest.mark.parametrize("name", sorted(FRAPPE))
def test_the_models_have_as_many_parameters_as_bars_logged(name):
    fact = FRAPPE[name]
    config = load_experiment_config(CONFIGS, f"{fact.display_name}_frappe_x1r")
    # Before 2.0, FuxiCTR kept no row for unknown values; Frappe_x1 has 10 fields and 5,389 values with padding.
    rows = 5_399 if name in ("FinalMLP", "FinalNet_1B", "FinalNet_2B") else 5_389
    source_of = load_dataset_spec(CONFIGS, "frappe_x1r").source_of
    features = {
        field: {**tiny.CATEGORICAL, "source": source_of[field], "vocab_size": size}
        for field, size in _frappe_fields(rows)
    }
    feature_map = tiny.make_feature_map("frappe", features, 10)
    model = tiny.build(load_model_class(fact.model), feature_map, **resolve(config).params["model"])
    apart, _ = COUNTS_APART.get(name, (0, ""))
    assert sum(parameter.numel() for parameter in model.parameters()) == fact.parameters + apart


def _frappe_fields(rows: int) -> list[tuple[str, int]]:
    """Field and vocabulary; FinalMLP has tables of its own for user and item, which have 5,040 rows between them."""
    small = ["daytime", "weekday", "isweekend", "homework", "cost", "weather", "country"]
    city = rows - 5_040 - 20 * len(small)
    return [("user", 1_000), ("item", 4_040), *((name, 20) for name in small), ("city", city)]


def test_the_boards_hold_every_model_once():
    rows = {config.display_name for config in load_suite(CONFIGS, "ml100k_zoo_board").experiments}
    covered = {VARIANTS[row].model if row in VARIANTS else row for row in rows}
    assert covered == {*NATIVE_MODELS, *TREE_MODELS}
    frappe = {config.id for config in load_suite(CONFIGS, "frappe_zoo_board").experiments}
    published = {f"{fact.display_name}_frappe_x1r" for fact in FRAPPE.values()}
    unpublished = ("RankMixer", "RankElastor", "TokenMixerLarge", "LightGBM", "XGBoost", "CatBoost", "Poly2")
    newer = set(load_yaml(CONFIGS / "model_config" / "frappe_x1r_common.yaml")) - {"Base"}
    assert frappe == published | newer | {f"{model}_frappe_x1r" for model in unpublished}


def test_a_variant_implies_its_class_and_cannot_be_contradicted(tmp_path):
    (tmp_path / "model_config.yaml").write_text("good: {display_name: CrossNet, dataset_id: d}\n")
    config = load_experiment_configs(tmp_path)["good"]
    assert (config.model, config.display_name, config.settings) == ("DCN", "CrossNet", {"dnn_hidden_units": []})
    for line, message in (
        ("dnn_hidden_units: [8]", r"CrossNet is DCN with dnn_hidden_units: \[\], but .* set to \[8\]"),
        ("model: DNN", "CrossNet is DCN with model: 'DCN', but model is set to 'DNN'"),
    ):
        (tmp_path / "model_config.yaml").write_text(f"bad: {{display_name: CrossNet, dataset_id: d, {line}}}\n")
        with pytest.raises(UserError, match=message):
            load_experiment_configs(tmp_path)

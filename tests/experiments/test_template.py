"""Suites for any dataset: shapes by the stated rule, variants of equal size, and ids that name what was run."""

import pytest
import torch

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.spec import DatasetSpec, load_dataset_spec
from fuxi_plugins.experiments.catalogue import load_experiment_config
from fuxi_plugins.experiments.experiment import resolve
from fuxi_plugins.experiments.sizes import dense_parameters
from fuxi_plugins.experiments.suite import load_suite, suite_names
from fuxi_plugins.experiments.template import load_template, shape_for
from fuxi_plugins.models.registry import load_model_class
from fuxi_plugins.training.preflight import WeightlessModel
from tests.conftest import ROOT
from tests.models import tiny

CONFIGS = ROOT / "benchmark_configs"
PAPER_SUITES = [name for name in suite_names(CONFIGS) if name.startswith("paper_")]
PROFILES = list(load_template(CONFIGS, "paper").protocols)
DATASETS = {"ml100k": 11, "frappe_x1r": 10, "synthetic": 11}  # with their fields


def spec_of(fields: int) -> DatasetSpec:
    columns = [{"name": [f"c{i}" for i in range(fields)], "type": "categorical", "dtype": "str"}]
    return DatasetSpec(
        dataset_id="made_up", title="", train_data="a", valid_data="b", test_data="c",
        feature_cols=columns, label_col={"name": "y", "dtype": "float"},
    )  # fmt: skip


def built_size(config, fields: int) -> int:
    experiment = resolve(config)
    width = experiment.embedding_dim
    weightless = type("Weightless", (WeightlessModel, load_model_class(experiment.model)), {})
    with torch.device("meta"):
        return tiny.dense_count(
            tiny.build(weightless, tiny.plain_feature_map(fields, width), **experiment.params["model"])
        )


@pytest.mark.parametrize(
    ("fields", "width", "tokens", "token_dim"),
    [(39, 20, 26, 26), (24, 16, 24, 24), (39, 10, 26, 26), (11, 16, 11, 22), (10, 10, 10, 10), (7, 3, 7, 7),
     (1, 5, 1, 5)],
)  # fmt: skip
def test_the_rule_of_shapes(fields, width, tokens, token_dim):
    """The first two are the shapes to which the paper's author corrected it, for Criteo and Avazu."""
    shape = shape_for(spec_of(fields), width)
    assert (shape.num_tokens, shape.token_dim) == (tokens, token_dim)
    assert shape.input_dim % tokens == 0 == token_dim % tokens


@pytest.mark.parametrize("dataset", DATASETS)
def test_fields_are_counted_as_fuxictr_counts_them(dataset):
    assert shape_for(load_dataset_spec(CONFIGS, dataset), 16).num_fields == DATASETS[dataset]


def counted_size(config, input_dim: int) -> int:
    """By the formulas, which test_sizes holds to the built models."""
    return dense_parameters(config.model, config.settings, input_dim)


@pytest.mark.parametrize("suite", PAPER_SUITES)
@pytest.mark.parametrize("dataset", DATASETS)
def test_matched_arms_have_the_reference_s_dense_parameters_within_two_percent(suite, dataset):
    if suite == "paper_sequence" and dataset != "ml100k":
        pytest.skip(f"{dataset} has no sequence")
    experiments = {e.id: e for e in load_suite(CONFIGS, f"{suite}@{dataset},matched").experiments}
    input_dim = DATASETS[dataset] * next(iter(experiments.values())).settings["embedding_dim"]
    unsized = ("MLP_", "xDeepFM_", "DCNv2_", "AutoInt_")
    matched = [experiment for experiment in experiments.values() if not experiment.id.startswith(unsized)]
    assert len(matched) >= 2
    for experiment in matched:
        variant, _, rest = experiment.id.partition("_")
        target = counted_size(experiments[f"RankElastor_{rest}"], input_dim)
        size = counted_size(experiment, input_dim)
        assert abs(size - target) <= 0.02 * target, (variant, size, target)


def test_matched_arms_as_built_have_one_size():
    experiments = load_suite(CONFIGS, "paper_ablation@ml100k,matched").experiments
    sizes = {experiment.display_name: built_size(experiment, DATASETS["ml100k"]) for experiment in experiments}
    for display_name, size in sizes.items():
        assert abs(size - sizes["RankElastor"]) <= 0.02 * sizes["RankElastor"], display_name


def test_matched_token_arms_differ_in_mixing_and_network_alone():
    variants = {e.display_name: e for e in load_suite(CONFIGS, "paper_ablation@ml100k,matched").experiments}
    for display_name, experiment in variants.items():
        if display_name in ("MLP-equal-size",) or "head" in display_name:
            continue
        ours = {key: v for key, v in experiment.settings.items() if key not in ("mixing", "ffn", "ffn_hidden_units")}
        for control in ("mixing_norm", "mixing_scale", "mixing_residual", "mixing_rank"):
            ours.pop(control, None)
        reference = dict(variants["RankElastor"].settings)
        for key in ("mixing", "ffn", "ffn_hidden_units"):
            reference.pop(key)
        assert ours == reference, display_name


@pytest.mark.parametrize("suite", PAPER_SUITES)
@pytest.mark.parametrize("protocol", PROFILES)
def test_every_suite_is_legal_under_every_protocol(suite, protocol):
    experiments = load_suite(CONFIGS, f"{suite}@ml100k,{protocol}").experiments
    assert len({experiment.id for experiment in experiments}) == len(experiments)
    for experiment in experiments:
        resolve(experiment)


def test_the_ablation_has_all_nine_cells():
    variants = load_suite(CONFIGS, "paper_ablation@ml100k,matched").experiments
    plain = [
        e
        for e in variants
        if e.settings.get("head") == "mlp" and not {"mixing_scale", "mixing_residual"} & set(e.settings)
    ]
    cells = {(e.settings["mixing"], e.settings["ffn"]) for e in plain} - {("orthogonal", "glu"), ("low_rank", "glu")}
    assert cells == {(m, f) for m in ("full", "none", "block_transpose") for f in ("glu", "gelu", "relu")}
    heads = {e.settings["head"] for e in variants if e.settings.get("mixing") == "none"}
    assert heads == {"mlp", "linear", "mean_pool", "mean"}


def test_an_ablation_of_several_shapes_is_refused_with_the_shapes():
    """The authors' RankElastor on Criteo is wider than what its ablations can be: P needs T to divide D."""
    with pytest.raises(
        UserError, match="RankElastor: 26 tokens of 30 in 2 blocks; RankElastor-GELU, .*: 26 tokens of 26"
    ):
        load_suite(CONFIGS, "paper_ablation@criteo_x1,repository")
    assert load_suite(CONFIGS, "paper_main@criteo_x1,repository").reference == ""
    for protocol in ("matched", "paper"):
        assert load_suite(CONFIGS, f"paper_ablation@criteo_x1,{protocol}").reference == "RankElastor"


def test_an_ablation_names_what_is_rankelastors_class_with_p():
    (matched,) = load_suite(CONFIGS, "paper_ablation@ml100k,matched").remarks
    assert matched.endswith("of its mixing: RankMixer, RankMixer+GLU, RankMixer+ReLU, Half-P, P-no-residual.")
    (repository,) = load_suite(CONFIGS, "paper_ablation@ml100k,repository").remarks
    assert repository.endswith("of its mixing: RankMixer+GLU, RankMixer+ReLU, Half-P, P-no-residual.")  # its own class


def test_a_scaling_suite_grows():
    experiments = load_suite(CONFIGS, "paper_scaling_joint@ml100k,matched").experiments
    sizes = [counted_size(e, 11 * 16) for e in experiments if e.id.startswith("RankElastor")]
    assert sizes == sorted(sizes)
    assert sizes[-1] > 3 * sizes[0]


def test_an_arm_is_one_experiment_whichever_suite_asks_for_it():
    main = {e.id: e for e in load_suite(CONFIGS, "paper_main@ml100k,matched").experiments}
    rank = {e.id: e for e in load_suite(CONFIGS, "paper_rank@ml100k,matched").experiments}
    assert main["RankMixer_ml100k_matched"] == rank["RankMixer_ml100k_matched"]
    assert load_experiment_config(CONFIGS, "RankMixer_ml100k_matched") == rank["RankMixer_ml100k_matched"]


def test_probing_is_no_part_of_the_configuration():
    assert load_suite(CONFIGS, "paper_rank").probe
    assert not load_suite(CONFIGS, "paper_main").probe
    assert "probe" not in load_suite(CONFIGS, "paper_rank").experiments[0].settings


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("paper_rank@ml1000k,", "did you mean 'ml100k'?"),
        ("paper_rank@ml100k,macthed", "the protocols of 'paper' are matched, repository, paper, not 'macthed'"),
        ("paper_rnk@ml100k,", "did you mean 'paper_rank'"),
        ("quickstart@ml100k,", "takes no dataset or protocol"),
        ("paper_sequence@frappe_x1r,", "needs a dataset with a column of type sequence"),
    ],
)
def test_a_suite_that_cannot_be(name, message):
    with pytest.raises(UserError, match=".*") as error:
        load_suite(CONFIGS, name)
    assert message in str(error.value)

"""Suites for any dataset: shapes by the stated rule, variants of equal size, and ids that name what was run."""

import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.spec import DatasetSpec
from fuxi_plugins.experiments.catalogue import load_experiment_config
from fuxi_plugins.experiments.experiment import resolve
from fuxi_plugins.experiments.suite import load_suite, suite_names
from fuxi_plugins.experiments.template import load_template, shape_for
from fuxi_plugins.models.meta import dense_parameters
from tests.conftest import ROOT

CONFIGS = ROOT / "benchmark_configs"
PAPER_SUITES = [name for name in suite_names(CONFIGS) if name.startswith("paper_")]
PROTOCOLS = list(load_template(CONFIGS, "paper").protocols)
DATASETS = {"ml100k": 11, "frappe_x1r": 10, "synthetic": 11}  # with their fields


def spec_of(fields: int) -> DatasetSpec:
    columns = [{"name": [f"c{i}" for i in range(fields)], "type": "categorical", "dtype": "str"}]
    return DatasetSpec(
        dataset_id="made_up", title="", train_data="a", valid_data="b", test_data="c",
        feature_cols=columns, label_col={"name": "y", "dtype": "float"},
    )  # fmt: skip


def dense_size(config, fields: int) -> int:
    settings = dict(resolve(config).params["model"])
    return dense_parameters(config.model, settings, [settings.pop("embedding_dim")] * fields)


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
    assert len(shape_for(load_dataset_spec(CONFIGS, dataset), 16).embedding_dims) == DATASETS[dataset]


# Between them they ask for every variant, and for growing widths and depths.
@pytest.mark.parametrize(
    ("suite", "dataset"),
    [("paper_ablation", "ml100k"), ("paper_scaling_joint", "ml100k"), ("paper_sequence", "ml100k"),
     ("paper_main", "frappe_x1r"), ("paper_rank", "synthetic")],
)  # fmt: skip
def test_variants_of_equal_size_have_the_reference_s_dense_parameters_within_two_percent(suite, dataset):
    experiments = {e.id: e for e in load_suite(CONFIGS, f"{suite}@{dataset},matched").experiments}
    unsized = ("MLP_", "xDeepFM_", "DCNv2_", "AutoInt_")
    sizes = {
        name: dense_size(experiment, DATASETS[dataset])
        for name, experiment in experiments.items()
        if not name.startswith(unsized)
    }
    assert len(sizes) >= 2
    for name, size in sizes.items():
        target = sizes[f"RankElastor_{name.partition('_')[2]}"]
        assert abs(size - target) <= 0.02 * target, (name, size, target)
    growing = [size for name, size in sizes.items() if name.startswith("RankElastor_")]
    assert growing == sorted(growing)
    assert suite != "paper_scaling_joint" or growing[-1] > 3 * growing[0]


def test_token_models_of_equal_size_differ_in_mixing_and_network_alone():
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
@pytest.mark.parametrize("protocol", PROTOCOLS)
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


def test_a_dataset_may_have_seeds_of_its_own():
    assert load_suite(CONFIGS, "paper_main@frappe_x1r,matched").seeds == [7, 8, 9, 10, 11, 12]
    assert load_suite(CONFIGS, "paper_main@ml100k,matched").seeds == [1, 2, 3]


def test_a_variant_is_one_experiment_whichever_suite_asks_for_it():
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

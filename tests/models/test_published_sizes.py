"""The RankElastor authors' configurations have the published numbers of parameters, which pins the architecture."""

import pytest

from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.experiments.catalogue import load_experiment_configs
from fuxi_plugins.experiments.experiment import resolve
from fuxi_plugins.models.dnn import DNN
from fuxi_plugins.models.registry import load_model_class
from tests.conftest import ROOT
from tests.models import tiny

CONFIGS = ROOT / "benchmark_configs"
AUTHORS = {
    config.id: config
    for config in load_experiment_configs(CONFIGS).values()
    if config.file.stem.startswith("rankelastor_authors")
}

# Dense parameters, to the unit where they are published so.
PUBLISHED = {
    "RankElastor_authors_criteo_dim_10": 1_484_093,
    "RankElastor_authors_criteo_dim_20": 3_681_981,
    "RankElastor_authors_criteo_dim_20_v1": "2.180M",
    "RankElastor_authors_criteo_dim_20_v2": "2.259M",
    "RankElastor_authors_criteo_dim_20_v3": "3.265M",
    "RankElastor_authors_criteo_dim_20_v4": 3_580_871,
    "RankElastor_authors_criteo_dim_20_v5": "4.840M",
    "RankElastor_authors_criteo_dim_20_v6": "6.634M",
    "RankElastor_authors_criteo_dim_20_v7": "10.973M",
    "RankMixer_authors_criteo_dim_20_base": 3_589_071,
    "RankElastor_authors_criteo_dim_20_fast": "2.364M",
    "RankElastor_authors_avazu_dim_16": 1_870_209,
    "RankElastor_authors_avazu_dim_32": 4_019_809,
    "RankElastor_authors_avazu_dim_64": 25_980_289,
    "RankElastor_authors_avazu_dim_64_v1": "9.950M",
    "RankElastor_authors_avazu_dim_64_v2": "13.511M",
    "RankElastor_authors_avazu_dim_64_v3": "13.909M",
    "RankElastor_authors_avazu_dim_64_v4": "17.270M",
    "RankElastor_authors_avazu_dim_64_v5": "18.463M",
    "RankElastor_authors_avazu_dim_64_v6": "22.222M",
    "RankElastor_authors_avazu_dim_64_v7": 25_980_289,
    "RankMixer_authors_avazu_dim_64_base": 26_661_281,
    "RankElastor_authors_avazu_dim_64_fast": "10.887M",
}


def test_all_of_them_are_experiments():
    assert set(AUTHORS) == set(PUBLISHED)
    assert len({config.display_name for config in AUTHORS.values()}) == len(AUTHORS) == 23


@pytest.mark.parametrize("name", PUBLISHED)
def test_dense_parameters(name):
    experiment = resolve(AUTHORS[name])
    fields = len(load_dataset_spec(CONFIGS, experiment.dataset_id).source_of)
    settings = experiment.params["model"]
    feature_map = tiny.plain_feature_map(fields, settings["embedding_dim"])
    count = tiny.dense_count(tiny.build(load_model_class(experiment.model), feature_map, **settings))
    assert (count if isinstance(PUBLISHED[name], int) else f"{count / 1e6:.3f}M") == PUBLISHED[name]


def test_embedding_parameters():
    """k for every value of a categorical field, its padding and unknown values included, and k for a numeric field."""
    model = tiny.build(DNN, tiny.plain_feature_map(26, 10, numeric=13), embedding_dim=10)
    assert tiny.embedding_count(model) == 10 * (26 * tiny.VOCABULARY + 13)
    values_of_criteo_x1 = 2_086_329  # in the vocabularies of its 26 categorical fields
    assert 10 * (values_of_criteo_x1 + 13) == 20_863_420

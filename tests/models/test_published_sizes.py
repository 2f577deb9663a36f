"""The published configurations have the published numbers of parameters, which pins the architecture."""

import pytest

from fuxi_plugins.models.dnn import DNN
from fuxi_plugins.models.rankelastor import RankElastor
from fuxi_plugins.models.rankmixer import RankMixer
from tests.models import tiny

CRITEO = {"tokenizer": "shared", "tokenizer_hidden_units": [500]}
AVAZU = {"tokenizer": "joint", "tokenizer_hidden_units": [800]}


def elastor(k: int, shape: tuple[int, int], depth: int, widths: list[int], r: float = 3.0, **more):
    shape_settings = {"embedding_dim": k, "num_tokens": shape[0], "token_dim": shape[1], "num_blocks": depth}
    return RankElastor, {**shape_settings, "ffn_hidden_units": widths, "ffn_expansion": r, **more}


def mixer(k: int, shape: tuple[int, int], depth: int, widths: list[int], **more):
    shape_settings = {"embedding_dim": k, "num_tokens": shape[0], "token_dim": shape[1], "num_blocks": depth}
    return RankMixer, {**shape_settings, "formulation": "official_code", "ffn_hidden_units": widths, **more}


# configuration: (fields, model and settings, dense parameters as published)
PUBLISHED = {
    "criteo_dim_10": (39, elastor(10, (15, 26), 1, [64, 64], **CRITEO), 1_484_093),
    "criteo_dim_20": (39, elastor(20, (26, 30), 1, [64, 64], **CRITEO), 3_681_981),
    "criteo_dim_20_v1": (39, elastor(20, (26, 30), 1, [24, 24], 1.5, **CRITEO), "2.180M"),
    "criteo_dim_20_v2": (39, elastor(20, (26, 30), 1, [24, 24], 2.0, **CRITEO), "2.259M"),
    "criteo_dim_20_v3": (39, elastor(20, (26, 30), 2, [24, 24], 2.0, **CRITEO), "3.265M"),
    "criteo_dim_20_v4": (39, elastor(20, (26, 30), 2, [24, 24], **CRITEO), 3_580_871),
    "criteo_dim_20_v5": (39, elastor(20, (26, 30), 2, [48, 48], **CRITEO), "4.840M"),
    "criteo_dim_20_v6": (39, elastor(20, (26, 30), 3, [48, 48], **CRITEO), "6.634M"),
    "criteo_dim_20_v7": (39, elastor(20, (26, 30), 4, [64, 64], **CRITEO), "10.973M"),
    "criteo_dim_20_base": (39, mixer(20, (26, 26), 2, [200, 200], **CRITEO), 3_589_071),
    "criteo_dim_20_fast": (
        39, elastor(20, (26, 30), 2, [24, 24], mixing="grouped", mixing_groups=26, **CRITEO), "2.364M"),
    "avazu_dim_16": (24, elastor(16, (24, 16), 4, [16], **AVAZU), 1_870_209),
    "avazu_dim_32": (24, elastor(32, (24, 32), 3, [32], tokenizer="reshape"), 4_019_809),
    "avazu_dim_64": (24, elastor(64, (24, 64), 5, [64], **AVAZU), 25_980_289),
    "avazu_dim_64_v1": (24, elastor(64, (24, 64), 1, [64], 1.0, **AVAZU), "9.950M"),
    "avazu_dim_64_v2": (24, elastor(64, (24, 64), 2, [64], 1.5, **AVAZU), "13.511M"),
    "avazu_dim_64_v3": (24, elastor(64, (24, 64), 2, [64], 2.0, **AVAZU), "13.909M"),
    "avazu_dim_64_v4": (24, elastor(64, (24, 64), 3, [64], 2.0, **AVAZU), "17.270M"),
    "avazu_dim_64_v5": (24, elastor(64, (24, 64), 3, [64], **AVAZU), "18.463M"),
    "avazu_dim_64_v6": (24, elastor(64, (24, 64), 4, [64], **AVAZU), "22.222M"),
    "avazu_dim_64_base": (
        24, mixer(64, (24, 48), 5, [400, 400], tokenizer="shared", tokenizer_hidden_units=[800]), 26_661_281),
    "avazu_dim_64_fast": (
        24, elastor(64, (24, 48), 5, [64], mixing="grouped", mixing_groups=2, mixing_norm="after", **AVAZU), "10.887M"),
}  # fmt: skip


@pytest.mark.parametrize("configuration", PUBLISHED)
def test_dense_parameters(configuration):
    fields, (model_class, settings), published = PUBLISHED[configuration]
    model = tiny.build(model_class, tiny.plain_feature_map(fields, settings["embedding_dim"]), **settings)
    count = tiny.dense_count(model)
    assert (count if isinstance(published, int) else f"{count / 1e6:.3f}M") == published


def test_embedding_parameters():
    """k for every value of a categorical field, its padding and unknown values included, and k for a numeric field."""
    model = tiny.build(DNN, tiny.plain_feature_map(26, 10, numeric=13), embedding_dim=10)
    assert tiny.embedding_count(model) == 10 * (26 * tiny.VOCABULARY + 13)
    values_of_criteo_x1 = 2_086_329  # in the vocabularies of its 26 categorical fields
    assert 10 * (values_of_criteo_x1 + 13) == 20_863_420

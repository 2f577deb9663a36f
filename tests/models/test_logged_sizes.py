"""On KuaiVideo, TaobaoAd and AmazonElectronics the models have as many parameters as BARS logged.

They are built on tiny vocabularies and counted with those of BARS's logs.
"""

from typing import Any

import pytest
from fuxictr.features import FeatureMap
from torch import nn

from fuxi_plugins.experiments.settings import resolve_settings
from fuxi_plugins.experiments.translation.published import published_settings
from fuxi_plugins.models.registry import load_model_class
from tests.conftest import ROOT
from tests.models import tiny

POOLING, PROJECTION = "layers.MaskedAveragePooling()", "nn.Linear(64, 64, bias=False)"
PICTURES = ("item_emb", "pos_items_emb", "neg_items_emb")  # their vectors are frozen, and a linear map projects them

# Rows by field, padding and unknown values among them; a history has the rows of the field that it shares with.
VOCABULARIES = {
    "KuaiVideo_x1": {"user_id": 10_002, "item_id": 632_406, "item_emb": 3_242_317},
    "TaobaoAd_x1": {
        "userid": 403_958, "cms_segid": 99, "cms_group_id": 15, "final_gender_code": 4, "age_level": 9,
        "pvalue_level": 6, "shopping_level": 5, "occupation": 4, "new_user_class_level": 7, "adgroup_id": 246_851,
        "cate_id": 11_330, "campaign_id": 191_771, "customer": 132_136, "brand": 308_870, "pid": 4, "btag": 6,
    },
    "AmazonElectronics_x1": {"item_id": 63_003, "cate_id": 803},
}  # fmt: skip
HISTORIES = {
    "KuaiVideo_x1": {
        "pos_items": "item_id", "neg_items": "item_id", "pos_items_emb": "item_emb", "neg_items_emb": "item_emb",
    },
    "TaobaoAd_x1": {"cate_his": "cate_id", "brand_his": "brand", "btag_his": "btag"},
    "AmazonElectronics_x1": {"item_history": "item_id", "cate_history": "cate_id"},
}  # fmt: skip
SHAPES = {"KuaiVideo_x1": (64, 100), "TaobaoAd_x1": (32, 50), "AmazonElectronics_x1": (64, 100)}  # k and L

AMAZON_HISTORY = {
    "target_field": [["item_id", "cate_id"]],
    "sequence_field": [["item_history", "cate_history"]],
    "attention_activation": "Dice",
    "dnn_activations": "ReLU",
    "dnn_hidden_units": [1024, 512, 256],
    "embedding_dim": 64,
}
AMAZON = {  # settings and count of the logs of its runs
    "DMIN": (
        {"num_heads": 8, "pos_emb_dim": 4, "attention_hidden_units": [256, 128], "bn_only_once": True,
         **AMAZON_HISTORY},
        8_107_401,
    ),
    "DMR": ({"enable_u2i_rel": True, "attention_hidden_units": [512, 256], **AMAZON_HISTORY}, 9_918_147),
}  # fmt: skip

# Ours less BARS's: FuxiCTR gives each score of a softmax a bias, and DMR has its output tables whether read or not.
SOFTMAX_BIASES = {
    ("DMIN", "KuaiVideo_x1"): 4,  # histories times heads
    ("DMIN", "TaobaoAd_x1"): 1,
    ("DMIN", "AmazonElectronics_x1"): 8,
    ("DMR", "KuaiVideo_x1"): 2,
    ("DMR", "TaobaoAd_x1"): 1,
    ("DMR", "AmazonElectronics_x1"): 2,  # item to item, and user to item
}
OUTPUT_TABLES = {"KuaiVideo_x1": ["item_id", "item_emb"], "TaobaoAd_x1": ["cate_id", "brand", "btag"]}

MODELS = ["APG_DCNv2", "APG_DeepFM", "DIEN", "DMIN", "DMR", "PPNet"]
CASES = [*((model, dataset) for dataset in ("KuaiVideo_x1", "TaobaoAd_x1") for model in MODELS)]
CASES += [(model, "AmazonElectronics_x1") for model in AMAZON]


def feature_map(dataset: str) -> FeatureMap:
    width, length = SHAPES[dataset]
    features: dict[str, dict[str, Any]] = {name: {**tiny.CATEGORICAL} for name in VOCABULARIES[dataset]}
    if dataset == "TaobaoAd_x1":
        features["price"] = {**tiny.NUMERIC}
    for name, shared in HISTORIES[dataset].items():
        features[name] = {**tiny.POOLED_SEQUENCE, "max_len": length, "share_embedding": shared}
    for name in PICTURES:
        if name in features:
            pooled = [POOLING] if "feature_encoder" in features[name] else []
            features[name] |= {"embedding_dim": 64, "feature_encoder": [*pooled, PROJECTION]}
    return tiny.make_feature_map(dataset, features, width)


def count(model: nn.Module, dataset: str) -> int:
    """Trainable parameters with the dataset's vocabularies; the vectors of the pictures are not trained."""
    rows = VOCABULARIES[dataset] | {name: VOCABULARIES[dataset][of] for name, of in HISTORIES[dataset].items()}
    total = sum(parameter.numel() for parameter in model.parameters())
    for name, table in model.named_modules():
        if isinstance(table, nn.Embedding):
            field = name.rpartition(".")[2]
            frozen = field in PICTURES and table.embedding_dim == 64 and not name.startswith("output_embedding")
            total += (0 if frozen else rows[field] * table.embedding_dim) - table.weight.numel()
    return total


@pytest.mark.parametrize(("name", "dataset"), CASES)
def test_the_models_have_as_many_parameters_as_bars_logged(name, dataset):
    if dataset == "AmazonElectronics_x1":
        settings, logged = AMAZON[name]
    else:
        fact = published_settings(ROOT / "results", dataset)[name]
        logged = fact.parameters
        settings, _ = resolve_settings(load_model_class(name), fact.settings, name)
    model = tiny.build(load_model_class(name), feature_map(dataset), **settings)
    missing = SOFTMAX_BIASES.get((name, dataset), 0)
    if name == "DMR" and dataset in OUTPUT_TABLES:  # where rel_u2i is off
        missing += sum(VOCABULARIES[dataset][field] for field in OUTPUT_TABLES[dataset]) * SHAPES[dataset][0]
    assert count(model, dataset) + missing == logged

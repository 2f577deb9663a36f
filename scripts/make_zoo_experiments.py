"""Writes the experiments of the zoo: with BARS's tuned settings, and for MovieLens 100K with common ones.

BARS's settings come from the facts in results/published/hyperparameters.csv. An experiment that stands in a
hand-written file already is left to it; tests/experiments/test_zoo_experiments.py holds all of them to the facts.
"""

import inspect
from pathlib import Path
from typing import Any

import yaml

from fuxi_plugins.experiments.bars import PublishedSettings, published_settings
from fuxi_plugins.experiments.experiment import load_experiment_configs
from fuxi_plugins.files import write_text
from fuxi_plugins.registry import NATIVE_MODELS, load_model_class
from fuxi_plugins.variants import VARIANTS

ROOT = Path(__file__).resolve().parents[1]
# dataset here -> BARS's name
DATASETS = {
    "avazu_x4_001": "Avazu_x4_001",
    "avazu_x4_002": "Avazu_x4_002",
    "criteo_x1": "Criteo_x1",
    "frappe_x1r": "Frappe_x1",
    "kuaivideo_x1": "KuaiVideo_x1",
    "taobaoad_x1": "TaobaoAd_x1",
}
HEADER = """\
# The models of the zoo on {dataset} with the settings that BARS tuned on {published}, in today's names.
# Made by `python scripts/make_zoo_experiments.py` from results/published/hyperparameters.csv; do not edit.

"""

COMMON_HEADER = """\
# Every model of the zoo on ml100k with one common configuration, tuned for none: embeddings of 16 regularised by 1e-2
# (models of first and second order by 1e-5), hidden layers of 128 and 64 with dropout 0.2, Adam at 1e-3; else the
# class's defaults. Made by `python scripts/make_zoo_experiments.py`; do not edit.

"""
COMMON_TRAINING = {
    "optimizer": "adam",
    "loss": "binary_crossentropy",
    "metrics": ["AUC", "logloss", "gAUC"],
    "monitor": "AUC",
    "monitor_mode": "max",
    "batch_size": 512,
    "epochs": 50,
    "early_stop_patience": 2,
    "learning_rate": 0.001,
    "shuffle": True,
}
WIDTHS = [128, 64]
COMMON = {  # of each, what the model's constructor knows
    "embedding_dim": 16,
    "embedding_regularizer": 0.01,
    "regularizer": 1.0e-05,
    "net_dropout": 0.2,
    "dnn_dropout": 0.2,
    "afn_dropout": 0.2,
    "hidden_units": WIDTHS,
    "dnn_hidden_units": WIDTHS,
    "afn_hidden_units": WIDTHS,
    "dcn_hidden_units": WIDTHS,
    "parallel_dnn_hidden_units": WIDTHS,
    "stacked_dnn_hidden_units": WIDTHS,
    "mlp1_hidden_units": WIDTHS,
    "mlp2_hidden_units": WIDTHS,
    "block1_hidden_units": WIDTHS,
    "block2_hidden_units": WIDTHS,
    "top_mlp_units": WIDTHS,
    "bottom_mlp_units": WIDTHS,
    "mlp_hidden_units": WIDTHS,
    "residual_blocks": WIDTHS,
    "num_tokens": 8,
    "token_dim": 16,
}
# What a row needs besides. A class whose default is one of its variants, with an MLP say, is set to be the other.
OWN = {
    "AFN": {"ensemble_dnn": False},
    "AutoInt": {"dnn_hidden_units": []},
    "HFM": {"use_dnn": False},
    "HiFormer": {"num_heads": 2},
    "RankElastor": {"tokenizer_hidden_units": [64], "ffn_hidden_units": [16]},
}
ONLY_AS_VARIANTS = ("FinalNet", "GDCN", "MaskNet", "PNN")


def common_file() -> str:
    """The text of ``model_config/ml100k_zoo.yaml``."""
    text = COMMON_HEADER + _yaml({"Base": {"dataset_id": "ml100k", **COMMON_TRAINING}})
    for name in common_rows():
        named = {"preset": name} if name in VARIANTS else {"model": name}
        text += "\n" + _yaml({f"{name}_ml100k_common": {**named, **_common_settings(name)}})
    return text


def common_rows() -> list[str]:
    names = [name for name in NATIVE_MODELS if name not in ONLY_AS_VARIANTS] + list(VARIANTS)
    return sorted(names, key=str.casefold)


def _common_settings(name: str) -> dict[str, Any]:
    variant = VARIANTS.get(name)
    model_class = load_model_class(variant.model if variant else name)
    known = inspect.signature(model_class).parameters
    fixed = variant.fixed if variant else {}
    chosen = {setting: value for setting, value in COMMON.items() if setting in known and setting not in fixed}
    return {**chosen, **OWN.get(name, {})}


def zoo_file(dataset: str, published: str) -> str:
    """The text of ``model_config/<dataset>_zoo.yaml``."""
    own = ROOT / "benchmark_configs" / "model_config" / f"{dataset}_zoo.yaml"
    elsewhere = {
        name for name, config in load_experiment_configs(ROOT / "benchmark_configs").items() if config.file != own
    }
    found = {
        f"{fact.preset}_{dataset}": (bars_name, fact)
        for bars_name, fact in published_settings(ROOT / "results", published).items()
        if fact.model in NATIVE_MODELS and f"{fact.preset}_{dataset}" not in elsewhere
    }
    shared = _shared([fact.settings for _, fact in found.values()])
    text = HEADER.format(dataset=dataset, published=published)
    text += _yaml({"Base": {"dataset_id": dataset, "settings_from": "published", **shared}})
    for experiment, (bars_name, fact) in sorted(found.items(), key=lambda item: item[0].casefold()):
        text += f"\n# {fact.source}\n" + _yaml({experiment: _experiment(bars_name, fact, shared)})
    return text


def _experiment(bars_name: str, fact: PublishedSettings, shared: dict[str, Any]) -> dict[str, Any]:
    named = {"preset": fact.preset} if fact.preset in VARIANTS else {"model": fact.model}
    if bars_name != fact.preset:
        named["published_as"] = bars_name
    return {**named, **{name: value for name, value in fact.settings.items() if name not in shared}}


def _shared(settings: list[dict[str, Any]]) -> dict[str, Any]:
    first, *others = settings
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


def _yaml(content: dict[str, Any]) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, indent=4, default_flow_style=None, width=120)


class _Dumper(yaml.SafeDumper):
    """YAML without anchors: a list that stands twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def main() -> None:
    for dataset, published in DATASETS.items():
        write_text(ROOT / "benchmark_configs" / "model_config" / f"{dataset}_zoo.yaml", zoo_file(dataset, published))
    write_text(ROOT / "benchmark_configs" / "model_config" / "ml100k_zoo.yaml", common_file())


if __name__ == "__main__":
    main()

"""Writes the experiments of the zoo: with BARS's tuned settings, and for several small datasets with common ones.

BARS's settings come from the facts in results/published/hyperparameters.csv. An experiment that stands in a
hand-written file already is left to it; tests/experiments/test_zoo_experiments.py holds all of them to the facts.
"""

from pathlib import Path
from typing import Any

import click

from fuxi_plugins.core.files import write_text
from fuxi_plugins.core.yaml_files import yaml_text
from fuxi_plugins.experiments.catalogue import load_experiment_configs
from fuxi_plugins.experiments.common import COMMON, WIDTHS, board_rows, model_file
from fuxi_plugins.experiments.translation.published import PublishedSettings, published_settings
from fuxi_plugins.models.registry import NATIVE_MODELS
from fuxi_plugins.models.variants import naming

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
# {who} on {dataset} with one common configuration, tuned for none: embeddings of 16 regularised by
# 1e-2 (models of first and second order by 1e-5), hidden layers of 128 and 64 with dropout 0.2, Adam at 1e-3; else
# the class's defaults. Made by `python scripts/make_zoo_experiments.py`; do not edit.

"""
# Rows of the board of the split at random, which is there to be compared with the split by time.
RANDOM_ROWS = ["AutoInt+", "DCNv2", "DeepFM", "DHEN", "DIN", "DNN", "EulerNet", "FFM", "FinalMLP", "FM", "FwFM",
    "GDCN-P", "HSTU", "LightGBM", "LR", "RankElastor", "RankMixer", "TokenMixerLarge", "Wukong", "xDeepFM"]  # fmt: skip

# Models that BARS did not run on Frappe.
FRAPPE_ROWS = ["APG_DCNv2", "APG_DeepFM", "DCNv3", "DHEN", "ECN", "EulerNet", "FFMv2", "FLEN", "GDCN-P", "GDCN-S",
    "LCN", "PPNet", "RankUp", "UniMixer", "UniMixing-Lite", "Wukong"]  # fmt: skip
FRAPPE_HEADER = """\
# Models that BARS did not run on Frappe, with what BARS tuned for its DNN as far as a model has it: embeddings of 10,
# their regularisation, hidden layers of 400, dropout 0.2, BatchNorm. Token models have ten tokens. None was tuned here.
# Made by `python scripts/make_zoo_experiments.py`; do not edit.

"""

# Boards of the datasets whose models have the sizes of `fuxibench new`: title, and what training has.
FLIGHTS = {"training": {"metrics": ["AUC", "logloss"], "batch_size": 2048, "early_stop_patience": 4}}
LASTFM = {"training": {"metrics": ["AUC", "logloss", "gAUC"], "batch_size": 512, "early_stop_patience": 3}}
SIZED_BOARDS: dict[str, dict[str, Any]] = {
    "nycflights13": {"title": "Late flights from New York, split by time", **FLIGHTS},
    "nycflights13_random": {"title": "Late flights from New York, split at random", **FLIGHTS},
    "s3rec_lastfm": {"title": "LastFM", **LASTFM},
    "s3rec_lastfm_random": {"title": "LastFM split at random", **LASTFM},
}
# What the board of toys and games tuned, for the models that it did not tune and for the data of LIKE_TOYS.
TOYS: dict[str, Any] = {
    "training": {
        "metrics": ["AUC", "logloss", "gAUC"], "batch_size": 2048, "early_stop_patience": 5, "learning_rate": 0.003
    },
    "changes": {"embedding_regularizer": 0.01, "regularizer": 1.0e-06},
    "own": {"LR": {"regularizer": 1.0e-05}},
}  # fmt: skip
TOYS_TUNED = ["LR", "FM", "DNN", "DCNv2", "FinalMLP", "RankMixer", "RankElastor"]
TOYS_HEADER = """\
# Models of the board of toys and games that were not tuned there. They have what the tuned ones chose: embeddings
# regularised by 1e-2, which five of five chose out of four values, and models of second order by FM's 1e-6.
# Made by `python scripts/make_zoo_experiments.py`; do not edit.

"""
# Boards with the configurations of toys and games: title, description, seeds.
LIKE_TOYS: dict[str, dict[str, Any]] = {
    "s3rec_toys_random": {
        "title": "Toys and games split at random",
        "description": "The configurations of s3rec_toys_board, on the same log split at random.",
        "seeds": [2, 3, 4],
    },
    "s3rec_sports": {
        "title": "Sports and outdoors",
        "description": "The configurations of s3rec_toys_board; nothing was tuned on these data.",
        "seeds": [1, 2, 3],
    },
    "s3rec_yelp": {
        "title": "Yelp",
        "description": "The configurations of s3rec_toys_board; nothing was tuned on these data.",
        "seeds": [1, 2, 3],
    },
}
LIKE_TOYS_HEADER = """\
# The configurations of s3rec_toys, whose regularisation was chosen there; nothing was tuned on {dataset}.
# Made by `python scripts/make_zoo_experiments.py`; do not edit.

"""
# Models of every kind: linear, pairs, deep, crosses, gates, attention, tokens, trees; DIN where there is a history.
SIZED_ROWS = ["LR", "FM", "FwFM", "FFM", "DNN", "DeepFM", "xDeepFM", "DCNv2", "AutoInt+", "FinalMLP", "MaskNet",
    "GDCN-P", "EulerNet", "Wukong", "RankMixer", "RankElastor", "TokenMixerLarge", "RankUp", "UniMixing-Lite",
    "LightGBM"]  # fmt: skip
SIZED_HEADER = """\
# One configuration for every model on {dataset}, tuned for none, as `fuxibench new` sizes it.
# Made by `python scripts/make_zoo_experiments.py`; do not edit.

"""

SUITE_HEADER = "# Made by `python scripts/make_zoo_experiments.py`; do not edit.\n\n"


def common_file(dataset: str = "ml100k") -> str:
    """The text of ``model_config/ml100k_zoo.yaml``, or of the like of ``ml100k_random``."""
    every = dataset == "ml100k"
    return model_file(
        dataset,
        board_rows() if every else RANDOM_ROWS,
        header=COMMON_HEADER.format(who="Every model of the zoo" if every else "Twenty models", dataset=dataset),
        training={"metrics": ["AUC", "logloss", "gAUC"], "batch_size": 512},
        changes={"embedding_regularizer": 0.01},
        ending="_common",
    )


def frappe_file() -> str:
    """The text of ``model_config/frappe_x1r_common.yaml``."""
    layers = {name: [400, 400, 400] for name, width in COMMON.items() if width == WIDTHS}
    tuned = {"embedding_dim": 10, "embedding_regularizer": 0.05, "batch_norm": True, "num_tokens": 10, "token_dim": 20}
    return model_file("frappe_x1r", FRAPPE_ROWS, header=FRAPPE_HEADER, training={"epochs": 100}, changes=layers | tuned)


def common_suite() -> str:
    """The text of ``suites/ml100k_zoo_board.yaml``."""
    suite = {
        "title": "MovieLens 100K, all models",
        "description": "All models with one common configuration, which was tuned for none of them.",
        "experiments": [f"{row}_ml100k_common" for row in board_rows()],
        "seeds": [1, 2, 3, 4, 5],
    }
    return SUITE_HEADER + yaml_text(suite)


def random_suite() -> str:
    """The text of ``suites/ml100k_random_board.yaml``."""
    suite = {
        "title": "MovieLens 100K split at random, twenty models",
        "description": "The configurations of ml100k_zoo_board, on the same ratings split at random.",
        "experiments": [f"{row}_ml100k_random_common" for row in RANDOM_ROWS],
        "seeds": [1, 2, 3],
    }
    return SUITE_HEADER + yaml_text(suite)


def sized_rows(dataset: str) -> list[str]:
    """The experiments on the dataset of one of :data:`SIZED_BOARDS`."""
    return [*SIZED_ROWS, "DIN"] if dataset.startswith("s3rec") else SIZED_ROWS


def sized_file(dataset: str) -> str:
    """The text of ``model_config/<dataset>.yaml`` of one of :data:`SIZED_BOARDS`."""
    training = SIZED_BOARDS[dataset]["training"]
    return model_file(dataset, sized_rows(dataset), header=SIZED_HEADER.format(dataset=dataset), training=training)


def sized_suite(dataset: str) -> str:
    """The text of ``suites/<dataset>_board.yaml`` of one of :data:`SIZED_BOARDS`."""
    suite = {
        "title": SIZED_BOARDS[dataset]["title"],
        "experiments": [f"{row}_{dataset}" for row in sized_rows(dataset)],
        "seeds": [1, 2, 3],
    }
    return SUITE_HEADER + yaml_text(suite)


def toys_file() -> str:
    """The text of ``model_config/s3rec_toys_common.yaml``."""
    rows = [row for row in SIZED_ROWS if row not in TOYS_TUNED]
    return model_file("s3rec_toys", rows, header=TOYS_HEADER, **TOYS)


def like_toys_file(dataset: str) -> str:
    """The text of ``model_config/<dataset>.yaml`` of one of :data:`LIKE_TOYS`."""
    return model_file(dataset, SIZED_ROWS, header=LIKE_TOYS_HEADER.format(dataset=dataset), **TOYS)


def like_toys_suite(dataset: str) -> str:
    """The text of ``suites/<dataset>_board.yaml`` of one of :data:`LIKE_TOYS`."""
    board = LIKE_TOYS[dataset]
    suite = {
        "title": board["title"],
        "description": board["description"],
        "experiments": [f"{row}_{dataset}" for row in SIZED_ROWS],
        "seeds": board["seeds"],
    }
    return SUITE_HEADER + yaml_text(suite)


def zoo_file(dataset: str, published: str) -> str:
    """The text of ``model_config/<dataset>_zoo.yaml``."""
    own = ROOT / "benchmark_configs" / "model_config" / f"{dataset}_zoo.yaml"
    elsewhere = {
        name for name, config in load_experiment_configs(ROOT / "benchmark_configs").items() if config.file != own
    }
    found = {
        f"{fact.display_name}_{dataset}": (bars_name, fact)
        for bars_name, fact in published_settings(ROOT / "results", published).items()
        if fact.model in NATIVE_MODELS and f"{fact.display_name}_{dataset}" not in elsewhere
    }
    shared = _shared([fact.settings for _, fact in found.values()])
    text = HEADER.format(dataset=dataset, published=published)
    text += yaml_text({"Base": {"dataset_id": dataset, "hparam_source": "published", **shared}})
    for experiment, (bars_name, fact) in sorted(found.items(), key=lambda item: item[0].casefold()):
        text += f"\n# {fact.source}\n" + yaml_text({experiment: _experiment(bars_name, fact, shared)})
    return text


def _experiment(bars_name: str, fact: PublishedSettings, shared: dict[str, Any]) -> dict[str, Any]:
    named = naming(fact.display_name)
    if bars_name != fact.display_name:
        named["published_as"] = bars_name
    return {**named, **{name: value for name, value in fact.settings.items() if name not in shared}}


def _shared(settings: list[dict[str, Any]]) -> dict[str, Any]:
    first, *others = settings
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


@click.command(help=__doc__)
def main() -> None:
    configs = ROOT / "benchmark_configs"
    for dataset, published in DATASETS.items():
        write_text(configs / "model_config" / f"{dataset}_zoo.yaml", zoo_file(dataset, published))
    write_text(configs / "model_config" / "ml100k_zoo.yaml", common_file())
    write_text(configs / "model_config" / "frappe_x1r_common.yaml", frappe_file())
    write_text(configs / "suites" / "ml100k_zoo_board.yaml", common_suite())
    write_text(configs / "model_config" / "ml100k_random.yaml", common_file("ml100k_random"))
    write_text(configs / "suites" / "ml100k_random_board.yaml", random_suite())
    write_text(configs / "model_config" / "s3rec_toys_common.yaml", toys_file())
    for dataset in LIKE_TOYS:
        write_text(configs / "model_config" / f"{dataset}.yaml", like_toys_file(dataset))
        write_text(configs / "suites" / f"{dataset}_board.yaml", like_toys_suite(dataset))
    for dataset in SIZED_BOARDS:
        write_text(configs / "model_config" / f"{dataset}.yaml", sized_file(dataset))
        write_text(configs / "suites" / f"{dataset}_board.yaml", sized_suite(dataset))


if __name__ == "__main__":
    main()

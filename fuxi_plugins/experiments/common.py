"""One common configuration for every model of the zoo: where a board starts on data that nobody has tuned for."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuxi_plugins.core.configs import AnyConfigs, folders_of, new_config_file
from fuxi_plugins.core.errors import UserError, unknown_name
from fuxi_plugins.core.files import write_text
from fuxi_plugins.core.yaml_files import yaml_text
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.spec import DatasetSpec
from fuxi_plugins.experiments.catalogue import load_experiment_configs
from fuxi_plugins.experiments.experiment import in_a_name
from fuxi_plugins.experiments.requirements import embedding_dim_on, metrics_on, unmet
from fuxi_plugins.experiments.sizing import sized_training
from fuxi_plugins.models.needs import needs_of
from fuxi_plugins.models.registry import NATIVE_MODELS, TREE_MODELS, load_model_class, model_names
from fuxi_plugins.models.variants import VARIANTS, model_of, naming
from fuxi_plugins.records.metrics import usual_metrics

HEADER = """\
# One configuration for every model on {dataset}, tuned for none. Change what you like, or let `fuxibench tune` give
# all of them the same number of trials.

"""
TRAINING: dict[str, Any] = {
    "optimizer": "adam",
    "loss": "binary_crossentropy",
    "metrics": usual_metrics(),
    "monitor": "AUC",
    "monitor_mode": "max",
    "batch_size": 4096,
    "epochs": 50,
    "early_stop_patience": 2,
    "learning_rate": 0.001,
    "shuffle": True,
}
WIDTHS = [128, 64]
COMMON = {  # of each, what the model's constructor knows
    "embedding_dim": 16,
    "embedding_regularizer": 1.0e-05,
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
    "user_tower_units": WIDTHS,
    "item_tower_units": WIDTHS,
    "user_tower_dropout": 0.2,
    "item_tower_dropout": 0.2,
    "mlp_hidden_units": WIDTHS,
    "residual_blocks": WIDTHS,
    "num_tokens": 8,
    "token_dim": 16,
}


def board_rows() -> list[str]:
    """The rows of a board of all models: every native model, variant and tree model, in alphabetical order.

    A class that stands there as one of its variants already, because its own row would have the same settings, has no
    row of its own.
    """
    classes = [name for name in NATIVE_MODELS if not _is_one_of_its_variants(name)]
    return sorted([*classes, *VARIANTS, *TREE_MODELS], key=str.casefold)


def common_settings(row: str, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The common settings that a model or variant has, and a model's own; ``changes`` are to :data:`COMMON`."""
    model_class = load_model_class(model_of(row))
    known = inspect.signature(model_class).parameters
    fixed = VARIANTS[row].fixed if row in VARIANTS else {}
    own = {} if row in VARIANTS else getattr(model_class, "board_settings", {})
    common = {**COMMON, **(changes or {})}
    chosen = {setting: value for setting, value in common.items() if setting in known and setting not in fixed}
    return {**chosen, **own}


def _is_one_of_its_variants(name: str) -> bool:
    defaults = {p.name: p.default for p in inspect.signature(load_model_class(name)).parameters.values()}
    settings = {**defaults, **common_settings(name)}
    fixed = [variant.fixed for variant in VARIANTS.values() if variant.model == name and variant.fixed]
    return any(all(settings[setting] == value for setting, value in each.items()) for each in fixed)


def model_file(
    dataset: str,
    rows: Sequence[str],
    *,
    header: str,
    training: Mapping[str, Any] | None = None,
    changes: Mapping[str, Any] | None = None,
    own: Mapping[str, Mapping[str, Any]] | None = None,
    ending: str = "",
) -> str:
    """The text of a file of experiments, ``ROW_dataset`` and the ending, in the order of the rows.

    ``changes`` are to :data:`COMMON`; ``own`` are the settings of single rows.
    """
    text = header + yaml_text({"Base": {"dataset_id": dataset, **TRAINING, **(training or {})}})
    for row in rows:
        settings = {**naming(row), **common_settings(row, changes), **(own or {}).get(row, {})}
        text += "\n" + yaml_text({f"{in_a_name(row)}_{dataset}{ending}": settings})
    return text


@dataclass(frozen=True)
class NewBoard:
    """What :func:`start_board` has written."""

    suite: str
    files: list[Path]
    rows: list[str]
    left_out: dict[str, str]  # by row, why it is not on the board, as "it needs a behaviour history"
    training: dict[str, Any]  # settings of every experiment


def start_board(
    configs: AnyConfigs,
    dataset: str,
    rows: Sequence[str] = (),
    seeds: Sequence[int] = (1, 2, 3),
    *,
    training: Mapping[str, Any] | None = None,
    changes: Mapping[str, Any] | None = None,
    train_rows: int | None = None,
) -> NewBoard:
    """Writes the suite ``DATASET_common`` and its experiments: all models that the dataset can feed, or ``rows``.

    Args:
        configs: the folder of configs.
        dataset: its id.
        rows: models, installed ones and those of files among them, and variants; empty for all native ones.
        seeds: of each model's runs.
        training: settings that all experiments have.
        changes: to :data:`COMMON`.
        train_rows: of the dataset, by which batches, evaluations and patience are sized; None leaves them as they are
            for millions of rows.

    Raises:
        UserError: a name that is no model's, no model left, or a suite or experiment of that name.
    """
    spec = load_dataset_spec(configs, dataset)
    suite = f"{dataset}_common"
    files = _new_files(configs, suite)
    chosen, left_out = _rows_that_fit(rows, spec)
    given = dict(training or {})
    sized = sized_training(train_rows, given.get("batch_size")) if train_rows else {}
    settings = {
        "training": {"metrics": metrics_on(spec), **sized, **given},
        "changes": {**embedding_dim_on(spec), **(changes or {})},
    }
    texts = [
        model_file(dataset, chosen, header=HEADER.format(dataset=dataset), ending="_common", **settings),
        yaml_text(
            {
                "title": f"{spec.title}, one configuration for all",
                "experiments": [f"{in_a_name(row)}_{suite}" for row in chosen],
                "seeds": list(seeds),
            }
        ),
    ]
    for path, text in zip(files, texts, strict=True):
        write_text(path, text)
    return NewBoard(suite, files, chosen, left_out, {**TRAINING, **sized, **given})


def _new_files(configs: AnyConfigs, suite: str) -> list[Path]:
    """The files of experiments and of the suite, neither of which is there.

    Raises:
        UserError: one is, or another file has an experiment of the suite.
    """
    files = [new_config_file(folders_of(configs)[0], kind, suite) for kind in ("model_config", "suites")]
    known = load_experiment_configs(configs)
    taken = [name for row in _known_rows() if (name := f"{in_a_name(row)}_{suite}") in known]
    if taken:
        raise UserError(f"{known[taken[0]].file} has {taken[0]} already; move it away to write {files[0]}.")
    return files


def _rows_that_fit(rows: Sequence[str], spec: DatasetSpec) -> tuple[list[str], dict[str, str]]:
    """Those of the rows, or of a board of all models, that the dataset can feed; and why it cannot feed the others.

    Raises:
        UserError: a name that is no model's, or no row is left.
    """
    for row in rows:
        if row not in _known_rows():
            raise unknown_name("model", row, _known_rows(), "fuxibench list models")
    reasons = {row: unmet(needs_of(load_model_class(model_of(row))), spec) for row in rows or board_rows()}
    chosen = [row for row, reason in reasons.items() if not reason]
    left_out = {row: reason for row, reason in reasons.items() if reason}
    if not chosen:
        listed = "; ".join(f"{row} cannot run on {spec.dataset_id}: {reason}" for row, reason in left_out.items())
        raise UserError(f"a board needs a model, but none is left: {listed}.")
    return chosen, left_out


def _known_rows() -> list[str]:
    return [*model_names(), *VARIANTS]

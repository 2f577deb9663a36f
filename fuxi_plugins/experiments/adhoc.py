"""Experiments that stand in no file: a model, a dataset and settings, as said on the command line or in Python.

The experiment's id is made of the three. Its records hold every setting, so that it can be found again by them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import canonical_json, digest
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.core.yaml_files import parse_yaml
from fuxi_plugins.datasets.spec import load_dataset_spec
from fuxi_plugins.experiments.catalogue import load_experiment_configs
from fuxi_plugins.experiments.experiment import ExperimentConfig, in_a_name, resolve
from fuxi_plugins.experiments.requirements import fixed_widths
from fuxi_plugins.experiments.settings import SETTINGS_OF_TREES, Training, legal_settings
from fuxi_plugins.experiments.suite import Suite, load_suite, with_experiment
from fuxi_plugins.models.registry import is_tree_model, load_model_class
from fuxi_plugins.models.variants import VARIANTS, apply_variant
from fuxi_plugins.records.metrics import usual_group_metrics, usual_metrics

SAID = Path("the command line")  # in place of the file that other experiments come from
MOST_CHARACTERS = 120  # of the part of an id that names settings; a folder's name has 255 at most
# What all rows of a board should share; FuxiCTR has the last three as settings of the model.
SHARED = (*Training.model_fields, "learning_rate", "embedding_dim", "embedding_regularizer")
DAY = 24 * 60


def parse_settings(said: Iterable[str]) -> dict[str, Any]:
    """Settings written as ``name=value``, the value as in YAML.

    >>> parse_settings(["learning_rate=3e-4", "hidden_units=[64, 32]"])
    {'learning_rate': 0.0003, 'hidden_units': [64, 32]}

    Raises:
        UserError: no ``=``, a name twice, or a value that is not YAML.
    """
    settings: dict[str, Any] = {}
    for text in said:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise UserError(f"a setting is written as name=value, as learning_rate=3e-4, but this is {text!r}.")
        if name in settings:
            raise UserError(f"the setting {name} is given twice.")
        try:
            settings[name] = parse_yaml(value)
        except yaml.YAMLError as error:
            raise UserError(f"the value of the setting {name} must be valid YAML, but {value!r} is not.") from error
    return settings


def adhoc_experiment(
    model: str, dataset: str, settings: Mapping[str, Any], workspace: Workspace, shared: Mapping[str, Any] | None = None
) -> ExperimentConfig:
    """The experiment of a model, or of a named variant of one, with these settings and the defaults of all others.

    Metrics are the usual ones that the dataset allows, and ``embedding_dim`` is the dataset's where its columns have
    a width of their own.

    Args:
        shared: settings that come before the defaults and are not named in the experiment's id.

    Raises:
        UserError: there is no such dataset or model, or a file has an experiment of this id.
    """
    spec = load_dataset_spec(workspace.all_configs, dataset)
    variant = ",".join(f"{name}={in_a_name(value)}" for name, value in settings.items())
    if len(variant) > MOST_CHARACTERS:
        variant = f"settings={digest(dict(settings))[:12]}"
    experiment_id = f"{in_a_name(model)}_{dataset}_{variant or 'defaults'}"
    known = load_experiment_configs(workspace.all_configs)
    if experiment_id in known:
        raise UserError(f"{known[experiment_id].file} has an experiment {experiment_id!r} already; run that by its id.")
    named = {"display_name": model} if model in VARIANTS else {"model": model}
    merged = apply_variant(named.get("display_name"), {**named, **settings}, f"--model {model}")
    model_class = merged.pop("model")
    merged.pop("display_name", None)
    defaults: dict[str, Any] = {"metrics": [*usual_metrics(), *(usual_group_metrics() if spec.group_id else [])]}
    widths = set(fixed_widths(spec).values())
    if len(widths) == 1:
        defaults["embedding_dim"] = widths.pop()
    legal = set(SETTINGS_OF_TREES) if is_tree_model(model_class) else legal_settings(load_model_class(model_class))
    given = {name: value for name, value in {**defaults, **(shared or {})}.items() if name in legal}
    return ExperimentConfig(
        id=experiment_id,
        file=SAID,
        model=model_class,
        dataset_id=dataset,
        display_name=f"{model} ({variant})" if variant else model,
        published_as=None,
        seed=None,
        settings={**given, **merged},
        origins=dict.fromkeys(given, "chosen for the dataset")
        | dict.fromkeys(merged, f"the variant {model}")
        | dict.fromkeys(settings, str(SAID)),
        variant=variant,
    )


def adhoc_suite(
    model: str, dataset: str, settings: Mapping[str, Any], seeds: Sequence[int], workspace: Workspace
) -> Suite:
    """The experiment as a suite of one; seed 1 unless others are asked for."""
    config = adhoc_experiment(model, dataset, settings, workspace)
    return Suite(
        config.id, f"{config.display_name} on {dataset}", "", [config], list(seeds) or [1], timeout_minutes=DAY
    )


@dataclass(frozen=True)
class Beside:
    """A model beside the rows of a board."""

    own: Suite  # of the model alone: what is to be run
    board: Suite  # of all rows: what is to be shown
    remarks: list[str]  # in what the comparison is not an equal one, a sentence each


def beside(
    board_name: str, model: str, settings: Mapping[str, Any], seeds: Sequence[int], workspace: Workspace
) -> Beside:
    """A model with the training settings of a board's rows, and what is unequal nevertheless.

    Where the rows differ in a setting, the model gets the value that most of them have.

    Raises:
        UserError: there is no such suite or model, or the suite is of several datasets.
    """
    board = load_suite(workspace.all_configs, board_name)
    if len(board.datasets) != 1:
        listed = ", ".join(board.datasets)
        raise UserError(f"a model is put beside the rows of one dataset, but {board_name} is of {listed}.")
    shared, remarks = _shared_settings(board)
    config = adhoc_experiment(model, board.datasets[0], settings, workspace, shared)
    remarks += [
        f"{name} is {settings[name]} for {model}, as asked, but {shared[name]} on {board_name}"
        for name in settings
        if name in shared and settings[name] != shared[name]
    ]
    origins = Counter(row.hparam_source for row in board.experiments if row.hparam_source != "default")
    if origins:
        listed = " and ".join(f"of {count} rows {origin}" for origin, count in origins.items())
        remarks.append(f"the hyper-parameters are {listed}; those of {model} are nobody's choice but yours")
    variant = f"as_{board_name}" + (f",{config.variant}" if config.variant else "")
    taken = config.display_name in {row.display_name for row in board.experiments}  # rows of one name would be one row
    config = replace(
        config,
        id=f"{in_a_name(model)}_{config.dataset_id}_{variant}",
        display_name=f"{config.display_name} (yours)" if taken else config.display_name,
        origins={**config.origins, **{name: f"as on {board_name}" for name in shared if name not in settings}},
        variant=variant,
    )
    title = f"{config.display_name} beside {board.title}"
    own = replace(board, title=title, experiments=[config], seeds=list(seeds) or board.seeds, more_seeds={})
    both = replace(with_experiment(board, own), name=f"{board_name}+{model}", title=title)
    return Beside(own, both, remarks)


def _shared_settings(board: Suite) -> tuple[dict[str, Any], list[str]]:
    """Of each shared setting the value that most rows have, and a remark on those in which rows differ."""
    shared: dict[str, Any] = {}
    remarks = []
    resolved = [resolve(config) for config in board.experiments]
    rows = [{**found.params["model"], **found.params["training"]} for found in resolved if not found.is_of_trees]
    for name in SHARED:
        values = {canonical_json(row[name]): row[name] for row in rows if name in row}
        counts = Counter(canonical_json(row[name]) for row in rows if name in row).most_common()
        if not counts:
            continue
        shared[name] = values[counts[0][0]]
        if len(counts) > 1:
            listed = ", ".join(f"{values[key]} in {count} row{'s' * (count > 1)}" for key, count in counts)
            remarks.append(f"{name} differs on {board.name}: {listed}; the first is used")
    return shared, remarks

"""Experiments that stand in no file: a model, a dataset and settings, as said on the command line or in Python.

The experiment's id is made of the three. Its records hold every setting, so that it can be found again by them.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from fuxi_plugins.core.errors import UserError, unknown_name
from fuxi_plugins.core.files import canonical_json, digest
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.core.yaml_files import parse_yaml
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.experiments.catalogue import load_experiment_configs
from fuxi_plugins.experiments.experiment import ExperimentConfig, in_a_name, resolve
from fuxi_plugins.experiments.requirements import embedding_dim_on, metrics_on
from fuxi_plugins.experiments.settings import legal_settings
from fuxi_plugins.experiments.suite import Suite, find_suite, load_suite, suite_of_one, with_experiment
from fuxi_plugins.experiments.training_settings import SETTINGS_OF_TREES, Training
from fuxi_plugins.models.registry import is_tree_model, load_model_class
from fuxi_plugins.models.variants import apply_variant, model_of
from fuxi_plugins.records.files import find_records
from fuxi_plugins.records.record import finished_runs

SAID = Path("the command line")  # in place of the file that other experiments come from
MOST_CHARACTERS = 120  # of the part of an id that names settings; a folder's name has 255 at most
# What all rows of a board should share; FuxiCTR has the last three as settings of the model.
SHARED = (*Training.model_fields, "learning_rate", "embedding_dim", "embedding_regularizer")


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
    variant = _variant(settings)
    experiment_id = f"{in_a_name(model)}_{dataset}_{variant or 'defaults'}"
    known = load_experiment_configs(workspace.all_configs)
    if experiment_id in known:
        raise UserError(f"{known[experiment_id].file} has an experiment {experiment_id!r} already; run that by its id.")
    if "model" in settings:
        raise UserError(f"the model is named once, here as {model}; leave model out of the settings.")
    merged = apply_variant(model, {"model": model_of(model), **settings}, f"--model {model}")
    model_class = merged.pop("model")
    defaults = {"metrics": metrics_on(spec), **embedding_dim_on(spec)}
    # A tree model has a learning rate too, which is not the one that the rows of a board share.
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
    return suite_of_one(adhoc_experiment(model, dataset, settings, workspace), seeds or [1])


def _variant(settings: Mapping[str, Any]) -> str:
    """The settings as a part of an id."""
    written = ",".join(f"{name}={in_a_name(value)}" for name, value in settings.items())
    return written if len(written) <= MOST_CHARACTERS else f"settings={digest(dict(settings))[:12]}"


def changed(name: str, settings: Mapping[str, Any], seeds: Sequence[int], workspace: Workspace) -> tuple[Suite, Suite]:
    """An experiment with some settings changed, and the same beside the experiment's finished runs as it stands.

    Raises:
        UserError: there is no experiment of that name, or it is a suite's.
    """
    suite = find_suite(name, workspace, seeds)
    (config, *others) = suite.experiments
    if others or suite.name != config.id:
        raise UserError(
            f"--set changes the settings of one experiment, but {name} is a suite; name one of its experiments, such "
            f"as {config.id}."
        )
    variant = _variant(settings)
    own = replace(
        config,
        id=f"{config.id}@{variant}",
        display_name=f"{config.display_name} ({variant})",
        published_as=None,
        settings={**config.settings, **settings},
        hparam_source="default",
        role="study",
        variant=variant,
        origins={**config.origins, **dict.fromkeys(settings, str(SAID))},
    )
    to_run = suite_of_one(own, suite.seeds)
    finished = finished_runs(find_records(workspace.results, config.dataset_id))
    besides = sorted({record.seed for record in finished if record.experiment == config.id})
    if not besides:
        return to_run, to_run
    further = [seed for seed in besides if seed not in suite.seeds]
    return to_run, replace(to_run, experiments=[own, config], more_seeds={config.id: further})


@dataclass(frozen=True)
class Beside:
    """A model beside the rows of a board."""

    own: Suite  # of the model alone
    to_run: Suite  # the model first, then the rows, all with the same seeds
    to_show: Suite  # those, and the further seeds of the board that are finished
    remarks: list[str]  # in what the comparison is not an equal one, a sentence each


def beside(
    board_name: str,
    model: str,
    settings: Mapping[str, Any],
    seeds: Sequence[int],
    workspace: Workspace,
    rows: Sequence[str] = (),
) -> Beside:
    """A model with the training settings of a board's rows, and what is unequal nevertheless.

    Where the rows differ in a setting, the model gets the value that most of them have.

    Args:
        seeds: of the model and of the rows; the board's own unless given.
        rows: names of the rows to stand beside; all of them unless given.

    Raises:
        UserError: there is no such suite, model or row, or the suite is of several datasets.
    """
    board = load_suite(workspace.all_configs, board_name)
    if len(board.datasets) != 1:
        listed = ", ".join(board.datasets)
        raise UserError(f"a model is put beside the rows of one dataset, but {board_name} is of {listed}.")
    legal = legal_settings(load_model_class(model_of(model)))
    shared, remarks = _shared_settings(board, model, legal, settings)
    config = adhoc_experiment(model, board.datasets[0], settings, workspace, shared)
    origins = Counter(row.hparam_source for row in board.experiments if row.hparam_source != "default")
    for origin, count in origins.items():
        remarks.append(
            f"{count} of the {len(board.experiments)} rows of {board_name} have {origin} hyper-parameters; those of "
            f"{model} are the defaults of its class and what you set"
        )
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
    chosen = replace(board, experiments=_chosen_rows(board, rows))
    asked = replace(chosen, seeds=own.seeds, more_seeds={}) if seeds else chosen
    both = with_experiment(asked, own)
    to_show = replace(both, name=f"{board_name}+{model}", title=title)
    if seeds:
        to_show = replace(to_show, more_seeds={**both.more_seeds, **_finished_besides(chosen, own.seeds, workspace)})
    to_run = replace(both, name=board_name, title=title, experiments=[config, *chosen.experiments])
    return Beside(own, to_run, to_show, remarks)


def _chosen_rows(board: Suite, names: Sequence[str]) -> list[ExperimentConfig]:
    """The experiments of these rows, in the board's order; of all rows where none is named."""
    known = {row.display_name for row in board.experiments}
    for name in names:
        if name not in known:
            raise unknown_name(f"row of {board.name}", name, known, f"fuxibench leaderboard {board.name}")
    return [row for row in board.experiments if not names or row.display_name in names]


def _finished_besides(board: Suite, seeds: Sequence[int], workspace: Workspace) -> dict[str, list[int]]:
    """The board's further seeds of each row that are finished already."""
    finished = finished_runs(find_records(workspace.results, board.datasets[0]))
    found = {(record.experiment, record.seed) for record in finished}
    return {
        row.id: [seed for seed in board.seeds_of(row.id) if seed not in seeds and (row.id, seed) in found]
        for row in board.experiments
    }


def _shared_settings(
    board: Suite, model: str, legal: Collection[str], settings: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """The value of each shared setting that most rows have, and remarks on those in which the model is not like all.

    Args:
        legal: the settings that the model has.
        settings: those that were asked for, which win.
    """
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
        own = settings.get(name, shared[name])
        listed = ", ".join(f"{values[key]} in {count} row{'s' * (count > 1)}" for key, count in counts)
        if name not in legal and any(value is not None for value in values.values()):
            remarks.append(f"{model} has no setting {name}; on {board.name} it is {listed}")
        elif name in legal and (len(counts) > 1 or own != shared[name]):
            remarks.append(f"{name} is {own} for {model}; on {board.name} it is {listed}")
    return shared, remarks

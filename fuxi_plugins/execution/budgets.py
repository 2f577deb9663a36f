"""Plans of runs on data that need not be here: what a plan's file, the suites and the datasets' configs make of it."""

from typing import Any

from pydantic import Field

from fuxi_plugins.analysis.budget import Budget, DatasetBudget, Runs, Utilisation, Work
from fuxi_plugins.core.configs import files_by_name
from fuxi_plugins.core.errors import UserError, did_you_mean, unknown_name
from fuxi_plugins.core.explain import Strict, checked
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.core.yaml_files import load_yaml
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.spec import SPLITS, DatasetSpec
from fuxi_plugins.experiments.experiment import ExperimentConfig, resolve
from fuxi_plugins.experiments.suite import Suite, instance_name, load_suite
from fuxi_plugins.experiments.template import shape_for
from fuxi_plugins.models.meta import dense_parameters, forward_operations

KIND = "plans"  # the folder of such files


class DatasetFacts(Strict):
    """What a dataset's config does not say of data that are not here."""

    vocabulary: int = Field(gt=0)  # ids of all trained tables together
    source: str  # of that number
    rows: dict[str, int] = Field(default_factory=dict)  # by split; else those that the config has as published


class PlanFile(Strict):
    """A plan as its YAML file says it."""

    title: str
    searched: str  # a template's suite, each of whose rows is tuned, and then run with the suite's seeds
    also: list[str] = Field(
        default_factory=list
    )  # further suites of the template, which are run as they are, with the same seeds
    protocol: str
    trials: int = Field(gt=0)
    search_seed: int = Field(ge=0)
    epochs: float = Field(gt=0)  # a run
    datasets: dict[str, DatasetFacts] = Field(min_length=1)


def make_budget(
    name: str,
    workspace: Workspace,
    gpus: int,
    reached: Utilisation,
    datasets: tuple[str, ...] = (),
    epochs: float | None = None,
) -> Budget:
    """Works a plan out; neither data nor a GPU need to be here.

    Args:
        name: of a file in ``plans``.
        gpus: on which the runs are carried out.
        datasets: of the plan's; none: all.
        epochs: a run, instead of the plan's.

    Raises:
        UserError: there is no such plan, it is not valid, or it lacks a dataset.
    """
    known = files_by_name(workspace.all_configs, KIND)
    if name not in known:
        raise UserError(f"there is no plan {name!r}; there is {', '.join(known)}{did_you_mean(name, known) or '.'}")
    plan = checked(PlanFile, load_yaml(known[name]), str(known[name]))
    for dataset in datasets:
        if dataset not in plan.datasets:
            raise unknown_name("dataset of the plan", dataset, plan.datasets, f"fuxibench plan {name}")
    plan = plan.model_copy(update={"epochs": epochs or plan.epochs})
    chosen = datasets or tuple(plan.datasets)
    budgets = [_on_dataset(plan, dataset, gpus, workspace) for dataset in chosen]
    return Budget(plan.title, budgets, plan.trials, plan.search_seed, plan.epochs, reached, gpus)


def _on_dataset(plan: PlanFile, dataset: str, gpus: int, workspace: Workspace) -> DatasetBudget:
    spec, facts = load_dataset_spec(workspace.all_configs, dataset), plan.datasets[dataset]
    rows = facts.rows or spec.published_rows
    if missing := [split for split in SPLITS if split not in rows]:
        raise UserError(f"the plan must give the rows of {dataset}, but {', '.join(missing)} is missing.")
    searched, *others = (
        load_suite(workspace.all_configs, instance_name(suite, dataset, plan.protocol))
        for suite in (plan.searched, *plan.also)
    )
    runs = [_runs(config, spec, facts, rows, plan, plan.trials, searched.seeds) for config in searched.experiments]
    configs = {config.id: config for suite in others for config in suite.experiments}
    runs += [_runs(config, spec, facts, rows, plan, 0, searched.seeds) for config in configs.values()]
    values = sum((column.max_len or 1) * len(column.names) for column in spec.active_columns)
    commands = _commands(plan, spec, searched, gpus)
    return DatasetBudget(dataset, spec.title, facts.vocabulary, facts.source, values, runs, commands)


def _runs(
    config: ExperimentConfig,
    spec: DatasetSpec,
    facts: DatasetFacts,
    rows: dict[str, int],
    plan: PlanFile,
    trials: int,
    seeds: list[int],
) -> Runs:
    experiment = resolve(config)
    width = experiment.embedding_dim
    if width is None:
        raise UserError(f"{config.id} has no embedding_dim, so that its tables cannot be counted.")
    model: tuple[Any, ...] = (
        experiment.model, experiment.model_params, shape_for(spec, width).embedding_dims
    )  # fmt: skip
    work = Work(
        forward=forward_operations(*model),
        dense=dense_parameters(*model),
        tables=facts.vocabulary * width,
        batch_size=experiment.training.batch_size,
        epochs=plan.epochs,
        **{split: rows[split] for split in SPLITS},
    )
    return Runs(config.id, config.display_name, work, trials, seeds)


def _commands(plan: PlanFile, spec: DatasetSpec, searched: Suite, gpus: int) -> list[str]:
    """From the data to files that can be sent."""
    name, on = spec.dataset_id, f"--gpu {','.join(map(str, range(gpus)))}"
    seeds = f"--seeds {','.join(map(str, searched.seeds))}"
    winners = f"results/tuning/{searched.name}.yaml"
    fetch = spec.source is not None and spec.source.hub is not None
    probe = " --probe rank" if searched.probe else ""
    tuned = [f"{config.id}_tuned" for config in searched.experiments]
    return [
        f"fuxibench data fetch {name}" if fetch else f"fuxibench data import {name} --from FOLDER",
        f"fuxibench tune {searched.name} --trials {plan.trials} --seed {plan.search_seed} {on}",
        f"cp {winners} benchmark_configs/model_config/{plan.searched}_{name}.yaml",
        *(f"fuxibench run {experiment} {seeds} {on}{probe}" for experiment in tuned),
        *(f"fuxibench run {also} --dataset {name} --protocol {plan.protocol} {seeds} {on}" for also in plan.also),
        *(f'fuxibench submit pack {experiment} --contributor "YOUR NAME"' for experiment in tuned),
        *(f"fuxibench submit verify {experiment}.zip" for experiment in tuned),
    ]

"""Suites: a named list of experiments times seeds.

A suite names experiments, or variants of a template; the latter is a suite for any dataset, and one of its instances is
named as ``paper_rank@ml100k,matched``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from fuxi_plugins.core.configs import AnyConfigs, files_by_name
from fuxi_plugins.core.errors import UserError, did_you_mean, unknown_name
from fuxi_plugins.core.explain import checked
from fuxi_plugins.core.renamed import with_new_names
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.core.yaml_files import load_yaml
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.experiments.catalogue import load_experiment_configs, load_recorded_experiment
from fuxi_plugins.experiments.experiment import ExperimentConfig, grid
from fuxi_plugins.experiments.template import expand, load_templated_experiment

NEW_NAMES = {"arms": "variants", "profile": "protocol"}  # of a suite's keys; old -> new


class SuiteFile(BaseModel):
    """A suite as its YAML file says it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    title: str
    description: str = ""
    experiments: list[str] = []
    template: str | None = None
    dataset: str | None = None  # of a template, unless another is asked for, and so the protocol
    protocol: str | None = None
    variants: list[str] = []
    sizes: dict[str, dict[str, Any]] = {}  # name -> changes to the template's reference; every variant at every size
    one_shape: bool = False  # the template's token models must have one shape; their sizes stand on the board
    needs: Literal["sequence"] | None = None  # a type of column that the dataset must have
    probe: Literal["rank"] | None = None  # measured along the way; no part of any configuration
    ensembles: bool = False  # whether the means of each row's seeds are shown below the board
    seeds: list[int] = Field(min_length=1)
    more_seeds: dict[str, list[int]] = {}  # experiment -> further seeds of its own, as of a board's first places
    grid: dict[str, list[Any]] = {}  # setting -> values; every experiment is run with every combination
    grid_for: dict[str, dict[str, list[Any]]] = {}  # experiment -> a grid of its own, where names differ
    timeout_minutes: float = Field(default=360, gt=0)  # of one run

    @model_validator(mode="after")
    def _names_experiments_or_variants(self) -> "SuiteFile":
        parts = [self.template, self.dataset, self.protocol, self.variants]
        if bool(self.experiments) == all(parts) or any(parts) != all(parts):
            raise ValueError("a suite lists experiments, or a template with dataset, protocol and variants")
        return self

    @field_validator("experiments", "variants", "seeds")
    @classmethod
    def _each_once(cls, listed: list) -> list:
        if len(set(listed)) < len(listed):
            raise ValueError("nothing stands twice in a suite")
        return listed


@dataclass(frozen=True)
class Suite:
    """Experiments, and the seeds that each is run with."""

    name: str
    title: str
    description: str
    experiments: list[ExperimentConfig]
    seeds: list[int]
    timeout_minutes: float
    more_seeds: dict[str, list[int]] = field(default_factory=dict)  # by experiment
    probe: bool = False
    ensembles: bool = False
    shape: str = ""  # of a template's token models on this dataset, in words
    reference: str = ""  # row by whose dense parameters the board gives those of the others
    remarks: tuple[str, ...] = ()  # on the rows, for the board

    @property
    def datasets(self) -> list[str]:
        return list(dict.fromkeys(config.dataset_id for config in self.experiments))

    @property
    def is_search(self) -> bool:
        """Whether it looks for settings, by trials, instead of having results."""
        return all(config.role == "trial" for config in self.experiments)

    def seeds_of(self, experiment_id: str) -> list[int]:
        return self.seeds + self.more_seeds.get(experiment_id, [])


def suite_names(configs: AnyConfigs) -> list[str]:
    """The suites that have a file, sorted."""
    return list(files_by_name(configs, "suites"))


def instance_name(name: str, dataset: str | None, protocol: str | None) -> str:
    """How a suite of a template is named on a dataset, under a protocol.

    >>> instance_name("paper_rank", "ml100k", None), instance_name("quickstart", None, None)
    ('paper_rank@ml100k,', 'quickstart')
    """
    return f"{name}@{dataset or ''},{protocol or ''}" if dataset or protocol else name


def load_suite(configs: AnyConfigs, name: str) -> Suite:
    """Reads a suite and finds or makes its experiments.

    Args:
        name: of its file; for a template's suite, also with ``@dataset,protocol``, either of which may be empty.

    Raises:
        UserError: no such suite, a file that is not valid, or an experiment that does not exist.
    """
    stem, instance, rest = name.partition("@")
    files = files_by_name(configs, "suites")
    if stem not in files:
        raise unknown_name("suite", stem, files, "fuxibench list suites")
    path = files[stem]
    file = checked(SuiteFile, with_new_names(load_yaml(path), NEW_NAMES, str(path)), str(path))
    if file.template and file.dataset and file.protocol:  # which come together
        dataset, _, protocol = rest.partition(",")
        suite = _of_template(configs, stem, file, file.template, dataset or file.dataset, protocol or file.protocol)
    elif instance:
        raise UserError(f"the suite {stem!r} names its experiments, so it takes no dataset or protocol.")
    else:
        suite = _suite(name, file, _listed(configs, stem, file))
    _check_more_seeds(path, suite)
    return suite


def _suite(name: str, file: SuiteFile, experiments: list[ExperimentConfig]) -> Suite:
    return Suite(
        name=name,
        title=file.title,
        description=file.description.strip(),
        experiments=experiments,
        seeds=file.seeds,
        timeout_minutes=file.timeout_minutes,
        more_seeds=file.more_seeds,
        probe=file.probe is not None,
        ensembles=file.ensembles,
    )


def _of_template(configs: AnyConfigs, stem: str, file: SuiteFile, template: str, dataset: str, protocol: str) -> Suite:
    """A template's suite on a dataset, under a protocol."""
    expanded = expand(configs, template, file.variants, dataset, protocol, file.sizes)
    suite = replace(
        _suite(instance_name(stem, dataset, protocol), file, expanded.experiments),
        title=f"{file.title} ({dataset}, {protocol})",
        shape=str(expanded.shape),
        seeds=expanded.seeds or file.seeds,
    )
    if file.one_shape:
        expanded.require_one_shape(stem)
        suite = replace(suite, reference=expanded.reference, remarks=tuple(expanded.remarks()))
    _require_columns(configs, dataset, file.needs, stem)
    return suite


def suite_of_one(config: ExperimentConfig, seeds: Sequence[int]) -> Suite:
    """An experiment by itself, under its own id."""
    title = f"{config.display_name} on {config.dataset_id}"
    return Suite(config.id, title, "", [config], list(seeds), timeout_minutes=24 * 60)


def find_suite(name: str, workspace: Workspace, seeds: Sequence[int] = ()) -> Suite:
    """A suite by its name, or an experiment by its id as a suite of one; one in no file is found by its records.

    Raises:
        UserError: neither has this name.
    """
    suites = suite_names(workspace.all_configs)
    if name.partition("@")[0] in suites:
        suite = load_suite(workspace.all_configs, name)
    else:
        experiments = load_experiment_configs(workspace.all_configs)
        config = experiments.get(name) or load_templated_experiment(workspace.all_configs, name)
        own_seeds = [config.seed] if config and config.seed is not None else [1]
        if config is None:
            recorded = load_recorded_experiment(workspace.results, name)
            if recorded is None:
                raise unknown_name("suite or experiment", name, [*suites, *experiments], "fuxibench list")
            config, own_seeds = recorded
        suite = suite_of_one(config, own_seeds)
    return replace(suite, seeds=list(seeds), more_seeds={}) if seeds else suite


def with_experiment(suite: Suite, other: Suite) -> Suite:
    """The suite with the experiments of another one as further rows, which keep their own seeds; under a name of its
    own, so that it is not taken for the suite."""
    further = {
        config.id: [seed for seed in other.seeds_of(config.id) if seed not in suite.seeds]
        for config in other.experiments
    }
    return replace(
        suite,
        name=f"{suite.name}+{other.name}",
        experiments=[*suite.experiments, *other.experiments],
        more_seeds=suite.more_seeds | further,
    )


def _require_columns(configs: AnyConfigs, dataset: str, kind: str | None, suite: str) -> None:
    """The dataset must have a column of that type, where a type is named."""
    columns = load_dataset_spec(configs, dataset).active_columns
    if kind and not any(column.type == kind for column in columns):
        raise UserError(f"the suite {suite!r} needs a dataset with a column of type {kind}, which {dataset!r} has not.")


def _check_more_seeds(path: Path, suite: Suite) -> None:
    listed = [config.id for config in suite.experiments]
    for experiment_id, seeds in suite.more_seeds.items():
        if experiment_id not in listed:
            suggestion = did_you_mean(experiment_id, listed) or "."
            raise UserError(f"{path}: more_seeds: the suite has no experiment {experiment_id!r}{suggestion}")
        if twice := [seed for seed in seeds if seed in suite.seeds or seeds.count(seed) > 1]:
            raise UserError(f"{path}: more_seeds: {experiment_id} has seed {twice[0]} twice.")


def _listed(configs: AnyConfigs, name: str, file: SuiteFile) -> list[ExperimentConfig]:
    known = load_experiment_configs(configs)
    experiments = []
    for experiment_id in file.experiments:
        if experiment_id not in known:
            raise unknown_name(f"experiment of the suite {name!r}", experiment_id, known, "fuxibench list experiments")
        axes = file.grid_for.get(experiment_id, file.grid)
        experiments += grid(known[experiment_id], axes) if axes else [known[experiment_id]]
    return experiments

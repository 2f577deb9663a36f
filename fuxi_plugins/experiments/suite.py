"""Suites: a named list of experiments times seeds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from fuxi_plugins.errors import UserError, unknown_name
from fuxi_plugins.experiments.experiment import ExperimentConfig, grid, load_experiment_configs
from fuxi_plugins.strict.explain import explain
from fuxi_plugins.strict.yaml_files import load_yaml


class SuiteFile(BaseModel):
    """A suite as its YAML file says it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    title: str
    description: str = ""
    experiments: list[str] = Field(min_length=1)
    seeds: list[int] = Field(min_length=1)
    grid: dict[str, list[Any]] = {}  # setting -> values; every experiment is run with every combination
    grid_for: dict[str, dict[str, list[Any]]] = {}  # experiment -> a grid of its own, where names differ
    timeout_minutes: float = Field(default=360, gt=0)  # of one run

    @field_validator("experiments", "seeds")
    @classmethod
    def _each_once(cls, listed: list) -> list:
        if len(set(listed)) < len(listed):
            raise ValueError("nothing stands twice in a suite")
        return listed


@dataclass(frozen=True)
class Suite:
    name: str
    title: str
    description: str
    experiments: list[ExperimentConfig]
    seeds: list[int]
    timeout_minutes: float


def suite_names(configs: Path) -> list[str]:
    return sorted(path.stem for path in (configs / "suites").glob("*.yaml"))


def load_suite(configs: Path, name: str) -> Suite:
    """Reads a suite and finds its experiments.

    Raises:
        UserError: no such suite, a file that is not valid, or an experiment that does not exist.
    """
    if name not in suite_names(configs):
        raise unknown_name("suite", name, suite_names(configs), "fuxibench list suites")
    path = configs / "suites" / f"{name}.yaml"
    try:
        file = SuiteFile(**load_yaml(path))
    except ValidationError as error:
        raise UserError(f"{path}: {explain(error, SuiteFile)}") from error
    known = load_experiment_configs(configs)
    experiments = []
    for experiment_id in file.experiments:
        if experiment_id not in known:
            raise unknown_name(f"experiment of the suite {name!r}", experiment_id, known, "fuxibench list experiments")
        axes = file.grid_for.get(experiment_id, file.grid)
        experiments += grid(known[experiment_id], axes) if axes else [known[experiment_id]]
    return Suite(name, file.title, file.description.strip(), experiments, file.seeds, file.timeout_minutes)

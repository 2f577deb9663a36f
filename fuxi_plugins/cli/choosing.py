"""What ``fuxibench run`` is asked to run: a suite, an experiment, or a model with settings that no file holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fuxi_plugins.cli.console import say
from fuxi_plugins.cli.model_files import use_models
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace

if TYPE_CHECKING:
    from fuxi_plugins.experiments.suite import Suite


@dataclass(frozen=True)
class Asked:
    """The options of the command that name what to run."""

    name: str | None
    model: str | None
    dataset: str | None
    protocol: str | None
    settings: tuple[str, ...]
    beside: str | None
    model_files: tuple[Path, ...]
    seeds: Sequence[int]
    rows: str | None = None  # separated by commas


@dataclass(frozen=True)
class Chosen:
    """What to run and what to show; the two differ where a model is put beside a board."""

    to_run: "Suite"
    to_show: "Suite"
    own: str = ""  # the experiment of a model beside a board, which must not be skipped as a row may be


def choose(asked: Asked, workspace: Workspace) -> Chosen:
    """What the options ask for.

    Raises:
        UserError: the options do not go together, or name what does not exist.
    """
    from fuxi_plugins.experiments import adhoc
    from fuxi_plugins.experiments.suite import find_suite, instance_name

    if asked.rows and not asked.beside:
        raise UserError("--rows chooses among the rows of a board that --beside names.")
    if asked.name:
        if asked.model or asked.beside:
            raise UserError("a suite or experiment has its models; leave out --model and --beside.")
        name = instance_name(asked.name, asked.dataset, asked.protocol)
        if asked.settings:
            return Chosen(*adhoc.changed(name, adhoc.parse_settings(asked.settings), asked.seeds, workspace))
        suite = find_suite(name, workspace, asked.seeds)
        return Chosen(suite, suite)
    model = asked.model or _only_model(asked.model_files)
    settings = adhoc.parse_settings(asked.settings)
    if asked.beside:
        if asked.dataset:
            raise UserError(f"--beside {asked.beside} runs on that board's dataset; leave out --dataset.")
        rows = asked.rows.split(",") if asked.rows else ()
        found = adhoc.beside(asked.beside, model, settings, asked.seeds, workspace, rows)
        for remark in found.remarks:
            say(f"not equal: {remark}.")
        return Chosen(found.to_run, found.to_show, found.own.experiments[0].id)
    if not asked.dataset:
        raise UserError(f"the model {model} needs data to run on: name them by --dataset, or a board by --beside.")
    suite = adhoc.adhoc_suite(model, asked.dataset, settings, asked.seeds, workspace)
    (config,) = suite.experiments
    say(f"{config.id}: what is not set is at its default; once it has run, 'fuxibench show {config.id}' lists all.")
    return Chosen(suite, suite)


def use_named_files(model_files: Sequence[Path], workspace: Workspace) -> None:
    """Makes the models of files known that a command names after its own name."""
    from fuxi_plugins.models.registry import sources

    zoo = sources().zoo
    use_models(workspace, model_files, Path(zoo) if zoo else None)


def remember_files(model_files: Sequence[Path], workspace: Workspace) -> None:
    """Lets later commands in this workspace know the models of these files."""
    from fuxi_plugins.models.model_files import MEMORY, remember

    if model_files:
        remember(workspace.configs, model_files)
        say(f"remembered in {workspace.configs / MEMORY}: {', '.join(path.name for path in model_files)}")


def is_prepared(suite: "Suite", workspace: Workspace) -> bool:
    """Whether some preparation of each of the suite's datasets is in the cache."""
    from fuxi_plugins.datasets.inventory import latest_card

    return all(latest_card(name, workspace) for name in suite.datasets)


def _only_model(files: Sequence[Path]) -> str:
    from fuxi_plugins.models.model_files import models_of

    names = [name for path in files for name in models_of(path)]
    if len(names) == 1:
        return names[0]
    if names:
        raise UserError(f"{', '.join(path.name for path in files)} has {', '.join(names)}; name one by --model.")
    raise UserError("what to run is named: a suite or an experiment, or --model with --dataset or --beside.")

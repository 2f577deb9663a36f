"""What ``fuxibench run`` is asked to run: a suite, an experiment, or a model with settings that no file holds."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fuxi_plugins.cli.console import say
from fuxi_plugins.cli.model_files import use_models
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace

if TYPE_CHECKING:
    from fuxi_plugins.execution.plan import Plan
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
        if asked.model or asked.settings or asked.beside:
            raise UserError("a suite or experiment has its models and settings; leave out --model, --set and --beside.")
        suite = find_suite(instance_name(asked.name, asked.dataset, asked.protocol), workspace, asked.seeds)
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


def say_rows_to_run(chosen: Chosen, plan: "Plan") -> None:
    """How much of the work is not the own model's but that of a board's rows, which have no finished runs here."""
    if not chosen.own:
        return
    jobs = [job for job in plan.todo if job.experiment.id != chosen.own]
    if jobs:
        rows = len({job.experiment.id for job in jobs})
        say(f"{len(jobs)} of them train {rows} rows of the board that have no finished run here; --rows names fewer.")


def say_next(chosen: Chosen, asked: Asked) -> None:
    """The commands that show, publish and send what a model beside a board has reached."""
    if not chosen.own:
        return
    if all(len(chosen.to_show.seeds_of(row.id)) == 1 for row in chosen.to_show.experiments):
        say("One seed says nothing of the noise between seeds; --seeds 1-3 compares the rows.")
    name = shlex.quote(chosen.own)
    say(f"again:    fuxibench leaderboard {asked.beside} --with {name}")
    say(f"LaTeX:    fuxibench table --boards {asked.beside} --with {name} --format tex")
    say(f"send it:  fuxibench submit pack {name}")


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
    return all(any(workspace.dataset_folder(name).glob("*/feature_map.json")) for name in suite.datasets)


def show_without_data(suite: "Suite", workspace: Workspace, *, force: bool) -> None:
    """A dry run before the data are prepared: settings and needs are checked, shapes and data are not.

    Raises:
        UserError: a setting that is not legal, or, without ``force``, a finished run of other settings or code.
    """
    from fuxi_plugins.datasets.spec import load_dataset_spec
    from fuxi_plugins.execution.status import suite_status
    from fuxi_plugins.experiments.experiment import resolve
    from fuxi_plugins.experiments.requirements import unmet_need
    from fuxi_plugins.models.registry import load_model_class

    specs = {name: load_dataset_spec(workspace.all_configs, name) for name in suite.datasets}
    skipped, digests = {}, {}
    for config in suite.experiments:
        experiment = resolve(config)
        digests[experiment.id] = experiment.digest
        reason = unmet_need(load_model_class(experiment.model), experiment.display_name, specs[experiment.dataset_id])
        if reason:
            skipped[experiment.id] = reason
            say(f"skipped: {reason}.")
    runs = [run for run in suite_status(suite, workspace) if run.experiment not in skipped]
    wanted = runs if force else [run for run in runs if run.state != "done"]
    for run in runs:
        if run.digest not in ("", digests[run.experiment]) and not force:
            raise UserError(
                f"{run.experiment} seed {run.seed} has a finished run of other settings or code. Give the new "
                "experiment an id of its own, or repeat the run with --force."
            )
    say(f"{suite.title}: {len(wanted)} to run.")
    for run in wanted:
        say(f"would run {run.experiment} seed {run.seed}")
    say_times([run.experiment for run in wanted], workspace)
    say(f"{', '.join(suite.datasets)}: not prepared yet, so neither the data nor the models' shapes were checked.")


def say_times(experiments: Sequence[str], workspace: Workspace) -> None:
    """How long such runs took before, here or where the shipped times were measured.

    Args:
        experiments: of each run.
    """
    from fuxi_plugins.analysis.run_times import estimates, measured, shipped
    from fuxi_plugins.records.files import find_records

    own = measured(find_records(workspace.results))
    found = estimates(experiments, [*shipped(), *own])
    for one in found:
        say(f"time: {one.sentence}.")
    if experiments and not found:
        say("time: no such run was measured before.")


def _only_model(files: Sequence[Path]) -> str:
    from fuxi_plugins.models.model_files import models_of

    names = [name for path in files for name in models_of(path)]
    if len(names) == 1:
        return names[0]
    if names:
        raise UserError(f"{', '.join(path.name for path in files)} has {', '.join(names)}; name one by --model.")
    raise UserError("what to run is named: a suite or an experiment, or --model with --dataset or --beside.")

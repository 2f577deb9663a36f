"""What ``fuxibench run`` says before and after its runs."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fuxi_plugins.cli.choosing import Asked, Chosen
from fuxi_plugins.cli.console import say
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace

if TYPE_CHECKING:
    from fuxi_plugins.execution.plan import Plan
    from fuxi_plugins.experiments.suite import Suite


def say_plan(plan: "Plan", chosen: Chosen) -> None:
    """How many runs are left, and what is left out and why."""
    say(f"{chosen.to_run.title}: {len(plan.finished)} runs finished, {len(plan.todo)} to run.")
    _say_rows_to_run(plan, chosen)
    for reason in dict.fromkeys(reason for _, reason in plan.skipped):
        say(f"skipped: {reason}.")
    for note in plan.notes:
        say(note)
    for job, twin in plan.equal:
        say(f"{job.name} is the same run as {twin.experiment}, which is finished.")


def _say_rows_to_run(plan: "Plan", chosen: Chosen) -> None:
    """How much of the work is not the own model's but that of a board's rows, which have no finished runs here."""
    if not chosen.own:
        return
    jobs = [job for job in plan.todo if job.experiment.id != chosen.own]
    if jobs:
        rows = len({job.experiment.id for job in jobs})
        say(f"{len(jobs)} of them train {rows} rows of the board that have no finished run here; --rows names fewer.")


def show_dry_run(plan: "Plan", workspace: Workspace) -> None:
    """The runs that would be done, and how long such runs took before."""
    for job in plan.todo:
        say(f"would run {job.name} on {job.data.spec.dataset_id}")
    _say_times([job.experiment.id for job in plan.todo], workspace)


def show_dry_run_without_data(suite: "Suite", workspace: Workspace, *, force: bool, update: bool) -> None:
    """A dry run before the data are prepared: settings and needs are checked, shapes and data are not.

    Raises:
        UserError: a setting that is not legal, or a finished run of other settings or code, which neither ``force`` nor
            ``update`` repeats.
    """
    from fuxi_plugins.datasets.catalogue import load_dataset_spec
    from fuxi_plugins.execution.plan import differences_beside_data, existing_record
    from fuxi_plugins.execution.status import suite_status
    from fuxi_plugins.experiments.experiment import resolve
    from fuxi_plugins.experiments.requirements import unmet_need
    from fuxi_plugins.models.registry import load_model_class
    from fuxi_plugins.records.record import FinishedRun

    specs = {name: load_dataset_spec(workspace.all_configs, name) for name in suite.datasets}
    skipped, experiments = {}, {}
    for config in suite.experiments:
        experiment = resolve(config)
        experiments[experiment.id] = experiment
        reason = unmet_need(load_model_class(experiment.model), experiment.display_name, specs[experiment.dataset_id])
        if reason:
            skipped[experiment.id] = reason
            say(f"skipped: {reason}.")
    runs = [run for run in suite_status(suite, workspace) if run.experiment not in skipped]
    outdated = []
    for run in runs if not force else []:
        experiment = experiments[run.experiment]
        record = existing_record(workspace.run_folder(experiment.dataset_id, run.experiment, run.seed))
        changed = differences_beside_data(experiment, record) if isinstance(record, FinishedRun) else []
        if changed and not update:
            raise UserError(
                f"{run.experiment} seed {run.seed} has a finished run of other settings or code: {'; '.join(changed)}. "
                "To keep it, give the new experiment a name of its own. With --update, this command repeats all such "
                "runs and no others."
            )
        outdated += [run] if changed else []
    wanted = runs if force else [run for run in runs if run.state != "done" or run in outdated]
    say(f"{suite.title}: {len(wanted)} to run.")
    for run in wanted:
        say(f"would run {run.experiment} seed {run.seed}")
    _say_times([run.experiment for run in wanted], workspace)
    say(f"{', '.join(suite.datasets)}: not prepared yet, so neither the data nor the models' shapes were checked.")


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


def _say_times(experiments: Sequence[str], workspace: Workspace) -> None:
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

"""A suite on its way from experiments to records: it is checked, planned and run."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.execution.resources import Resources
from fuxi_plugins.experiments.suite import Suite
from fuxi_plugins.models.registry import sources
from fuxi_plugins.records.files import RECORD_FILE, find_records, write_record
from fuxi_plugins.records.record import Record

if TYPE_CHECKING:
    from fuxi_plugins.execution.checks import Checked
    from fuxi_plugins.execution.plan import Plan
    from fuxi_plugins.execution.ray_engine import Cluster
    from fuxi_plugins.training.job import Job


def is_unfinished(suite: Suite, workspace: Workspace) -> bool:
    """Whether a run has no record, so that processes will be needed; known before torch is imported."""
    folders = (
        workspace.run_folder(config.dataset_id, config.id, seed)
        for config in suite.experiments
        for seed in suite.seeds_of(config.id)
    )
    return any(not (folder / RECORD_FILE).exists() for folder in folders)


def plan_suite(
    suite: Suite,
    workspace: Workspace,
    resources: Resources,
    *,
    force: bool = False,
    update: bool = False,
    checkpoint_steps: int | None = None,
    trackers: Sequence[str] = (),
    not_skipped: Collection[str] = (),
) -> "Plan":
    """Checks everything that can be checked before hours are spent, and finds out what is still to be run.

    Args:
        force: repeat finished runs; of the experiments that the suite is about, where some are named.
        update: repeat finished runs whose settings, code or data were changed.
        not_skipped: experiments that the suite is about. Of other experiments, those that cannot be run here are
            skipped, unless they are alone.

    Raises:
        UserError: the first thing that is wrong.
    """
    # Imported here: what only lists or reports must not wait for torch and FuxiCTR.
    from fuxi_plugins.execution.checks import check_experiments
    from fuxi_plugins.execution.plan import plan_runs
    from fuxi_plugins.training.options import without_bfloat16

    jobs: list[Job] = []
    skipped: list[tuple[Job, str]] = []
    for checked in check_experiments(suite, workspace, resources, checkpoint_steps, not_skipped):
        for seed in suite.seeds_of(checked.experiment.id):
            job = _job(checked, seed, suite, workspace, resources, checkpoint_steps, trackers)
            if checked.reason:
                skipped.append((job, checked.reason))
            else:
                jobs.append(job)
    records = [record for name in suite.datasets for record in find_records(workspace.results, name)]
    about = [name for name in not_skipped if name] or [config.id for config in suite.experiments]
    plan = plan_runs(jobs, records, forced=about if force else (), update=update)
    on_cpu = [job.experiment.training for job in plan.todo] if -1 in resources.slots else []
    return replace(plan, skipped=skipped, notes=without_bfloat16(on_cpu))


def _job(
    checked: "Checked",
    seed: int,
    suite: Suite,
    workspace: Workspace,
    resources: Resources,
    checkpoint_steps: int | None,
    trackers: Sequence[str],
) -> "Job":
    """The run of an experiment with a seed; its device is chosen when it starts."""
    from fuxi_plugins.training.job import Job

    experiment = checked.experiment
    names = (experiment.dataset_id, experiment.id, seed)
    return Job(
        experiment=experiment,
        data=checked.data,
        seed=seed,
        gpu=-1,
        threads=resources.threads,
        processes=resources.processes * resources.hosts,
        hosts=resources.hosts,
        rendezvous=resources.rendezvous,
        host_wait=resources.host_wait,
        host_timeout=resources.host_timeout,
        run_folder=workspace.run_folder(*names),
        checkpoint_folder=workspace.checkpoint_folder(*names),
        compiled_folder=workspace.compiled_folder,
        probe=suite.probe and not experiment.is_of_trees,
        checkpoint_steps=checkpoint_steps,
        sources=sources(),
        trackers=tuple(trackers),
        suite=suite.name,
    )


def run_plan(
    plan: "Plan", suite: Suite, workspace: Workspace, resources: Resources, cluster: "Cluster | None" = None
) -> list[Record]:
    """Runs what the plan still needs, here or on a Ray cluster, and returns the records of this call."""
    from fuxi_plugins.execution.leases import clear_dead_leases
    from fuxi_plugins.execution.limits import Limits
    from fuxi_plugins.execution.local import run_jobs
    from fuxi_plugins.execution.plan import take_over
    from fuxi_plugins.execution.progress import display
    from fuxi_plugins.training.runner import skipped_record

    for record in plan.finished:
        clear_dead_leases(workspace.run_folder(record.dataset, record.experiment, record.seed))
    for job, reason in plan.skipped:
        write_record(job.run_folder, skipped_record(job, reason))
    records: list[Record] = [take_over(job, twin, workspace) for job, twin in plan.equal]
    seconds = suite.timeout_minutes * 60
    if plan.todo:
        with display(len(plan.todo)) as listener:
            if cluster is None:
                records += run_jobs(
                    plan.todo,
                    before=plan.before,
                    slots=resources.slots,
                    limits=Limits(timeout_seconds=seconds),
                    listener=listener,
                )
            else:
                from fuxi_plugins.execution.ray_engine import run_jobs_on

                records += run_jobs_on(
                    cluster,
                    plan.todo,
                    before=plan.before,
                    results=workspace.results,
                    timeout_seconds=seconds,
                    listener=listener,
                )
    return records

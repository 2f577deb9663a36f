"""The straight path of a suite: configs -> prepared data -> checked models -> runs -> records -> leaderboards."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import require_writable
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.experiments.suite import Suite
from fuxi_plugins.records.files import RECORD_FILE, find_records, write_record
from fuxi_plugins.records.record import Record

if TYPE_CHECKING:
    from fuxi_plugins.datasets.spec import DatasetSpec
    from fuxi_plugins.execution.plan import Plan
    from fuxi_plugins.execution.ray_engine import Cluster
    from fuxi_plugins.experiments.experiment import Experiment

MOST_JOBS = 8  # runs at once on a CPU unless told otherwise


@dataclass(frozen=True)
class Resources:
    """What runs may use: one slot for each run under way at once, with its GPU or -1, and threads a run."""

    slots: list[int]
    threads: int
    processes: int = 1  # of a run on each host; on GPUs they take the slot's and those that follow it
    hosts: int = 1  # that share each run
    rendezvous: str = ""  # where they meet

    @classmethod
    def choose(cls, gpus: Sequence[int], jobs: int | None, threads: int | None, processes: int = 1) -> "Resources":
        """Fills in what was not asked for: a slot for each GPU named, or a few on the CPU, sharing its cores.

        Raises:
            UserError: a GPU that is not there, or that two runs of several processes would share by halves.
        """
        asked = [gpu for gpu in gpus if gpu >= 0]
        if asked:
            _require_gpus([gpu + place for gpu in asked for place in range(processes)])
        if any(0 < other - gpu < processes for gpu in asked for other in asked):
            raise UserError(
                f"with {processes} processes a run takes that many GPUs from the one named on, so those named must lie "
                f"as far apart; {','.join(map(str, asked))} do not."
            )
        slots = asked or [-1]
        cores = os.cpu_count() or 1
        jobs = jobs or (len(slots) if asked else max(1, min(cores, MOST_JOBS) // processes))
        threads = threads or max(1, cores // (jobs * processes))
        return cls([slots[i % len(slots)] for i in range(jobs)], threads, processes)


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
    checkpoint_steps: int | None = None,
    trackers: Sequence[str] = (),
    not_skipped: Collection[str] = (),
) -> "Plan":
    """Checks everything that can be checked before hours are spent, and finds out what is still to be run.

    Every setting is checked, every dataset prepared, every model built without its weights. In a suite of several
    experiments, one whose model needs what its dataset lacks, or a library that is not installed, is skipped.

    Args:
        not_skipped: experiments that the suite is about, for which such a lack is an error.

    Raises:
        UserError: the first thing that is wrong.
    """
    # Imported here: what only lists or reports must not wait for torch and FuxiCTR.
    from fuxi_plugins.datasets.prepare import prepare_dataset
    from fuxi_plugins.datasets.spec import load_dataset_spec
    from fuxi_plugins.execution.plan import plan_runs
    from fuxi_plugins.experiments.experiment import resolve
    from fuxi_plugins.experiments.requirements import other_widths, unmet_need
    from fuxi_plugins.models.registry import load_model_class, model_source, sources
    from fuxi_plugins.training.compiling import require_compiler
    from fuxi_plugins.training.job import Job
    from fuxi_plugins.training.options import NO_BFLOAT16, cpu_has_bfloat16
    from fuxi_plugins.training.preflight import missing_library, preflight, require_shareable, try_one_batch

    experiments = [resolve(config) for config in suite.experiments]
    specs = {name: _with_labels(load_dataset_spec(workspace.all_configs, name), experiments) for name in suite.datasets}
    unmet = {
        experiment.id: unmet_need(
            load_model_class(experiment.model), experiment.display_name, specs[experiment.dataset_id]
        )
        for experiment in experiments
    }
    not_skipped = [experiments[0].id] if len(experiments) == 1 else not_skipped
    if reason := next((unmet[name] for name in not_skipped if unmet.get(name)), ""):
        raise UserError(f"{reason}.")
    require_writable(workspace.results, "the results folder")
    require_writable(workspace.cache, "the cache folder")
    prepared = {name: prepare_dataset(spec, workspace) for name, spec in specs.items()}
    jobs, skipped = [], []
    for experiment in experiments:
        data = prepared[experiment.dataset_id]
        reason = unmet[experiment.id]
        if resources.processes * resources.hosts > 1:
            require_shareable(experiment, checkpoint_steps)
        if experiment.training.compile and -1 in resources.slots:
            require_compiler(experiment.id)
        widths = other_widths(data.spec, experiment.embedding_dim)
        if not reason and experiment.is_of_trees:
            reason = missing_library(experiment, data)
        elif not reason and not widths and not model_source(experiment.model):
            preflight(experiment, data)
        elif not reason:
            reason = try_one_batch(experiment, data, workspace.cache / "checkpoints")
            if reason and widths:
                reason = f"{reason}; {widths}"
        if reason and experiment.id in not_skipped:
            raise UserError(f"{reason}.")
        for seed in suite.seeds_of(experiment.id):
            names = (experiment.dataset_id, experiment.id, seed)
            job = Job(
                experiment=experiment,
                data=data,
                seed=seed,
                gpu=-1,
                threads=resources.threads,
                processes=resources.processes * resources.hosts,
                hosts=resources.hosts,
                rendezvous=resources.rendezvous,
                run_folder=workspace.run_folder(*names),
                checkpoint_folder=workspace.checkpoint_folder(*names),
                compiled_folder=workspace.compiled_folder,
                probe=suite.probe and not experiment.is_of_trees,
                checkpoint_steps=checkpoint_steps,
                sources=sources(),
                trackers=tuple(trackers),
                suite=suite.name,
            )
            if reason:
                skipped.append((job, reason))
            else:
                jobs.append(job)
    records = [record for name in specs for record in find_records(workspace.results, name)]
    plan = plan_runs(jobs, records, force=force)
    on_cpu = -1 in resources.slots and any(job.experiment.training.amp == "bf16" for job in plan.todo)
    return replace(plan, skipped=skipped, notes=[NO_BFLOAT16] if on_cpu and not cpu_has_bfloat16() else [])


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


def _with_labels(spec: "DatasetSpec", experiments: Sequence["Experiment"]) -> "DatasetSpec":
    """The dataset with the label, or the labels, that the experiments on it learn.

    Raises:
        UserError: they learn different ones, whose runs cannot share a board.
    """
    learned: dict[str, tuple[str, DatasetSpec]] = {}
    for experiment in experiments:
        if experiment.dataset_id == spec.dataset_id:
            chosen = spec.with_labels(experiment.training.learned_labels)
            names = " and ".join(column.name for column in chosen.learned_labels)
            learned.setdefault(names, (experiment.id, chosen))
    if len(learned) > 1:
        seen = ", ".join(f"{name} by {experiment}" for name, (experiment, _) in learned.items())
        raise UserError(
            f"experiments that run together on {spec.dataset_id} must learn the same label, but they learn {seen}. "
            "Their runs cannot share a board: make a suite for each label."
        )
    return next((chosen for _, chosen in learned.values()), spec)


def _require_gpus(asked: Sequence[int]) -> None:
    import torch

    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    missing = sorted({gpu for gpu in asked if gpu >= there})
    if missing:
        raise UserError(
            f"GPU {', '.join(map(str, missing))} was asked for, but torch sees {there} GPU{'s' * (there != 1)} here; "
            "--gpu -1 runs on the CPU."
        )

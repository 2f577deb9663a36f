"""The straight path of a suite: configs -> prepared data -> checked models -> runs -> records -> leaderboards."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fuxi_plugins.board_evidence import find_evidence
from fuxi_plugins.errors import UserError, unknown_name
from fuxi_plugins.experiments.experiment import load_experiment_configs
from fuxi_plugins.experiments.suite import Suite, load_suite, suite_names
from fuxi_plugins.experiments.template import load_templated_experiment
from fuxi_plugins.files import require_writable, write_text
from fuxi_plugins.records import Record, find_records, write_record
from fuxi_plugins.reports.certainty import with_certainty
from fuxi_plugins.reports.evidence import render_evidence
from fuxi_plugins.reports.formats import FORMATS, render
from fuxi_plugins.reports.leaderboard import Cell, Leaderboard, build_leaderboard
from fuxi_plugins.workspace import Workspace

if TYPE_CHECKING:
    from fuxi_plugins.scheduling.on_ray import Cluster
    from fuxi_plugins.scheduling.plan import Plan

EVIDENCE = "statistics.json"  # a board's own ending for it
MOST_JOBS = 8  # runs at once on a CPU unless told otherwise


@dataclass(frozen=True)
class Resources:
    """What runs may use: one slot for each run under way at once, with its GPU or -1, and threads a run."""

    slots: list[int]
    threads: int
    processes: int = 1  # of a run; on GPUs they take the slot's and those that follow it

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


def find_suite(name: str, workspace: Workspace, seeds: Sequence[int] = ()) -> Suite:
    """A suite by its name, or an experiment by its id as a suite of one.

    Raises:
        UserError: neither has this name.
    """
    suites = suite_names(workspace.configs)
    if name.partition("@")[0] in suites:
        suite = load_suite(workspace.configs, name)
    else:
        experiments = load_experiment_configs(workspace.configs)
        config = experiments.get(name) or load_templated_experiment(workspace.configs, name)
        if config is None:
            raise unknown_name("suite or experiment", name, [*suites, *experiments], "fuxibench list")
        own_seed = [config.seed] if config.seed is not None else [1]
        suite = Suite(name, f"{config.preset} on {config.dataset_id}", "", [config], own_seed, timeout_minutes=24 * 60)
    return replace(suite, seeds=list(seeds), more_seeds={}) if seeds else suite


def plan_suite(
    suite: Suite,
    workspace: Workspace,
    resources: Resources,
    *,
    force: bool = False,
    checkpoint_steps: int | None = None,
    observers: Sequence[str] = (),
) -> "Plan":
    """Checks everything that can be checked before hours are spent, and finds out what is still to be run.

    Every setting is checked, every dataset prepared, every model built without its weights. In a suite of several
    experiments, one whose model needs what its dataset lacks is skipped.

    Raises:
        UserError: the first thing that is wrong.
    """
    # Imported here: what only lists or reports must not wait for torch and FuxiCTR.
    from fuxi_plugins.datasets.prepare import prepare_dataset
    from fuxi_plugins.datasets.spec import load_dataset_spec
    from fuxi_plugins.experiments.experiment import resolve
    from fuxi_plugins.fitting import other_widths, unmet_need
    from fuxi_plugins.registry import load_model_class, model_source, sources
    from fuxi_plugins.runs.job import Job
    from fuxi_plugins.runs.preflight import preflight, require_shareable, try_one_batch
    from fuxi_plugins.scheduling.plan import plan_runs

    specs = {name: load_dataset_spec(workspace.configs, name) for name in suite_datasets(suite)}
    experiments = [resolve(config) for config in suite.experiments]
    unmet = {
        experiment.id: unmet_need(load_model_class(experiment.model), experiment.preset, specs[experiment.dataset_id])
        for experiment in experiments
    }
    alone = len(experiments) == 1
    if alone and (reason := unmet[experiments[0].id]):
        raise UserError(f"{reason}.")
    require_writable(workspace.results, "the results folder")
    require_writable(workspace.cache, "the cache folder")
    prepared = {name: prepare_dataset(spec, workspace) for name, spec in specs.items()}
    jobs, skipped = [], []
    for experiment in experiments:
        data = prepared[experiment.dataset_id]
        reason = unmet[experiment.id]
        if resources.processes > 1:
            require_shareable(experiment)
        widths = other_widths(data.spec, experiment.embedding_dim)
        if not reason and not widths and not model_source(experiment.model):
            preflight(experiment, data)
        elif not reason:
            reason = try_one_batch(experiment, data, workspace.cache / "checkpoints")
            if reason and widths:
                reason = f"{reason}; {widths}"
            if reason and alone:
                raise UserError(f"{reason}.")
        for seed in suite.seeds_of(experiment.id):
            names = (experiment.dataset_id, experiment.id, seed)
            job = Job(
                experiment=experiment,
                data=data,
                seed=seed,
                gpu=-1,
                threads=resources.threads,
                processes=resources.processes,
                run_folder=workspace.run_folder(*names),
                checkpoint_folder=workspace.checkpoint_folder(*names),
                probe=suite.probe,
                checkpoint_steps=checkpoint_steps,
                sources=sources(),
                observers=tuple(observers),
            )
            if reason:
                skipped.append((job, reason))
            else:
                jobs.append(job)
    records = [record for name in specs for record in find_records(workspace.results, name)]
    return replace(plan_runs(jobs, records, force=force), skipped=skipped)


def run_plan(
    plan: "Plan", suite: Suite, workspace: Workspace, resources: Resources, cluster: "Cluster | None" = None
) -> list[Record]:
    """Runs what the plan still needs, here or on a Ray cluster, and returns the records of this call."""
    from fuxi_plugins.runs.runner import skipped_record
    from fuxi_plugins.scheduling.claims import clear_dead_claims
    from fuxi_plugins.scheduling.display import display
    from fuxi_plugins.scheduling.limits import Limits
    from fuxi_plugins.scheduling.local import run_jobs
    from fuxi_plugins.scheduling.plan import take_over

    for record in plan.finished:
        clear_dead_claims(workspace.run_folder(record.dataset, record.experiment, record.seed))
    for job, reason in plan.skipped:
        write_record(job.run_folder, skipped_record(job, reason))
    records = [take_over(job, twin, workspace) for job, twin in plan.equal]
    seconds = suite.timeout_minutes * 60
    if plan.todo:
        with display(len(plan.todo)) as watcher:
            seen = {"before": plan.before, "watcher": watcher}
            if cluster is None:
                limits = Limits(timeout_seconds=seconds)
                records += run_jobs(plan.todo, slots=resources.slots, limits=limits, **seen)
            else:
                from fuxi_plugins.scheduling.on_ray import run_jobs_on

                records += run_jobs_on(cluster, plan.todo, results=workspace.results, timeout_seconds=seconds, **seen)
    return records


def suite_datasets(suite: Suite) -> list[str]:
    return list(dict.fromkeys(config.dataset_id for config in suite.experiments))


def suite_cells(suite: Suite) -> list[Cell]:
    """The runs that the suite's board expects."""
    return [
        Cell(config.dataset_id, config.id, config.preset, seed, config.settings_from)
        for config in suite.experiments
        for seed in suite.seeds_of(config.id)
    ]


def suite_boards(suite: Suite, workspace: Workspace, rank_by: str = "AUC") -> list[Leaderboard]:
    """The suite's leaderboards, one a dataset, from the records that are there."""
    return [suite_board(suite, dataset, workspace, rank_by) for dataset in suite_datasets(suite)]


def suite_board(suite: Suite, dataset: str, workspace: Workspace, rank_by: str = "AUC") -> Leaderboard:
    """The suite's leaderboard of one dataset, with what is known of its certainty."""
    records = list(find_records(workspace.results, dataset))
    board = build_leaderboard(dataset, records, suite_cells(suite), workspace.results, rank_by)
    runs = {
        row.experiment: [r for r in records if r.finished and r.experiment == row.experiment and r.seed in row.seeds]
        for row in board.rows
        if row.rank
    }
    return with_certainty(board, find_evidence([board_file(suite, dataset, workspace, EVIDENCE)], runs, workspace))


def board_file(suite: Suite, dataset: str, workspace: Workspace, ending: str) -> Path:
    stem = suite.name if len(suite_datasets(suite)) == 1 else f"{suite.name}-{dataset}"
    return workspace.results / "leaderboards" / f"{stem}.{ending}"


def write_boards(suite: Suite, boards: Sequence[Leaderboard], workspace: Workspace) -> list[Path]:
    """Writes each board in every format to ``results/leaderboards``, and the evidence of its certainty."""
    written = []
    for board in boards:
        texts = {form: render(board, suite.title, form) for form in FORMATS}
        if board.evidence:
            texts[EVIDENCE] = render_evidence(board.evidence)
        for ending, text in texts.items():
            path = board_file(suite, board.dataset, workspace, ending)
            write_text(path, text)
            written.append(path)
    return written


def _require_gpus(asked: Sequence[int]) -> None:
    import torch

    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    missing = sorted({gpu for gpu in asked if gpu >= there})
    if missing:
        raise UserError(
            f"GPU {', '.join(map(str, missing))} was asked for, but torch sees {there} GPU{'s' * (there != 1)} here; "
            "--gpu -1 runs on the CPU."
        )

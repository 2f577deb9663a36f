"""``fuxibench cost``."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from fuxi_plugins.cli.completion import suites_and_experiments
from fuxi_plugins.cli.console import say
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace

if TYPE_CHECKING:
    from fuxi_plugins.records.parts import Cost
    from fuxi_plugins.records.record import FinishedRun
    from fuxi_plugins.training.job import Job


@click.command()
@click.argument("name", shell_complete=suites_and_experiments)
@click.option("--gpu", default=-1, help="GPU to measure on; -1 is the CPU.")
@click.option("--threads", default=1, show_default=True, help="CPU threads.")
@click.option("--times", type=click.IntRange(min=1), default=1, show_default=True,
              help="Measurements of each model, in turns. The table shows the median.")  # fmt: skip
@click.option("--together", type=click.IntRange(min=1), default=8, show_default=True,
              help="Models that take turns. All of them are in memory meanwhile.")  # fmt: skip
@click.option("--record", "keep", is_flag=True, help="Also save the figures in the finished records, a "
              "measurement in each seed's.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def cost(
    workspace: Workspace, name: str, gpu: int, threads: int, times: int, together: int, keep: bool, as_json: bool
) -> None:
    """Measures speed, operations and memory of models. NAME is a suite or an experiment.

    The models take turns of under a second. Let nothing else run on the machine meanwhile.
    """
    from tabulate import tabulate

    from fuxi_plugins.execution.measure_cost import measure_in_turns
    from fuxi_plugins.execution.planner import plan_suite
    from fuxi_plugins.execution.resources import Resources
    from fuxi_plugins.experiments.suite import find_suite

    suite = find_suite(name, workspace, seeds=[1])
    resources = Resources.choose([gpu], jobs=1, threads=threads)
    plan = plan_suite(suite, workspace, resources, force=True)
    for reason in dict.fromkeys(reason for _, reason in plan.skipped):
        say(f"skipped: {reason}.", err=as_json)
    trees = [job for job in plan.todo if job.experiment.is_of_trees]
    for job in trees:
        say(f"skipped: {job.experiment.id}, for the cost of a tree model has no operations or steps.", err=as_json)
    jobs = [job for job in plan.todo if job not in trees]
    if not jobs:
        raise UserError(f"none of the models of {name} works on its dataset, so there is nothing to measure.")
    measured: list[list[Cost]] = [[] for _ in jobs]
    for _ in range(times):
        for first in range(0, len(jobs), together):
            those = slice(first, first + together)
            for its_costs, found in zip(measured[those], measure_in_turns(jobs[those], gpu), strict=True):
                its_costs.append(found)
    if keep:
        for job, its_costs in zip(jobs, measured, strict=True):
            _into_records(job, its_costs, workspace)
        say("Boards show the figures once 'fuxibench leaderboard' has written them anew.", err=as_json)
    if as_json:
        each = [(job, cost) for job, its_costs in zip(jobs, measured, strict=True) for cost in its_costs]
        say(json.dumps([{"experiment": job.experiment.id, **cost.model_dump()} for job, cost in each], indent=1))
        return
    costs = [sorted(found, key=lambda cost: cost.training_rows_per_second)[times // 2] for found in measured]
    header = ["experiment", "FLOP / row", "counted", "rows/s training", "rows/s inference",
              *(f"ms at {count}: p50 / p99" for count in costs[0].latency), "peak MB"]  # fmt: skip
    rows = [[job.experiment.id, *_figures(cost)] for job, cost in zip(jobs, costs, strict=True)]
    say(tabulate(rows, headers=header, tablefmt="simple", disable_numparse=True, colalign=["left"]))
    machine = f"{costs[0].device}, {costs[0].processor}, {costs[0].threads} threads"
    say(f"{machine}; after warming up, without data loading")


def _into_records(job: "Job", costs: Sequence["Cost"], workspace: Workspace) -> None:
    """Saves a measurement in the records of each seed: the first in the first's, and so on, and round again.

    A run may be recorded under several names, as where sizes of two suites are the same.
    """
    from fuxi_plugins.records.files import find_records, write_record
    from fuxi_plugins.records.record import finished_runs

    runs = finished_runs(find_records(workspace.results, job.data.spec.dataset_id))
    same = [run for run in runs if _is_of(job, run)]
    seeds = sorted({run.seed for run in same})
    for run in same:
        folder = workspace.run_folder(run.dataset, run.experiment, run.seed)
        write_record(folder, run.model_copy(update={"cost": costs[seeds.index(run.seed) % len(costs)]}))


def _is_of(job: "Job", run: "FinishedRun") -> bool:
    """Whether a run is one of the experiment, perhaps under another name, by today's settings and code."""
    from fuxi_plugins.execution.plan import differences_beside_data

    experiment = job.experiment
    named = run.experiment == experiment.id
    return run.digest == experiment.digest or (named and not differences_beside_data(experiment, run))


def _figures(cost: "Cost") -> list[str]:
    return [
        f"{cost.flops_per_row:,.0f}",
        f"{cost.flops_coverage:.0%}",
        f"{cost.training_rows_per_second:,.0f}",
        f"{cost.inference_rows_per_second:,.0f}",
        *(f"{found.p50_ms:.2f} / {found.p99_ms:.2f}" for found in cost.latency.values()),
        f"{cost.peak_bytes / 2**20:,.0f}",
    ]

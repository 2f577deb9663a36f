"""``fuxibench cost``."""

import json
from typing import TYPE_CHECKING

import click

from fuxi_plugins.cli.completion import suites_and_experiments
from fuxi_plugins.cli.console import say
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace

if TYPE_CHECKING:
    from fuxi_plugins.records.parts import Cost


@click.command()
@click.argument("name", shell_complete=suites_and_experiments)
@click.option("--gpu", default=-1, help="GPU to measure on; -1 is the CPU.")
@click.option("--threads", default=1, show_default=True, help="CPU threads.")
@click.option("--record", "into_records", is_flag=True, help="Also save the figures in the finished records.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def cost(workspace: Workspace, name: str, gpu: int, threads: int, into_records: bool, as_json: bool) -> None:
    """Measures speed, operations and memory of models. NAME is a suite or an experiment.

    Let nothing else run on the machine meanwhile.
    """
    from tabulate import tabulate

    from fuxi_plugins.execution.measure_cost import measure_apart
    from fuxi_plugins.execution.planner import plan_suite
    from fuxi_plugins.execution.resources import Resources
    from fuxi_plugins.experiments.suite import find_suite
    from fuxi_plugins.records.files import find_records, write_record
    from fuxi_plugins.records.record import finished_runs

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
    costs = []
    for job in jobs:
        costs.append(measure_apart(job, gpu))
        if into_records:
            for record in finished_runs(find_records(workspace.results, job.data.spec.dataset_id)):
                if record.digest == job.experiment.digest:
                    folder = workspace.run_folder(record.dataset, record.experiment, record.seed)
                    write_record(folder, record.model_copy(update={"cost": costs[-1]}))
    if as_json:
        listed = [{"experiment": job.experiment.id, **cost.model_dump()} for job, cost in zip(jobs, costs, strict=True)]
        say(json.dumps(listed, indent=1))
        return
    header = ["experiment", "FLOP / row", "counted", "rows/s training", "rows/s inference",
              *(f"ms at {count}: p50 / p99" for count in costs[0].latency), "peak MB"]  # fmt: skip
    rows = [[job.experiment.id, *_figures(cost)] for job, cost in zip(jobs, costs, strict=True)]
    say(tabulate(rows, headers=header, tablefmt="simple", disable_numparse=True, colalign=["left"]))
    machine = f"{costs[0].device}, {costs[0].processor}, {costs[0].threads} threads"
    say(f"{machine}; after warming up, without data loading")


def _figures(cost: "Cost") -> list[str]:
    return [
        f"{cost.flops_per_row:,.0f}",
        f"{cost.flops_coverage:.0%}",
        f"{cost.training_rows_per_second:,.0f}",
        f"{cost.inference_rows_per_second:,.0f}",
        *(f"{found.p50_ms:.2f} / {found.p99_ms:.2f}" for found in cost.latency.values()),
        f"{cost.peak_bytes / 2**20:,.0f}",
    ]

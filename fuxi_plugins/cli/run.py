"""``fuxibench run``: trains the runs of a suite that are not finished, and prints its board."""

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuxi_plugins.cli.completion import datasets, models, suites, suites_and_experiments
from fuxi_plugins.cli.console import say
from fuxi_plugins.cli.failures import FAILED_RUNS, show_failures
from fuxi_plugins.cli.leaderboard import show_boards
from fuxi_plugins.cli.model_files import MODEL_FILE, MODEL_FILES
from fuxi_plugins.cli.parameters import Integers
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace

if TYPE_CHECKING:
    from fuxi_plugins.execution.planner import Resources
    from fuxi_plugins.execution.ray_engine import Cluster


@click.command()
@click.argument("name", required=False, shell_complete=suites_and_experiments)
@click.option("--model", shell_complete=models, help="Instead of NAME: a model to run on --dataset.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of --model; may be repeated.")
@click.option(
    "--beside",
    metavar="SUITE",
    shell_complete=suites,
    help="Train --model as the models of this suite; show its board.",
)
@click.option("--rows", help="Models of --beside to train, separated by commas. Default: all.")
@click.option("--model-file", "model_files", type=MODEL_FILE, multiple=True, help="File with a model of your own.")
@click.option("--seeds", type=Integers(0), default=[], help="Seeds to use instead of the suite's.")
@click.option(
    "--gpu", "gpus", type=Integers(-1, repeated=True), default=[], help="GPUs; each takes one run at a time. -1: CPU."
)
@click.option("--jobs", type=click.IntRange(min=1), help="Runs at a time. Default: number of cores or GPUs.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads per run. Default: cores / jobs.")
@click.option(
    "--nproc-per-run",
    "processes",
    type=click.IntRange(min=1),
    default=1,
    help="Processes per run, on each host; each uses one GPU or CPU core.",
)
@click.option("--hosts", type=click.IntRange(min=1), default=1, help="Hosts that share each run; needs --rendezvous.")
@click.option("--rendezvous", metavar="HOST:PORT", help="Address of this host, where the others run 'fuxibench join'.")
@click.option("--checkpoint-steps", type=click.IntRange(min=1), help="Also save a checkpoint every N steps.")
@click.option(
    "--tracker",
    "trackers",
    multiple=True,
    type=click.Choice(["tensorboard", "wandb", "mlflow"]),
    help="Experiment tracker to report to.",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    help="Where to run: this machine or a Ray cluster.",
)
@click.option("--address", help="Ray cluster: HOST:PORT of its head node, or auto.")
@click.option("--dry-run", is_flag=True, help="Check everything and list the runs without training.")
@click.option("--force", is_flag=True, help="Repeat finished runs.")
@click.option(
    "--dataset",
    shell_complete=datasets,
    help="Dataset for --model, or for suites that work on any dataset, such as paper_main.",
)
@click.option("--protocol", help="Protocol of such a suite: matched, repository or paper.")
@click.option("--probe", type=click.Choice(["rank"]), help="Also measure effective ranks at every stage of the model.")
@click.pass_obj
def run(
    workspace: Workspace,
    name: str | None,
    model: str | None,
    settings: tuple[str, ...],
    beside: str | None,
    rows: str | None,
    model_files: tuple[Path, ...],
    seeds: list[int],
    gpus: list[int],
    jobs: int | None,
    threads: int | None,
    processes: int,
    hosts: int,
    rendezvous: str | None,
    checkpoint_steps: int | None,
    trackers: tuple[str, ...],
    engine: str,
    address: str | None,
    dry_run: bool,
    force: bool,
    dataset: str | None,
    protocol: str | None,
    probe: str | None,
) -> None:
    """Runs a suite or an experiment and prints its board. Finished runs are not repeated.

    \b
    fuxibench run frappe_board
    fuxibench run --model DCNv2 --dataset ml100k --set learning_rate=3e-4 --seeds 1-3
    fuxibench run --model-file my_model.py --beside frappe_board
    """
    from fuxi_plugins.cli import choosing
    from fuxi_plugins.execution import planner
    from fuxi_plugins.execution.processes import begin_server
    from fuxi_plugins.records.record import FinishedRun

    files = (*click.get_current_context().meta[MODEL_FILES], *model_files)
    if model_files:
        choosing.use_named_files(files, workspace)
    asked = choosing.Asked(name, model, dataset, protocol, settings, beside, files, seeds, rows)
    chosen = choosing.choose(asked, workspace)
    suite = dataclasses.replace(chosen.to_run, probe=chosen.to_run.probe or probe is not None)
    if suite.shape:
        say(suite.shape)
    if processes * hosts > 1 and suite.probe:
        raise UserError("--nproc-per-run cannot be combined with --probe. Leave one of them out.")
    if dry_run and not choosing.is_prepared(suite, workspace):
        choosing.show_without_data(suite, workspace)
        return
    cluster = _cluster(engine, address, gpus, jobs, processes)
    if hosts > 1 or rendezvous:
        resources = _of_hosts(hosts, rendezvous, cluster, planner.Resources.choose(gpus, 1, threads, processes))
    elif cluster is None:
        resources = planner.Resources.choose(gpus, jobs, threads, processes)
    else:
        resources = planner.Resources.choose([], 1, threads or 1, processes)
    if cluster is None and not dry_run and (force or planner.is_unfinished(suite, workspace)):
        begin_server(resources.threads)  # beside this process, which imports as much for the plan
    plan = planner.plan_suite(
        suite,
        workspace,
        resources,
        force=force,
        checkpoint_steps=checkpoint_steps,
        trackers=trackers,
        not_skipped=[chosen.own],
    )
    say(f"{suite.title}: {len(plan.finished)} runs finished, {len(plan.todo)} to run.")
    choosing.say_rows_to_run(chosen, plan)
    for reason in dict.fromkeys(reason for _, reason in plan.skipped):
        say(f"skipped: {reason}.")
    for note in plan.notes:
        say(note)
    for job, twin in plan.equal:
        say(f"{job.name} is the same run as {twin.experiment}, which is finished.")
    if dry_run:
        for job in plan.todo:
            say(f"would run {job.name} on {job.data.spec.dataset_id}")
        choosing.say_times([job.experiment.id for job in plan.todo], workspace)
        return
    choosing.remember_files(files, workspace)
    records = planner.run_plan(plan, suite, workspace, resources, cluster)
    failed = [record for record in records if not isinstance(record, FinishedRun)]
    if plan.finished or len(failed) < len(records):
        show_boards(chosen.to_show, workspace)
        choosing.say_next(chosen, asked)
    if failed:
        show_failures(failed)
        say(f"error: {len(failed)} of {len(records)} runs failed; see the reasons in their records and logs", err=True)
        sys.exit(FAILED_RUNS)


def _of_hosts(hosts: int, rendezvous: str | None, cluster: "Cluster | None", resources: "Resources") -> "Resources":
    """What one run at a time has on several hosts."""
    if hosts == 1 or rendezvous is None or cluster is not None:
        raise UserError("--hosts N and --rendezvous HOST:PORT belong together, and do not go with --engine ray.")
    from fuxi_plugins.training.distributed.hosts import Address

    return dataclasses.replace(resources, hosts=hosts, rendezvous=str(Address.read(rendezvous)))


def _cluster(engine: str, address: str | None, gpus: list[int], jobs: int | None, processes: int) -> "Cluster | None":
    """The Ray cluster that is asked for, or None for this machine."""
    if (engine == "ray") != (address is not None):
        raise UserError("--engine ray and --address HOST:PORT belong together; --address auto finds a running cluster.")
    if address is None:
        return None
    from fuxi_plugins.execution.ray_engine import Cluster

    return Cluster.choose(address, gpus, jobs, processes)

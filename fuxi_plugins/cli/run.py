"""``fuxibench run``: trains the runs of a suite that are not finished, and prints its board."""

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuxi_plugins.cli.completion import datasets, models, suites, suites_and_experiments
from fuxi_plugins.cli.console import say
from fuxi_plugins.cli.failures import FAILED_RUNS, show_failures
from fuxi_plugins.cli.join import join_runs
from fuxi_plugins.cli.leaderboard import show_boards
from fuxi_plugins.cli.model_files import MODEL_FILE, MODEL_FILES
from fuxi_plugins.cli.parameters import Integers
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.execution.resources import Resources

if TYPE_CHECKING:
    from fuxi_plugins.execution.ray_engine import Cluster

WAIT = 600.0  # seconds that torchrun's hosts wait for each other; the first may have data to prepare


@click.command()
@click.argument("name", required=False, shell_complete=suites_and_experiments)
@click.option("--model", shell_complete=models, help="Model to run on --dataset, instead of NAME.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting of --model, or one to change in the experiment NAME; may be repeated.",
)
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
@click.option("--wait", type=click.FloatRange(min=1), help="Seconds to wait for the other hosts. Default: 45.")
@click.option(
    "--host-timeout",
    type=click.FloatRange(min=1),
    default=300,
    help="Seconds without an answer after which a host counts as gone and the run ends. Default: 300.",
)
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
@click.option("--force", is_flag=True, help="Repeat finished runs; with --beside, those of --model.")
@click.option("--update", is_flag=True, help="Repeat finished runs whose settings, code or data were changed since.")
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
    wait: float | None,
    host_timeout: float,
    checkpoint_steps: int | None,
    trackers: tuple[str, ...],
    engine: str,
    address: str | None,
    dry_run: bool,
    force: bool,
    update: bool,
    dataset: str | None,
    protocol: str | None,
    probe: str | None,
) -> None:
    """Runs a suite or an experiment and prints its board. Finished runs are not repeated.

    \b
    fuxibench run frappe_board
    fuxibench run DCNv2_frappe_x1r --set net_dropout=0.1
    fuxibench run --model DCNv2 --dataset ml100k --set learning_rate=3e-4 --seeds 1-3
    fuxibench run --model-file my_model.py --beside frappe_board
    """
    from fuxi_plugins.cli import choosing, run_messages, torchrun
    from fuxi_plugins.execution.planner import is_unfinished, plan_suite, run_plan
    from fuxi_plugins.execution.processes import begin_server

    if place := torchrun.place():
        torchrun.require_no_other_engine(hosts, rendezvous, processes, engine)
        if place.number or (place.host and dry_run):
            return
        if place.host:
            sys.exit(FAILED_RUNS if join_runs(place.rendezvous, gpus[0] if gpus else -1, wait or WAIT) else 0)
        processes, hosts = place.processes, place.hosts
        rendezvous, wait = place.rendezvous if hosts > 1 else None, wait or WAIT
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
        run_messages.show_dry_run_without_data(suite, workspace, force=force, update=update)
        return
    cluster = _cluster(engine, address, gpus, jobs, processes)
    resources = _resources(cluster, gpus, jobs, threads, processes, hosts, rendezvous)
    if hosts > 1:
        resources = dataclasses.replace(resources, host_wait=wait or resources.host_wait, host_timeout=host_timeout)
    if cluster is None and not dry_run and (force or update or is_unfinished(suite, workspace)):
        begin_server(resources.threads)  # beside this process, which imports as much for the plan
    plan = plan_suite(
        suite,
        workspace,
        resources,
        force=force,
        update=update,
        checkpoint_steps=checkpoint_steps,
        trackers=trackers,
        not_skipped=[chosen.own],
    )
    run_messages.say_plan(plan, chosen)
    if dry_run:
        run_messages.show_dry_run(plan, workspace)
        return
    choosing.remember_files(files, workspace)
    records = run_plan(plan, suite, workspace, resources, cluster)
    failed = [record for record in records if not record.finished]
    if plan.finished or len(failed) < len(records):
        show_boards(chosen.to_show, workspace)
        run_messages.say_next(chosen, asked)
    if failed:
        show_failures(failed)
        say(f"error: {len(failed)} of {len(records)} runs failed; see the reasons in their records and logs", err=True)
        sys.exit(FAILED_RUNS)


def _resources(
    cluster: "Cluster | None",
    gpus: list[int],
    jobs: int | None,
    threads: int | None,
    processes: int,
    hosts: int,
    rendezvous: str | None,
) -> Resources:
    """What each run may use, on this machine, on several hosts, or on the nodes of a cluster."""
    if cluster is not None:
        if hosts > 1 or rendezvous:
            raise UserError("--hosts and --rendezvous do not go with --engine ray; leave them out.")
        return Resources.choose([], 1, threads or 1, processes)
    if hosts == 1 and rendezvous is None:
        return Resources.choose(gpus, jobs, threads, processes)
    if hosts == 1 or rendezvous is None:
        raise UserError("--hosts N and --rendezvous HOST:PORT belong together; N is 2 or more.")
    from fuxi_plugins.training.distributed.hosts import Address

    one_at_a_time = Resources.choose(gpus, 1, threads, processes)
    return dataclasses.replace(one_at_a_time, hosts=hosts, rendezvous=str(Address.read(rendezvous)))


def _cluster(engine: str, address: str | None, gpus: list[int], jobs: int | None, processes: int) -> "Cluster | None":
    """The Ray cluster that is asked for, or None for this machine."""
    if (engine == "ray") != (address is not None):
        raise UserError("--engine ray and --address HOST:PORT belong together; --address auto finds a running cluster.")
    if address is None:
        return None
    try:
        from fuxi_plugins.execution.ray_engine import Cluster
    except ImportError as error:
        raise UserError(
            f"--engine ray needs Ray, but it cannot be imported ({error}). Install the package ray."
        ) from error

    return Cluster.choose(address, gpus, jobs, processes)

"""The command line. Thin: each command imports what it needs when it runs, so that help and tables come at once."""

from fuxi_plugins.cli import stopping  # isort: skip  # first: from here on Ctrl-C has its message

import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fuxi_plugins import __version__
from fuxi_plugins.cli.compare import compare
from fuxi_plugins.cli.completion import datasets, models, suites, suites_and_experiments
from fuxi_plugins.cli.console import say, show_in_any_encoding
from fuxi_plugins.cli.cost import cost
from fuxi_plugins.cli.data import data
from fuxi_plugins.cli.doctor import doctor
from fuxi_plugins.cli.failures import show_failures
from fuxi_plugins.cli.init import init
from fuxi_plugins.cli.leaderboard import leaderboard, show_boards
from fuxi_plugins.cli.model_files import use_models
from fuxi_plugins.cli.new import new
from fuxi_plugins.cli.parameters import Integers
from fuxi_plugins.cli.plan import plan as plan_command
from fuxi_plugins.cli.power import power
from fuxi_plugins.cli.predictions import predictions
from fuxi_plugins.cli.report import report
from fuxi_plugins.cli.run_expid import run_expid
from fuxi_plugins.cli.show import show
from fuxi_plugins.cli.splits import splits
from fuxi_plugins.cli.status import status
from fuxi_plugins.cli.submit import submit
from fuxi_plugins.cli.table import across, table
from fuxi_plugins.cli.tune import tune
from fuxi_plugins.cli.zoo import zoo_
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import cache_gone
from fuxi_plugins.core.workspace import Workspace

if TYPE_CHECKING:
    from fuxi_plugins.execution.planner import Resources
    from fuxi_plugins.execution.ray_engine import Cluster

MODEL_FILE = click.Path(dir_okay=False, path_type=Path)
MODEL_FILES = "fuxi_plugins.model_files"  # in click's context: the files that are named before the command
FAILED_RUNS = 1
USER_ERROR = 2


OLD_OPTIONS = {"--observe": "--tracker", "--processes": "--nproc-per-run", "--profile": "--protocol"}  # old -> new


def _today(word: str) -> str:
    """A word of the command line; an option's old name, understood for one release, becomes today's."""
    name, equals, value = word.partition("=")
    if name not in OLD_OPTIONS:
        return word
    say(f"warning: {name} is now called {OLD_OPTIONS[name]}; the next release drops the old name", err=True)
    return OLD_OPTIONS[name] + equals + value


class Commands(click.Group):
    """Turns the user's errors into one message and an exit code."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        show_in_any_encoding()
        given: Sequence[str] | None = args[0] if args else kwargs.pop("args", None)
        words = [_today(word) for word in (sys.argv[1:] if given is None else given)]
        return super().main(words, *args[1:], **kwargs)

    def invoke(self, context: click.Context) -> Any:
        try:
            with stopping.sigterm_as_ctrl_c():
                return super().invoke(context)
        except UserError as error:
            say(f"error: {error}", err=True)
            sys.exit(USER_ERROR)
        except FileNotFoundError as error:
            missing = Path(os.fsdecode(error.filename or ""))
            if not (isinstance(context.obj, Workspace) and missing.is_relative_to(context.obj.cache)):
                raise
            say(f"error: {cache_gone(missing)}", err=True)
            sys.exit(USER_ERROR)
        except KeyboardInterrupt:
            say(stopping.MESSAGE, err=True)
            sys.exit(stopping.INTERRUPTED)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__)
@click.option("--configs", type=click.Path(path_type=Path), help="Folder of the YAML configs.")
@click.option("--results", type=click.Path(path_type=Path), help="Folder of records and boards.")
@click.option("--zoo", type=click.Path(path_type=Path), help="FuxiCTR checkout whose models are called zoo:NAME.")
@click.option("--model-file", "model_files", type=MODEL_FILE, multiple=True, help="Python file that defines models.")
@click.pass_context
def main(
    context: click.Context, configs: Path | None, results: Path | None, zoo: Path | None, model_files: tuple[Path, ...]
) -> None:
    """Trains CTR models with FuxiCTR over several seeds and ranks them in leaderboards, called boards.

    \b
    fuxibench run quickstart            trains nine models on synthetic data and prints the board
    fuxibench run frappe_board --jobs 2 two runs at a time; finished runs are kept
    fuxibench leaderboard frappe_board  prints the board again from the saved records
    fuxibench list models
    fuxibench data import ml100k --from ~/ml-100k
    fuxibench data describe my_clicks --from ~/clicks; fuxibench new my_clicks

    docs/glossary.md explains the words: suite, experiment, record, board and others.
    """
    context.obj = Workspace.locate(configs, results)
    use_models(context.obj, model_files, zoo)
    context.meta[MODEL_FILES] = model_files


@main.command("list")
@click.argument("kind", type=click.Choice(["models", "datasets", "experiments", "suites", "metrics"]), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def list_(workspace: Workspace, kind: str | None, as_json: bool) -> None:
    """Lists models, datasets, experiments, suites and metrics. Name one kind to see only that."""
    from fuxi_plugins.cli import listing

    if as_json:
        found = {shown: listing.rows(shown, workspace) for shown in ([kind] if kind else listing.KINDS)}
        say(json.dumps(found[kind] if kind else found, indent=1))
        return
    for shown in [kind] if kind else listing.KINDS:
        say(listing.table(shown, workspace) if kind else f"{shown}\n{listing.table(shown, workspace)}\n")


@main.command()
@click.pass_obj
def check(workspace: Workspace) -> None:
    """Checks every config without reading data. Each setting must be a parameter of its model."""
    from fuxi_plugins.datasets.spec import load_dataset_specs
    from fuxi_plugins.experiments.catalogue import load_experiment_configs
    from fuxi_plugins.experiments.experiment import resolve
    from fuxi_plugins.experiments.suite import load_suite, suite_names

    specs = load_dataset_specs(workspace.all_configs)
    experiments = load_experiment_configs(workspace.all_configs)
    for config in experiments.values():
        if config.dataset_id not in specs:
            raise UserError(f"experiment {config.id!r} names the dataset {config.dataset_id!r}, which has no config.")
        specs[config.dataset_id].with_labels(resolve(config).training.learned_labels)
    suites = [load_suite(workspace.all_configs, name) for name in suite_names(workspace.all_configs)]
    for suite in suites:
        for config in suite.experiments:
            resolve(config)
    say(f"{len(specs)} datasets, {len(experiments)} experiments and {len(suites)} suites are valid.")


@main.command()
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


@main.command()
@click.argument("address", metavar="HOST:PORT")
@click.option("--gpu", type=click.IntRange(min=-1), default=-1, help="First GPU of this host's processes. -1: CPU.")
@click.option("--wait", type=click.FloatRange(min=1), default=45, help="Seconds to wait for the first run.")
def join(address: str, gpu: int, wait: float) -> None:
    """Adds this host's processes to the runs of another host, which 'run --hosts N --rendezvous HOST:PORT' starts.

    It ends when no further run is announced. FUXIBENCH_CACHE must be a folder that all hosts share.
    """
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # else torch prints C++ frames where a host is slow to answer
    from fuxi_plugins.training.distributed.hosts import PATIENCE, Address, joined
    from fuxi_plugins.training.distributed.launch import launch_beside

    place, known, failed = Address.read(address), None, False
    while found := joined(place, known, PATIENCE.seconds if known else wait):
        job, number, known = found
        say(f"joined {job.name} as host {number + 1} of {job.hosts}")
        if reason := launch_beside(dataclasses.replace(job, gpu=gpu), number, known):
            say(f"error: {job.name}: {reason}", err=True)
            failed = True
    say(f"no further run is announced at {place}.")
    sys.exit(FAILED_RUNS if failed else 0)


def _cluster(engine: str, address: str | None, gpus: list[int], jobs: int | None, processes: int) -> "Cluster | None":
    """The Ray cluster that is asked for, or None for this machine."""
    if (engine == "ray") != (address is not None):
        raise UserError("--engine ray and --address HOST:PORT belong together; --address auto finds a running cluster.")
    if address is None:
        return None
    from fuxi_plugins.execution.ray_engine import Cluster

    return Cluster.choose(address, gpus, jobs, processes)


for command in (
    across,
    compare,
    cost,
    data,
    doctor,
    init,
    leaderboard,
    new,
    plan_command,
    power,
    predictions,
    report,
    run_expid,
    show,
    splits,
    status,
    submit,
    table,
    tune,
    zoo_,
):
    main.add_command(command)
stopping.imported()


if __name__ == "__main__":
    main()

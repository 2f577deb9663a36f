"""The command line. Thin: each command imports what it needs when it runs, so that help and tables come at once."""

from fuxi_plugins.cli import stopping  # isort: skip  # first: from here on Ctrl-C has its message

import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from fuxi_plugins import __version__
from fuxi_plugins.cli.compare import compare
from fuxi_plugins.cli.console import say, show_in_any_encoding
from fuxi_plugins.cli.cost import cost
from fuxi_plugins.cli.data import data
from fuxi_plugins.cli.doctor import doctor
from fuxi_plugins.cli.new import new
from fuxi_plugins.cli.parameters import Integers, MetricName
from fuxi_plugins.cli.report import report
from fuxi_plugins.cli.status import status
from fuxi_plugins.cli.submit import submit
from fuxi_plugins.cli.tune import tune
from fuxi_plugins.cli.zoo import zoo_
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import cache_gone
from fuxi_plugins.core.workspace import Workspace

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

    def main(self, args: Sequence[str] | None = None, **kwargs: Any) -> Any:
        show_in_any_encoding()
        return super().main([_today(word) for word in (sys.argv[1:] if args is None else args)], **kwargs)

    def invoke(self, context: click.Context):
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
@click.option(
    "--model-file",
    "model_files",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Python file that defines models.",
)
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
    if zoo or model_files:
        from fuxi_plugins.models.registry import Sources, use_sources

        use_sources(Sources(str(zoo.resolve()) if zoo else None, tuple(str(file.resolve()) for file in model_files)))


@main.command("list")
@click.argument("kind", type=click.Choice(["models", "datasets", "experiments", "suites", "metrics"]), required=False)
@click.pass_obj
def list_(workspace: Workspace, kind: str | None) -> None:
    """Lists models, datasets, experiments, suites and metrics. Name one kind to see only that."""
    from fuxi_plugins.cli import listing

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

    specs = load_dataset_specs(workspace.configs)
    experiments = load_experiment_configs(workspace.configs)
    for config in experiments.values():
        if config.dataset_id not in specs:
            raise UserError(f"experiment {config.id!r} names the dataset {config.dataset_id!r}, which has no config.")
        resolve(config)
    suites = [load_suite(workspace.configs, name) for name in suite_names(workspace.configs)]
    for suite in suites:
        for config in suite.experiments:
            resolve(config)
    say(f"{len(specs)} datasets, {len(experiments)} experiments and {len(suites)} suites are valid.")


@main.command()
@click.argument("name")
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
    help="Processes per run; each uses one GPU or CPU core.",
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
@click.option("--force", is_flag=True, help="Repeat finished runs.")
@click.option("--dataset", help="Dataset, for suites that work on any dataset, such as paper_main.")
@click.option("--protocol", help="Protocol of such a suite: matched, repository or paper.")
@click.option("--probe", type=click.Choice(["rank"]), help="Also measure effective ranks at every stage of the model.")
@click.pass_obj
def run(
    workspace: Workspace,
    name: str,
    seeds,
    gpus,
    jobs,
    threads,
    processes,
    checkpoint_steps,
    trackers,
    engine,
    address,
    dry_run: bool,
    force: bool,
    dataset,
    protocol,
    probe,
) -> None:
    """Runs a suite or an experiment and prints its board. Finished runs are not repeated."""
    from fuxi_plugins.execution import planner
    from fuxi_plugins.experiments.suite import find_suite, instance_name

    suite = find_suite(instance_name(name, dataset, protocol), workspace, seeds)
    suite = dataclasses.replace(suite, probe=suite.probe or probe is not None)
    if suite.shape:
        say(suite.shape)
    if processes > 1 and (suite.probe or checkpoint_steps):
        raise UserError(
            "--nproc-per-run cannot be combined with --probe or --checkpoint-steps: runs by several processes cannot "
            "resume."
        )
    cluster = _cluster(engine, address, gpus, jobs, processes)
    here = (gpus, jobs, threads) if cluster is None else ([], 1, threads or 1)
    resources = planner.Resources.choose(*here, processes)
    plan = planner.plan_suite(
        suite, workspace, resources, force=force, checkpoint_steps=checkpoint_steps, trackers=trackers
    )
    say(f"{suite.title}: {len(plan.finished)} runs finished, {len(plan.todo)} to run.")
    for reason in dict.fromkeys(reason for _, reason in plan.skipped):
        say(f"skipped: {reason}.")
    for job, twin in plan.equal:
        say(f"{job.name} is the same run as {twin.experiment}, which is finished.")
    if dry_run:
        for job in plan.todo:
            say(f"would run {job.name} on {job.data.spec.dataset_id}")
        return
    records = planner.run_plan(plan, suite, workspace, resources, cluster)
    failed = [record for record in records if not record.finished]
    if plan.finished or len(failed) < len(records):
        _show(suite, workspace)
    if failed:
        say(f"error: {len(failed)} of {len(records)} runs failed; see the reasons in their records and logs", err=True)
        sys.exit(FAILED_RUNS)


def _cluster(engine: str, address: str | None, gpus: list[int], jobs: int | None, processes: int):
    """The Ray cluster that is asked for, or None for this machine."""
    if (engine == "ray") != (address is not None):
        raise UserError("--engine ray and --address HOST:PORT belong together; --address auto finds a running cluster.")
    if engine == "local":
        return None
    from fuxi_plugins.execution.ray_engine import Cluster

    return Cluster.choose(address, gpus, jobs, processes)


@main.command()
@click.argument("name")
@click.option("--by", "rank_by", type=MetricName(), help="Metric to rank by. Default: AUC if it was measured.")
@click.option("--format", "form", type=click.Choice(["md", "csv", "tex", "json"]), help="Print in this format.")
@click.option("--seeds", type=Integers(0), default=[], help="Seeds to use instead of the suite's.")
@click.option("--baseline", "baselines", multiple=True, help="Baseline row; LaTeX stars what beats them all.")
@click.pass_obj
def leaderboard(
    workspace: Workspace, name: str, rank_by: str | None, form: str | None, seeds, baselines: tuple[str, ...]
) -> None:
    """Prints the board of finished runs. It is rebuilt from their records, without training."""
    from fuxi_plugins.experiments.suite import find_suite
    from fuxi_plugins.reporting.boards import suite_boards
    from fuxi_plugins.reporting.formats import render_all

    suite = find_suite(name, workspace, seeds)
    if form is None:
        _show(suite, workspace, rank_by, baselines)
        return
    say(render_all(suite_boards(suite, workspace, rank_by), suite.title, form, baselines), nl=False)


def _show(suite, workspace: Workspace, rank_by: str | None = None, baselines: tuple[str, ...] = ()) -> None:
    """Prints the boards; those of a suite in the default order are written to the results folder as well."""
    from fuxi_plugins.experiments.suite import suite_names
    from fuxi_plugins.reporting.boards import suite_boards, write_boards
    from fuxi_plugins.reporting.terminal import print_board

    boards = suite_boards(suite, workspace, rank_by)
    for board in boards:
        print_board(board, suite.title)
    if rank_by is None and suite.name.partition("@")[0] in suite_names(workspace.configs):
        written = write_boards(suite, boards, workspace, baselines)
        say(f"written: {written[0].with_suffix('')}.{{md,csv,tex,json}}")


for command in (compare, cost, data, doctor, new, report, status, submit, tune, zoo_):
    main.add_command(command)
stopping.imported()


if __name__ == "__main__":
    main()

"""The command line. Thin: each command imports what it needs when it runs, so that help and tables come at once."""

from fuxi_plugins.cli import stopping  # isort: skip  # first: from here on Ctrl-C has its message

import json
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
from fuxi_plugins.cli.init import init
from fuxi_plugins.cli.join import join
from fuxi_plugins.cli.leaderboard import leaderboard
from fuxi_plugins.cli.model_files import MODEL_FILE, MODEL_FILES, use_models
from fuxi_plugins.cli.new import new
from fuxi_plugins.cli.plan import plan
from fuxi_plugins.cli.power import power
from fuxi_plugins.cli.predictions import predictions
from fuxi_plugins.cli.report import report
from fuxi_plugins.cli.run import run
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
    fuxibench run quickstart                              trains nine models on synthetic data and prints the board
    fuxibench run frappe_board --jobs 2                   runs two at a time; finished runs are kept
    fuxibench leaderboard frappe_board                    prints the board again from the saved records
    fuxibench data describe my_clicks --from ~/clicks     writes a first config for your own data
    fuxibench new my_clicks                               writes a board of all models on them
    fuxibench list                                        models, datasets, suites

    docs/glossary.md explains the words: suite, experiment, record, board and others.
    """
    context.obj = Workspace.locate(configs, results)
    use_models(context.obj, model_files, zoo)
    context.meta[MODEL_FILES] = model_files


@main.command("list")
@click.argument(
    "kind", type=click.Choice(["models", "datasets", "experiments", "suites", "metrics", "settings"]), required=False
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def list_(workspace: Workspace, kind: str | None, as_json: bool) -> None:
    """Lists models, datasets, suites, metrics, settings and more. Name one kind to see only that.

    The settings are those of the training; show EXPERIMENT also has those of its model.
    """
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
    from fuxi_plugins.datasets.catalogue import load_dataset_specs
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


for command in (
    across,
    compare,
    cost,
    data,
    doctor,
    init,
    join,
    leaderboard,
    new,
    plan,
    power,
    predictions,
    report,
    run,
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

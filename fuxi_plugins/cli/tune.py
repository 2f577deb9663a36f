"""``fuxibench tune``: the same budget for every model."""

from pathlib import Path

import click

from fuxi_plugins.cli.completion import suites_and_experiments
from fuxi_plugins.cli.console import say
from fuxi_plugins.cli.parameters import Integers
from fuxi_plugins.core.workspace import Workspace


@click.command()
@click.argument("name", shell_complete=suites_and_experiments)
@click.option(
    "--trials", required=True, type=click.IntRange(min=1), help="Trials per experiment, earlier calls included."
)
@click.option(
    "--space", type=click.Path(exists=True, path_type=Path), help="YAML file with a FuxiCTR tuner_space or ranges."
)
@click.option(
    "--sampler", default="random", type=click.Choice(["random", "tpe"]), show_default=True, help="How trials are drawn."
)
@click.option("--seed", default=1, show_default=True, type=click.IntRange(min=0), help="Seed of every run.")
@click.option("--board", help="Also write the winners as a suite of this name, with three other seeds.")
@click.option("--gpu", "gpus", type=Integers(-1, repeated=True), default=[], help="GPUs; each takes one run at a time.")
@click.option("--jobs", type=click.IntRange(min=1), help="Runs at a time.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads per run.")
@click.pass_obj
def tune(
    workspace: Workspace,
    name: str,
    trials: int,
    space: Path | None,
    sampler: str,
    seed: int,
    board: str | None,
    gpus: list[int],
    jobs: int | None,
    threads: int | None,
) -> None:
    """Tunes every model with the same number of trials. Validation chooses the best configuration.

    \b
    fuxibench tune ml100k_board --trials 20 --board my_tuned
    fuxibench tune DeepFM_frappe_x1r --trials 8 --space DeepFM_tuner_config.yaml

    Repeat the command to continue an interrupted search. Raise --trials to extend it.
    """
    from fuxi_plugins.core.files import write_text
    from fuxi_plugins.execution.resources import Resources
    from fuxi_plugins.experiments.suite import find_suite
    from fuxi_plugins.tuning import report, search
    from fuxi_plugins.tuning import space as spaces
    from fuxi_plugins.tuning.winners import board_files, write_board

    suite = find_suite(name, workspace)
    files = board_files(board, suite, workspace) if board else None  # refused before hours of search
    models = {config.id: config.model for config in suite.experiments}
    if space:
        chosen = spaces.spread(spaces.read_space(space), models)
    else:
        chosen = {experiment: spaces.default_space(model) for experiment, model in models.items()}
    resources = Resources.choose(gpus, jobs, threads)
    tuned = search.tune(suite, chosen, trials, seed, sampler, workspace, resources)
    stem = workspace.results / "tuning" / suite.name
    texts = {"md": report.render_markdown(suite.title, tuned), "json": report.render_json(tuned)}
    for ending, text in {**texts, "yaml": report.render_config(tuned)}.items():
        write_text(stem.with_name(f"{stem.name}.{ending}"), text)
    say(texts["md"], nl=False)
    say(f"written: {stem}.{{md,json,yaml}}")
    if files is None:
        say("For a board of the winners, repeat the command with --board NAME.")
    elif count := write_board(files, suite, tuned, seed):
        for path in files:
            say(f"written: {path}")
        say(f"{count} winners: fuxibench run {board}")
    else:
        say("No trial has finished, so no board was written.")

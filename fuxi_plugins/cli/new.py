"""``fuxibench new``: a board of many models on one's own data."""

import click

from fuxi_plugins.cli.completion import datasets
from fuxi_plugins.cli.console import say
from fuxi_plugins.cli.parameters import Integers
from fuxi_plugins.core.workspace import Workspace

SIZES = ("batch_size", "eval_steps", "early_stop_patience")


@click.command()
@click.argument("dataset", shell_complete=datasets)
@click.option("--models", help="Models, separated by commas. Default: all that work on the dataset.")
@click.option("--seeds", type=Integers(0), default=[1, 2, 3], help="Seeds. Default: 1,2,3.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Default: 32 to 4096, depending on the training rows.")
@click.option("--embedding-dim", type=click.IntRange(min=1), help="Default: 16, or the width that the dataset sets.")
@click.option(
    "--embedding-regularizer", type=click.FloatRange(min=0), default=1e-5, show_default=True, help="L2 weight."
)
@click.pass_obj
def new(
    workspace: Workspace,
    dataset: str,
    models: str | None,
    seeds: list[int],
    batch_size: int | None,
    embedding_dim: int | None,
    embedding_regularizer: float,
) -> None:
    """Writes a suite of all models on one dataset. All share one configuration; you may edit the two YAML files.

    \b
    fuxibench new my_clicks
    fuxibench run my_clicks_common
    fuxibench tune my_clicks_common --trials 20
    """
    from fuxi_plugins.datasets.catalogue import load_dataset_spec
    from fuxi_plugins.datasets.row_counts import training_rows
    from fuxi_plugins.experiments.common import start_board

    rows = training_rows(load_dataset_spec(workspace.all_configs, dataset), workspace)
    board = start_board(
        workspace.all_configs,
        dataset,
        models.split(",") if models else (),
        seeds,
        training={"batch_size": batch_size} if batch_size else {},
        changes={
            "embedding_regularizer": embedding_regularizer,
            **({"embedding_dim": embedding_dim} if embedding_dim else {}),
        },
        train_rows=rows,
    )
    sized = ", ".join(f"{name} {board.training[name]}" for name in SIZES if board.training.get(name))
    why = f"chosen for about {rows:,} training rows" if rows else "the defaults, since the data files are not here"
    say(f"{sized}: {why}.")
    for reason in dict.fromkeys(board.left_out.values()):
        alike = [row for row, one in board.left_out.items() if one == reason]
        say(f"left out ({reason.removeprefix('it ')}): {', '.join(alike)}")
    for path in board.files:
        say(f"written: {path}")
    say(f"{len(board.rows)} models, {len(board.rows) * len(seeds)} runs: fuxibench run {board.suite}")

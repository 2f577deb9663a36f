"""``fuxibench new``: a board of many models on one's own data."""

import click

from fuxi_plugins.cli.console import say
from fuxi_plugins.cli.parameters import Integers
from fuxi_plugins.core.workspace import Workspace


@click.command()
@click.argument("dataset")
@click.option("--models", help="Separated by commas. Default: all that the dataset can feed.")
@click.option("--seeds", type=Integers(0), default=[1, 2, 3], help="Default: 1,2,3.")
@click.option("--batch-size", type=click.IntRange(min=1), default=4096, show_default=True)
@click.option("--embedding-dim", type=click.IntRange(min=1), help="Default: 16, or that of the dataset's own columns.")
@click.option("--embedding-regularizer", type=click.FloatRange(min=0), default=1e-5, show_default=True, help="L2.")
@click.pass_obj
def new(
    workspace: Workspace,
    dataset: str,
    models: str | None,
    seeds: list[int],
    batch_size: int,
    embedding_dim: int | None,
    embedding_regularizer: float,
) -> None:
    """Starts a board of every model on a dataset. One configuration for all of them, in two files that you may edit.

    \b
    fuxibench new my_clicks
    fuxibench run my_clicks_common
    fuxibench tune my_clicks_common --trials 20
    """
    from fuxi_plugins.experiments.common import start_board

    board = start_board(
        workspace.all_configs,
        dataset,
        models.split(",") if models else (),
        seeds,
        training={"batch_size": batch_size},
        changes={
            "embedding_regularizer": embedding_regularizer,
            **({"embedding_dim": embedding_dim} if embedding_dim else {}),
        },
    )
    for reason in board.skipped:
        say(f"left out: {reason}.")
    for path in board.files:
        say(f"written: {path}")
    say(f"{len(board.rows)} models, {len(board.rows) * len(seeds)} runs: fuxibench run {board.suite}")

"""``fuxibench table`` and ``fuxibench across``: results on several datasets, for a paper."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import click

from fuxi_plugins.cli.console import say
from fuxi_plugins.cli.parameters import MetricName, Names
from fuxi_plugins.core.workspace import Workspace


@click.command(cls=Names)
@click.option("--boards", multiple=True, help="Suites whose boards make the table, separated by spaces.")
@click.option(
    "--datasets", multiple=True, help="Datasets, instead of --boards. Each shows the board with most of the models."
)
@click.option("--models", multiple=True, help="Models to show, in this order. Default: all, the best first.")
@click.option("--metrics", multiple=True, help="Metrics, RelaImpr or Impr, such as AUC,RelaImpr; for one dataset such "
              "as ml100k:gAUC,AUC. Default: AUC,logloss.")  # fmt: skip
@click.option("--baseline", "baselines", multiple=True, help="Baseline models. Improvements are relative to the first; "
              "a star marks values significantly better than the best of them.")  # fmt: skip
@click.option(
    "--with", "others", multiple=True, metavar="EXPERIMENT", help="Experiment to add, such as one of your own model."
)
@click.option("--no-rank", is_flag=True, help="Leave out the column of average ranks.")
@click.option("--digits", type=click.IntRange(1, 8), default=4, show_default=True, help="Decimals of a metric.")
@click.option("--format", "form", type=click.Choice(["md", "tex", "csv", "json", "html"]), default="md",
              show_default=True, help="Format to print.")  # fmt: skip
@click.option("--columns", type=click.Choice(["one", "two"]), default="one", show_default=True,
              help="LaTeX: the width of one column of an article (240 pt) or of both (504 pt).")  # fmt: skip
@click.option("--caption", default="", help="LaTeX: the caption. Default: a sentence that names metrics and datasets.")
@click.option("--label", default="tab:results", show_default=True, help="LaTeX: the label.")
@click.pass_obj
def table(
    workspace: Workspace,
    boards: tuple[str, ...],
    datasets: tuple[str, ...],
    models: tuple[str, ...],
    metrics: tuple[str, ...],
    baselines: tuple[str, ...],
    others: tuple[str, ...],
    no_rank: bool,
    digits: int,
    form: str,
    columns: str,
    caption: str,
    label: str,
) -> None:
    """Prints the table of a paper. Models are rows, datasets are columns; best bold, second best underlined.

    \b
    fuxibench table --boards frappe_board ml100k_board --metrics AUC,logloss,RelaImpr --baseline DNN
    fuxibench table --datasets ml100k frappe_x1r --models DNN DCNv2 RankElastor --format tex --columns two
    """
    from fuxi_plugins.records.metrics import usual_metrics
    from fuxi_plugins.reporting.table import paper_table

    found = paper_table(
        boards,
        datasets=datasets,
        models=models,
        metrics=_metrics(metrics) or usual_metrics(),
        baselines=baselines,
        digits=digits,
        with_rows=others,
        with_ranks=not no_rank,
        workspace=workspace,
    )
    say(found.render(form, columns, caption, label), nl=False)


def _metrics(said: Sequence[str]) -> list[str] | dict[str, list[str]]:
    """Metrics of all datasets, or of each where one is named, as ``ml100k:gAUC,AUC``.

    Raises:
        UserError: both.
    """
    from fuxi_plugins.core.errors import UserError

    named = [text.partition(":") for text in said]
    if not any(colon for _, colon, _ in named):
        return [name for text in said for name in text.split(",")]
    if not all(colon for _, colon, _ in named):
        raise UserError("metrics are named for all datasets at once, or for each as DATASET:METRICS, but not both.")
    return {dataset: metrics.split(",") for dataset, _, metrics in named}


@click.command(cls=Names)
@click.option("--boards", multiple=True, required=True, help="Suites whose boards are used, separated by spaces.")
@click.option("--models", multiple=True, help="Only these models. Default: all with a result on every dataset.")
@click.option("--by", "metric", type=MetricName(), default="AUC", show_default=True, help="Metric to compare by.")
@click.option("--cost", type=click.Choice(["parameters", "flops", "seconds"]), default="parameters", show_default=True,
              help="Cost that the figure shows against quality.")  # fmt: skip
@click.option("--test", type=click.Choice(["wilcoxon", "nemenyi"]), default="wilcoxon", show_default=True,
              help="Test of differences over logs: Wilcoxon's with Holm's procedure, or Nemenyi's.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write.")
@click.pass_obj
def across(
    workspace: Workspace,
    boards: tuple[str, ...],
    models: tuple[str, ...],
    metric: str,
    cost: Literal["parameters", "flops", "seconds"],
    test: Literal["wilcoxon", "nemenyi"],
    out: Path,
) -> None:
    """Compares models across datasets. Writes figures and csv files of average ranks, win rates and cost.

    Splits of one log, such as ml100k and ml100k_random, count as one unit in intervals and tests.

    \b
    fuxibench across --boards frappe_board ml100k_board --out across
    """
    from fuxi_plugins.analysis.across import across as compare_across
    from fuxi_plugins.analysis.tradeoff import tradeoff
    from fuxi_plugins.datasets.catalogue import logs_of_datasets
    from fuxi_plugins.records.metrics import find_metric
    from fuxi_plugins.reporting.across import summary, write_across
    from fuxi_plugins.reporting.boards import named_boards

    logs = logs_of_datasets(workspace.all_configs)
    found = compare_across(named_boards(boards, workspace), find_metric(metric), models, test, logs)
    costs = tradeoff(found, cost)
    written = write_across(found, costs, out)
    say(summary(found, costs), nl=False)
    say(f"{len(written)} files: {out}")

"""``fuxibench compare``: two models, paired."""

import click

from fuxi_plugins.cli.completion import models
from fuxi_plugins.cli.console import say
from fuxi_plugins.cli.parameters import MetricName
from fuxi_plugins.core.workspace import Workspace


@click.command()
@click.argument("a", shell_complete=models)
@click.argument("b", shell_complete=models)
@click.option("--dataset", help="Dataset to compare on. Default: all with runs of both models.")
@click.option("--by", "metric", type=MetricName(), help="Metric to compare by. Default: AUC if it was measured.")
@click.option("--format", "form", type=click.Choice(["json"]), help="Print in this format.")
@click.pass_obj
def compare(workspace: Workspace, a: str, b: str, dataset: str | None, metric: str | None, form: str | None) -> None:
    """Compares two models on the same test rows. Prints A minus B with its interval, p value and seeds won.

    \b
    fuxibench compare RankElastor DCNv2 --dataset ml100k
    fuxibench compare RankElastor_ml100k RankMixer_ml100k --by gAUC
    """
    import json
    from dataclasses import asdict

    from fuxi_plugins.records.metrics import find_metric
    from fuxi_plugins.reporting.comparing import comparisons_today

    found = comparisons_today(a, b, dataset, metric, workspace)
    if form == "json":
        say(json.dumps([{**asdict(one), "sentence": one.sentence} for one in found], indent=1))
        return
    for one in found:
        show = find_metric(one.metric).show
        say(one.sentence)
        means = " against ".join(
            f"{show(mean)} ({count} seed{'s' * (count > 1)})" for mean, count in zip(one.means, one.seeds, strict=True)
        )
        say(f"  test {one.metric}: {means}; noise of {one.units + ' and ' if one.units else ''}seeds")
        for caveat in one.caveats:
            say(f"  {caveat}")

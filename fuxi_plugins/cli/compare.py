"""``fuxibench compare``: two models, paired."""

import click

from fuxi_plugins.cli.completion import models
from fuxi_plugins.cli.console import say
from fuxi_plugins.cli.parameters import MetricName
from fuxi_plugins.core.workspace import Workspace


@click.command()
@click.argument("a", shell_complete=models)
@click.argument("b", shell_complete=models)
@click.option("--dataset", help="Only on this dataset. Default: on every one that both have run on.")
@click.option("--by", "metric", type=MetricName(), help="Default: AUC where it was measured.")
@click.option("--format", "form", type=click.Choice(["json"]), help="Print in this format.")
@click.pass_obj
def compare(workspace: Workspace, a: str, b: str, dataset: str | None, metric: str | None, form: str | None) -> None:
    """Compares two models, paired. A less B: effect, interval, p, seeds won, and a sentence.

    \b
    fuxibench compare RankElastor DCNv2 --dataset ml100k
    fuxibench compare RankElastor_ml100k RankMixer_ml100k --by gAUC
    """
    import json
    from dataclasses import asdict

    from fuxi_plugins.analysis.comparisons import comparisons
    from fuxi_plugins.records.metrics import find_metric

    found = comparisons(a, b, dataset, metric, workspace)
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

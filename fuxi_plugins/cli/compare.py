"""``fuxibench compare``: two models, paired."""

import click

from fuxi_plugins.core.workspace import Workspace


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--dataset", help="Only on this dataset. Default: on every one that both have run on.")
@click.option("--by", "metric", default="AUC", type=click.Choice(["AUC", "gAUC", "logloss"]), show_default=True)
@click.option("--format", "form", type=click.Choice(["json"]), help="Print in this format.")
@click.pass_obj
def compare(workspace: Workspace, a: str, b: str, dataset: str | None, metric: str, form: str | None) -> None:
    """Compares two models, paired. A less B: effect, interval, p, seeds won, and a sentence.

    \b
    fuxibench compare RankElastor DCNv2 --dataset ml100k
    fuxibench compare RankElastor_ml100k RankMixer_ml100k --by gAUC
    """
    import json
    from dataclasses import asdict

    from fuxi_plugins.analysis.comparisons import comparisons

    found = comparisons(a, b, dataset, metric, workspace)
    if form == "json":
        click.echo(json.dumps([{**asdict(one), "sentence": one.sentence} for one in found], indent=1))
        return
    for one in found:
        click.echo(one.sentence)
        means = " against ".join(
            f"{mean:.5f} ({count} seed{'s' * (count > 1)})" for mean, count in zip(one.means, one.seeds, strict=True)
        )
        click.echo(f"  test {metric}: {means}; noise of {one.units + ' and ' if one.units else ''}seeds")
        for caveat in one.caveats:
            click.echo(f"  {caveat}")

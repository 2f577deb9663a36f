"""``fuxibench report``: what is published about the results."""

from pathlib import Path

import click

from fuxi_plugins.workspace import Workspace


@click.group()
def report() -> None:
    """Writes what is published: the ledger, the site."""


@report.command()
@click.option("--metric", default="AUC", type=click.Choice(["AUC", "gAUC", "logloss"]), show_default=True)
@click.option("--format", "form", type=click.Choice(["md", "csv", "json"]), help="Print in this format; write nothing.")
@click.pass_obj
def ledger(workspace: Workspace, metric: str, form: str | None) -> None:
    """Ours beside the paper's and BARS's values: reproduced, above, below or not comparable, and why."""
    from fuxi_plugins.files import write_text
    from fuxi_plugins.records import find_records
    from fuxi_plugins.reports.ledger import build_ledger
    from fuxi_plugins.reports.ledger_formats import LEDGER_FORMATS, render_ledger

    entries = build_ledger(find_records(workspace.results), workspace.results, metric)
    if form:
        click.echo(render_ledger(entries, form), nl=False)
        return
    for ending in LEDGER_FORMATS:
        name = "ledger" if metric == "AUC" else f"ledger-{metric}"
        write_text(workspace.results / "ledger" / f"{name}.{ending}", render_ledger(entries, ending))
    click.echo(render_ledger([entry for entry in entries if entry.ours], "md"), nl=False)
    click.echo(f"written: {workspace.results / 'ledger' / name}.{{{','.join(LEDGER_FORMATS)}}}")


@report.command()
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("site"), show_default=True, help="Folder to write."
)
@click.pass_obj
def site(workspace: Workspace, out: Path) -> None:
    """Writes every board, model, run and the ledger as static pages that open from disk."""
    from fuxi_plugins.errors import UserError
    from fuxi_plugins.publishing import gather
    from fuxi_plugins.reports.site.build import write_site

    contents = gather(workspace)
    try:
        pages = write_site(out, contents)
    except FileExistsError as error:
        raise UserError(f"the site needs a folder of its own, but {error}; name another with --out.") from error
    click.echo(f"{pages} pages: {out / 'index.html'}")

"""``fuxibench report``: what is published about the results."""

from pathlib import Path

import click

from fuxi_plugins.cli.console import say
from fuxi_plugins.cli.parameters import MetricName, Names
from fuxi_plugins.core.workspace import Workspace


@click.group()
def report() -> None:
    """Reports results: ledger, web site, paper, BARS's format."""


@report.command()
@click.option("--metric", default="AUC", type=MetricName(), show_default=True, help="Metric to compare.")
@click.option(
    "--format", "form", type=click.Choice(["md", "csv", "json"]), help="Print in this format and write no file."
)
@click.pass_obj
def ledger(workspace: Workspace, metric: str, form: str | None) -> None:
    """Compares our results with published values. Each is reproduced, above, below or not comparable."""
    from fuxi_plugins.analysis.ledger import build_ledger
    from fuxi_plugins.core.files import write_text
    from fuxi_plugins.records.files import find_records
    from fuxi_plugins.records.metrics import main_metric
    from fuxi_plugins.reporting.ledger import LEDGER_FORMATS, render_ledger

    entries = build_ledger(find_records(workspace.results), workspace.results, metric)
    if form:
        say(render_ledger(entries, form), nl=False)
        return
    name = "ledger" if metric == main_metric() else f"ledger-{metric}"
    for ending in LEDGER_FORMATS:
        write_text(workspace.results / "ledger" / f"{name}.{ending}", render_ledger(entries, ending))
    say(render_ledger([entry for entry in entries if entry.ours], "md"), nl=False)
    say(f"written: {workspace.results / 'ledger' / name}.{{{','.join(LEDGER_FORMATS)}}}")


@report.command()
@click.option("--metric", default="AUC", type=MetricName(), show_default=True, help="Metric to compare.")
@click.pass_obj
def literature(workspace: Workspace, metric: str) -> None:
    """Compares published values of the same models. Shows how much sources differ, beside the gains of papers."""
    from fuxi_plugins.analysis.literature import load_literature
    from fuxi_plugins.core.files import write_text
    from fuxi_plugins.records.metrics import main_metric
    from fuxi_plugins.reporting.literature import render_literature

    page = render_literature(load_literature(workspace.results), metric)
    name = "literature.md" if metric == main_metric() else f"literature-{metric}.md"
    path = workspace.results / "ledger" / name
    write_text(path, page)
    say(page, nl=False)
    say(f"written: {path}")


@report.command(cls=Names)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("site"), show_default=True, help="Folder to write."
)
@click.option("--boards", multiple=True, help="Suites to show, separated by spaces. Default: all with a finished run.")
@click.option("--title", default="fuxibench", show_default=True, help="Title of the site.")
@click.option("--about", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Markdown file; its text ends the first page.")  # fmt: skip
@click.option("--logo", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Image beside the title: svg, png, jpg or webp.")  # fmt: skip
@click.pass_obj
def site(
    workspace: Workspace, out: Path, boards: tuple[str, ...], title: str, about: Path | None, logo: Path | None
) -> None:
    """Writes a static web site of boards, models, datasets and runs. Its pages open from disk.

    \b
    fuxibench report site --boards my_board --title "Our models" --about ABOUT.md --logo logo.svg
    """
    from fuxi_plugins.core.errors import UserError
    from fuxi_plugins.reporting.site.build import write_site
    from fuxi_plugins.reporting.site.contents import LOGOS, Frame
    from fuxi_plugins.reporting.site.gather import gather

    if logo and logo.suffix.lower() not in LOGOS:
        raise UserError(f"the logo must be an image ({', '.join(LOGOS)}), but is {logo.name}.")
    frame = Frame(title, about.read_text(encoding="utf-8") if about else "", logo)
    contents = gather(workspace, boards, frame)
    try:
        made = write_site(out, contents)
    except FileExistsError as error:
        raise UserError(f"the site needs a folder of its own, but {error}; name another with --out.") from error
    say(f"{made.pages:,} pages, {len(made.written):,} files new or changed: {out / 'index.html'}")


@report.command()
@click.option("--dataset", help="Dataset to report. Default: all with runs of the paper_ suites.")
@click.option("--protocol", help="Protocol to report: matched, repository or paper. Default: all.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write. Default: results/paper.")
@click.pass_obj
def paper(workspace: Workspace, dataset: str | None, protocol: str | None, out: Path | None) -> None:
    """Reports what our runs say about the RankElastor paper. Writes claims, tables and figures as HTML and Markdown."""
    from fuxi_plugins.core.errors import UserError
    from fuxi_plugins.reporting.paper.document import build_sections, write_report
    from fuxi_plugins.reporting.paper.gather import studies

    found = [study for study in studies(workspace, dataset, protocol) if study.finished]
    if not found:
        raise UserError(
            "no run of the paper's suites is finished yet; 'fuxibench run paper_rank --dataset ml100k' makes some."
        )
    written = write_report(build_sections(found, workspace.results), out or workspace.results / "paper")
    say(f"{len(found)} studies, {len(written)} files: {written[-1]}")


@report.command()
@click.argument("name")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("bars"), show_default=True, help="Folder to write."
)
@click.option("--contributor", default="fuxibench", show_default=True, help="Name in the leaderboard csv.")
@click.pass_obj
def bars(workspace: Workspace, name: str, out: Path, contributor: str) -> None:
    """Writes a suite's results in BARS's format. Makes a leaderboard csv, and one folder of result lines per model."""
    from fuxi_plugins.core.files import write_text
    from fuxi_plugins.experiments.suite import find_suite
    from fuxi_plugins.models.registry import load_model_class
    from fuxi_plugins.records.files import find_records
    from fuxi_plugins.records.record import finished_runs
    from fuxi_plugins.reporting import bars as forms
    from fuxi_plugins.reporting.boards import suite_boards

    for board in suite_boards(find_suite(name, workspace), workspace):
        ranked = [row for row in board.rows if row.rank]
        papers = {row.model: getattr(load_model_class(row.model), "paper", None) for row in ranked}
        origins = {
            model: forms.Origin(str(paper.year), paper.venue, paper.url) for model, paper in papers.items() if paper
        }
        write_text(out / f"{board.dataset}.csv", forms.leaderboard_csv(board, origins, contributor))
        records = finished_runs(find_records(workspace.results, board.dataset))
        for row in ranked:
            runs = [r for r in records if r.experiment == row.experiment and r.seed in row.seeds]
            for file, text in forms.result_folder(runs).items():
                write_text(out / forms.folder_name(row.display_name, board.dataset) / file, text)
        say(f"{out / board.dataset}.csv and {len(ranked)} folders")

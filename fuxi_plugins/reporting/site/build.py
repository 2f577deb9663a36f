"""Writes the site: pages of boards, models, datasets and runs, the ledger, downloads, one style sheet, one script."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from markupsafe import Markup

from fuxi_plugins.analysis.ledger import agreements
from fuxi_plugins.analysis.tuning_results import MODELS
from fuxi_plugins.core.cleaning import json_value, log
from fuxi_plugins.core.files import digest
from fuxi_plugins.records.record import Record
from fuxi_plugins.reporting.bars import model_config
from fuxi_plugins.reporting.formats import render
from fuxi_plugins.reporting.latex import bibtex
from fuxi_plugins.reporting.ledger import agreement_sentence, render_ledger
from fuxi_plugins.reporting.notes import LETTERS, notes, tie_sentence
from fuxi_plugins.reporting.site import addresses, views
from fuxi_plugins.reporting.site.addresses import board_page, model_page, run_page, run_record, search_data, slug
from fuxi_plugins.reporting.site.contents import Contents, NamedBoard
from fuxi_plugins.reporting.site.figure import front_figure
from fuxi_plugins.reporting.site.folder import Group, SiteFolder
from fuxi_plugins.reporting.site.front import front, front_table, listed_boards
from fuxi_plugins.reporting.site.models import model, model_class, model_code, places_by_model, records_by_model
from fuxi_plugins.reporting.site.pages import Pages

STATIC = Path(__file__).parent / "static"
DOWNLOADS = {"CSV": "csv", "JSON": "json", "Markdown": "md", "LaTeX": "tex"}
MOST_NAMED = 6  # models in the sentence above a board; the table has a filter for them
FIGURE = "figures/models-across-datasets.svg"


def write_site(folder: Path, contents: Contents) -> SiteFolder:
    """Writes the site into ``folder``; files that an earlier call has written and that are no longer of it are removed.

    Raises:
        FileExistsError: the folder holds files that are not a site's.
    """
    site = SiteFolder(folder)
    pages = Pages(contents)
    for address, content in _files(pages, contents):
        site.put(address, content)
    for group in _runs(pages, contents):
        site.put_group(group)
    site.finish()
    return site


def _files(pages: Pages, contents: Contents) -> Iterator[tuple[str, str | bytes]]:
    """Address and content of every file that is not of a run."""
    by_model = records_by_model(contents)
    datasets = list(
        dict.fromkeys([*(b.board.dataset for b in contents.boards), *(r.dataset for r in contents.records)])
    )
    yield "robots.txt", "User-agent: *\nAllow: /\n"
    yield from _static(contents)
    yield (
        "static/index.js",
        f"const siteIndex = {json.dumps(views.search_index(contents, list(by_model), datasets))};\n",
    )
    yield from _front(pages, contents)
    for board in contents.boards:
        yield from _board(pages, contents, board)
    yield from _models(pages, contents, by_model)
    for name in datasets:
        dataset = views.dataset(name, contents)
        yield addresses.dataset_page(name), pages.render("dataset.html", "../", dataset=dataset)
        if dataset["card"]:
            yield addresses.dataset_config(name), dataset["card"].config
    yield from _code(contents, by_model)
    if contents.ledger:
        yield from _ledger(pages, contents)
    if contents.tuning_results:
        yield from _searches(pages, contents)
    if contents.paper:
        yield from _paper(pages, contents.paper)


def _static(contents: Contents) -> Iterator[tuple[str, bytes]]:
    for file in sorted(STATIC.iterdir()):
        yield f"static/{file.name}", file.read_bytes()
    if contents.frame.logo:
        yield addresses.logo(contents.frame.logo), contents.frame.logo.read_bytes()


def _front(pages: Pages, contents: Contents) -> Iterator[tuple[str, str | bytes]]:
    figure = front_figure([named.board for named in contents.main], contents.across)
    if figure:
        yield FIGURE, figure.svg
    shown = front(contents)
    downloads = {}
    if table := front_table(contents, [model["name"] for model in shown["models"]]):
        for label, form in DOWNLOADS.items():
            downloads[label] = f"data/models.{form}"
            yield downloads[label], table.render(form, columns="two")
    caption = figure and (FIGURE, figure.caption)
    yield "index.html", pages.render("index.html", "", front=shown, figure=caption, downloads=downloads)
    yield "boards.html", pages.render("boards.html", "", kinds=listed_boards(contents.boards))


def _board(pages: Pages, contents: Contents, named: NamedBoard) -> Iterator[tuple[str, str]]:
    texts = {label: render(named.board, named.title, form) for label, form in DOWNLOADS.items()}
    downloads = {label: f"data/{slug(named.stem)}.{form}" for label, form in DOWNLOADS.items()}
    for label, address in downloads.items():
        yield address, texts[label]
    how = f"{pages.stamp.version}, leaderboard {named.stem}"
    copies = {
        "Copy as Markdown": texts["Markdown"],
        "Copy as LaTeX": texts["LaTeX"],
        "Cite by BibTeX": bibtex(
            f"fuxibench-{named.stem}", f"{named.title}: {named.board.data.title}", how, pages.stamp.year
        ),
    }
    beside = (tie_sentence(named.board), LETTERS)  # the table
    below = [line for line in notes(named.board) if line not in beside]
    yield board_page(named.stem), pages.render(
        "board.html", "../", shown=views.board(named), named=named, board=named.board, notes=below,
        tie=tie_sentence(named.board, MOST_NAMED), letters=LETTERS, downloads=downloads, texts=copies,
        dataset_card=contents.datasets.get(named.board.dataset),
    )  # fmt: skip


def _models(
    pages: Pages, contents: Contents, by_model: Mapping[str, Sequence[Record]]
) -> Iterator[tuple[str, str | bytes]]:
    places = places_by_model(contents)
    for name, records in by_model.items():
        shown = model(name, records, places.get(name, []), contents)
        yield model_page(name), pages.render("model.html", "../", model=shown)


def _code(contents: Contents, by_model: Mapping[str, Sequence[Record]]) -> Iterator[tuple[str, bytes]]:
    """The source files that pages of models and runs link to, each once."""
    pages = [(model_class(name, records), records) for name, records in by_model.items()]
    runs = [(record.model, [record]) for record in contents.records]
    files = {file for name, records in [*pages, *runs] for file in model_code(name, records, contents)}
    for file in sorted(files):
        yield addresses.code_file(file), file.read_bytes()


def _runs(pages: Pages, contents: Contents) -> Iterator[Group]:
    """The files of every run. Most of a site's files are of runs, and new results leave those of earlier runs as they
    were."""
    suites = {row.experiment: named.suite for named in contents.boards for row in named.board.rows}
    for record in map(_published, contents.records):
        text = record.model_dump_json(indent=1) + "\n"
        repeated_by = views.repeated_by(record, suites)
        code = [(file.name, addresses.code_file(file)) for file in model_code(record.model, [record], contents)]
        yield Group(
            addresses=[run_record(record), addresses.run_config(record), run_page(record)],
            inputs=digest([pages.inputs, text, repeated_by, code]),
            make=partial(_run, pages, record, text, repeated_by, code),
        )


def _run(pages: Pages, record: Record, text: str, repeated_by: str, code: Sequence[tuple[str, str]]) -> list[str]:
    """A run's record, configuration and page."""
    page = pages.render("run.html", "../", record=record, run=views.run(record, repeated_by, code))
    return [text, model_config(record), page]


def _published(record: Record) -> Record:
    """Without the folders and the user's name that a failure's text may hold."""
    said = {"reason": json_value(record.reason), "traceback": log(record.traceback)}
    return record.model_copy(update=said)


def _ledger(pages: Pages, contents: Contents) -> Iterator[tuple[str, str]]:
    for form in ("csv", "json"):
        yield f"data/ledger.{form}", render_ledger(contents.ledger, form)
    agreed = list(map(agreement_sentence, agreements(contents.ledger)))
    names = {(record.dataset, record.experiment): record.display_name for record in contents.records}
    yield "ledger.html", pages.render("ledger.html", "", entries=contents.ledger, agreed=agreed, names=names)


def _searches(pages: Pages, contents: Contents) -> Iterator[tuple[str, str]]:
    for search in contents.tuning_results:
        yield search_data(search.suite), MODELS.dump_json(search.models, indent=1).decode() + "\n"
    titles = {named.suite: named.title for named in contents.boards}
    shown = [views.search(found, titles) for found in contents.tuning_results]
    yield "tuning_results.html", pages.render("tuning_results.html", "", tuning_results=shown)


def _paper(pages: Pages, report: Path) -> Iterator[tuple[str, str | bytes]]:
    """The report on the paper, its content in the site's frame, and its figures."""
    for file in sorted(report.rglob("*")):
        if file.is_file() and file.name != "index.html":
            yield f"paper/{file.relative_to(report).as_posix()}", file.read_bytes()
    text = (report / "index.html").read_text(encoding="utf-8")
    content = re.search(r"<main>(.*)</main>", text, flags=re.DOTALL) or re.search(r"<body>(.*)</body>", text, re.DOTALL)
    yield "paper/index.html", pages.render("paper.html", "../", content=Markup(content[1] if content else text))

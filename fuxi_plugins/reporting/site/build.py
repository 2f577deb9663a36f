"""Writes the site: a page for every board, model and run, the ledger, downloads, one style sheet and one script."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import jinja2

from fuxi_plugins.analysis.ledger import agreements
from fuxi_plugins.analysis.tuning_results import MODELS
from fuxi_plugins.core.cleaning import html, json_value, log
from fuxi_plugins.core.files import write_text
from fuxi_plugins.records.metrics import find_metric, main_metric
from fuxi_plugins.records.record import Record
from fuxi_plugins.reporting.formats import render
from fuxi_plugins.reporting.glossary import explanation
from fuxi_plugins.reporting.ledger import agreement_sentence, render_ledger
from fuxi_plugins.reporting.notes import notes, tie_sentence
from fuxi_plugins.reporting.site import views
from fuxi_plugins.reporting.site.addresses import board_page, model_page, run_page, run_record, search_data, slug
from fuxi_plugins.reporting.site.contents import Contents

HERE = Path(__file__).parent
DOWNLOADS = ("csv", "json", "md", "tex")
MARKER = ".fuxibench-site"  # by which a folder is known as ours to write anew


def write_site(folder: Path, contents: Contents) -> int:
    """Writes the pages into ``folder`` and returns how many there are.

    What an earlier call has written is replaced; a folder with anything else in it is refused.

    Raises:
        FileExistsError: the folder holds files that are not a site's.
    """
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARKER).exists():
            raise FileExistsError(f"{folder} holds other files")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).touch()
    shutil.copytree(HERE / "static", folder / "static")
    count = 0
    if contents.paper:
        shutil.copytree(contents.paper, folder / "paper")
        count += 1
    for address, text in _files(contents):
        path = folder / address
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        count += address.endswith(".html")
    write_text(folder / "robots.txt", "User-agent: *\nAllow: /\n")
    return count


def _files(contents: Contents) -> Iterator[tuple[str, str]]:
    """Address and text of every page and download."""
    templates = _environment(contents)
    named = contents.boards
    yield "index.html", _page(templates, "index.html", "", contents=contents, cards=[views.card(b) for b in named])
    for board in named:
        downloads = {form: f"data/{slug(board.stem)}.{form}" for form in DOWNLOADS}
        for form, address in downloads.items():
            yield address, render(board.board, board.title, form)
        shown = views.board(board)
        yield board_page(board.stem), _page(
            templates, "board.html", "../", shown=shown, named=board, board=board.board,
            notes=notes(board.board), tie=tie_sentence(board.board), downloads=downloads,
        )  # fmt: skip
    expected = [row.display_name for named in contents.boards for row in named.board.rows]  # some may have no run yet
    by_display_name: dict[str, list[Record]] = {display_name: [] for display_name in expected}
    for record in contents.records:
        by_display_name.setdefault(record.display_name, []).append(record)
    for display_name, records in by_display_name.items():
        yield (
            model_page(display_name),
            _page(
                templates,
                "model.html",
                "../",
                model=views.model(display_name, records, contents.boards, contents.summaries),
            ),
        )
    suites = {row.experiment: named.suite for named in contents.boards for row in named.board.rows}
    run_template = templates.get_template("run.html")
    for record in contents.records:
        said = {"reason": json_value(record.reason), "traceback": log(record.traceback)}
        record = record.model_copy(update=said)
        yield run_record(record), record.model_dump_json(indent=1) + "\n"
        yield (
            run_page(record),
            run_template.render(root="../", record=record, run=views.run(record, suites), download=run_record(record)),
        )
    for form in ("csv", "json"):
        yield f"data/ledger.{form}", render_ledger(contents.ledger, form)
    agreed = list(map(agreement_sentence, agreements(contents.ledger)))
    yield "ledger.html", _page(templates, "ledger.html", "", entries=contents.ledger, agreed=agreed)
    if contents.tuning_results:
        for search in contents.tuning_results:
            yield search_data(search.suite), MODELS.dump_json(search.models, indent=1).decode() + "\n"
        yield (
            "tuning_results.html",
            _page(templates, "tuning_results.html", "", tuning_results=map(views.search, contents.tuning_results)),
        )


def _page(templates: jinja2.Environment, name: str, root: str, **values: object) -> str:
    return templates.get_template(name).render(root=root, **values)


def _environment(contents: Contents) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=html,
    )
    environment.globals.update(
        has_tuning_results=bool(contents.tuning_results),
        has_paper=contents.paper is not None,
        explanation=explanation,
        find_metric=find_metric,
        main_metric=main_metric,
    )
    environment.filters.update(
        model_page=model_page,
        board_page=board_page,
        run_page=run_page,
        five=lambda value: "–" if value is None else f"{value:.5f}",
        shown=lambda value, metric: "–" if value is None else find_metric(metric).show(value),
        ends=lambda interval, metric: "–".join(map(find_metric(metric).show_end, (interval.low, interval.high))),
        difference=lambda value, metric: "–" if value is None else find_metric(metric).show_difference(value),
        thousands=lambda value: "–" if value is None else f"{value:,}",
        pretty=lambda value: json.dumps(value, indent=2, ensure_ascii=False),
    )
    return environment

"""Jinja's templates of the pages, and what all pages have in common."""

import json
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import jinja2
from markdown_it import MarkdownIt
from markupsafe import Markup

import fuxi_plugins
from fuxi_plugins.core.cleaning import html
from fuxi_plugins.core.files import digest, file_digest
from fuxi_plugins.records.metrics import find_metric, main_metric
from fuxi_plugins.reporting.glossary import explanation
from fuxi_plugins.reporting.site import addresses
from fuxi_plugins.reporting.site.contents import Contents

SCROLLED = '<div class="scroll narrow" role="region" aria-label="Table, scrolls sideways" tabindex="0"><table>'


@dataclass(frozen=True)
class Stamp:
    """What the pages are made of: the same records and version give the same pages."""

    version: str
    date: str  # of the newest run, "" where there is none
    commit: str  # of the checkout that made it, where it is known

    @property
    def year(self) -> int:
        return int(self.date[:4] or 0)


class Pages:
    """Renders the templates with autoescape: whatever a record says is text."""

    def __init__(self, contents: Contents):
        self.stamp = _stamp(contents)
        logo = contents.frame.logo
        around = {  # the content of every page
            "logo": addresses.logo(logo) if logo else "",
            "has_ledger": bool(contents.ledger),
            "has_paper": contents.paper is not None,
            "has_tuning_results": bool(contents.tuning_results),
        }
        # Digest of everything that a page follows from, beside what it shows.
        self.inputs = digest([contents.frame.title, self.stamp.version, around, _code()])
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=html,
            auto_reload=False,
        )
        self._environment.globals.update(
            around,
            frame=contents.frame,
            about=_markdown(contents.frame.about),
            stamp=self.stamp,
            runs=len(contents.records),
            explanation=explanation,
            find_metric=find_metric,
            main_metric=main_metric,
        )
        self._environment.filters.update(
            model_page=addresses.model_page,
            board_page=addresses.board_page,
            dataset_page=addresses.dataset_page,
            dataset_config=addresses.dataset_config,
            run_page=addresses.run_page,
            run_record=addresses.run_record,
            run_config=addresses.run_config,
            prose=_prose,
            wrapped=_wrapped,
            five=lambda value: "–" if value is None else f"{value:.5f}",
            shown=lambda value, metric: "–" if value is None else find_metric(metric).show(value),
            ends=lambda interval, metric: "–".join(map(find_metric(metric).show_end, (interval.low, interval.high))),
            difference=lambda value, metric: "–" if value is None else find_metric(metric).show_difference(value),
            thousands=lambda value: "–" if value is None else f"{value:,}",
            setting=_setting,
        )

    def render(self, template: str, root: str, **values: object) -> str:
        """A page as HTML; ``root`` leads from its folder to the site's."""
        return self._environment.get_template(template).render(root=root, **values)


def _code() -> list[str]:
    """Digests of this package's modules and templates, and versions of the packages that write the pages."""
    package = Path(fuxi_plugins.__file__).parent
    files = sorted(path for path in package.rglob("*") if path.suffix in (".py", ".html"))
    return [*(file_digest(file, "sha256") for file in files), *map(version, ("Jinja2", "MarkupSafe", "PyYAML"))]


def _prose(text: str) -> Markup:
    """A sentence of a docstring or of a note as HTML: what stands between backticks is code."""
    parts = re.split(r"`+([^`]+)`+", text)  # every second part stood between backticks
    code = Markup("<code>{}</code>")
    return Markup("").join(code.format(html(part)) if place % 2 else html(part) for place, part in enumerate(parts))


def _wrapped(name: str) -> Markup:
    """A name that may go on in a new line after each underscore."""
    return Markup("_<wbr>").join(html(name).split("_"))


def _setting(value: object) -> str:
    """A setting's value as YAML writes it; a dash where it is not set."""
    if value is None:
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _stamp(contents: Contents) -> Stamp:
    newest = max(contents.records, key=lambda record: record.started, default=None)
    return Stamp(
        version=f"fuxibench {fuxi_plugins.__version__}",
        date=newest.started[:10] if newest else "",
        commit=(newest.commit or "")[:12] if newest else "",
    )


def _markdown(text: str) -> Markup:
    """Markdown as a part of a page: its HTML is text, its links are those of the web, its headings one level lower."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 1)}"
        if token.type == "th_open":
            token.attrs["scope"] = "col"
        if token.attrs.pop("style", "") == "text-align:right":
            token.attrs["class"] = "number"  # the pages allow no style but that of the style sheet
    page = parser.renderer.render(tokens, parser.options, {})
    return Markup(page.replace("<table>", SCROLLED).replace("</table>", "</table></div>"))

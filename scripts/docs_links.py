"""For mkdocs: what a page of docs/ links to outside of it becomes a file of the documentation's own site.

Markdown becomes a page, a program or table a text, and a folder is named without a link. So the same Markdown has
working links in a checkout and on the site, and mkdocs, which is strict, finds those that lead nowhere.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

LINK = re.compile(r"\]\(([^)#\s:]+)(?:#[^)\s]*)?\)")  # not one with a scheme
OUTSIDE = re.compile(r"\[([^\]]+)\](\(\.\./([^)#\s]+)(#[^)\s]*)?\))")
ROOT = Path(__file__).resolve().parents[1]
FOLDER = "repository"
SHOWN = (".md", ".png", ".svg")  # by a site as they are; all else as text


def on_files(files: Files, config: Any) -> Files:
    """Adds every file outside of docs/ that a page links to, and those that an added page links to in turn."""
    pages = [file for file in files if file.src_uri.endswith(".md")]
    waiting = {ROOT / link[2] for page in pages for link in OUTSIDE.findall(page.content_string)}
    added: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path in added or not path.is_file():
            continue
        added.add(path)
        files.append(File.generated(config, address(path), content=path.read_bytes()))
        if path.suffix == ".md":
            text = path.read_text(encoding="utf-8")
            waiting |= {(path.parent / link).resolve() for link in LINK.findall(text)}
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Leads the links of a page of docs/ to the added files."""
    return OUTSIDE.sub(_led, markdown) if page.file.generated_by is None else markdown


def _led(link: re.Match[str]) -> str:
    text, whole, target, section = link.groups()
    path = ROOT / target
    if path.is_dir():
        return f"{text} (`{target}`)"
    return f"[{text}]({address(path)}{section or ''})" if path.is_file() else f"[{text}]{whole}"


def address(path: Path) -> str:
    """Where the file lies on the site; what is not Markdown is shown as text.

    >>> address(ROOT / "results" / "ledger" / "ledger.md"), address(ROOT / "setup.py")
    ('repository/results/ledger/ledger.md', 'repository/setup.py.txt')
    """
    inside = path.relative_to(ROOT).as_posix()
    return f"{FOLDER}/{inside}" if inside.endswith(SHOWN) else f"{FOLDER}/{inside}.txt"

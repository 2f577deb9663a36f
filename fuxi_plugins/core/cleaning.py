"""Makes text of records, configs, data files and logs safe to show: one function for each format.

Others wrote these texts, which may hold anything: sequences that move a terminal's cursor,
marks that turn the direction of text, formulas that a spreadsheet runs, LaTeX commands, links that are scripts. They
also hold paths of whoever ran the model, which are nobody else's business: what is published names a file without its
folders.
"""

import csv
import getpass
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

# A path between quotation marks may hold spaces, another ends at one. An address (https://...) and a fraction are none.
_QUOTED_PATH = re.compile(r"""(?<=["'])(?:~|[A-Za-z]:)?[/\\][^"'\n]*[/\\][^"'\n/\\]*(?=["'])""")
_PART = r"""[^\s/\\'"<>|:;,()\[\]{}]"""
_PATH = re.compile(rf"(?:(?<![\w.:/\\~-])|(?<=file://))(?:~|[A-Za-z]:)?[/\\]{_PART}+(?:[/\\]{_PART}*)+")
_PACKAGES = re.compile(r"(?:site|dist)-packages[/\\]")

_LATEX = {
    **{character: "\\" + character for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # at the start of a line, these two would belong to the command that ended the line before
    "*": "{*}",
    "⚠": "(!)",
    "±": r"$\pm$",
    "–": "--",
    "−": "$-$",
    "×": r"$\times$",
}
_LATEX_KNOWS = "—‘’“”…•€™"  # beyond Latin letters; at any other character pdflatex would stop
_MARKDOWN = {"&": "&amp;", "<": "&lt;", "|": "\\|", "\\": "\\\\"}
_END_OF_LINK = re.compile(r"\](?=[(\[:])")
_FORMULA = ("=", "+", "-", "@")


def visible(text: str) -> str:
    """Characters that cannot be seen, turn the direction or move a cursor are written as escapes.

    >>> print(visible("a\x1b[2J\u202eb"))
    a\\x1b[2J\\u202eb
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def terminal(text: str) -> str:
    """Text for a terminal: lines and tabs stay, everything else that cannot be seen is an escape."""
    if text.isprintable():  # most texts; pages ask for hundreds of thousands
        return text
    return "\n".join("\t".join(visible(part) for part in line.split("\t")) for line in text.split("\n"))


def markdown(text: str) -> str:
    """Text in one line that Markdown shows as it is: no table, no HTML, no link, no image.

    >>> print(markdown("[click](javascript:alert)"))
    [click\\](javascript:alert)
    """
    escaped = "".join(_MARKDOWN.get(character, character) for character in _one_line(text))
    return _END_OF_LINK.sub(r"\\]", escaped)


def latex(text: str) -> str:
    """Text in one line that LaTeX prints as it is; characters that pdflatex has no letter for are named by their codes.

    >>> print(latex("A_b 中"))
    A\\_b U+4E2D
    """
    return "".join(map(_in_latex, _one_line(text)))


def _in_latex(character: str) -> str:
    if character in _LATEX:
        return _LATEX[character]
    known = ord(character) < 0x180 or character in _LATEX_KNOWS
    return character if known else f"U+{ord(character):04X}"


def latex_comment(text: str) -> str:
    """A line that LaTeX passes over."""
    return f"% {_one_line(text)}"


def html(value: Any) -> Any:
    """A value of a page, before its template escapes ``<``, ``>``, ``&`` and quotation marks; markup stays."""
    if hasattr(value, "__html__") or not isinstance(value, (str, list, tuple, dict)):
        return value
    return terminal(without_folders(str(value)))


def json_value(value: Any) -> Any:
    """A value whose texts name no folders; JSON itself escapes what cannot be seen."""
    if isinstance(value, str):
        return without_folders(value)
    if isinstance(value, Mapping):
        return {name: json_value(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    return value


def csv_text(header: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """A csv file; no cell is taken for a formula by a program that opens it."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([csv_cell(name) for name in header])
    writer.writerows([csv_cell(value) for value in row] for row in rows)
    return buffer.getvalue()


def csv_cell(value: object) -> object:
    """A value of a csv file. Text that a spreadsheet would run begins with an apostrophe instead; numbers are numbers.

    >>> csv_cell("=cmd|'/c calc'!A1"), csv_cell(-0.5), csv_cell("-0.5")
    ("'=cmd|'/c calc'!A1", -0.5, '-0.5')
    """
    if not isinstance(value, str):
        return value
    text = _one_line(value)
    return f"'{text}" if text.startswith(_FORMULA) and not is_number(text) else text


def log(text: str) -> str:
    """A log or a traceback that is passed on: visible, without folders, without the name of this machine's user."""
    cleaned = terminal(without_folders(text))
    for name in _user_names():
        cleaned = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "user", cleaned)
    return cleaned


def without_folders(text: str) -> str:
    """Absolute paths are cut to the file's name, those of installed packages to what follows ``site-packages``.

    >>> without_folders('File "/home/ann/my models/net.py", line 3; see https://a.org/b/c')
    'File ".../net.py", line 3; see https://a.org/b/c'
    """
    if "/" not in text and "\\" not in text:
        return text
    return _PATH.sub(_cut, _QUOTED_PATH.sub(_cut, text))


def _cut(path: re.Match[str]) -> str:
    packages = list(_PACKAGES.finditer(path[0]))
    if packages:
        return ".../" + path[0][packages[-1].end() :]
    return ".../" + re.split(r"[/\\]", path[0].rstrip("/\\"))[-1]


def _one_line(text: str) -> str:
    return visible(" ".join(without_folders(text).split()))


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@cache
def _user_names() -> tuple[str, ...]:
    """How this machine calls its user; ``root`` says nothing of anybody."""
    try:
        names = {getpass.getuser(), Path.home().name}
    except (OSError, KeyError, RuntimeError):  # a user without a name
        return ()
    return tuple(sorted(name for name in names if name and name != "root"))

"""Where a model comes from and what it computes, as the docstring of its class says it."""

import inspect
import re
from dataclasses import dataclass

CITATION = re.compile(r"^Paper: (.+?),\s([^,]+)\s(\d{4}),\s(https?://\S+)\.(?:\s|$)", re.MULTILINE | re.DOTALL)
AUTHORS = re.compile(r"^Authors: (.+?)\.\s*(?:\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Paper:
    """The paper that a model implements."""

    title: str
    venue: str
    year: int
    url: str
    authors: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.title}. {self.venue} {self.year}. {self.url}"


@dataclass(frozen=True)
class Passage:
    """A paragraph of a docstring, or the lines of a formula."""

    text: str
    is_formula: bool = False


def paper_of(model_class: type) -> Paper:
    """The paper that the docstring of a class names.

    Raises:
        ValueError: the docstring names none in the form of :func:`paper_in`.
    """
    found = paper_in(inspect.getdoc(model_class) or "")
    if found is None:
        raise ValueError(
            f"the docstring of {model_class.__name__} must name its paper as 'Paper: TITLE, VENUE YEAR, URL.', "
            "but it has no such line."
        )
    return found


def paper_in(docstring: str) -> Paper | None:
    """The paper of a docstring's line ``Paper: TITLE, VENUE YEAR, URL.``; None where it has no such line.

    A line ``Authors: NAME, NAME.`` below it names its authors.
    """
    found = CITATION.search(docstring)
    if found is None:
        return None
    title, venue, year, url = (" ".join(part.split()) for part in found.groups())
    authors = AUTHORS.search(docstring)
    names = " ".join(authors[1].split()).split(", ") if authors else []
    return Paper(title, venue, int(year), url, tuple(names))


def passages_in(docstring: str) -> list[Passage]:
    """What a docstring says between its citation and its arguments: text and formulas, in their order."""
    before, _, _ = docstring.partition("\nArgs:")
    passages: list[Passage] = []
    for block in before.split("\n\n")[1:]:  # the first is the summary
        if block.startswith("    "):
            formula = "\n".join(line.removeprefix("    ") for line in block.splitlines())
            passages.append(Passage(formula, is_formula=True))
        elif not block.startswith("Paper: ") and block.strip():
            passages.append(Passage(" ".join(block.split())))
    return passages

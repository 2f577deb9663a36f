"""Where a model comes from and what it computes, as the docstring of its class says it."""

import inspect
import re
from dataclasses import dataclass

CITATION = re.compile(r"^Paper: (.+?),\s([^,]+)\s(\d{4}),\s(https?://\S+)\.(?:\s|$)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Paper:
    """The paper that a model implements."""

    title: str
    venue: str
    year: int
    url: str

    def __str__(self) -> str:
        return f"{self.title}. {self.venue} {self.year}. {self.url}"


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
    """The paper of a docstring's line ``Paper: TITLE, VENUE YEAR, URL.``; None where it has no such line."""
    found = CITATION.search(docstring)
    if found is None:
        return None
    title, venue, year, url = (" ".join(part.split()) for part in found.groups())
    return Paper(title, venue, int(year), url)


def formula_in(docstring: str) -> str:
    """The indented lines of a docstring that stand before its arguments; nothing where there are none."""
    before, _, _ = docstring.partition("\nArgs:")
    return "\n".join(line.removeprefix("    ") for line in before.splitlines() if line.startswith("    "))

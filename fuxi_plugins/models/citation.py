"""Where a model comes from, as the docstring of its class says it."""

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
    """The paper that the docstring of a class names: ``Paper: TITLE, VENUE YEAR, URL.``

    Raises:
        ValueError: the docstring names none in this form.
    """
    found = CITATION.search(inspect.getdoc(model_class) or "")
    if found is None:
        raise ValueError(
            f"the docstring of {model_class.__name__} must name its paper as 'Paper: TITLE, VENUE YEAR, URL.', "
            "but it has no such line."
        )
    title, venue, year, url = (" ".join(part.split()) for part in found.groups())
    return Paper(title, venue, int(year), url)

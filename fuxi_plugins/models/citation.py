"""Where a model comes from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    """The paper that a model implements; the class attribute ``paper`` of every native model."""

    title: str
    venue: str
    year: int
    url: str

    def __str__(self) -> str:
        return f"{self.title}. {self.venue} {self.year}. {self.url}"

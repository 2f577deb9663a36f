"""Searches for settings as ``fuxibench tune`` leaves them in ``results/tuning``: every trial of every model."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.parts import Frozen


class Trial(Frozen):
    """One configuration that was tried."""

    number: int
    experiment: str
    settings: dict[str, Any]
    valid: float | None  # of the monitored metric; None when the run failed
    reason: str = ""


class ModelSearch(Frozen):
    """All trials of one experiment."""

    experiment: str
    display_name: str
    metric: str  # that is monitored, or several, joined by a plus
    space: str  # what was varied, in words
    trials: list[Trial]
    best: Trial | None
    expected_best: list[float]  # of 1, 2, ... of the trials that finished, on average


@dataclass(frozen=True)
class Search:
    """A suite's search: the same budget for each of its experiments."""

    suite: str
    models: list[ModelSearch]


MODELS = TypeAdapter(list[ModelSearch])


def find_tuning_results(results: Path) -> Iterator[Search]:
    """All tuning_results below ``results/tuning``, by name.

    Raises:
        UserError: a file there is none.
    """
    for path in sorted((results / "tuning").glob("*.json")):
        try:
            yield Search(path.stem, MODELS.validate_json(path.read_bytes()))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise UserError(f"{path} is not what 'fuxibench tune' writes: {where}: {first['msg']}.") from error

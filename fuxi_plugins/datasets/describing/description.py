"""What looking at the files gives: a first config, and what its owner should know of it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Description:
    entry: dict[str, Any]  # of the dataset's config
    remarks: list[str]  # what its owner should look at

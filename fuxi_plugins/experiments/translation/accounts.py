"""What becomes of each published setting, so that none is dropped without a word."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Outcome = Literal["kept", "translated", "added", "dataset", "no effect", "refused"]


@dataclass(frozen=True)
class Account:
    """A setting, what became of it, and in words why or as what."""

    name: str
    value: Any
    outcome: Outcome
    detail: str = ""

    def __str__(self) -> str:
        value = "null" if self.value is None else str(self.value)
        return f"{self.name}: {value} ({self.detail})" if self.detail else f"{self.name}: {value}"


def of(accounts: Iterable[Account], *outcomes: Outcome) -> list[Account]:
    """The accounts with one of these outcomes."""
    return [account for account in accounts if account.outcome in outcomes]

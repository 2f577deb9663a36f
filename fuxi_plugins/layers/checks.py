"""Shape conditions, checked before anything is allocated.

Every message says what must hold, what was seen, and the nearest value that fits.
"""

from collections.abc import Sequence
from typing import Any, get_args


def require_positive(**sizes: int) -> None:
    """Every named size must be at least 1.

    >>> require_positive(num_tokens=4, token_dim=0)
    Traceback (most recent call last):
    ValueError: token_dim must be at least 1, but token_dim=0
    """
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, but {name}={size}")


def require_one_of(name: str, value: Any, choices: Any) -> None:
    """The value must be one of the choices, a ``Literal`` type."""
    allowed = get_args(choices)
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, but {name}={value!r}")


def require_multiple(**sizes: int) -> None:
    """Of two named sizes, the first must be a multiple of the second.

    >>> require_multiple(token_dim=26, num_heads=4)
    Traceback (most recent call last):
    ValueError: token_dim must be a multiple of num_heads, but token_dim=26 and num_heads=4; the nearest that fits is 28
    """
    (name, size), (factor_name, factor) = sizes.items()
    if size % factor:
        raise ValueError(
            f"{name} must be a multiple of {factor_name}, but {name}={size} and {factor_name}={factor}; "
            f"the nearest that fits is {nearest_multiple(size, factor)}"
        )


def require_widths(name: str, widths: Sequence[int]) -> None:
    """Every width of a list of layers must be at least 1."""
    if any(width < 1 for width in widths):
        raise ValueError(f"every width in {name} must be at least 1, but {name}={list(widths)}")


def require_rate(name: str, rate: float) -> None:
    """A dropout rate must lie in [0, 1)."""
    if not 0 <= rate < 1:
        raise ValueError(f"{name} must be at least 0 and below 1, but {name}={rate}")


def nearest_multiple(value: int, factor: int) -> int:
    """The positive multiple of ``factor`` closest to ``value``; the larger of two equally close.

    >>> nearest_multiple(26, 15), nearest_multiple(45, 30), nearest_multiple(3, 10)
    (30, 60, 10)
    """
    below = value // factor * factor
    above = below + factor
    return above if below == 0 or above - value <= value - below else below


def nearest_divisor(value: int, number: int) -> int:
    """The divisor of ``number`` closest to ``value``; the larger of two equally close.

    >>> nearest_divisor(16, 390), nearest_divisor(8, 60)
    (15, 10)
    """
    divisors = (d for d in range(1, number + 1) if number % d == 0)
    return min(divisors, key=lambda divisor: (abs(divisor - value), -divisor))

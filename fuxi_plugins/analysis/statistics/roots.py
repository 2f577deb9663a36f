"""Where a falling function crosses zero, for whole arrays at once."""

from collections.abc import Callable

import numpy as np

HALVINGS = 45  # of the range, to 3e-14 of it


def falling_root(function: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Bisection of a function that falls from ``low`` to ``high``; the nearer end where it does not cross zero.

    scipy has root finders for arrays, but loading them takes longer than all the rest of a board.
    """
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = function(middle) > 0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return (low + high) / 2

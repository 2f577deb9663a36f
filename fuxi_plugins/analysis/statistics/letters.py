"""Compact letter display: rows that share a letter are not significantly different, and no others do."""

import string

import numpy as np


def compact_letters(significant: np.ndarray) -> list[str]:
    """The letters of each row, by insertion and absorption (Piepho, J. Comput. Graph. Stat. 13, 2004, section 2).

    All rows start with one letter in common. Every significant pair splits each letter that both rows have into two,
    one without the first row and one without the second; a letter whose rows all share another one is absorbed by it.

    Args:
        significant: (M, M), symmetric, true where two rows differ significantly; rows in the order of their ranks.

    Returns:
        M strings, such as ``"ab"``. Two rows have a letter in common if and only if they do not differ significantly.

    >>> compact_letters(np.array([[False, False, True], [False, False, False], [True, False, False]]))
    ['a', 'ab', 'b']
    """
    rows = len(significant)
    columns = [(1 << rows) - 1]  # a letter is the set of its rows, one bit a row
    for first, second in zip(*np.nonzero(np.triu(significant, 1)), strict=True):
        pair = (1 << int(first)) | (1 << int(second))
        split = [column for column in columns if column & pair == pair]
        columns = [column for column in columns if column & pair != pair]
        for column in split:
            for part in (column & ~(1 << int(first)), column & ~(1 << int(second))):
                if not any(part & other == part for other in columns):
                    columns = [other for other in columns if other & part != other] + [part]
    columns = _without_redundant(columns, rows)
    members = sorted([row for row in range(rows) if column >> row & 1] for column in columns)
    named = ["" for _ in range(rows)]
    for index, listed in enumerate(members):
        for row in listed:
            named[row] += _letter(index)
    return named


def _without_redundant(columns: list[int], rows: int) -> list[int]:
    """Drops letters that tell nothing which the others do not: each pair of their rows shares another letter."""

    def partners(kept: list[int], row: int) -> int:
        found = 0
        for column in kept:
            if column >> row & 1:
                found |= column
        return found

    kept = list(columns)
    for column in sorted(columns, key=int.bit_count):
        others = [other for other in kept if other != column]
        if all(column & ~partners(others, row) == 0 for row in range(rows) if column >> row & 1):
            kept = others
    return kept


def _letter(index: int) -> str:
    """a to z, then A to Z, then numbers in brackets."""
    return string.ascii_letters[index] if index < len(string.ascii_letters) else f"[{index + 1}]"

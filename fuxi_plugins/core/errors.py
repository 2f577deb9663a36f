"""Errors that are the user's to mend: one clear message, no traceback, exit code 2."""

import difflib
from collections.abc import Iterable

from fuxi_plugins.core.cleaning import visible


class UserError(Exception):
    """What must hold, what was seen, what to do; the command line prints it and exits with code 2.

    What was seen may be bytes of a broken file, so characters that end a line or move a terminal's cursor are
    written as escapes.

    >>> print(UserError("the header is \x1b[2J\x85, user."))
    the header is \\x1b[2J\\x85, user.
    """

    def __init__(self, message: str):
        super().__init__(visible(message))


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """A clause that names the nearest right spellings, or nothing when none is near.

    >>> did_you_mean("RankElaster", ["RankElastor", "RankMixer", "DNN"])
    "; did you mean 'RankElastor'?"
    >>> did_you_mean("xyz", ["RankElastor"])
    ''
    """
    by_folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(wrong.casefold(), by_folded, n=2, cutoff=0.6)
    closeness = [difflib.SequenceMatcher(None, name, wrong.casefold()).ratio() for name in near]
    named = [repr(by_folded[name]) for name, ratio in zip(near, closeness, strict=True) if ratio > closeness[0] - 0.1]
    return f"; did you mean {' or '.join(named)}?" if named else ""


def unknown_name(kind: str, wrong: str, known: Iterable[str], listing: str) -> UserError:
    """The error for a name that nothing answers to; ``listing`` is the command that shows the right ones."""
    suggestion = did_you_mean(wrong, known)
    return UserError(f"there is no {kind} {wrong!r}{suggestion or '.'} '{listing}' shows all of them.")

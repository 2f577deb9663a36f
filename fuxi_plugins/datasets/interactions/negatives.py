"""Draws the items that stand in for what users were shown and passed over."""

import numpy as np

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.interactions.log import Interactions
from fuxi_plugins.datasets.interactions.settings import DrawnNegatives


def draw_negatives(log: Interactions, positives: np.ndarray, in_train: np.ndarray, law: DrawnNegatives) -> np.ndarray:
    """For each positive ``law.per_positive`` items that its user may be given as a negative.

    One generator, numpy's PCG64 of the seed, draws for one positive after another; a draw that is barred is drawn
    again at once. So the first positives of a log have the same negatives however it goes on, if its items are known.

    Args:
        log: all interactions, whose items bar each other whether or not they are positive.
        positives: (P,) places in the log, in order.
        in_train: (P,) whether each belongs to train.
        law: how to draw.

    Returns:
        (P * per_positive,) places in ``log.items``.

    Raises:
        UserError: a user has met every item that could be drawn.
    """
    pool = np.arange(len(log.items)) if law.by == "uniform" else log.item[positives[in_train]]
    candidates = np.unique(pool).tolist()
    generator = np.random.Generator(np.random.PCG64(law.seed))
    wanted = np.repeat(positives, law.per_positive)
    found: list[int] = []
    begins = np.searchsorted(log.user, np.arange(len(log.users) + 1)).tolist()
    bounds = np.searchsorted(log.user[wanted], np.arange(len(log.users) + 1)).tolist()
    for user in np.flatnonzero(np.diff(bounds)).tolist():
        own = slice(begins[user], begins[user + 1])
        moments = log.moment[wanted[bounds[user] : bounds[user + 1]]].tolist()
        barred_from = _barred_from(log.item[own].tolist(), log.moment[own].tolist(), law)
        if len(barred_from) >= len(candidates) and all(
            barred_from.get(item, np.inf) <= moments[-1] for item in candidates
        ):
            raise UserError(
                f"no negative can be drawn for the user {log.users[user]!r}, who has met each of the "
                f"{len(candidates):,} items that could be drawn. Leave such users out of the log."
            )
        while moments_left := len(moments) - (len(found) - bounds[user]):
            for item in pool[generator.integers(0, len(pool), moments_left)].tolist():
                if barred_from.get(item, np.inf) > moments[len(found) - bounds[user]]:
                    found.append(item)
    return np.array(found, dtype=np.int64)


def _barred_from(items: list[int], moments: list[float], law: DrawnNegatives) -> dict[int, float]:
    """By item the moment from which on it is no negative of the user who met it."""
    if law.avoid == "all":
        return dict.fromkeys(items, -np.inf)
    return dict(zip(reversed(items), reversed(moments), strict=True))  # the earliest of several stays

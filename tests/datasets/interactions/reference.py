"""The rows that a log must give, spelled out one by one and slowly."""

from collections import defaultdict

import numpy as np


def rows(events, how):
    """(split, user, item, moment, label, history) in the order in which they are written.

    Args:
        events: (user, item, moment, positive) in the order of the log; ids are whole numbers.
        how: the settings.
    """
    by_user = defaultdict(list)
    for event in events:
        by_user[event[0]].append(event)
    for own in by_user.values():
        own.sort(key=lambda event: event[2])  # stable: events of one moment stay in the order of the log
    drawn = _drawn(by_user, how)
    listed, places = [], []
    for own in by_user.values():
        for place, (user, item, moment, positive) in enumerate(own):
            past = [
                other[1] for i, other in enumerate(own)
                if other[3] and other[2] < moment and drawn.get((user, i), "train") == "train"
            ]  # fmt: skip
            history = past[len(past) - min(how.history, len(past)) :]
            if (positive or how.log.others == "negatives") and len(history) >= how.min_history:
                listed.append((user, item, moment, positive, history))
                places.append((user, place))
    splits = [drawn[at] for at in places] if drawn else _splits(listed, how)
    everything = sorted({event[1] for event in events})
    if how.negatives.by == "popularity":
        pool = [row[1] for row, split in zip(listed, splits, strict=True) if row[3] and split == "train"]
    else:
        pool = everything
    generator = np.random.Generator(np.random.PCG64(how.negatives.seed))
    found = []
    for (user, item, moment, positive, history), split in zip(listed, splits, strict=True):
        found.append((split, user, item, moment, int(positive), history))
        barred = {other[1] for other in by_user[user] if how.negatives.avoid == "all" or other[2] <= moment}
        for _ in range(how.negatives.per_positive if positive else 0):
            item = pool[generator.integers(0, len(pool))]
            while item in barred:
                item = pool[generator.integers(0, len(pool))]
            found.append((split, user, item, moment, 0, history))
    return found


def _drawn(by_user, how):
    """{(user, place in the user's order): split} of a split at random, else nothing."""
    if how.split.by != "random":
        return {}
    valid, test = how.split.shares
    generator = np.random.Generator(np.random.PCG64(how.split.seed))
    draws = {(user, place): generator.random() for user, own in by_user.items() for place in range(len(own))}
    return {
        at: "test" if draw >= 1 - test else "valid" if draw >= 1 - valid - test else "train"
        for at, draw in draws.items()
    }


def _splits(listed, how):
    if how.split.by == "leave_last_out":
        left = defaultdict(int)
        for user, *_ in listed:
            left[user] += 1
        splits = []
        for user, *_ in listed:
            left[user] -= 1
            splits.append({0: "test", 1: "valid"}.get(left[user], "train"))
        return splits
    valid, test = how.split.shares
    moments = sorted(row[2] for row in listed)
    last = {share: moments[int(np.floor((len(moments) - 1) * share))] for share in (1 - valid - test, 1 - test)}
    return [
        "train" if row[2] <= last[1 - valid - test] else "valid" if row[2] <= last[1 - test] else "test"
        for row in listed
    ]

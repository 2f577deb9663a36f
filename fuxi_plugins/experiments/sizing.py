"""How a run is sized by the rows of its data: batches, evaluations and patience, so that a model sees enough steps."""

import math
from typing import Any

LARGEST_BATCH, SMALLEST_BATCH = 4096, 32
STEPS_AN_EPOCH = 100  # at least, where the rows allow it
STEPS_AN_EVALUATION = 2500  # at most: of long epochs the best moment may lie within
STEPS_BEFORE_STOPPING = 500  # without an improvement, at least
MOST_PATIENCE = 20  # evaluations


def sized_training(rows: int, batch_size: int | None = None) -> dict[str, Any]:
    """Training settings for so many rows of train.

    The batch is a power of two that gives an epoch at least 100 steps, between 32 and 4096 rows. An evaluation comes
    after an epoch, or after at most 2,500 steps of it. Training stops when at least 500 steps have not improved.

    Args:
        rows: of train.
        batch_size: of the user's, or None.
    """
    if batch_size is None:
        largest = 2 ** int(math.log2(max(rows / STEPS_AN_EPOCH, 1)))
        batch_size = min(max(largest, SMALLEST_BATCH), LARGEST_BATCH)
    epoch = max(math.ceil(rows / batch_size), 1)
    evaluations = math.ceil(epoch / STEPS_AN_EVALUATION)
    steps = math.ceil(epoch / evaluations)
    patience = min(max(2, math.ceil(STEPS_BEFORE_STOPPING / steps)), MOST_PATIENCE)
    settings = {"batch_size": batch_size, "early_stop_patience": patience}
    return settings | ({"eval_steps": steps} if evaluations > 1 else {})

"""Whether a run has trained for long enough to be compared: few steps say more of the batch than of the model."""

from fuxi_plugins.records.record import Record

FEW = 300  # optimizer steps below which a result is no comparison of models


def few_steps(record: Record) -> int | None:
    """The steps of a finished run that trained for fewer than 300 in all; None where there were more, or it failed.

    A smaller ``batch_size`` or more ``early_stop_patience`` gives more. A tree model has no batches, and its rounds of
    boosting are no steps.
    """
    if not record.finished or "batch_size" not in record.params["training"]:
        return None
    steps = record.history[-1].step
    return steps if steps < FEW else None

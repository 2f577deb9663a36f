"""What in a record looks like a silent failure: the sentinels that its run has tripped, and what its history shows."""

import math

from fuxi_plugins.records.record import FinishedRun, Record

STUCK = 0.005  # an AUC within this of a coin's has learned nothing


def alarms(record: Record) -> list[str]:
    """One clause each; none when all is well. A failed run is not looked at: it says itself what is wrong."""
    if not isinstance(record, FinishedRun):
        return []
    found = [f"{name}: {text}" for name, text in record.sentinels.items() if text]
    losses = [epoch.train_loss for epoch in record.history]
    if not all(map(math.isfinite, losses)):
        found.append("the training loss is not finite")
    aucs = [epoch.valid["AUC"] for epoch in record.history if "AUC" in epoch.valid]
    if aucs and max(abs(auc - 0.5) for auc in aucs) < STUCK:
        found.append("validation AUC never left 0.5")
    if len(losses) > 1 and min(losses[1:]) >= losses[0]:
        found.append("the training loss never fell")
    return found

"""What a run was made for."""

from typing import Literal

from fuxi_plugins.records.record import Record


def role(record: Record) -> Literal["result", "trial", "study"]:
    """``trial`` of a search for settings, part of a ``study`` whose models have sizes of their own, or a ``result``.

    This is the one place that reads it from the experiment's name.
    """
    if "@" in record.experiment:
        return "trial"
    return "study" if record.experiment.endswith("_matched") else "result"

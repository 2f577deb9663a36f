"""What a failed run shows of its cause: the line of the user's own model, and the end of the traceback."""

from collections.abc import Sequence

from fuxi_plugins.cli.console import say
from fuxi_plugins.core.tracebacks import own_line
from fuxi_plugins.records.record import Record

FAILED_RUNS = 1  # exit code
LAST_LINES = 4


def show_failures(records: Sequence[Record]) -> None:
    """Shows each cause once, however many runs it stopped."""
    from fuxi_plugins.models.registry import model_source

    shown = set()
    for record in records:
        if not record.traceback or record.reason in shown:
            continue
        shown.add(record.reason)
        say(f"{record.experiment} seed {record.seed}: {record.reason}", err=True)
        source = model_source(record.model)
        if source and (place := own_line(record.traceback, source.root)):
            say(f"  your line: {place}", err=True)
        for line in record.traceback.rstrip().splitlines()[-LAST_LINES:]:
            say(f"  | {line}", err=True)

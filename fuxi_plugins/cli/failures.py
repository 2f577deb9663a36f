"""What a failed run shows of its cause: the line of the user's own model, and the end of the traceback."""

import re
from collections.abc import Sequence
from pathlib import Path

from fuxi_plugins.cli.console import say
from fuxi_plugins.records.record import Record

LAST_LINES = 4
_FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>.+)$')


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
        if source and (place := own_line(record.traceback, source[0].parent)):
            say(f"  your line: {place}", err=True)
        for line in record.traceback.rstrip().splitlines()[-LAST_LINES:]:
            say(f"  | {line}", err=True)


def own_line(traceback: str, folder: Path) -> str:
    """The innermost line of the traceback in a file of that folder, as ``file:line, in function: code``; or nothing."""
    lines = traceback.splitlines()
    found = ""
    for number, text in enumerate(lines):
        frame = _FRAME.match(text)
        if frame and Path(frame["file"]).is_relative_to(folder):
            code = lines[number + 1].strip() if number + 1 < len(lines) else ""
            found = f"{Path(frame['file']).name}:{frame['line']}, in {frame['function']}: {code}"
    return found

"""The line of somebody's own code in a traceback."""

import re
from pathlib import Path

_FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>.+)$')


def own_line(traceback: str, folder: Path) -> str:
    """The innermost line in a file of that folder, as ``file:line, in function: code``; or nothing.

    >>> own_line('  File "/mine/model.py", line 7, in forward\\n    x @ y', Path("/mine"))
    'model.py:7, in forward: x @ y'
    """
    lines = traceback.splitlines()
    found = ""
    for number, text in enumerate(lines):
        frame = _FRAME.match(text)
        if frame and Path(frame["file"]).is_relative_to(folder):
            code = lines[number + 1].strip() if number + 1 < len(lines) else ""
            found = f"{Path(frame['file']).name}:{frame['line']}, in {frame['function']}: {code}"
    return found

"""The line of somebody's own code in a traceback."""

import re
import sysconfig
from pathlib import Path

_FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>.+)$')
# What may lie below a user's folder and is not the user's: this package, the standard library and installed packages.
_NOT_OWN = [
    Path(__file__).resolve().parents[1],
    *(Path(sysconfig.get_path(kind)).resolve() for kind in ("stdlib", "platstdlib", "purelib", "platlib")),
]


def own_line(traceback: str, folder: Path) -> str:
    """The innermost line in a file of that folder, as ``file:line, in function: code``; or nothing.

    A folder may hold a virtual environment or a checkout of this package, whose lines are nobody's own.

    >>> own_line('  File "/mine/model.py", line 7, in forward\\n    x @ y', Path("/mine"))
    'model.py:7, in forward: x @ y'
    """
    lines = traceback.splitlines()
    found = ""
    for number, text in enumerate(lines):
        frame = _FRAME.match(text)
        if frame and _is_own(Path(frame["file"]), folder):
            code = lines[number + 1].strip() if number + 1 < len(lines) else ""
            found = f"{Path(frame['file']).name}:{frame['line']}, in {frame['function']}: {code}"
    return found


def _is_own(file: Path, folder: Path) -> bool:
    return file.is_relative_to(folder) and not any(file.resolve().is_relative_to(other) for other in _NOT_OWN)

"""Ctrl-C and SIGTERM: one message and one exit code, from the import of this module to the end of the program.

Whoever imports it says by :func:`imported` that its own imports are done and exceptions are caught.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Never

MESSAGE = "interrupted; finished runs are kept, and the same command goes on from here"
INTERRUPTED = 130
USUAL: dict[signal.Signals, Callable[[int, FrameType | None], Any] | signal.Handlers] = {  # Python's own handlers
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Lets SIGTERM, with which schedulers take a machine back, raise what Ctrl-C raises."""
    if not _is_ours():
        yield
        return
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def imported() -> None:
    """Ends the time in which a stop leaves at once, because an exception would end in a traceback."""
    for number, usual in USUAL.items():
        if _is_ours() and signal.getsignal(number) is _leave:
            signal.signal(number, usual)


def _leave(number: int, frame: FrameType | None) -> Never:
    os.write(2, f"{MESSAGE}\n".encode())
    os._exit(INTERRUPTED)


def _is_ours() -> bool:
    """Signals are the main thread's alone to handle."""
    return threading.current_thread() is threading.main_thread()


for number, usual in USUAL.items():
    if _is_ours() and signal.getsignal(number) is usual:  # else whoever started us has its reason
        signal.signal(number, _leave)

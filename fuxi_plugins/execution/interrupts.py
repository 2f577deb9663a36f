"""Ctrl-C and SIGTERM as a question, for loops that must not be torn apart between two steps."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Gives a question: has Ctrl-C been pressed, or SIGTERM come, with which schedulers take a machine back?

    An exception between a lease and its entry among the running would leave the lease behind, so the loop asks.
    """
    if threading.current_thread() is not threading.main_thread():  # signals are not its business
        yield lambda: False
        return
    seen: list[int] = []
    former = {number: signal.signal(number, lambda n, _: seen.append(n)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)

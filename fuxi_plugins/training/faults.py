"""Which failures are the machine's, not the model's: memory that ran out and disks that are full."""

import errno
from collections.abc import Iterator
from pathlib import Path

# Exit codes of a run's process beside 0. Python's own for an uncaught exception is 1, so a failure that has its record
# is another.
ORPHANED = 3
FAILED = 4
OUT_OF_MEMORY = 5  # these three leave no record: what is to be done is the parent's to say
DISK_FULL = 6
DATA_GONE = 7  # the prepared data were deleted while the run needed them

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FULL_TEXTS = ("No space left on device", "PytorchStreamWriter failed", "inline_container", "Disk quota exceeded")
_MEMORY_TEXTS = ("out of memory", "can't allocate memory", "not enough memory", "CUBLAS_STATUS_ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory, of the machine or of a GPU, was not enough.

    torch says so by a class of its own on a GPU and by the text of a RuntimeError on a CPU.
    """
    return any(
        isinstance(cause, MemoryError)
        or type(cause).__name__ == "OutOfMemoryError"
        or (isinstance(cause, RuntimeError) and any(text in str(cause) for text in _MEMORY_TEXTS))
        for cause in _chain(error)
    )


def is_disk_full(error: BaseException) -> bool:
    """Whether a file could not be written for want of space, or of quota, or by the limit of a file's size.

    torch and HDF5 wrap the system's error, and may keep no more of it than its text.
    """
    return any(
        (isinstance(cause, OSError) and cause.errno in _FULL)
        or (isinstance(cause, OSError | RuntimeError) and any(text in str(cause) for text in _FULL_TEXTS))
        for cause in _chain(error)
    )


def exit_code(error: BaseException, data: Path) -> int | None:
    """The code of a failure that is not the model's and that the runner deals with; None for any other.

    Args:
        data: folder of the prepared data.
    """
    if not data.exists():
        return DATA_GONE
    if is_disk_full(error):
        return DISK_FULL
    return OUT_OF_MEMORY if is_out_of_memory(error) else None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__

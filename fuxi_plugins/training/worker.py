"""The process of one run.

It reads a job as one line of JSON from standard input and sends progress as lines of JSON to standard output.
Whatever else is printed or logged goes to standard error, which the parent has pointed at the run's log file.
Standard input stays open as long as the parent lives: when the parent dies, however it dies, the worker ends
too and leaves no half-run behind.
"""

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TextIO

from fuxi_plugins.models import registry
from fuxi_plugins.records.files import write_record
from fuxi_plugins.training import provenance
from fuxi_plugins.training.faults import FAILED, ORPHANED, exit_code
from fuxi_plugins.training.job import Job
from fuxi_plugins.training.runner import carry_out, describe_failure, failed_record

REPORT_INTERVAL = 0.2  # seconds between two progress lines


def main() -> int:
    started, clock_start = provenance.utc_now(), time.perf_counter()
    job = Job.from_json(sys.stdin.readline())
    registry.use_sources(job.sources)
    if job.processes > 1:
        from fuxi_plugins.training.distributed.launch import launch

        return launch(job, started)
    report = set_up()
    try:
        carry_out(job, report, started=started, clock_start=clock_start)
    except Exception as error:
        logging.exception("the run failed")
        if code := exit_code(error, job.data.folder):
            return code
        reason, trace = describe_failure(error)
        write_record(job.run_folder, failed_record(job, reason, started=started, trace=trace))
        return FAILED
    return 0


_former_streams: list[TextIO] = []


def set_up() -> Callable[[dict[str, Any]], None]:
    """Ties the process's life to its parent's, sends what is printed to the log, and returns the way to report."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    progress = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    # New streams, since the old ones remember of what kind their files were; they are kept, or they would close them. A
    # model may print what the terminal's encoding lacks.
    _former_streams.extend((sys.stdout, sys.stderr))
    sys.stdout, sys.stderr = (
        open(number, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        for number in (1, 2)
    )
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    return _reporter(progress)


def _end_with_parent() -> None:
    sys.stdin.read()
    if os.getpgrp() == os.getpid():  # a group of our own, as when a runner started us: its other members go too
        os.killpg(0, signal.SIGKILL)
    os._exit(ORPHANED)


def _reporter(stream: TextIO) -> Callable[[dict[str, Any]], None]:
    """Merges reports into one state and sends it a few times a second."""
    state: dict[str, Any] = {}
    last_sent = 0.0

    def report(news: dict[str, Any]) -> None:
        nonlocal last_sent
        state.update(news)
        now = time.perf_counter()
        if "valid" in news or "phase" in news or now - last_sent > REPORT_INTERVAL:
            last_sent = now
            stream.write(json.dumps(state) + "\n")
            stream.flush()

    return report


if __name__ == "__main__":
    sys.exit(main())

"""Faults, tried: whatever happens to a run or its machine, no finished record changes and every other is honest."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from click.testing import CliRunner

from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.execution import checks
from fuxi_plugins.execution.limits import Limits
from fuxi_plugins.execution.local import run_jobs
from fuxi_plugins.execution.planner import plan_suite, run_plan
from fuxi_plugins.execution.resources import Resources
from fuxi_plugins.experiments.suite import find_suite
from fuxi_plugins.records.files import find_records, read_record
from fuxi_plugins.training.runner import identity
from tests.analysis.make import record
from tests.conftest import write

MB = 1 << 20

# Worker processes without torch, each with a fault; `finish` ends as a run that succeeded does.
COMMON = """\
    import json, os, sys, time
    job = json.loads(sys.stdin.readline())
    def finish():
        folder = job["run_folder"]
        part = os.path.join(folder, ".record.json.x.partial")
        with open(part, "w") as file:
            file.write(open(os.path.join(os.path.dirname(__file__), "made.json")).read())
        os.rename(part, os.path.join(folder, "record.json"))
"""
FAULTS = {
    "hangs": "time.sleep(600)",
    "ignores": "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)",
    "leaks": (
        "held = []\n"
        "while job['micro_batches'] == 1:\n"
        "    held.append(bytearray(os.urandom(1 << 20) * 8))\n"
        "    time.sleep(0.01)\n"
        "finish()"
    ),
    "leaks_always": "held = []\nwhile True:\n    held.append(bytearray(os.urandom(1 << 20) * 8))\n    time.sleep(0.01)",
    "shouts": "line = b'x' * (1 << 20)\nfor _ in range(1024):\n    os.write(2, line)\nfinish()",
    "forks": (
        "for _ in range(3):\n"
        "    if os.fork() == 0:\n"
        "        time.sleep(600)\n"
        "        os._exit(0)\n"
        "finish()"
    ),
    "exits": "sys.exit(9)",
    "leaves": "sys.exit(0)",
    "told_to_end": "import signal\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(60)",
    "segfaults": "import ctypes\nctypes.string_at(0)",
    "memory": "sys.exit(5)",
    "memory_once": "finish() if job['micro_batches'] > 1 else sys.exit(5)",
    "disk": "sys.exit(6)",
    "data": "sys.exit(7)",
    "chatters": "os.write(1, b'{\"epoch\": 1, \"step\": 1}\\n' * 100_000)\nfinish()",
}  # fmt: skip


class Noted:
    def __init__(self):
        self.ends = []

    def started(self, job): ...

    def progressed(self, job, state): ...

    def ended(self, job, record):
        self.ends.append((job, record))


@pytest.fixture
def faulty(workspace, tmp_path):
    """Runs the first of the tiny suite's jobs, or more, by a worker with the named fault."""
    plan = plan_suite(find_suite("tiny_suite", workspace), workspace, Resources(slots=[-1], threads=1))
    made = record().model_copy(update=identity(plan.todo[0]))
    (tmp_path / "made.json").write_text(made.model_dump_json())

    def call(fault, jobs=1, **limits):
        script = write(tmp_path / f"{fault}.py", COMMON)
        with script.open("a") as file:
            file.write(FAULTS[fault] + "\n")
        return run_jobs(
            plan.todo[:jobs],
            before=plan.before,
            slots=[-1] * jobs,
            limits=Limits(**{"timeout_seconds": 60, **limits}),
            listener=Noted(),
            worker=[sys.executable, "-S", str(script)],
        )

    return call


@pytest.mark.parametrize("fault", ["hangs", "ignores"])
def test_a_model_that_hangs_is_ended_by_its_timeout(faulty, workspace, fault, monkeypatch):
    monkeypatch.setattr("fuxi_plugins.execution.processes.GRACE_SECONDS", 0.5)
    started = time.monotonic()
    (failed,) = faulty(fault, timeout_seconds=1)
    assert failed.reason == "timed out after 1 s"
    assert time.monotonic() - started < 20
    assert find_records(workspace.results) == [failed]


def test_a_model_that_leaks_memory_is_ended_and_tried_once_in_smaller_batches(faulty):
    (first,) = faulty("leaks", memory_bytes=200 * MB)
    assert first.finished


def test_a_model_that_always_leaks_is_a_failed_record_that_says_so(faulty):
    (failed,) = faulty("leaks_always", memory_bytes=200 * MB)
    assert failed.reason.startswith("out of memory: the process held")


def test_memory_that_runs_out_is_tried_once_more_and_not_twice(faulty):
    assert faulty("memory_once")[0].finished


def test_memory_that_runs_out_again_is_a_failed_record(faulty):
    assert faulty("memory")[0].reason == "out of memory, also in batches divided by 4"


def test_a_model_that_prints_a_gigabyte_leaves_a_short_log(faulty, workspace):
    (finished,) = faulty("shouts", log_bytes=8 * MB)
    assert finished.finished
    (log,) = workspace.results.rglob("run.log")
    assert log.stat().st_size < 300 * MB  # it is looked at twice a second
    assert b"the log grew beyond" in log.read_bytes()


def test_what_a_model_forks_ends_with_it(faulty):
    before = sleeping_children()
    (finished,) = faulty("forks")
    assert finished.finished
    time.sleep(0.2)
    assert sleeping_children() == before


def sleeping_children() -> int:
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return sum(line.endswith("forks.py") for line in listed.splitlines())


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("exits", "the process ended with exit code 9 before it could write a record"),
        ("segfaults", "the process was ended by SIGSEGV"),
    ],
)
def test_a_process_that_dies_is_a_failed_record(faulty, fault, reason):
    assert faulty(fault)[0].reason == reason


def test_a_process_that_ends_well_but_writes_no_record_is_a_failed_record(faulty, workspace):
    """As a model does that calls ``sys.exit()``."""
    (failed,) = faulty("leaves")
    assert failed.reason == "the process ended with exit code 0 before it could write a record"
    assert find_records(workspace.results) == [failed]


def test_much_progress_is_read_in_pieces(faulty):
    assert faulty("chatters")[0].finished


def test_a_full_disk_stops_the_suite_says_what_to_free_and_invents_no_record(faulty, workspace):
    with pytest.raises(UserError, match=r"the disk is full: .* could not be written. Free space there"):
        faulty("disk", jobs=2)
    assert not list(find_records(workspace.results))
    assert not list(workspace.results.rglob("lease-*"))


def test_prepared_data_that_are_deleted_stop_the_suite_and_invent_no_record(faulty, workspace):
    with pytest.raises(UserError, match="was deleted while it was needed"):
        faulty("data", jobs=2)
    assert not list(find_records(workspace.results))
    assert not list(workspace.results.rglob("lease-*"))


def test_a_cache_that_is_deleted_before_the_runs_start(workspace):
    suite, resources = find_suite("LR_tiny", workspace), Resources(slots=[-1], threads=1)
    plan = plan_suite(suite, workspace, resources)
    shutil.rmtree(workspace.cache)
    with pytest.raises(UserError, match="was deleted while it was needed"):
        run_plan(plan, suite, workspace, resources)
    assert not list(find_records(workspace.results))


def test_a_cache_that_is_deleted_while_a_suite_is_planned(workspace, monkeypatch):
    real = checks.preflight

    def after_deletion(experiment, data):
        shutil.rmtree(workspace.cache)
        real(experiment, data)

    monkeypatch.setattr(checks, "preflight", after_deletion)
    arguments = ["--configs", str(workspace.configs), "--results", str(workspace.results), "run", "LR_tiny"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2, result.output
    assert "was deleted while it was needed" in result.output


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 3 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root and the right to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def command(workspace, *arguments):
    return [
        sys.executable, "-m", "fuxi_plugins", "--configs", str(workspace.configs),
        "--results", str(workspace.results), *arguments,
    ]  # fmt: skip


def test_a_results_folder_on_a_full_disk(workspace, small_disk):
    workspace = replace(workspace, results=small_disk / "results")
    (small_disk / "filler").write_bytes(bytes(3 * MB - 12 * 1024))  # three pages: a lease, a log, no more
    done = subprocess.run(
        command(workspace, "run", "LR_tiny", "--jobs", "1"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "the disk is full" in done.stderr or "must be writable" in done.stderr
    assert "Traceback" not in done.stderr
    assert all(record.finished for record in find_records(workspace.results))  # none invented, none half written
    (small_disk / "filler").unlink()
    done = subprocess.run(
        command(workspace, "run", "LR_tiny", "--jobs", "1"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(list(find_records(workspace.results))) == 1


def test_a_limit_on_the_size_of_files_is_a_full_disk(workspace):
    """No file beyond 6 kB may be written: predictions and checkpoints do not fit."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))

    plan_suite(find_suite("LR_tiny", workspace), workspace, Resources(slots=[-1], threads=1))  # the data are there
    done = subprocess.run(
        command(workspace, "run", "LR_tiny", "--jobs", "1"),
        capture_output=True,
        text=True,
        preexec_fn=limit,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "the disk is full" in done.stderr
    assert not list(find_records(workspace.results))


def test_a_read_only_results_folder(workspace, tmp_path):
    folder = tmp_path / "read_only"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a folder that even root cannot write to needs the right to mount")
    try:
        arguments = ["--configs", str(workspace.configs), "--results", str(folder), "run", "LR_tiny"]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 2
        assert "the results folder must be writable" in result.output
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("content", [b"", b"{", b'{"schema_version": 1, "dataset": "ti', b"\xff\xfe", b"[]", b"null"])
def test_a_truncated_record_is_one_clear_error_and_stays_as_it_is(workspace, content):
    path = workspace.run_folder("tiny", "LR_tiny", 1) / "record.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    folders = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    for arguments in (["run", "tiny_suite"], ["leaderboard", "tiny_suite"]):
        result = CliRunner().invoke(main, [*folders, *arguments])
        assert result.exit_code == 2, (arguments, result.output)
        assert re.search("is (not )?a record of schema", result.output)
        assert len(result.output.strip().splitlines()) == 1
    status = CliRunner().invoke(main, [*folders, "status", "tiny_suite"])
    assert status.exit_code == 0, status.output
    assert re.search("is (not )?a record of schema", status.output)
    assert "3 waiting" in status.output
    assert path.read_bytes() == content


def test_sigterm_stops_a_suite_as_ctrl_c_does(workspace):
    suite = subprocess.Popen(
        command(workspace, "run", "tiny_suite", "--jobs", "1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    end = time.monotonic() + 120
    while not list(workspace.results.rglob("lease-*.json")):
        assert time.monotonic() < end
        assert suite.poll() is None
        time.sleep(0.05)
    os.kill(suite.pid, signal.SIGTERM)
    output = suite.communicate(timeout=60)[0]
    assert suite.returncode == 130
    assert "interrupted" in output
    assert not list(workspace.results.rglob("lease-*.json"))  # given back: nobody has to wait
    assert all(read_record(path).finished for path in workspace.results.rglob("record.json"))


def start_long_suite(workspace):
    """A suite of runs that would take minutes, in a process group of its own, with one of them under way."""
    path = workspace.configs / "model_config" / "tiny.yaml"
    path.write_text(path.read_text().replace("epochs: 2", "epochs: 5000\n    early_stop_patience: 5000"))
    suite = subprocess.Popen(
        command(workspace, "run", "tiny_suite", "--jobs", "2"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    end = time.monotonic() + 120
    while not any(b"Epoch=2" in log.read_bytes() for log in workspace.results.rglob("run.log")):
        assert time.monotonic() < end
        assert suite.poll() is None
        time.sleep(0.05)
    return suite


def descendants(pid: int) -> list[int]:
    """Every process below this one, the deepest first."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = [tuple(map(int, line.split())) for line in listed.splitlines()]
    found, level = [], [pid]
    while level := [child for child, parent in parents if parent in level]:
        found = level + found
    return found


@pytest.mark.parametrize("who", ["group", "all", "runs first"])
def test_a_stop_of_many_processes_invents_no_record(workspace, who):
    """As ``timeout`` sends it to a process group, systemd to a control group, Slurm to a job's processes."""
    suite = start_long_suite(workspace)
    below = descendants(suite.pid)
    if who == "group":
        os.killpg(suite.pid, signal.SIGTERM)
    else:
        for pid in below if who == "runs first" else [*below, suite.pid]:
            os.kill(pid, signal.SIGTERM)
        if who == "runs first":
            time.sleep(0.3)
            os.kill(suite.pid, signal.SIGTERM)
    output = suite.communicate(timeout=60)[0]
    assert suite.returncode == 130, output
    assert "interrupted" in output
    assert "Traceback" not in output
    assert not list(workspace.results.rglob("record.json"))
    assert not list(workspace.results.rglob("lease-*.json"))
    end = time.monotonic() + 10
    while left := [pid for pid in below if os.path.exists(f"/proc/{pid}")]:
        assert time.monotonic() < end, left
        time.sleep(0.05)


def test_a_run_that_alone_is_told_to_end_is_a_failed_record(faulty):
    started = time.monotonic()
    assert faulty("told_to_end")[0].reason == "the process was ended by SIGTERM"
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_while_the_program_starts_has_its_message(workspace, number):
    """From the first of our own lines on, wherever it comes; before it, Python itself is starting."""
    script = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored by what a script starts with &
        "module, number = sys.argv[1:]\n"
        "class Stop:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == module: os.kill(os.getpid(), int(number))\n"
        "sys.meta_path.insert(0, Stop())\n"
        "from fuxi_plugins.cli.main import main\n"
        f"sys.argv[1:] = ['--configs', {str(workspace.configs)!r}, 'list', 'suites']\n"
        "main()\n"
    )
    for module in ("click", "fuxi_plugins.cli.tune", "fuxi_plugins.cli.listing", "tabulate"):
        done = subprocess.run(
            [sys.executable, "-c", script, module, str(int(number))], capture_output=True, text=True, check=False
        )
        assert done.stderr == "interrupted; finished runs are kept, and the same command goes on from here\n", module
        assert done.returncode == 130


def test_two_suites_started_at_the_same_instant_share_the_runs(workspace):
    plan_suite(find_suite("tiny_suite", workspace), workspace, Resources(slots=[-1], threads=1))  # the data are there
    suites = [
        subprocess.Popen(command(workspace, "run", "tiny_suite", "--jobs", "1"), stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [suite.communicate()[0] for suite in suites]
    assert [suite.returncode for suite in suites] == [0, 0]
    starts = sorted(line for output in outputs for line in output.splitlines() if line.startswith("start "))
    assert starts == sorted(f"start {name}_tiny seed {seed}" for name in ("LR", "DNN") for seed in (1, 2))
    for output in outputs:  # each saw the whole suite done, of which one that began late counts the rest alone
        last = re.findall(r"\[(\d+)/(\d+)\]", output)[-1:] or [("0", "0")]
        assert last[0][0] == last[0][1], output
    assert len(json.loads((workspace.results / "leaderboards" / "tiny_suite.json").read_text())["rows"]) == 2

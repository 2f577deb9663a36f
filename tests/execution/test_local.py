"""Runs in processes of their own: what crashes, hangs or is killed, and what stays behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.execution.limits import Limits
from fuxi_plugins.execution.local import run_jobs
from fuxi_plugins.execution.planner import plan_suite, run_plan
from fuxi_plugins.execution.resources import Resources
from fuxi_plugins.experiments.suite import find_suite
from fuxi_plugins.records.files import find_records, read_record
from fuxi_plugins.training import trainer
from tests.conftest import ROOT, write

# Models that misbehave, brought by an installed package as a user's would be.
MISBEHAVING = """\
    import os
    import signal
    import time

    from fuxi_plugins.models.lr import LR


    class Raises(LR):
        def forward(self, inputs):
            raise RuntimeError("this model cannot predict")


    class Dies(LR):
        def forward(self, inputs):
            os.kill(os.getpid(), signal.SIGKILL)


    class Hangs(LR):
        def forward(self, inputs):
            time.sleep(600)


    class Shouts(LR):
        def forward(self, inputs):
            print("x" * 1_000_000)
            return super().forward(inputs)
"""
ENTRY_POINTS = """\
    [fuxi_plugins.models]
    Raises = misbehaving:Raises
    Dies = misbehaving:Dies
    Hangs = misbehaving:Hangs
    Shouts = misbehaving:Shouts
"""


@pytest.fixture
def misbehaving(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    write(folder / "misbehaving.py", MISBEHAVING)
    write(folder / "misbehaving-1.0.dist-info" / "METADATA", "Metadata-Version: 2.1\nName: misbehaving\nVersion: 1.0\n")
    write(folder / "misbehaving-1.0.dist-info" / "entry_points.txt", ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{ROOT}")


def run_suite(workspace, experiments, *, timeout_minutes=5.0, seeds="[1]", slots=2):
    text = "Base: {dataset_id: tiny, batch_size: 100, epochs: 1}\n"
    text += "".join(f"{name}_tiny: {{model: {name}}}\n" for name in experiments if name not in ("LR", "DNN"))
    write(workspace.configs / "model_config" / "made.yaml", text)
    names = ", ".join(f"{name}_tiny" for name in experiments)
    write(
        workspace.configs / "suites" / "made.yaml",
        f"title: Made\nexperiments: [{names}]\nseeds: {seeds}\ntimeout_minutes: {timeout_minutes}\n",
    )
    suite = find_suite("made", workspace)
    resources = Resources(slots=[-1] * slots, threads=1)
    plan = plan_suite(suite, workspace, resources)
    return plan, run_plan(plan, suite, workspace, resources)


def test_what_fails_is_a_failed_record_and_stops_nothing(workspace, misbehaving, tmp_path):
    _, records = run_suite(workspace, ["Raises", "Dies", "Shouts", "LR"])
    by_name = {record.model: record for record in records}
    assert by_name["LR"].finished
    assert by_name["Shouts"].finished
    assert by_name["Raises"].reason == "RuntimeError: this model cannot predict"
    assert "in forward" in by_name["Raises"].traceback
    assert by_name["Dies"].reason.startswith("the process was ended by SIGKILL")
    assert {record.model: record for record in find_records(workspace.results)} == by_name
    # A second call repeats what failed and leaves alone what is finished.
    plan, again = run_suite(workspace, ["Raises", "LR"])
    assert [job.experiment.model for job in plan.todo] == ["Raises"]
    assert [record.status for record in again] == ["failed"]


def test_a_run_that_hangs_is_ended_by_its_timeout(workspace, misbehaving):
    _, (record,) = run_suite(workspace, ["Hangs"], timeout_minutes=0.25)
    assert record.reason == "timed out after 15 s"


def children(process_id: int) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(process_id)], capture_output=True, text=True, check=False).stdout
    return [int(line) for line in listed.split()]


def workers_of(runner: int) -> list[int]:
    """The runs' processes: forks of the server that the runner has started."""
    return [worker for child in children(runner) if "forkserver" in command(child) for worker in children(child)]


def command(process_id: int) -> str:
    try:
        return Path(f"/proc/{process_id}/cmdline").read_text()
    except FileNotFoundError:
        return ""


def alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(process_id)], capture_output=True, text=True, check=False)
    return not state.stdout.startswith("Z")


def until(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


SUITE = ["run", "tiny_suite", "--jobs", "1"]


def start(workspace) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "fuxi_plugins", "--configs", str(workspace.configs), "--results", str(workspace.results),
         *SUITE],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def record_paths(workspace):
    return sorted(workspace.results.rglob("record.json"))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_suite_that_is_killed_goes_on_where_it_was(workspace, how):
    suite = start(workspace)
    until(lambda: len(record_paths(workspace)) >= 1)
    until(lambda: workers_of(suite.pid))
    workers = workers_of(suite.pid)
    os.kill(suite.pid, how)
    output = suite.communicate()[0]
    until(lambda: not any(map(alive, workers)))
    if how == signal.SIGINT:
        assert suite.returncode == 130
        assert "interrupted" in output
        assert "Traceback" not in output
    kept = {path: path.read_bytes() for path in record_paths(workspace)}
    assert 1 <= len(kept) < 4
    assert all(read_record(path).finished for path in kept)

    folders = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    again = CliRunner().invoke(main, [*folders, *SUITE])
    assert again.exit_code == 0, again.output
    assert f"{len(kept)} runs finished, {4 - len(kept)} to run" in again.output
    assert len(record_paths(workspace)) == 4
    assert all(path.read_bytes() == content for path, content in kept.items())
    assert not [path for path in workspace.results.rglob("*") if "partial" in path.name]


@pytest.mark.parametrize(
    ("gpus", "processes", "expected"),
    [
        ([0, 1, 2, 3, 0, 1], 1, {0: 0.5, 1: 0.5, 2: 1.0, 3: 1.0}),
        ([0, 2, 0, 2], 2, {0: 0.5, 2: 0.5}),
    ],
)
def test_runs_on_one_gpu_share_its_memory(workspace, monkeypatch, gpus, processes, expected):
    """What a run's process is told; no GPU is needed to see it."""
    monkeypatch.setattr("fuxi_plugins.execution.resources._require_gpus", lambda asked: None)
    resources = Resources.choose(gpus, None, None, processes)
    assert resources.slots == gpus
    plan = plan_suite(find_suite("tiny_suite", workspace, seeds=[1, 2, 3]), workspace, resources)
    told = []

    class Told:
        def started(self, job):
            told.append((job.gpu, job.gpu_share))

        def progressed(self, job, state): ...

        def ended(self, job, record): ...

    limits, worker = Limits(timeout_seconds=60), [sys.executable, "-S", "-c", ""]  # it ends at once
    run_jobs(plan.todo, before=plan.before, slots=resources.slots, limits=limits, listener=Told(), worker=worker)
    assert [gpu for gpu, _ in told[: len(gpus)]] == gpus
    assert dict(told) == expected


def test_a_run_keeps_to_its_share(monkeypatch):
    calls = []
    monkeypatch.setattr(trainer.torch.cuda, "set_per_process_memory_fraction", lambda *given: calls.append(given))
    for gpu, share in ((-1, 0.5), (2, 1.0), (2, 0.5)):
        trainer.use_gpu_share(gpu, share)
    assert calls == [(0.5, 2)]


def test_gpus_that_runs_of_several_processes_would_share_by_halves_are_refused(monkeypatch):
    monkeypatch.setattr("fuxi_plugins.execution.resources._require_gpus", lambda asked: None)
    with pytest.raises(UserError, match="must lie as far apart; 0,1 do not"):
        Resources.choose([0, 1], None, None, 2)

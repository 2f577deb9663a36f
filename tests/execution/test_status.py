"""``fuxibench status``: what each run of a suite is doing, by its record and its lease."""

import subprocess
import sys
from dataclasses import replace

from click.testing import CliRunner

from fuxi_plugins.cli.main import main
from fuxi_plugins.execution import leases
from fuxi_plugins.execution.leases import Leaser
from fuxi_plugins.execution.status import RunStatus, suite_status
from fuxi_plugins.experiments.suite import find_suite
from fuxi_plugins.records.files import write_record
from tests.analysis.make import record
from tests.conftest import ROOT

PROGRESS = {"epoch": 1, "epochs": 2, "step": 3, "steps": 6, "seconds": 60}


def test_done_running_failed_and_waiting(workspace, monkeypatch):
    monkeypatch.setattr(leases, "HEARTBEAT", 0.0)

    def folder(experiment, seed):
        return workspace.run_folder("tiny", experiment, seed)

    write_record(folder("LR_tiny", 1), record())
    write_record(folder("LR_tiny", 2), record(failed="RuntimeError: it broke"))
    lease = Leaser().lease(folder("DNN_tiny", 1))
    lease.note(PROGRESS)
    lease.beat()
    dead = Leaser()
    dead.owner = replace(dead.owner, born="1")
    dead.lease(folder("DNN_tiny", 2))
    found = suite_status(find_suite("tiny_suite", workspace), workspace)
    progress = f"epoch 1 of at most 2, 25 %, at most 3 min left on {lease.owner.host}"
    assert found == [
        RunStatus("LR_tiny", 1, "done"),
        RunStatus("LR_tiny", 2, "failed", "RuntimeError: it broke"),
        RunStatus("DNN_tiny", 1, "running", progress),
        RunStatus("DNN_tiny", 2, "waiting"),
    ]
    folders = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    output = CliRunner().invoke(main, [*folders, "status", "tiny_suite"]).output
    assert output.splitlines()[0] == "tiny_suite: 1 done, 1 running, 1 failed, 1 waiting"
    assert "RuntimeError: it broke" in output
    assert len(output.splitlines()) == 4
    assert len(CliRunner().invoke(main, [*folders, "status", "tiny_suite", "--all"]).output.splitlines()) == 6


def test_a_finished_run_is_done_whatever_its_dead_runner_left(workspace):
    folder = workspace.run_folder("tiny", "LR_tiny", 1)
    elsewhere, here = Leaser(), Leaser()
    elsewhere.owner = replace(elsewhere.owner, system="another machine")
    here.owner = replace(here.owner, born="1")
    here.lease(folder)
    elsewhere.lease(folder)
    write_record(folder, record())
    assert suite_status(find_suite("tiny_suite", workspace), workspace)[0].state == "done"
    leases.clear_dead_leases(folder)
    assert [path.name for path in folder.glob("lease-*")] == ["lease-2.json"]  # whose runner nobody here can see


def test_a_finished_run_whose_config_was_changed_says_so(workspace):
    asked = find_suite("tiny_suite", workspace).experiments[0].settings
    rate = float(asked["learning_rate"])

    def note(**had):
        params = {"model": {"regularizer": None}, "training": {"learning_rate": rate, **had}}
        write_record(workspace.run_folder("tiny", "LR_tiny", 1), record(params=params))
        return suite_status(find_suite("tiny_suite", workspace), workspace)[0].note

    assert note() == ""
    assert note(learning_rate=7.0) == f"its config was changed (learning_rate 7.0, now {asked['learning_rate']}) since"


def test_the_status_needs_no_torch():
    code = (
        "import sys\n"
        "for name in ('torch', 'fuxictr', 'ray', 'polars', 'pandas'): sys.modules[name] = None\n"
        "sys.argv = ['fuxibench', 'status', 'frappe_board']\n"
        "from fuxi_plugins.cli.main import main\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("frappe_board: ")

"""What ``run`` does as one of the processes that torchrun starts; test_two_hosts.py starts some."""

import os

import pytest
from click.testing import CliRunner

from fuxi_plugins.cli import torchrun
from fuxi_plugins.cli.main import main

# Of the second process on the second of two hosts, as torchrun sets them.
TOLD = {
    "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "1",
    "GROUP_WORLD_SIZE": "2", "ROLE_RANK": "3", "ROLE_WORLD_SIZE": "4", "MASTER_ADDR": "node1", "MASTER_PORT": "29400",
    "TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_USE_AGENT_STORE": "True",
}  # fmt: skip


@pytest.fixture
def told(monkeypatch):
    def tell(**changes):
        for name, value in {**TOLD, **changes}.items():
            monkeypatch.setenv(name, value)

    return tell


def test_the_place_is_read_once_and_leaves_nothing_to_the_processes_of_a_run(told):
    assert torchrun.place() is None
    told()
    assert torchrun.place() == torchrun.Place(number=1, host=1, hosts=2, processes=2, rendezvous="node1:29401")
    assert not TOLD.keys() & os.environ.keys()


def run(workspace, *options):
    places = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    return CliRunner().invoke(main, [*places, "run", "LR_tiny", *options])


@pytest.mark.parametrize(
    ("place", "options"), [({"GROUP_RANK": "0"}, []), ({"LOCAL_RANK": "0"}, ["--dry-run"])], ids=str
)
def test_whoever_has_nothing_to_do_ends_at_once(workspace, told, place, options):
    told(**place)
    result = run(workspace, *options)
    assert (result.exit_code, result.output) == (0, "")
    assert not workspace.results.exists()


def test_the_first_process_plans_runs_of_as_many_processes(workspace, told, monkeypatch):
    planned = []
    monkeypatch.setattr("fuxi_plugins.execution.planner.run_plan", lambda plan, *_: planned.extend(plan.todo) or [])
    told(GROUP_RANK="0", LOCAL_RANK="0")
    result = run(workspace, "--host-timeout", "60")
    assert result.exit_code == 0, result.output
    job = planned[0]
    assert (job.processes, job.hosts, job.rendezvous) == (4, 2, "node1:29401")
    assert (job.host_wait, job.host_timeout) == (600, 60)


@pytest.mark.parametrize(("failed", "code"), [(False, 0), (True, 1)])
def test_the_first_process_of_another_host_joins(workspace, told, monkeypatch, failed, code):
    joined = []
    monkeypatch.setattr("fuxi_plugins.cli.run.join_runs", lambda *given: joined.append(given) or failed)
    told(LOCAL_RANK="0")
    assert run(workspace).exit_code == code
    assert joined == [("node1:29401", -1, 600.0)]


@pytest.mark.parametrize("options", [["--hosts", "2"], ["--nproc-per-run", "2"], ["--rendezvous", "node1:1"]], ids=str)
def test_torchrun_alone_says_how_many_share_a_run(workspace, told, options):
    told()
    result = run(workspace, *options)
    assert result.exit_code == 2
    assert "torchrun says how many hosts and processes share a run" in result.stderr

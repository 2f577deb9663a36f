"""The same suite on a Ray cluster: real nodes on this machine, one killed in the middle."""

import os
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.execution.leases import current_lease
from fuxi_plugins.execution.planner import plan_suite, run_plan
from fuxi_plugins.execution.ray_engine import MOST_DEATHS, Cluster, _run_one
from fuxi_plugins.execution.resources import Resources
from fuxi_plugins.experiments.suite import find_suite
from fuxi_plugins.records.files import find_records, read_record
from tests.conftest import ROOT, write
from tests.execution.ray_cluster import ENVIRONMENT, free_port, ray_cluster
from tests.execution.test_local import until
from tests.training.distributed.namespaces import Host, two_hosts


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--engine", "ray"], "--engine ray and --address HOST:PORT belong together"),
        (["--address", "127.0.0.1:1"], "--engine ray and --address HOST:PORT belong together"),
        (["--engine", "ray", "--address", "somewhere"], "--address is HOST:PORT of the Ray cluster's head"),
        (["--engine", "ray", "--address", "PORT"], "no Ray cluster answers at 127.0.0.1"),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(workspace, arguments, said):
    arguments = [value.replace("PORT", f"127.0.0.1:{free_port()}") if value == "PORT" else value for value in arguments]
    places = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    started = time.monotonic()
    result = CliRunner().invoke(main, [*places, "run", "tiny_suite", *arguments])
    assert result.exit_code == 2
    assert said in result.stderr
    assert not workspace.results.exists()
    assert time.monotonic() - started < 30


def test_gpus_are_read_as_on_one_machine():
    assert Cluster.choose("auto", [0, 0, 0], None).runs_per_gpu == 3

    def gpus_per_run(*named):
        return Cluster.choose("auto", named, None).gpus_per_run

    assert [gpus_per_run(), gpus_per_run(-1), gpus_per_run(0), gpus_per_run(0, 1), gpus_per_run(0, 1, 2, 3, 0, 1)] == [
        0, 0, 1, 1, 0.5,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def cluster():
    with ray_cluster(nodes=3) as (address, nodes):
        yield address, nodes


# Models of an installed package: one that waits in its fifth batch until a file appears, one that ends its Ray worker.
MODELS = """\
    import os
    import signal
    import time
    from pathlib import Path

    from fuxi_plugins.models.lr import LR

    GATE = Path(__file__).parent / "open"


    class Gated(LR):
        def forward(self, inputs):
            self.calls = getattr(self, "calls", 0) + 1
            while self.calls == 5 and not GATE.exists():
                time.sleep(0.05)
            return super().forward(inputs)


    class Dies(LR):
        def forward(self, inputs):
            server = Path(f"/proc/{os.getppid()}/stat").read_text()  # that the run is a fork of
            os.kill(int(server.rpartition(")")[2].split()[1]), signal.SIGKILL)  # its parent, the Ray worker
            time.sleep(600)
"""


@pytest.fixture
def package(workspace, tmp_path, monkeypatch):
    """The package's folder; its models are the suites ``gated`` and ``dies``."""
    folder = tmp_path / "site"
    write(folder / "made.py", MODELS)
    about = folder / "made-1.0.dist-info"
    write(about / "METADATA", "Metadata-Version: 2.1\nName: made\nVersion: 1.0\n")
    write(about / "entry_points.txt", "[fuxi_plugins.models]\nGated = made:Gated\nDies = made:Dies\n")
    text = (
        "Base: {dataset_id: tiny, batch_size: 100, epochs: 2}\nGated_tiny: {model: Gated}\nDies_tiny: {model: Dies}\n"
    )
    write(workspace.configs / "model_config" / "made.yaml", text)
    for name, seeds in (("Gated", "[1, 2, 3, 4, 5]"), ("Dies", "[1]")):
        suite = f"title: {name}\nexperiments: [{name}_tiny]\nseeds: {seeds}\n"
        write(workspace.configs / "suites" / f"{name.lower()}.yaml", suite)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{ROOT}")
    return folder


def start(workspace, address, suite, *arguments, host=None) -> subprocess.Popen:
    places = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    return subprocess.Popen(
        [*(host.enter if host else ()), sys.executable, "-m", "fuxi_plugins", *places,
         "run", suite, "--engine", "ray", "--address", address, *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **ENVIRONMENT},
    )  # fmt: skip


def held_on(node, jobs):
    """The first job whose runner is a process of the node."""
    processes = set(node.processes())
    for job in jobs:
        held = current_lease(job.run_folder)
        if held and held.owner and held.owner.pid in processes:
            return job
    return None


@pytest.mark.slow
def test_a_suite_goes_on_when_a_node_is_killed_and_records_each_run_once(workspace, package, cluster):
    address, nodes = cluster
    resources = Resources(slots=[-1], threads=1)
    jobs = plan_suite(find_suite("gated", workspace), workspace, resources).todo
    seen: dict = {job.run_folder / "record.json": set() for job in jobs}
    command = start(workspace, address, "gated")
    try:
        until(lambda: command.poll() is not None or all(held_on(node, jobs) for node in nodes))
        disturbed = held_on(nodes[2], jobs)
        assert disturbed, command.communicate()[0]
        assert len({held_on(node, jobs).seed for node in nodes}) == 3  # a run on each node
        nodes[2].kill()
        (package / "open").touch()
        while command.poll() is None:
            for path, states in seen.items():
                if path.exists():
                    states.add((path.stat().st_ino, path.stat().st_mtime_ns))
            time.sleep(0.02)
    finally:
        command.kill()
    output = command.communicate()[0]
    assert command.returncode == 0, output
    assert "0 runs finished, 5 to run" in output
    assert [len(states) for states in seen.values()] == [1] * 5  # each was written once
    ends = [line for line in output.splitlines() if line.startswith("[") and "test AUC" in line]
    assert [line.split()[0] for line in ends] == [f"[{number}/5]" for number in range(1, 6)]
    assert {line.split("] ")[1].split(":")[0] for line in ends} == {job.name for job in jobs}
    assert not list(workspace.results.rglob("lease-*"))
    assert not [path for path in workspace.results.rglob(".*") if path.is_file() or path.parent == workspace.results]
    # What the killed node had begun came out as on this machine, undisturbed.
    record = read_record(disturbed.run_folder / "record.json")
    alone = find_suite("gated", workspace, seeds=[record.seed])
    (again,) = run_plan(plan_suite(alone, workspace, resources, force=True), alone, workspace, resources)
    assert (again.metrics, again.best_epoch) == (record.metrics, record.best_epoch)


@pytest.mark.slow
@pytest.mark.parametrize("disturb", [Host.cut_cable, Host.lose_power])
def test_a_suite_over_two_hosts_goes_on_when_one_cannot_be_reached(workspace, package, disturb):
    resources = Resources(slots=[-1], threads=1)
    jobs = plan_suite(find_suite("gated", workspace), workspace, resources).todo
    with two_hosts() as hosts, ray_cluster(nodes=2, hosts=hosts) as (address, nodes):
        command = start(workspace, address, "gated", host=hosts[0])
        until(lambda: command.poll() is not None or all(held_on(node, jobs) for node in nodes), seconds=900)
        disturbed = held_on(nodes[1], jobs)
        assert disturbed, command.communicate()[0]
        assert held_on(nodes[0], jobs).seed != disturbed.seed
        disturb(hosts[1])
        (package / "open").touch()
        output = command.communicate(timeout=900)[0]
    assert command.returncode == 0, output
    assert "0 runs finished, 5 to run" in output
    finished = [record.seed for record in find_records(workspace.results) if record.status == "finished"]
    assert sorted(finished) == [1, 2, 3, 4, 5]
    record = read_record(disturbed.run_folder / "record.json")
    alone = find_suite("gated", workspace, seeds=[record.seed])
    (again,) = run_plan(plan_suite(alone, workspace, resources, force=True), alone, workspace, resources)
    assert (again.metrics, again.best_epoch) == (record.metrics, record.best_epoch)


@pytest.mark.slow
def test_ctrl_c_stops_the_runs_and_gives_their_leases_back(workspace, package, cluster):
    address, nodes = cluster
    jobs = plan_suite(find_suite("gated", workspace), workspace, Resources(slots=[-1], threads=1)).todo
    command = start(workspace, address, "gated", "--jobs", "1")
    until(lambda: command.poll() is not None or any(held_on(node, jobs) for node in nodes[:2]))
    assert len(list(workspace.results.rglob("lease-*"))) == 1  # --jobs 1
    command.send_signal(signal.SIGINT)
    output = command.communicate(timeout=60)[0]
    assert command.returncode == 130, output
    assert "interrupted" in output
    assert not list(workspace.results.rglob("lease-*"))
    assert not list(workspace.results.rglob("record.json"))


@pytest.mark.slow
def test_a_run_that_ends_its_node_is_a_failed_record_in_the_end(workspace, package, cluster):
    address, _ = cluster
    command = start(workspace, address, "dies")
    output = command.communicate(timeout=300)[0]
    assert command.returncode == 1, output
    (record,) = find_records(workspace.results)
    assert record.status == "failed"
    assert record.reason.endswith(f"its Ray worker died {MOST_DEATHS + 1} times")
    assert not list(workspace.results.rglob("lease-*"))


@pytest.mark.slow
def test_a_run_that_fits_no_node_is_said(workspace, cluster):
    address, _ = cluster
    command = start(workspace, address, "tiny_suite", "--threads", "50")
    output = command.communicate(timeout=120)[0]
    assert command.returncode == 2, output
    assert "a run needs 50 CPUs (--threads) and 0 GPUs (--gpu) of one node, but the nodes have 1 CPUs" in output


def test_a_node_that_does_not_share_the_folders_says_so(workspace, tmp_path):
    job = plan_suite(find_suite("LR_tiny", workspace), workspace, Resources(slots=[-1], threads=1)).todo[0]
    with pytest.raises(UserError, match="every node must see the same files, but .*gone does not exist on"):
        _run_one(job.to_json(), None, str(tmp_path / "gone"), 60.0, 1)
    assert not job.run_folder.exists()

"""One run over two hosts, disturbed in the middle of an epoch: it ends in time, and goes on to the same predictions."""

import json
import os
import signal
import sys
import time

import h5py
import numpy as np
import pytest

from fuxi_plugins.records.files import read_record
from tests.conftest import make_workspace, write
from tests.execution.test_local import until
from tests.training.distributed.namespaces import two_hosts

pytestmark = pytest.mark.slow

PORT = 29400
TIMEOUT = 20  # seconds without an answer, after which a host counts as gone
JOINING = 45  # seconds that a host which has joined waits for a further run
LEEWAY = 90  # for processes to start and end on a busy machine
WORKER = "distributed.worker"
EXPERIMENT = """\
    DNN_shared:
        {model: DNN, dataset_id: tiny, embedding_dim: 4, hidden_units: [16], sharding: row_wise, batch_size: 20,
         epochs: 5, early_stop_patience: 20, metrics: [AUC, logloss], net_dropout: 0.2}
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        made = make_workspace(tmp_path_factory.mktemp("shared"), patch)
        write(made.configs / "model_config" / "shared.yaml", EXPERIMENT)
        yield made


@pytest.fixture(scope="module")
def hosts():
    with two_hosts() as made:
        yield made


def arguments(workspace, results):
    return ["--configs", str(workspace.configs), "--results", str(results)]


def start_run(host, workspace, results, *options):
    asked = ("run", "DNN_shared", "--seeds", "1", "--threads", "1", "--checkpoint-steps", "5")
    return host.fuxibench(*arguments(workspace, results), *asked, *options)


def start_on_both(hosts, workspace, results):
    meeting = f"{hosts[0].address}:{PORT}"
    shared = ("--hosts", "2", "--rendezvous", meeting, "--wait", "200", "--host-timeout", str(TIMEOUT))
    calling = start_run(hosts[0], workspace, results, *shared)
    return [calling, hosts[1].fuxibench(*arguments(workspace, results), "join", meeting, "--wait", "200")]


def ends(commands, seconds=900):
    """What each command has printed and its exit code, once all have ended."""
    until(lambda: all(command.poll() is not None for command in commands), seconds)
    return [(command.returncode, command.communicate()[0]) for command in commands]


def record_of(results):
    return read_record(results / "runs" / "tiny" / "DNN_shared" / "seed-1" / "record.json")


def predictions(results):
    with h5py.File(results / "runs" / "tiny" / "DNN_shared" / "seed-1" / "predictions.h5") as file:
        return file["y_pred"][:]


@pytest.fixture(scope="module")
def undisturbed(hosts, workspace, tmp_path_factory):
    results = tmp_path_factory.mktemp("undisturbed")
    for code, output in ends(start_on_both(hosts, workspace, results)):
        assert code == 0, output
    assert record_of(results).machine.processes == 2
    return results


def is_within_an_epoch(workspace):
    """Whether a checkpoint lies there that was written in the middle of the second epoch or a later one."""
    path = workspace.checkpoint_folder("tiny", "DNN_shared", 1) / "state.json"
    if not path.exists():
        return False
    state = json.loads(path.read_text())
    return state["epoch"] > 0 and state["batch"] > 0


def disturbed(hosts, workspace, results, disturb):
    """A run over both that is disturbed in the middle of an epoch: how the first host's command ends."""
    commands = start_on_both(hosts, workspace, results)
    until(lambda: is_within_an_epoch(workspace) or any(command.poll() is not None for command in commands))
    disturb()
    since = time.monotonic()
    (code, output), _ = ends(commands)
    assert time.monotonic() - since < TIMEOUT + JOINING + LEEWAY
    assert code == 1, output
    assert record_of(results).status == "failed", output
    return record_of(results).reason


def kill_a_process(host):
    (victim,) = host.processes(WORKER)
    os.kill(victim, signal.SIGKILL)


def test_a_process_that_is_killed(hosts, workspace, undisturbed, tmp_path):
    reason = disturbed(hosts, workspace, tmp_path, lambda: kill_a_process(hosts[1]))
    assert "a process of the run on another host ended" in reason
    for code, output in ends(start_on_both(hosts, workspace, tmp_path)):
        assert code == 0, output
    np.testing.assert_array_equal(predictions(tmp_path), predictions(undisturbed))


def test_a_cable_that_is_cut(hosts, workspace, undisturbed, tmp_path):
    reason = disturbed(hosts, workspace, tmp_path, hosts[1].cut_cable)
    assert "the connection to it broke" in reason
    assert not hosts[0].processes()
    assert not hosts[1].processes()
    hosts[1].mend_cable()
    for code, output in ends(start_on_both(hosts, workspace, tmp_path)):
        assert code == 0, output
    np.testing.assert_array_equal(predictions(tmp_path), predictions(undisturbed))


def test_a_host_that_is_gone_for_good(hosts, workspace, undisturbed, tmp_path):
    """The other goes on alone, with as many processes, to the same bits."""
    reason = disturbed(hosts, workspace, tmp_path, hosts[1].lose_power)
    assert "the connection to it broke" in reason
    ((code, output),) = ends([start_run(hosts[0], workspace, tmp_path, "--nproc-per-run", "2")])
    hosts[1].mend_cable()
    assert code == 0, output
    np.testing.assert_array_equal(predictions(tmp_path), predictions(undisturbed))


def start_by_torchrun(host, workspace, results):
    launcher = ("--nnodes", "2", "--nproc-per-node", "1", "--max-restarts", "3", "--rdzv-backend", "c10d",
                "--rdzv-endpoint", f"10.77.1.1:{PORT}", "--local-addr", host.address,
                "--rdzv-conf", f"is_host={int(host.address == '10.77.1.1')}")  # fmt: skip
    asked = ("run", "DNN_shared", "--seeds", "1", "--threads", "1", "--checkpoint-steps", "5")
    command = ("-m", "fuxi_plugins", *arguments(workspace, results), *asked, "--host-timeout", str(TIMEOUT))
    return host.start([sys.executable, "-m", "torch.distributed.run", *launcher, *command])


def test_torchrun_starts_a_run_again_whose_process_was_killed(hosts, workspace, undisturbed, tmp_path):
    commands = [start_by_torchrun(host, workspace, tmp_path) for host in hosts]
    until(lambda: is_within_an_epoch(workspace) or any(command.poll() is not None for command in commands))
    kill_a_process(hosts[1])
    for code, output in ends(commands):
        assert code == 0, output
    assert record_of(tmp_path).machine.processes == 2
    np.testing.assert_array_equal(predictions(tmp_path), predictions(undisturbed))

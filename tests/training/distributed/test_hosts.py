"""Hosts that meet for one run: what must hold before it starts, and a run over two network namespaces."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import h5py
import numpy as np
import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.files import read_record
from fuxi_plugins.records.parts import Code
from fuxi_plugins.training import provenance
from fuxi_plugins.training.distributed import hosts
from fuxi_plugins.training.distributed.hosts import Address, called, joined
from tests.conftest import ROOT
from tests.execution.test_local import until
from tests.training.test_runner import make_job


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def job(workspace, tmp_path):
    made = make_job(workspace, tmp_path)
    made.checkpoint_folder.mkdir()
    return replace(made, processes=2, hosts=2, rendezvous=f"127.0.0.1:{free_port()}")


def call(job):
    with called(job, "the run"):
        return "all are here"


def meet(job, seconds=45.0):
    """What happens on the host that calls, and on one that joins."""
    with ThreadPoolExecutor(2) as pool:
        calling = pool.submit(call, job)
        joining = pool.submit(joined, Address.read(job.rendezvous), None, seconds)
        return tuple(future.exception() or future.result() for future in (calling, joining))


def test_hosts_that_agree_meet(job):
    here, there = meet(job)
    assert here == "all are here"
    assert there == (job, 1, "the run")
    assert not list(job.checkpoint_folder.glob("called-*"))


def other_version(monkeypatch, job):
    answers = iter([provenance.versions(), {**provenance.versions(), "torch": "1.0"}])
    monkeypatch.setattr(provenance, "versions", lambda: next(answers))


def other_code(monkeypatch, job):
    monkeypatch.setattr(hosts, "code_of", lambda model: Code(model="sha256:1", training="2"))


def other_data(monkeypatch, job):
    monkeypatch.setattr(hosts, "stored_fingerprint", lambda folder: "0123456789abcdef")


def other_folder(monkeypatch, job):
    class Elsewhere(type(Path())):
        def exists(self):
            return not self.name.startswith("called-") and super().exists()

    monkeypatch.setattr(hosts, "Path", Elsewhere)


@pytest.mark.parametrize(
    ("differs", "message"),
    [
        (other_version, r"torch is 1\.0 here and [0-9.]+\S* on the host that called"),
        (other_code, "all hosts must have the same code, but DNN or the training differs here"),
        (other_data, "must see the prepared data in .*, but here other data lie there"),
        (other_folder, "must share the folder of the checkpoints"),
    ],
)
def test_a_host_that_differs_is_told_on_both(job, monkeypatch, differs, message):
    differs(monkeypatch, job)
    for error in meet(job):
        assert isinstance(error, UserError)
        with pytest.raises(UserError, match=message):
            raise error


def test_nobody_waits_for_ever(job, monkeypatch):
    monkeypatch.setattr(hosts, "PATIENCE", timedelta(seconds=1))
    with pytest.raises(UserError, match="1 of 2 hosts came to .* within 1 s. Run 'fuxibench join 127.0.0.1:"):
        call(job)
    with pytest.raises(UserError, match="no run is announced at .*: nothing answered within 1 s"):
        joined(Address.read(job.rendezvous), None, 1.0)
    assert joined(Address.read(job.rendezvous), "the run before", 1.0) is None


@pytest.mark.parametrize("text", ["node1", "node1:", ":29400", "node1:x", "node1:65535", "node1:0"])
def test_an_address_is_a_host_and_a_port(text):
    with pytest.raises(UserError, match="must be HOST:PORT"):
        Address.read(text)


def test_the_address_must_be_one_of_the_calling_host(job):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = replace(job, rendezvous=f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(UserError, match="must be an address of this host and a free port"):
            call(busy)


NAMES = ("fuxi-test-a", "fuxi-test-b")


@pytest.fixture
def two_hosts():
    """The names of two network namespaces with the addresses 10.77.1.1 and 10.77.1.2, joined by a cable."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("network namespaces need iproute2 and root")
    lines = [f"netns add {name}" for name in NAMES] + ["link add fxta type veth peer name fxtb"]
    for number, name in enumerate(NAMES, 1):
        own = f"fxt{'ab'[number - 1]}"
        lines += [f"link set {own} netns {name}", f"-n {name} link set lo up", f"-n {name} link set {own} up"]
        lines += [f"-n {name} addr add 10.77.1.{number}/24 dev {own}"]
    try:
        for line in lines:
            made = subprocess.run(["ip", *line.split()], capture_output=True, text=True)
            if made.returncode:
                pytest.skip(f"network namespaces are not permitted here: {made.stderr.strip()}")
        yield NAMES
    finally:
        for name in NAMES:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def start(name, workspace, results, *command):
    return subprocess.Popen(
        ["ip", "netns", "exec", name, sys.executable, "-m", "fuxi_plugins", "--configs", str(workspace.configs),
         "--results", str(results), *command],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def run_on(names, workspace, results):
    """A run over both: the processes of its commands."""
    asked = ("run", "DNN_shared", "--seeds", "1", "--hosts", "2", "--rendezvous", "10.77.1.1:29400", "--threads", "1",
             "--checkpoint-steps", "1")  # fmt: skip
    calling = start(names[0], workspace, results, *asked)
    return calling, start(names[1], workspace, results, "join", "10.77.1.1:29400", "--wait", "120")


def processes_in(name) -> list[int]:
    found = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True).stdout.split()
    return [int(n) for n in found if "distributed.worker" in Path(f"/proc/{n}/cmdline").read_text()]


def finished(folder):
    with h5py.File(folder / "predictions.h5") as file:
        return file["y_pred"][:]


@pytest.mark.slow
def test_a_run_over_two_hosts_survives_a_process_that_is_killed(workspace, two_hosts, tmp_path):
    text = "DNN_shared: {model: DNN, dataset_id: tiny, embedding_dim: 4, hidden_units: [16], sharding: row_wise, "
    text += "batch_size: 20, epochs: 20, early_stop_patience: 20, metrics: [AUC, logloss], net_dropout: 0.2}\n"
    (workspace.configs / "model_config" / "shared.yaml").write_text(text)
    folders = [tmp_path / name for name in ("whole", "broken")]
    whole, broken = (folder / "runs" / "tiny" / "DNN_shared" / "seed-1" for folder in folders)
    undisturbed = run_on(two_hosts, workspace, folders[0])
    outputs = [command.communicate(timeout=400)[0] for command in undisturbed]
    assert [command.returncode for command in undisturbed] == [0, 0], outputs
    assert read_record(whole / "record.json").machine.processes == 2

    disturbed = run_on(two_hosts, workspace, folders[1])
    kept = workspace.checkpoint_folder("tiny", "DNN_shared", 1)
    until(lambda: len(list(kept.glob("state-*-*"))) > 0 and (kept / "state.json").exists(), seconds=300)
    (victim,) = processes_in(two_hosts[1])
    os.kill(victim, signal.SIGKILL)
    since = time.monotonic()
    outputs = [command.communicate(timeout=400)[0] for command in disturbed]
    assert time.monotonic() - since < 60 + 120  # the joining host then waits for a further run
    assert [command.returncode for command in disturbed] == [1, 1], outputs
    assert "a process of the run on another host ended" in read_record(broken / "record.json").reason

    again = run_on(two_hosts, workspace, folders[1])
    outputs = [command.communicate(timeout=400)[0] for command in again]
    assert [command.returncode for command in again] == [0, 0], outputs
    np.testing.assert_array_equal(finished(broken), finished(whole))

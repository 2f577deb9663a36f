"""Hosts that meet for one run: what must hold before it starts."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.parts import Code
from fuxi_plugins.training import provenance
from fuxi_plugins.training.distributed import hosts
from fuxi_plugins.training.distributed.hosts import Address, called, joined
from fuxi_plugins.training.job import Job
from tests.execution.ray_cluster import free_port
from tests.training.test_runner import make_job


@pytest.fixture
def job(workspace, tmp_path):
    made = make_job(workspace, tmp_path)
    made.checkpoint_folder.mkdir()
    return replace(made, processes=2, hosts=2, rendezvous=f"127.0.0.1:{free_port()}")


def call(job, others=()):
    """What the first host does; the run lasts until the others have been told."""
    with called(job, "the run"):
        wait(others)
        return "all are here"


def meet(job, seconds=45.0):
    """What happens on the host that calls, and on one that joins."""
    with ThreadPoolExecutor(2) as pool:
        joining = pool.submit(joined, Address.read(job.rendezvous), None, seconds)
        calling = pool.submit(call, job, [joining])
        return tuple(future.exception() or future.result() for future in (calling, joining))


def test_hosts_that_agree_meet(job):
    here, there = meet(job)
    assert here == "all are here"
    assert there == (job, 1, "the run")
    assert not list(job.checkpoint_folder.glob("called-*"))


def test_those_that_have_come_wait_for_the_last(job, monkeypatch):
    monkeypatch.setattr(hosts, "PATIENCE", timedelta(seconds=1))
    run = replace(job, processes=3, hosts=3)
    address = Address.read(job.rendezvous)
    with ThreadPoolExecutor(2) as pool:
        early = pool.submit(joined, address, None, 45.0)
        late = pool.submit(lambda: time.sleep(2.5) or joined(address, None, 45.0))
        assert call(run, [early, late]) == "all are here"
        assert early.result() == (run, 1, "the run")
        assert late.result() == (run, 2, "the run")


def other_version(monkeypatch, job):
    answers = iter([provenance.versions(), {**provenance.versions(), "torch": "1.0"}])
    monkeypatch.setattr(provenance, "versions", lambda: next(answers))


def other_code(monkeypatch, job):
    monkeypatch.setattr(hosts, "code_of", lambda model: Code(model="sha256:1", training="2"))


def code_of_another_release(monkeypatch, job):
    monkeypatch.setattr(Job, "to_json", lambda self: '{"a setting that is no more": 1}')


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
        (code_of_another_release, "all hosts must have the same code, but this one cannot read the run"),
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
        call(replace(job, host_wait=1.0))
    with pytest.raises(UserError, match=r"no run was announced at .* within 1 s \(.*Connection refused\)"):
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
        with pytest.raises(UserError, match="must be an address of this host and a free port.*in use"):
            call(busy)
    for elsewhere, why in (
        ("192.0.2.1:29400", "assign"),
        ("nowhere.invalid:29400", "known|resolution"),
    ):  # RFC 5737, RFC 2606
        since = time.monotonic()
        with pytest.raises(UserError, match=f"must be an address of this host and a free port.*{why}"):
            call(replace(job, rendezvous=elsewhere))
        assert time.monotonic() - since < 30

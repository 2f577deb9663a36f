"""Blocks go to a GPU on a stream of their own, and whoever trains on them waits for them: shown with a GPU in name."""

import threading
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from fuxi_plugins.datasets import dataloader, transfer
from fuxi_plugins.datasets.transfer import InMemory, ToGPU, transfer_to
from tests.datasets.test_dataloader import data, loader, rows_in_order  # noqa: F401


class Stream:
    """A stream that notes what is queued on it, in the order of the events that it waits for."""

    def __init__(self, device=None):
        self.has_seen = set()  # events

    def record_event(self):
        event = object()
        self.has_seen.add(event)
        return event

    def wait_event(self, event):
        self.has_seen.add(event)


@pytest.fixture
def gpu(monkeypatch):
    """torch.cuda's streams in name, each thread with a current one; gives what was done on which."""
    current, training, done = threading.local(), Stream(), []

    @contextmanager
    def stream(new):
        current.stream = new
        yield
        current.stream = training

    def now(device=None):
        return getattr(current, "stream", training)

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(torch.cuda, "current_stream", now)
    monkeypatch.setattr(Tensor, "pin_memory", lambda rows: done.append(("copied", now())) or rows)
    monkeypatch.setattr(
        Tensor, "record_stream", lambda column, used: done.append((column.untyped_storage().data_ptr(), used))
    )
    monkeypatch.setattr(dataloader, "transfer_to", ToGPU)
    return training, done


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_a_block_is_copied_beside_the_training_which_waits_for_it(data, gpu, workers, monkeypatch):  # noqa: F811
    monkeypatch.setattr(dataloader, "BLOCK_ROWS", 64)
    training, done = gpu
    train = loader(data, num_workers=workers)
    beside = train._transfer._stream
    for batch in train:
        waited = {storage for storage, stream in done if stream is training}
        assert waited >= {column.untyped_storage().data_ptr() for column in batch.values()}
    blocks = 10
    assert [stream is beside for what, stream in done if what == "copied"] == blocks * len(train._matrices) * [True]
    assert training.has_seen == beside.has_seen
    assert len(training.has_seen) == blocks


def test_the_rows_are_the_same(data, gpu, monkeypatch):  # noqa: F811
    by_streams = rows_in_order(loader(data, num_workers=2))
    monkeypatch.setattr(dataloader, "transfer_to", transfer.transfer_to)
    assert rows_in_order(loader(data)) == by_streams


def test_rows_that_are_taken_are_waited_for(data, gpu):  # noqa: F811
    training, _ = gpu
    loader(data).take([3, 1])
    assert len(training.has_seen) == 1


def test_each_device_has_its_way(monkeypatch):
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    assert isinstance(transfer_to(torch.device("cpu")), InMemory)
    assert isinstance(transfer_to(torch.device("cuda:0")), ToGPU)

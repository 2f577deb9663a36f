"""How a block of rows gets to the device that trains on it.

A GPU does what is queued on one stream in order. Were blocks copied on the stream that trains, each copy would wait for
all steps queued before it, and the steps after it for the copy. So they are copied on a stream of their own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Block = dict[str, Tensor]  # the columns of some rows by name


class Sent(Protocol):
    """A block that may still be under way."""

    def receive(self) -> Block:
        """The block, for whoever calls: what is then queued on the caller's stream finds it whole."""


class Transfer(Protocol):
    """The way to one device."""

    def send(self, make: Callable[[], Block]) -> Sent:
        """Has a block made, which moves its rows by :meth:`move`. Any thread may call it."""

    def move(self, rows: Tensor) -> Tensor:
        """Rows in the CPU's memory -> the same on the device."""


def transfer_to(device: torch.device) -> Transfer:
    return ToGPU(device) if device.type == "cuda" else InMemory()


@dataclass(frozen=True)
class Arrived:
    block: Block

    def receive(self) -> Block:
        return self.block


class InMemory:
    """The way to the CPU: the rows are there."""

    def send(self, make: Callable[[], Block]) -> Arrived:
        return Arrived(make())

    def move(self, rows: Tensor) -> Tensor:
        return rows


@dataclass(frozen=True)
class UnderWay:
    block: Block
    copied: torch.cuda.Event  # when the block is whole

    def receive(self) -> Block:
        """Makes the caller's stream wait, not the caller."""
        stream = torch.cuda.current_stream(next(iter(self.block.values())).device)
        stream.wait_event(self.copied)
        for column in self.block.values():
            column.record_stream(stream)  # else its memory could be given away while the caller's stream reads it
        return self.block


class ToGPU:
    """The way to a GPU: by pinned memory, from which it copies by itself, on a stream of its own."""

    def __init__(self, device: torch.device):
        self.device = device
        self._stream = torch.cuda.Stream(device)

    def send(self, make: Callable[[], Block]) -> UnderWay:
        with torch.cuda.stream(self._stream):
            block = make()
            return UnderWay(block, self._stream.record_event())

    def move(self, rows: Tensor) -> Tensor:
        return rows.pin_memory().to(self.device, non_blocking=True)

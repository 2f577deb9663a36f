"""What runs of a known size take: hours on a kind of GPU, memory and disk, from counted operations and stated shares.

A step has two parts. The dense layers do arithmetic: their time is operations over the share of the peak that is
reached. An embedding table is read and written whole in every step, because FuxiCTR's gradients and Adam are dense: its
time is bytes over the share of the bandwidth that is reached.
"""

from dataclasses import dataclass

BACKWARD = 2  # times the operations of a forward pass: gradients of the inputs and of the weights
FLOAT = 4  # bytes
# Bytes of a table's parameter that a step moves: the gradient is cleared and written; the regulariser reads the weight
# and reads and writes the gradient; the norm reads the gradient, and clipping reads and writes it; Adam reads weight,
# gradient and its two means, and writes weight and means.
MOVED = (2 + 3 + 3 + 7) * FLOAT
HELD = 4 * FLOAT  # bytes held for a parameter: weight, gradient, Adam's two means
SAVED = 3 * FLOAT  # bytes of a parameter in a checkpoint: weight and Adam's two means
PREDICTED = 4 + 4  # bytes of a test row in a file of predictions, before compression


@dataclass(frozen=True)
class Device:
    """A kind of GPU.

    Args:
        peak: float32 operations a second, without tensor cores, which PyTorch does not use for float32 by default.
        bandwidth: bytes a second.
        memory: bytes.
        source: of the three numbers.
    """

    name: str
    peak: float
    bandwidth: float
    memory: float
    source: str


DEVICES = (
    Device("H100 SXM", 67e12, 3.35e12, 80e9, "NVIDIA H100 data sheet"),
    Device("A100 SXM 80GB", 19.5e12, 2.039e12, 80e9, "NVIDIA A100 data sheet"),
    Device("RTX 4090", 82.6e12, 1.008e12, 24e9, "NVIDIA Ada architecture white paper"),
    Device("V100 SXM2 32GB", 15.7e12, 0.9e12, 32e9, "NVIDIA V100 data sheet"),
)


@dataclass(frozen=True)
class Utilisation:
    """Shares that are reached of a device's peak and of its bandwidth."""

    peak: float = 0.1  # matrices of these models are small, and each step has many of them
    bandwidth: float = 0.6


@dataclass(frozen=True)
class Work:
    """One run.

    Args:
        forward: operations a row of the forward pass.
        dense, tables: parameters.
        batch_size: rows of a training step.
        epochs: of training, with a pass over validation after each.
        train, valid, test: rows.
    """

    forward: float
    dense: int
    tables: int
    batch_size: int
    epochs: float
    train: int
    valid: int
    test: int

    @property
    def operations(self) -> float:
        trained = (1 + BACKWARD) * self.epochs * self.train
        return self.forward * (trained + self.epochs * self.valid + self.test)

    @property
    def bytes_moved(self) -> float:
        steps = self.epochs * self.train / self.batch_size
        return steps * (self.tables + self.dense) * MOVED

    def hours(self, device: Device, reached: Utilisation) -> float:
        arithmetic = self.operations / (device.peak * reached.peak)
        tables = self.bytes_moved / (device.bandwidth * reached.bandwidth)
        return (arithmetic + tables) / 3600

    @property
    def memory(self) -> int:
        """Bytes of parameters, gradients and the optimizer's states; what a batch takes is not in it."""
        return (self.tables + self.dense) * HELD

    @property
    def checkpoint(self) -> int:
        return (self.tables + self.dense) * SAVED


@dataclass(frozen=True)
class Runs:
    """The runs of one experiment: a search, and a board with seeds that the search has not seen."""

    experiment: str
    display_name: str
    work: Work
    trials: int
    seeds: list[int]

    @property
    def count(self) -> int:
        return self.trials + len(self.seeds)

    def hours(self, device: Device, reached: Utilisation) -> float:
        return self.count * self.work.hours(device, reached)


@dataclass(frozen=True)
class DatasetBudget:
    """All runs on one dataset.

    Args:
        values: ids and numbers of a row, histories with all their places.
        commands: that carry them out and pack them, in order.
    """

    dataset: str
    title: str
    vocabulary: int
    vocabulary_source: str
    values: int
    runs: list[Runs]
    commands: list[str]

    @property
    def count(self) -> int:
        return sum(one.count for one in self.runs)

    def hours(self, device: Device, reached: Utilisation) -> float:
        return sum(one.hours(device, reached) for one in self.runs)

    @property
    def memory(self) -> int:
        """Bytes of the largest run, without what a batch takes."""
        return max(one.work.memory for one in self.runs)

    @property
    def prepared(self) -> int:
        """Bytes of the prepared data: four for each value and for the label."""
        work = self.runs[0].work
        return (work.train + work.valid + work.test) * (self.values + 1) * FLOAT

    @property
    def predictions(self) -> int:
        return self.count * self.runs[0].work.test * PREDICTED

    def checkpoints(self, gpus: int) -> int:
        """Bytes of the runs under way, one a GPU, which keep their latest and their best weights."""
        return 2 * gpus * max(one.work.checkpoint for one in self.runs)


@dataclass(frozen=True)
class Budget:
    title: str
    datasets: list[DatasetBudget]
    trials: int
    search_seed: int
    epochs: float
    reached: Utilisation
    gpus: int

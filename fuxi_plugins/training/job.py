"""A run before it has happened: what a process needs to be told to carry it out."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from fuxi_plugins.datasets.prepare import PreparedData
from fuxi_plugins.experiments.experiment import Experiment
from fuxi_plugins.models.registry import INSTALLED_ONLY, Sources


@dataclass(frozen=True)
class Job:
    """One experiment, one seed, prepared data, a device and two folders."""

    experiment: Experiment
    data: PreparedData
    seed: int
    gpu: int  # -1 is the CPU
    threads: int
    run_folder: Path  # for the record, the predictions and the log
    checkpoint_folder: Path
    compiled_folder: Path | None = None  # where compiled code is kept between runs
    probe: bool = False  # whether effective ranks are measured along the way
    gpu_share: float = 1.0  # of its memory, where several runs are on one
    processes: int = 1  # that share the run, on all hosts; on GPUs, of those that follow ``gpu`` one each
    hosts: int = 1  # on which these processes are, as many on each
    rendezvous: str = ""  # HOST:PORT at which several hosts meet
    host_wait: float = 45.0  # seconds for the others to come there
    host_timeout: float = 300.0  # seconds without an answer of another host, after which the run ends
    micro_batches: int = 1  # parts in which each batch is computed, to need less memory
    sources: Sources = INSTALLED_ONLY  # places of models beside the installed packages
    checkpoint_steps: int | None = None  # training steps between two checkpoints within an epoch
    trackers: tuple[str, ...] = ()  # services that are told of each evaluation
    suite: str = ""  # that asks for the run

    @property
    def name(self) -> str:
        return f"{self.experiment.id} seed {self.seed}"

    def to_json(self) -> str:
        """One line of JSON that :meth:`from_json` reads back."""
        return _JOB.dump_json(self).decode()

    @classmethod
    def from_json(cls, text: str) -> "Job":
        return _JOB.validate_json(text)


_JOB = TypeAdapter(Job)

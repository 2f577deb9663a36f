"""A run before it has happened: what a process needs to be told to carry it out."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from fuxi_plugins.datasets.prepare import PreparedData
from fuxi_plugins.datasets.spec import DatasetSpec
from fuxi_plugins.experiments.experiment import Experiment
from fuxi_plugins.models.registry import INSTALLED_ONLY, Sources
from fuxi_plugins.records.record import DataCard


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
    probe: bool = False  # whether effective ranks are measured along the way
    gpu_share: float = 1.0  # of its memory, where several runs are on one
    processes: int = 1  # that share the run; on GPUs, of those that follow ``gpu`` one each
    micro_batches: int = 1  # parts in which each batch is computed, to need less memory
    sources: Sources = INSTALLED_ONLY  # places of models beside the installed packages
    checkpoint_steps: int | None = None  # training steps between two checkpoints within an epoch
    observers: tuple[str, ...] = ()  # services that are told of each evaluation

    @property
    def name(self) -> str:
        return f"{self.experiment.id} seed {self.seed}"

    def to_json(self) -> str:
        """One line of JSON that :meth:`from_json` reads back."""
        return json.dumps(
            {
                "experiment": asdict(self.experiment),
                "spec": self.data.spec.model_dump(mode="json"),
                "card": self.data.card.model_dump(mode="json"),
                "data_folder": str(self.data.folder),
                "seed": self.seed,
                "gpu": self.gpu,
                "threads": self.threads,
                "run_folder": str(self.run_folder),
                "checkpoint_folder": str(self.checkpoint_folder),
                "probe": self.probe,
                "gpu_share": self.gpu_share,
                "processes": self.processes,
                "micro_batches": self.micro_batches,
                "checkpoint_steps": self.checkpoint_steps,
                "sources": asdict(self.sources),
                "observers": self.observers,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> "Job":
        fields = json.loads(text)
        return cls(
            experiment=Experiment(**fields["experiment"]),
            data=PreparedData(
                spec=DatasetSpec(**fields["spec"]),
                folder=Path(fields["data_folder"]),
                card=DataCard(**fields["card"]),
            ),
            seed=fields["seed"],
            gpu=fields["gpu"],
            threads=fields["threads"],
            run_folder=Path(fields["run_folder"]),
            checkpoint_folder=Path(fields["checkpoint_folder"]),
            probe=fields["probe"],
            gpu_share=fields["gpu_share"],
            processes=fields["processes"],
            micro_batches=fields["micro_batches"],
            checkpoint_steps=fields["checkpoint_steps"],
            sources=Sources(fields["sources"]["zoo"], tuple(fields["sources"]["files"])),
            observers=tuple(fields["observers"]),
        )

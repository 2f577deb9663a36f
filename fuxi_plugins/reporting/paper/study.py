"""What a report reads: one suite on one dataset under one protocol, with the runs that are there."""

from dataclasses import dataclass, field
from pathlib import Path

from fuxi_plugins.analysis.evidence import Evidence
from fuxi_plugins.analysis.statistics.inference import Inference, infer
from fuxi_plugins.core.workspace import run_folder
from fuxi_plugins.records.files import RANK_FILE
from fuxi_plugins.records.metrics import find_metric
from fuxi_plugins.records.record import FinishedRun


@dataclass(frozen=True)
class Study:
    suite: str  # as "paper_rank"
    dataset: str
    protocol: str
    title: str
    variants: list[str]  # display_names, in the suite's order
    expected: int  # runs
    records: dict[
        str, list[FinishedRun]
    ]  # finished, by display_name, in order of seeds; display_names without one are absent
    results: Path = field(repr=False)
    failed: dict[str, list[str]] = field(default_factory=dict)  # display_name -> reasons
    evidence: Evidence | None = field(default=None, repr=False)  # of the sampling of test rows, as the board has it

    def inference(self, metric: str) -> Inference:
        """What the study's board says of its variants in a test metric."""
        values = {
            display_name: {record.seed: record.metrics["test"][metric] for record in records}
            for display_name, records in self.records.items()
        }
        experiments = [records[0].experiment for records in self.records.values()]
        sampling = self.evidence.sampling_of(metric, experiments) if self.evidence else None
        return infer(values, find_metric(metric), sampling)

    @property
    def name(self) -> str:
        return f"{self.suite}-{self.dataset}-{self.protocol}"

    @property
    def finished(self) -> int:
        return sum(len(records) for records in self.records.values())

    @property
    def seeds(self) -> str:
        """How many a variant, as ``2 seeds`` or ``1–2 seeds``."""
        counts = sorted({len(records) for records in self.records.values()})
        if not counts:
            return "no seed"
        least, most = counts[0], counts[-1]
        said = str(most) if least == most else f"{least}–{most}"
        return f"{said} seed{'s' * (most > 1)}"

    def probed(self) -> dict[str, list[FinishedRun]]:
        """The records with effective ranks, by display_name."""
        found = {display_name: [r for r in records if r.rank] for display_name, records in self.records.items()}
        return {display_name: records for display_name, records in found.items() if records}

    def rank_file(self, record: FinishedRun) -> Path:
        """Where the run of a probed record left all that was measured."""
        return run_folder(self.results, record.dataset, record.experiment, record.seed) / RANK_FILE


def short_stage(stage: str) -> str:
    """A stage as an axis names it.

    >>> short_stage("mixing_1"), short_stage("raw"), short_stage("deep_2")
    ('Mix 1', 'Raw', 'Deep 2')
    """
    name, _, depth = stage.partition("_")
    named = {"raw": "Raw", "tokens": "Tokens", "mixing": "Mix", "ffn": "FFN", "cin": "CIN"}.get(name, name.title())
    return f"{named} {depth}".strip()

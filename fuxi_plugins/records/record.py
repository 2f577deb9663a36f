"""The record of a run: everything that a reader of results needs to know about it.

Whatever trains produces records; whatever reports only reads them. So the modules of this folder import neither torch
nor FuxiCTR, and a laptop without either can rebuild every table.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, NonNegativeInt, TypeAdapter, model_validator

from fuxi_plugins.core.files import digest
from fuxi_plugins.records.parts import (
    Code,
    Cost,
    DataCard,
    Epoch,
    Frozen,
    Machine,
    Metrics,
    ModelSource,
    Parameters,
    RankSummary,
    Seconds,
)

SCHEMA: Literal[2] = 2

# Training settings with which a run computes something else than FuxiCTR would; a board shows them in the row's name.
DEVIATING_SETTINGS = (
    "amp", "tf32", "bf16_products", "compile", "sparse_embeddings", "shuffle_window", "dropout_bits",
    "batch_norm_gains", "weight_average",
)  # fmt: skip

# What a run is for: "result" stands for its model on the dataset, "trial" is one try of a search for settings, and
# "study" one variant of a controlled comparison, as of models made equally large.
Role = Literal["result", "trial", "study"]


def _folder_name(name: str) -> str:
    """A record's names lead to its folder, and records may come from elsewhere."""
    if not name or name.startswith(".") or set(name) & set("/\\\0"):
        raise ValueError(f"{name!r} cannot be a folder's name")
    return name


FolderName = Annotated[str, AfterValidator(_folder_name)]


class Run(Frozen):
    """What the record of every run holds: one experiment with one seed on one dataset, however it ended.

    A reader gets one of its three kinds, of which a :class:`FinishedRun` lacks nothing that a result needs.
    """

    schema_version: Literal[2] = SCHEMA
    dataset: FolderName
    experiment: FolderName
    model: str
    display_name: str  # the row's name on a board, as ``AutoInt+``
    published_as: str | None = None  # the model's name in the published tables
    suite: str = ""  # that the run was first made for; none for an experiment by itself
    submitted_by: str = ""  # who sent a run that was not made here
    role: Role = "result"
    variant: str = ""  # what sets a trial or a variant of a study apart, as "learning_rate=0.01"
    seed: NonNegativeInt
    params: dict[str, Any]  # {"model": ..., "training": ...}, resolved: no default is left unsaid
    code: Code
    digest: str  # of dataset, model, params and code: runs of one digest, one seed and equal data are the same run
    former_digest: str | None = None  # of a migrated record: of dataset, model and params, as schema 1 had it
    status: Literal["finished", "failed", "skipped"]
    reason: str = ""  # of a failure or a skip, in one line
    traceback: str = ""
    data: DataCard | None = None
    metrics: dict[str, Metrics] = Field(default_factory=dict)  # "valid" at the best epoch, "test" once at the end
    further_metrics: dict[str, dict[str, Metrics]] = Field(default_factory=dict)  # the same of each further label
    best_epoch: NonNegativeInt | None = None
    history: list[Epoch] = Field(default_factory=list)
    parameters: Parameters | None = None
    seconds: Seconds | None = None
    machine: Machine | None = None
    commit: str | None = None
    uncommitted_changes: bool | None = None
    model_source: ModelSource | None = None
    started: str  # UTC, ISO 8601
    same_run_as: str | None = None  # the experiment under which this very configuration and seed were run
    rank: RankSummary | None = None  # of a probed run
    cost: Cost | None = None  # of the same model, measured by itself at another time
    sanity_checks: dict[str, str] = Field(default_factory=dict)  # check for a silent failure -> what it found, if any
    deviations: list[str] = Field(default_factory=list)  # every setting in which this run is not plain FuxiCTR

    @model_validator(mode="after")
    def _has_its_digest(self) -> "Run":
        expected = run_digest(self.dataset, self.model, self.params, self.code)
        if self.digest != expected:
            raise ValueError(
                f"the digest of its settings and code is {expected[:16]}, but it says {self.digest[:16]}; "
                "they were changed after the run"
            )
        return self

    @property
    def finished(self) -> bool:
        return self.status == "finished"


def _both_splits(metrics: dict[str, Metrics]) -> dict[str, Metrics]:
    if missing := [split for split in ("valid", "test") if not metrics.get(split)]:
        raise ValueError(f"a finished run has metrics of valid and test, but none of {' and '.join(missing)}")
    return metrics


class FinishedRun(Run):
    status: Literal["finished"]
    data: DataCard
    metrics: Annotated[dict[str, Metrics], AfterValidator(_both_splits)]
    best_epoch: NonNegativeInt
    history: Annotated[list[Epoch], Field(min_length=1)]
    parameters: Parameters
    seconds: Seconds

    @property
    def ranks(self) -> RankSummary:
        """The effective ranks of a run that was probed."""
        if self.rank is None:
            raise ValueError(f"{self.experiment} seed {self.seed} was not probed")
        return self.rank


class FailedRun(Run):
    status: Literal["failed"]


class SkippedRun(Run):
    """A run that could not be, because the dataset lacks what the model needs."""

    status: Literal["skipped"]


Record = FinishedRun | FailedRun | SkippedRun
_RECORD: TypeAdapter[Record] = TypeAdapter(Annotated[Record, Field(discriminator="status")])


def parse_record(content: str | bytes) -> Record:
    """The record that a JSON text holds.

    Raises:
        pydantic.ValidationError: it is none of this schema.
    """
    return _RECORD.validate_json(content)


def make_record(fields: Mapping[str, Any]) -> Record:
    """The record of these fields, of the kind that its status names.

    Raises:
        pydantic.ValidationError: they make none.
    """
    return _RECORD.validate_python(fields)


def finished_runs(records: Iterable[Record]) -> list[FinishedRun]:
    return [record for record in records if isinstance(record, FinishedRun)]


def run_digest(dataset: str, model: str, params: dict[str, Any], code: Code) -> str:
    """What names a run up to its seed and data: sha256 of the canonical JSON of its settings and its code."""
    return digest({"dataset": dataset, "model": model, "params": params, "code": code.model_dump()})

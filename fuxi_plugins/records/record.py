"""The record of a run: everything a reader of results needs to know about it, as one JSON file.

Whatever trains produces records; whatever reports only reads them. So this module imports neither torch nor
FuxiCTR, and a laptop without either can rebuild every table.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import canonical_json, digest, write_text

SCHEMA = 1
RECORD_FILE = "record.json"
PREDICTIONS_FILE = "predictions.h5"
RANK_FILE = "rank.h5"
LOG_FILE = "run.log"
EPOCHS_FILE = "metrics.jsonl"

# Training settings with which a run computes something else than FuxiCTR would; a board shows them in the row's name.
DECLARED_SETTINGS = ("amp", "compile", "lazy_tables", "batch_norm_gains")

Metrics = dict[str, float]


class Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)


class DataCard(Frozen):
    """The data that a run saw."""

    fingerprint: str  # of the prepared columns' content; equal fingerprints mean equal data
    title: str
    note: str = ""
    rows: dict[str, int]  # by split
    positive_rate: dict[str, float]  # by split
    published_as: str | None = None  # the dataset's name in the published tables
    synthetic: bool = False
    valid_is_test: bool = False
    bayes: Metrics | None = None  # what the true probabilities score on the test rows, where they are known

    @model_validator(mode="after")
    def _knows_every_split(self) -> "DataCard":
        if not set(self.rows) == set(self.positive_rate) == {"train", "valid", "test"}:
            raise ValueError("rows and positive_rate are those of train, valid and test")
        return self


class Epoch(Frozen):
    """One evaluation during training; FuxiCTR makes one an epoch unless ``eval_steps`` says otherwise."""

    epoch: int
    step: int
    train_loss: float  # mean over the steps since the last evaluation, regularisation included
    learning_rate: float
    valid: Metrics
    seconds: float  # training time since the last evaluation
    evaluation_seconds: float


class Parameters(Frozen):
    dense: int  # everything but the embedding tables
    embedding: int


class Seconds(Frozen):
    train: float
    evaluation: float
    total: float  # from the first import to the record
    per_epoch: float  # training alone, mean over epochs


class Machine(Frozen):
    device: str
    processor: str
    threads: int  # of each process
    versions: dict[str, str]
    processes: int = 1  # that shared the run


class RankFamily(Frozen):
    """Mean effective ranks, by measure, of the matrices of one kind at one stage, with their two null lines."""

    rows: int  # shape of the matrices; no rank can be above the smaller side
    columns: int
    untrained: dict[str, float]  # the same model and seed before its first step
    trained: dict[str, float]  # the weights that were reported
    gaussian: dict[str, float]  # independent normal numbers in that shape

    @property
    def cap(self) -> int:
        return min(self.rows, self.columns)


class StageRank(Frozen):
    """One stage of a model: of a row the matrix of its tokens, of a token the matrix of its values over rows."""

    row: RankFamily | None = None  # a stage whose rows are vectors has none
    token: RankFamily


class RankSummary(Frozen):
    """Effective ranks along a model; the measures are defined in ``diagnostics/rank.py``, all values in rank.h5."""

    sample: int  # validation rows, evenly spaced
    seconds: float  # that all measurements of the run took, with null lines and writing
    stages: dict[str, StageRank]  # in order of depth


class ModelSource(Frozen):
    """The code of a model that is neither native nor of an installed package."""

    file: str  # in its checkout
    sha256: str  # of the Python files of its folder, or of the file that was named
    commit: str | None  # of the checkout


class Latency(Frozen):
    """Of one prediction of some rows, after warming up."""

    calls: int
    p50_ms: float
    p99_ms: float


class Cost(Frozen):
    """What a model costs on one device; ``training/cost.py`` measures it. Loading is apart."""

    device: str
    processor: str
    threads: int
    batch_size: int  # rows of a training step
    flops_per_row: float  # of the forward pass
    flops_coverage: float  # the share of them that torch has formulas for
    training_rows_per_second: float
    inference_rows_per_second: float  # in the largest batch of ``latency``
    latency: dict[str, Latency]  # by rows predicted at once
    peak_bytes: int  # while training

    @property
    def hardware(self) -> tuple[str, str, int]:
        """Figures of different hardware must not be compared."""
        return self.device, self.processor, self.threads


def _folder_name(name: str) -> str:
    """A record's names lead to its folder, and records may come from elsewhere."""
    if not name or name.startswith(".") or set(name) & set("/\\\0"):
        raise ValueError(f"{name!r} cannot be a folder's name")
    return name


FolderName = Annotated[str, AfterValidator(_folder_name)]


class Record(Frozen):
    """One experiment with one seed on one dataset, finished or failed."""

    schema_version: Literal[1] = SCHEMA
    dataset: FolderName
    experiment: FolderName
    model: str
    preset: str  # the row's name on a board, as ``AutoInt+``
    published_as: str | None = None  # the model's name in the published tables
    seed: int
    params: dict[str, Any]  # {"model": ..., "training": ...}, resolved: no default is left unsaid
    config_digest: str
    status: Literal["finished", "failed", "skipped"]  # skipped: the dataset lacks what the model needs
    reason: str = ""  # of a failure or a skip, in one line
    traceback: str = ""
    data: DataCard | None = None
    metrics: dict[str, Metrics] = {}  # "valid" at the best epoch, "test" once at the end
    best_epoch: int | None = None
    history: list[Epoch] = []
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
    sentinels: dict[str, str] = {}  # check for a silent failure -> what it found; nothing when all is well
    departures: list[str] = []  # every setting in which this run is not plain FuxiCTR

    @model_validator(mode="after")
    def _is_whole(self) -> "Record":
        """A finished record lacks nothing that a reader relies on."""
        if self.finished:
            needed = ("data", "best_epoch", "history", "parameters", "seconds")
            missing = [name for name in needed if not getattr(self, name)]
            missing += [f"metrics.{split}" for split in ("valid", "test") if not self.metrics.get(split)]
            if missing:
                raise ValueError(f"a finished run has {', '.join(missing)}")
        return self

    @property
    def finished(self) -> bool:
        return self.status == "finished"


def config_digest(dataset: str, model: str, params: dict[str, Any]) -> str:
    """What names a configuration: sha256 of the canonical JSON of the resolved settings."""
    return digest({"dataset": dataset, "model": model, "params": params})


def write_record(folder: Path, record: Record) -> Path:
    """Writes ``folder/record.json`` atomically, with sorted keys so that equal runs give equal bytes."""
    path = folder / RECORD_FILE
    canonical_json(record.model_dump())  # refuses NaN before anything is written
    write_text(path, record.model_dump_json(indent=1) + "\n")
    return path


def read_record(path: Path) -> Record:
    """Reads one record.

    Raises:
        UserError: the file is not a record of this schema.
    """
    try:
        return Record.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UserError(f"{path} is not a record of schema {SCHEMA}: {where}: {first['msg']}.") from error


def find_records(results: Path, dataset: str | None = None) -> Iterator[Record]:
    """All records below ``results/runs``, in the order of their paths."""
    pattern = f"{dataset or '*'}/*/seed-*/{RECORD_FILE}"
    with _without_collecting():
        return iter([read_record(path) for path in sorted((results / "runs").glob(pattern))])


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Pauses the search for cyclic garbage. Records hold no cycles, and it would look through all of them again and
    again while they are read: three quarters of the time for 20,000."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()

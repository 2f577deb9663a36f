"""The record of a run: everything a reader of results needs to know about it, as one JSON file.

Whatever trains produces records; whatever reports only reads them. So this module imports neither torch nor
FuxiCTR, and a laptop without either can rebuild every table.
"""

import gc
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import canonical_json, digest, write_text
from fuxi_plugins.records.metrics import check_metrics

_log = logging.getLogger(__name__)

SCHEMA: Literal[2] = 2
RECORD_FILE = "record.json"
PREDICTIONS_FILE = "predictions.h5"
RANK_FILE = "rank.h5"
LOG_FILE = "run.log"
MODEL_FOLDER = "model"  # with the source of a model that lies in a file of its own
EPOCHS_FILE = "metrics.jsonl"

# Training settings with which a run computes something else than FuxiCTR would; a board shows them in the row's name.
DECLARED_SETTINGS = ("amp", "compile", "sparse_embeddings", "batch_norm_gains")

_MOST_METRICS = 20


def _possible(metrics: dict[str, float]) -> dict[str, float]:
    """Refuses what no evaluation can give: a metric that does not exist, or a value outside its bounds."""
    if len(metrics) > _MOST_METRICS:
        raise ValueError(f"there must be at most {_MOST_METRICS} metrics, but there are {len(metrics)}")
    check_metrics(metrics)
    return metrics


Metrics = Annotated[dict[str, float], AfterValidator(_possible)]
Share = Annotated[float, Field(ge=0, le=1)]

# What a run is for: "result" stands for its model on the dataset, "trial" is one try of a search for settings, and
# "study" one variant of a controlled comparison, as of models made equally large.
Role = Literal["result", "trial", "study"]


class Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)


class DataCard(Frozen):
    """The data that a run saw."""

    fingerprint: str  # of the prepared columns' content; equal fingerprints mean equal data
    title: str
    note: str = ""
    rows: dict[str, NonNegativeInt]  # by split
    positive_rate: dict[str, Share]  # by split
    published_as: str | None = None  # the dataset's name in the published tables
    synthetic: bool = False
    valid_is_test: bool = False
    label: str | None = None  # the one that was learned, where the dataset has several
    further_labels: list[str] = []  # that were learned at the same time
    weighted_by: str | None = None  # the column by which training weighted the loss of each row
    warnings: list[str] = []  # of preparation: what most likely is a mistake, a sentence each
    bayes: Metrics | None = None  # what the true probabilities score on the test rows, where they are known

    @property
    def learned_labels(self) -> list[str]:
        """The labels that were learned, where the dataset has several; the main one first."""
        return [self.label, *self.further_labels] if self.label else []

    @model_validator(mode="after")
    def _knows_every_split(self) -> "DataCard":
        if not set(self.rows) == set(self.positive_rate) == {"train", "valid", "test"}:
            raise ValueError("rows and positive_rate are those of train, valid and test")
        return self


class Epoch(Frozen):
    """One evaluation during training; FuxiCTR makes one an epoch unless ``eval_steps`` says otherwise."""

    epoch: NonNegativeInt
    step: NonNegativeInt
    train_loss: float  # mean over the steps since the last evaluation, regularisation included
    learning_rate: NonNegativeFloat
    valid: Metrics
    seconds: NonNegativeFloat  # training time since the last evaluation
    evaluation_seconds: NonNegativeFloat


class Parameters(Frozen):
    dense: NonNegativeInt  # everything but the embedding tables
    embedding: NonNegativeInt


class Seconds(Frozen):
    train: NonNegativeFloat
    evaluation: NonNegativeFloat
    total: NonNegativeFloat  # from the first import to the record
    per_epoch: NonNegativeFloat  # training alone, mean over epochs


class Processor(Frozen):
    """The kind of CPU and the libraries that round on it; two kinds differ in a run's last digits."""

    vendor: str
    family: str
    model: str
    instruction_sets: list[str]  # of those that torch chooses its kernels by, sorted
    kernels: str  # what torch chose, as "AVX512"
    blas: str  # the library that multiplies matrices

    def __str__(self) -> str:
        return f"{self.vendor} family {self.family} model {self.model}, {self.kernels} kernels, {self.blas}"


class Machine(Frozen):
    device: str
    processor: str  # by its name
    cpu: Processor | None = None  # not known of records of schema 1
    threads: PositiveInt  # of each process
    versions: dict[str, str]
    processes: PositiveInt = 1  # that shared the run


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

    @property
    def row_families(self) -> dict[str, RankFamily]:
        """Of rows, by stage; a stage whose rows are vectors has none."""
        return {name: stage.row for name, stage in self.stages.items() if stage.row}


class Code(Frozen):
    """The code that computed a run; ``experiments/code.py`` names it.

    A part is ``revision N`` of this package, or ``sha256:`` and the hash of source that is no such revision.
    """

    model: str
    training: str


class ModelSource(Frozen):
    """Where the code of a model lies that is neither native nor of an installed package."""

    file: str  # in its checkout
    commit: str | None  # of the checkout


class Latency(Frozen):
    """Of one prediction of some rows, after warming up."""

    calls: NonNegativeInt
    p50_ms: NonNegativeFloat
    p99_ms: NonNegativeFloat


class Cost(Frozen):
    """What a model costs on one device; ``training/cost.py`` measures it. Loading is apart."""

    device: str
    processor: str
    threads: PositiveInt
    batch_size: PositiveInt  # rows of a training step
    flops_per_row: NonNegativeFloat  # of the forward pass
    flops_coverage: Share  # of them that torch has formulas for
    training_rows_per_second: NonNegativeFloat
    inference_rows_per_second: NonNegativeFloat  # in the largest batch of ``latency``
    latency: dict[str, Latency]  # by rows predicted at once
    peak_bytes: NonNegativeInt  # while training

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
    metrics: dict[str, Metrics] = {}  # "valid" at the best epoch, "test" once at the end
    further_metrics: dict[str, dict[str, Metrics]] = {}  # the same of each further label that was learned
    best_epoch: NonNegativeInt | None = None
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
    sanity_checks: dict[str, str] = {}  # check for a silent failure -> what it found; nothing when all is well
    deviations: list[str] = []  # every setting in which this run is not plain FuxiCTR

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


def differences(one: Record, other: Record) -> list[str]:
    """In what two runs of different digests differ, as ``learning_rate 0.001 and 0.01``."""
    found = [] if one.model == other.model else [f"model {one.model} and {other.model}"]
    for part in sorted({*one.params, *other.params}):
        ours, theirs = one.params.get(part, {}), other.params.get(part, {})
        for name in sorted({*ours, *theirs}):
            here, there = (str(values[name]) if name in values else "not set" for values in (ours, theirs))
            if here != there:
                found.append(f"{name} {here} and {there}")
    for part, here in one.code:
        if here != (there := getattr(other.code, part)):
            found.append(f"code of the {part} {short_code(here)} and {short_code(there)}")
    return found


def require_one_digest(records: Sequence[Record]) -> None:
    """
    Raises:
        UserError: the runs of an experiment are of more than one digest, so that they must not be averaged.
    """
    first = records[0]
    for other in records:
        if other.digest != first.digest:
            raise UserError(
                f"{first.experiment} must have runs of the same settings and code, but seeds {first.seed} and "
                f"{other.seed} differ: {'; '.join(differences(first, other))}. Repeat one of them with --force."
            )


def short_code(name: str) -> str:
    """``revision 2``, or the first digits of a hash."""
    return name[:19] if name.startswith("sha256:") else name


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
        return parse_record(path.read_bytes())
    except ValidationError as error:
        if (older := _older_schema(path)) is not None:
            raise UserError(
                f"{path} is a record of schema {older}; `python scripts/migrate_records.py` brings it to {SCHEMA}."
            ) from error
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "the file"  # the first part names the kind of run
        raise UserError(f"{path} is not a record of schema {SCHEMA}: {where}: {first['msg']}.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def _older_schema(path: Path) -> int | None:
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    schema = found.get("schema_version") if isinstance(found, dict) else None
    return schema if isinstance(schema, int) and 0 < schema < SCHEMA else None


@dataclass(frozen=True)
class LeftOut:
    """A file in a record's place that is not the record of that place."""

    dataset: str  # by its path, as the next two
    experiment: str
    seed: int  # -1 where the folder's name has none
    reason: str


def find_records(
    results: Path, dataset: str | None = None, left_out: Callable[[LeftOut], None] | None = None
) -> list[Record]:
    """All records below ``results/runs``, in the order of their paths.

    A file that is broken, of another schema, or whose record has other names than its path is left out: it may be
    a copy, and no record can stop the others from being read.

    Args:
        left_out: is told of each file that is left out; without it a warning is logged.
    """
    say = left_out or (lambda one: _log.warning("%s", one.reason))
    found = []
    with _without_collecting():
        for path in sorted((results / "runs").glob(f"{dataset or '*'}/*/seed-*/{RECORD_FILE}")):
            try:
                record = read_record(path)
                _require_its_place(record, path)
            except UserError as error:
                *_, of_dataset, experiment, seed, _ = path.parts
                digits = seed.removeprefix("seed-")
                say(LeftOut(of_dataset, experiment, int(digits) if digits.isdecimal() else -1, str(error)))
            else:
                found.append(record)
    return found


def _require_its_place(record: Record, path: Path) -> None:
    place = Path(record.dataset, record.experiment, f"seed-{record.seed}")
    if path.parent.parts[-3:] != place.parts:
        raise UserError(f"{path} holds the record of {place}, so it is a copy or was moved; it is left out.")


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

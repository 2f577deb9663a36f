"""The parts of a record: data, epochs, sizes, seconds, machine, effective ranks, code and cost."""

from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    model_validator,
)

from fuxi_plugins.records.metrics import check_metrics

_MOST_METRICS = 20


def _possible(metrics: dict[str, float]) -> dict[str, float]:
    """Refuses what no evaluation can give: a metric that does not exist, or a value outside its bounds."""
    if len(metrics) > _MOST_METRICS:
        raise ValueError(f"there must be at most {_MOST_METRICS} metrics, but there are {len(metrics)}")
    check_metrics(metrics)
    return metrics


Metrics = Annotated[dict[str, float], AfterValidator(_possible)]
Share = Annotated[float, Field(ge=0, le=1)]


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
    unlabelled: dict[str, NonNegativeInt] = {}  # by split, rows that were left out because they have no label
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
    """Ranks at one stage of a model: of a row's matrix of tokens, and of a token's matrix over the sample's rows."""

    row: RankFamily | None = None  # a stage whose rows are vectors has none
    token: RankFamily


class RankSummary(Frozen):
    """Effective ranks along a model; the measures are defined in ``diagnostics/rank.py``, all values in rank.h5."""

    sample: int  # validation rows, evenly spaced
    seconds: float  # that all measurements of the run took, with null lines and writing
    stages: dict[str, StageRank]  # in order of depth

    @property
    def row_families(self) -> dict[str, RankFamily]:
        """The ranks of rows, by stage; a stage whose rows are vectors has none."""
        return {name: stage.row for name, stage in self.stages.items() if stage.row}


class Code(Frozen):
    """The code that computed a run; ``experiments/code.py`` names it.

    A part is ``revision N`` of this package, or ``sha256:`` and the hash of source that is no such revision.
    """

    model: str
    training: str


class ModelSource(Frozen):
    """Where a model's code lies that is neither in this package nor in an installed one."""

    file: str  # in its checkout
    commit: str | None  # of the checkout


class Latency(Frozen):
    """The time that predicting some rows once takes, after warming up."""

    calls: NonNegativeInt
    p50_ms: NonNegativeFloat
    p99_ms: NonNegativeFloat


class Cost(Frozen):
    """What a model costs on one device; ``execution/measure_cost.py`` measures it. Loading data is no part of it."""

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
    turn: str | None = None  # when it began; costs that share it were measured beside each other, in turns

    @property
    def hardware(self) -> tuple[str, str, int]:
        """Figures of different hardware must not be compared."""
        return self.device, self.processor, self.threads

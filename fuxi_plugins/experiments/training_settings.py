"""The settings of the training. All models share them but tree models, which a library of their own trains."""

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from fuxi_plugins.records.metrics import find_metric, is_metric, usual_metrics
from fuxi_plugins.records.record import DEVIATING_SETTINGS

# Settings of this harness, not of FuxiCTR. A resolved configuration holds them only where they are not at their
# default, so that what was never asked for changes no digest.
OWN_SETTINGS = ("train_step", "label", "labels", "sharding", "deterministic", *DEVIATING_SETTINGS)
# Those of the training that a tree model has: its library knows no steps and batches.
SETTINGS_OF_TREES = ("metrics", "monitor", "monitor_mode", "label")

# Their step on a part of a table is the part of their step on the whole.
SHARDED_OPTIMIZERS = ("adam", "Adam", "AdamW", "SGD", "Adagrad", "RMSprop")

_AVERAGE = re.compile(r"(ema|swa)\(\s*([0-9]*\.?[0-9]+)\s*\)")


class Training(BaseModel):
    """How FuxiCTR trains; names and defaults are FuxiCTR's, but for those of ``OWN_SETTINGS``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    optimizer: str = "adam"
    """`adam` or a class of `torch.optim`."""
    loss: Literal["binary_crossentropy", "binary_cross_entropy"] = "binary_crossentropy"
    """The loss; both names mean the same."""
    task: Literal["binary_classification"] = "binary_classification"
    """What is learned."""
    metrics: list[str] = usual_metrics()
    """What is measured on valid and test."""
    monitor: str | dict[str, float] = "AUC"
    """The metric on valid that chooses the epoch, or a weighted sum of several, as `{gAUC: 1, logloss: -1}`."""
    monitor_mode: Literal["max", "min"] = "max"
    """Whether more or less of it is better; it follows from the metric and need not be given."""
    epochs: int = Field(default=100, ge=1)
    """At most so many."""
    batch_size: int = Field(default=4096, ge=1)
    """Rows of a step."""
    shuffle: bool = True
    """Whether each epoch draws the order of the rows anew."""
    early_stop_patience: int = Field(default=2, ge=1)
    """Evaluations in a row without a gain after which the training ends."""
    eval_steps: int | None = Field(default=None, ge=1)
    """Steps between two evaluations; an epoch unless given."""
    reduce_lr_on_plateau: bool = True
    """Whether each evaluation without a gain divides the learning rate by ten."""
    max_gradient_norm: float = Field(default=10.0, gt=0)
    """Norm to which all gradients together are shortened."""
    num_workers: int = Field(default=1, ge=0)
    """Processes of FuxiCTR's loader; ours needs none, so it changes nothing."""
    train_step: Literal["fast", "fuxictr"] = "fast"
    """`fast` is FuxiCTR's step with less work and the same result, `fuxictr` its own code."""
    label: str | None = None
    """Of a dataset with several labels, the one that is learned; the first unless given."""
    labels: list[str] = []
    """Labels that a model of several tasks learns at once. Boards rank by the first."""
    amp: Literal["bf16"] | None = None
    """`bf16` computes the forward pass in bfloat16. Weights and their updates stay float32; dropout is that of
    `dropout_bits`."""
    tf32: bool = False
    """A GPU rounds the factors of its products to TensorFloat-32; a CPU does not know it."""
    bf16_products: bool = False
    """A CPU rounds the factors of its products to bfloat16, and all else stays float32; a GPU does not know it."""
    compile: bool = False
    """The forward pass goes through `torch.compile`."""
    sparse_embeddings: bool = False
    """A step moves the rows of its batch in embedding tables and no others."""
    sharding: Literal["row_wise", "table_wise", "auto"] | None = None
    """In a run by several processes, each holds a part of the embedding tables: some rows of every table (`row_wise`),
    some tables (`table_wise`), or rows of the large ones and some of the small ones (`auto`)."""
    shuffle_window: int | None = Field(default=None, ge=2)
    """Rows that are shuffled together, for data larger than memory."""
    dropout_bits: Literal[16] | None = None
    """16 draws dropout's masks on a CPU from so many random bits a value, which is quicker than torch's own draws. The
    token models always do."""
    batch_norm_gains: Literal["uniform"] | None = None
    """`uniform` starts BatchNorm's gains in U(0, 1), as PyTorch up to 1.1 did and with it the published runs of BARS;
    else they start at one."""
    weight_average: str | None = None
    """`ema(0.999)` or `swa(5)`, averages of the weights that are evaluated and kept in their place."""
    deterministic: bool = False
    """Only operations that give the same bits in every run on the same device; one that has no such form is an error. A
    CPU does not need it: with the same number of threads its runs are equal to the last bit."""

    @property
    def averaging(self) -> tuple[str, float] | None:
        """The kind of ``weight_average``, and its decay (``ema``) or first epoch (``swa``)."""
        if self.weight_average is None:
            return None
        kind, _, number = self.weight_average.removesuffix(")").partition("(")
        return kind, float(number)

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each metric in the sum that is monitored."""
        return weights_of(self.monitor)

    @property
    def learned_labels(self) -> list[str]:
        """The labels that are learned, the main one first; none where the dataset's own choice is taken."""
        return self.labels or ([self.label] if self.label else [])

    def recorded(self) -> dict[str, Any]:
        """The settings as a record holds them: plain values, those of ``OWN_SETTINGS`` only if not at their default."""
        unsaid = {name for name in OWN_SETTINGS if getattr(self, name) == Training.model_fields[name].default}
        return self.model_dump(mode="json", exclude=unsaid)

    @field_validator("optimizer")
    @classmethod
    def _is_an_optimizer(cls, name: str) -> str:
        import torch

        if name != "adam" and not hasattr(torch.optim, name):
            raise ValueError("optimizer must be 'adam' or the name of a class of torch.optim")
        return name

    @field_validator("metrics", "monitor")
    @classmethod
    def _are_metrics(cls, named: list[str] | str | dict[str, float]) -> list[str] | str | dict[str, float]:
        for name in [named] if isinstance(named, str) else named:
            find_metric(name)
        return named

    @field_validator("weight_average")
    @classmethod
    def _is_an_average(cls, written: str | None) -> str | None:
        if written is None:
            return None
        found = _AVERAGE.fullmatch(written)
        number = float(found[2]) if found else 0.0
        if not found or not (0 < number < 1 if found[1] == "ema" else number >= 1 and number.is_integer()):
            raise ValueError(
                "weight_average must be ema(d) with a decay d between 0 and 1, as ema(0.999), or swa(n) with the epoch "
                f"that it starts at, as swa(5), but is {written!r}"
            )
        return f"{found[1]}({number:.12g})"

    @model_validator(mode="before")
    @classmethod
    def _knows_the_direction(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Unless ``monitor_mode`` is given, it is the direction of the metric that is monitored."""
        monitor = given.get("monitor")
        if "monitor_mode" not in given and isinstance(monitor, str) and is_metric(monitor):
            return {**given, "monitor_mode": "max" if find_metric(monitor).higher_is_better else "min"}
        return given

    @model_validator(mode="after")
    def _names_labels_once(self) -> "Training":
        if self.labels and (self.label or len(self.labels) < 2 or len({*self.labels}) < len(self.labels)):
            raise ValueError(
                "labels names two labels or more, each once and the main one first, and takes the place of label"
            )
        return self

    @model_validator(mode="after")
    def _can_be_sparse(self) -> "Training":
        if self.sparse_embeddings and (self.optimizer != "adam" or self.train_step != "fast"):
            raise ValueError("sparse_embeddings: true needs optimizer: adam and train_step: fast")
        return self

    @model_validator(mode="after")
    def _can_be_sharded(self) -> "Training":
        if self.sharding and (self.optimizer not in SHARDED_OPTIMIZERS or self.train_step != "fast" or self.compile):
            raise ValueError(
                f"sharding needs train_step: fast, compile: false and an optimizer that moves each number by itself "
                f"({', '.join(SHARDED_OPTIMIZERS)})"
            )
        return self

    @model_validator(mode="after")
    def _measures_what_it_monitors(self) -> "Training":
        missing = [name for name in self.weights if name not in self.metrics]
        if missing:  # FuxiCTR would take a metric that is not measured for 0
            raise ValueError(f"what is monitored must be measured; add {', '.join(missing)} to metrics")
        return self

    @model_validator(mode="after")
    def _monitors_towards_the_better(self) -> "Training":
        for name, weight in self.weights.items():
            metric = find_metric(name)
            if metric.target is not None:
                raise ValueError(
                    f"of {name}, {metric.direction}, so neither its highest nor its lowest value can be monitored"
                )
            if weight and metric.higher_is_better != ((weight > 0) == (self.monitor_mode == "max")):
                raise ValueError(
                    f"of {name}, {metric.direction}, but monitor with monitor_mode: {self.monitor_mode} looks for the "
                    "opposite"
                )
        return self


def weights_of(monitor: str | dict[str, float]) -> dict[str, float]:
    """The weight of each metric in what is monitored, which is a metric or FuxiCTR's weighted sum of several."""
    return {monitor: 1.0} if isinstance(monitor, str) else monitor


def sum_in_words(weights: Mapping[str, float]) -> str:
    """A weighted sum of metrics as one reads it.

    >>> sum_in_words({"AUC": 1}), sum_in_words({"gAUC": 2, "logloss": -1}), sum_in_words({"AUC": -1, "logloss": 0.5})
    ('AUC', '2 gAUC - logloss', '-AUC + 0.5 logloss')
    """
    first, *rest = (
        ("-" if weight < 0 else "+", f"{'' if abs(weight) == 1 else f'{abs(weight):g} '}{name}")
        for name, weight in weights.items()
    )
    return first[0].strip("+") + first[1] + "".join(f" {sign} {term}" for sign, term in rest)

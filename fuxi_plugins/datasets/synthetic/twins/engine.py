"""What the twins have in common: how rows get their click probabilities, their labels and their files.

A click of a row is drawn with probability

    p(row) = sigmoid(bias + sum over effects e of scale_e * sum over k of product over signals s of s_k(row)),

where a signal is a pair of hidden numbers, k = 1, 2, that the row's visible values determine: the score of an id, the
topic of an item, the mean topic of a history. Each scale and the bias are set on a sample of rows, so that an effect
has its share of the logit's variance there and clicks have the dataset's rate. Unlike those of the synthetic
dataset, the fields of a twin depend on each other (a site has one domain), so shares are of each effect by itself.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
from scipy.optimize import brentq
from scipy.special import expit

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.synthetic.planted import auc, logloss
from fuxi_plugins.records.metrics import evaluate_metrics

RANK = 2  # hidden numbers of a signal
BLOCK_ROWS = 20_000  # drawn and written at a time, so that memory does not grow with rows
CALIBRATION_ROWS = 20_000
FEWEST_ROWS = 100  # of a split; with fewer it may lack one of the two labels

Ids = dict[str, np.ndarray]  # what was drawn for each row, by field: shape (rows,)


class Twin(ABC):
    """One twin: its constructor draws its world (scores, users, items) from a seed, its methods draw rows in it."""

    label: ClassVar[str]
    click_rate: ClassVar[float]
    logit_std: ClassVar[float]
    effects: ClassVar[Mapping[tuple[str, ...], float]]  # signals -> share of the logit's variance
    group: ClassVar[str | None] = None  # the field by which gAUC groups rows

    @abstractmethod
    def draw(self, rng: np.random.Generator, moments: np.ndarray) -> Ids:
        """Draws rows at these moments, shape (rows,): 0 is the beginning of the log and 1 its end."""

    @abstractmethod
    def signal(self, name: str, ids: Ids) -> np.ndarray:
        """A signal of every row, shape (rows, RANK)."""

    @abstractmethod
    def raw(self, ids: Ids, label: np.ndarray, first_row: int) -> pl.DataFrame:
        """The rows in the dataset's raw format; ``first_row`` counts the rows before them in the log."""

    def write_extra(self, folder: Path) -> None:
        """Writes what the dataset has beside its csv files."""
        return None


class Truth:
    """The click probability of any row of a twin."""

    def __init__(self, twin: Twin, rng: np.random.Generator):
        self._twin = twin
        ids = twin.draw(rng, np.linspace(0, 1, CALIBRATION_ROWS))
        self._centre_and_scale = {}
        logits = np.zeros(CALIBRATION_ROWS)
        for effect, share in twin.effects.items():
            values = self._product(effect, ids)
            scale = np.sqrt(share) / values.std()
            self._centre_and_scale[effect] = values.mean(), scale
            logits += scale * (values - values.mean())
        self._spread = twin.logit_std / logits.std()
        self._bias = brentq(lambda bias: expit(bias + self._spread * logits).mean() - twin.click_rate, -20, 20)

    def probabilities(self, ids: Ids) -> np.ndarray:
        """True click probability of every row, shape (rows,)."""
        logits = np.zeros(len(next(iter(ids.values()))))
        for effect, (centre, scale) in self._centre_and_scale.items():
            logits += scale * (self._product(effect, ids) - centre)
        return expit(self._bias + self._spread * logits)

    def _product(self, effect: tuple[str, ...], ids: Ids) -> np.ndarray:
        return np.prod([self._twin.signal(name, ids) for name in effect], axis=0).sum(axis=1)


def build_twin(twin: Twin, folder: Path, seed: int, rows: Mapping[str, int]) -> None:
    """Writes a csv file a split, in the order of ``rows``, what else the dataset has, and truth.json.

    truth.json says what the true probabilities score on test.csv, which no model beats but by luck: ``AUC``,
    ``logloss`` and for a dataset with groups ``gAUC`` with the labels drawn there, ``expected_AUC`` and
    ``expected_logloss`` over all labels that might have been drawn.

    Args:
        twin: drawn from the same seed.
        folder: an existing folder to write to.
        seed: fixes everything; zero or more.
        rows: number of rows by split, at least FEWEST_ROWS each; ``test`` is the last.
    """
    total = sum(rows.values())
    truth = Truth(twin, generator(seed, "calibration"))
    first = 0
    scores: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # of the rows of test
    for split, count in rows.items():
        with (folder / f"{split}.csv").open("wb") as file:
            for start, size in _blocks(count):
                rng = generator(seed, split, start // BLOCK_ROWS)
                ids = twin.draw(rng, (first + start + np.arange(size)) / total)
                probability = truth.probabilities(ids)
                label = (rng.random(size) < probability).astype(np.int64)
                twin.raw(ids, label, first + start).write_csv(file, include_header=start == 0, quote_style="never")
                if split == "test":
                    scores.append((probability, label, ids[twin.group] if twin.group else label))
        first += count
    twin.write_extra(folder)
    probability, label, group = (np.concatenate(column) for column in zip(*scores, strict=True))
    report = {
        "description": "What the true click probabilities score on test.csv (expected_*: over all labels that "
        "might have been drawn for its rows), and the effects with their shares of the logit's variance.",
        "AUC": round(auc(probability, label), 6),
        "logloss": round(logloss(probability, label), 6),
        **({"gAUC": round(evaluate_metrics(label, probability, ["gAUC"], group)["gAUC"], 6)} if twin.group else {}),
        "expected_AUC": round(auc(probability, probability), 6),
        "expected_logloss": round(logloss(probability, probability), 6),
        "effects": {" x ".join(signals): share for signals, share in twin.effects.items()},
    }
    (folder / "truth.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8", newline="\n")


def checked_rows(seed: int, rows: list[int], splits: tuple[str, ...]) -> dict[str, int]:
    """The rows of a config's ``build_args`` by split.

    Raises:
        UserError: seed or rows are not what a twin can be built from.
    """
    if seed < 0:
        raise UserError(f"the seed of a twin must be zero or more, but is {seed}.")
    if len(rows) != len(splits) or min(rows) < FEWEST_ROWS:
        raise UserError(
            f"rows of this twin must be {len(splits)} numbers of {FEWEST_ROWS} or more ({', '.join(splits)}), "
            f"but are {list(rows)}."
        )
    return dict(zip(splits, rows, strict=True))


def generator(seed: int, purpose: str, block: int = 0) -> np.random.Generator:
    """A random stream of its own for each purpose and block."""
    return np.random.Generator(np.random.PCG64([seed, *purpose.encode(), block]))


def power_law(rng: np.random.Generator, size: int, flatness: float, shape: int | tuple[int, ...]) -> np.ndarray:
    """Ids 0..size-1 by a power law: id r weighs log((r + 2 + flatness) / (r + 1 + flatness)), about 1 / r.

    The cumulative weights are a logarithm, so drawing needs no table, whatever the size.
    """
    head = 1 + flatness
    drawn = head * ((size + head) / head) ** rng.random(shape) - head
    return np.minimum(drawn.astype(np.int64), size - 1)


def hidden_scores(rng: np.random.Generator, size: int) -> np.ndarray:
    """A pair of hidden numbers an id, shape (size, RANK)."""
    return rng.standard_normal((size, RANK), dtype=np.float32)


def _blocks(count: int) -> Iterator[tuple[int, int]]:
    """(first row, rows) of each block."""
    for start in range(0, count, BLOCK_ROWS):
        yield start, min(BLOCK_ROWS, count - start)

"""A synthetic dataset whose every probability is known, so that a score can be held against the best possible one.

Ids are drawn from power laws and numbers from a bell curve, each field independently; a click is drawn with probability

    p(row) = sigmoid(BIAS + sum over effects e of scale_e * sum over k of product over factors f of e of s_fk(row)),

where ``s_fk`` is the k-th hidden score of the row's id in a categorical field, or a polynomial of a numeric one. Every
score has mean zero under its field's distribution. This makes each effect *pure*: given all but one of its fields its mean
is zero, so no model that leaves out the interaction can learn a part of it, effects are uncorrelated, and their shares
of the logit's variance (Hoeffding's decomposition) are exact and add up to one. The scale of an effect is set from its share.

What a model class can reach follows from the order of the effects:

    LR      effects of one factor;
    FM      and those of two factors (an inner product of latent vectors is their very form), a square excepted;
    deep    and those of three factors and squares, as far as the rows teach them;
    Bayes   everything.

The scores are shared by all the effects of a field, low orders first, which is what lets gradient descent climb from the
first order to the third (the staircase of Abbe, Boix-Adsera and Misiakiewicz, COLT 2022).

The seed fixes every byte on every machine: all draws are uniform numbers of PCG64, what is drawn from them uses additions,
multiplications and divisions only, in a fixed order, and the logit is computed from the numbers as written in the file.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

SPLITS = ("train", "valid", "test")
LABEL = "label"


@dataclass(frozen=True)
class Field:
    """A categorical field: id r of 1..size is drawn with a weight of 1 / (r + flatness)."""

    size: int
    flatness: float


CATEGORICAL: Mapping[str, Field] = {
    "user": Field(2000, 50),
    "item": Field(1000, 20),
    "seller": Field(300, 10),
    "site": Field(200, 5),
    "region": Field(100, 5),
    "category": Field(50, 5),
    "hour": Field(24, 10),
    "device": Field(16, 3),
    "slot": Field(10, 3),
}
NUMERIC = ("price", "age")
DECIMALS = 3  # of a numeric value in the file

# Share of the logit's variance of every effect; the shares add up to one. A field stands for its scores, a numeric
# field for its value, and a name with ^2 for the value's square (less its mean).
EFFECTS: Mapping[tuple[str, ...], float] = {
    ("user",): 0.05,
    ("item",): 0.05,
    ("seller",): 0.04,
    ("site",): 0.04,
    ("category",): 0.04,
    ("hour",): 0.03,
    ("device",): 0.03,
    ("slot",): 0.03,
    ("price",): 0.02,
    ("age",): 0.02,
    ("site", "category"): 0.10,
    ("region", "slot"): 0.07,
    ("hour", "device"): 0.07,
    ("category", "price"): 0.06,
    ("site", "category", "device"): 0.12,
    ("hour", "category", "slot"): 0.12,
    ("slot", "age^2"): 0.06,
    ("device", "price^2"): 0.05,
}
RANK = 2  # hidden scores per id
LOGIT_STD = 2.0
BIAS = -1.6  # for about one click in four rows


def build_synthetic(
    folder: Path, *, seed: int = 2026, rows: tuple[int, int, int] = (60_000, 20_000, 20_000)
) -> None:
    """Writes train.csv, valid.csv, test.csv and truth.json; the same arguments give the same bytes.

    Columns of the csv files: label, then one id (1 is the most frequent) per categorical field, then the numeric
    fields (mean 0, variance 1, three decimals). A split with more rows begins with the rows of the smaller one, and
    hidden scores depend on the seed alone.

    truth.json holds what the true probabilities score on test.csv, which no model can beat but by luck: ``AUC`` and
    ``logloss`` with the labels drawn there, ``expected_AUC`` and ``expected_logloss`` over all draws of the labels; and
    ``effects``, the share of the logit's variance by effect.

    Args:
        folder: an existing folder to write to.
        seed: fixes everything.
        rows: number of rows of train, valid and test.
    """
    world = World(seed)
    for stream, (split, count) in enumerate(zip(SPLITS, rows, strict=True), start=1):
        rng = np.random.Generator(np.random.PCG64([seed, stream]))
        table = _draw_fields(rng, count)
        probability = world.probabilities(table)
        label = (rng.random(count) < probability).astype(np.int64)
        table.insert_column(0, pl.Series(LABEL, label))
        table.write_csv(folder / f"{split}.csv", float_precision=DECIMALS)
    truth = {
        "description": "Scores of the true click probabilities on test.csv: with the labels drawn there, and expected.",
        "AUC": auc(probability, label),
        "logloss": logloss(probability, label),
        "expected_AUC": auc(probability, probability),
        "expected_logloss": logloss(probability, probability),
        "effects": {" x ".join(factors): share for factors, share in EFFECTS.items()},
    }
    (folder / "truth.json").write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8", newline="\n")


class World:
    """The hidden scores that a seed stands for, and with them the click probability of any row."""

    def __init__(self, seed: int) -> None:
        rng = np.random.Generator(np.random.PCG64([seed, 0]))
        self.scores = {
            name: _centred(_bell(rng, (field.size, RANK)), frequencies(field))
            for name, field in CATEGORICAL.items()
        }

    def effect(self, factors: tuple[str, ...], table: pl.DataFrame) -> np.ndarray:
        """Unscaled values of an effect for every row, shape (rows,)."""
        product = 1.0
        for factor in factors:
            product = product * self._factor(factor, table)
        return np.broadcast_to(product, (table.height, RANK)).sum(axis=1)

    def variance(self, factors):
        moments = 1.0
        for factor in factors:
            if factor in CATEGORICAL:
                s = self.scores[factor]
                m = np.einsum("ik,il,i->kl", s, s, frequencies(CATEGORICAL[factor]))
            else:
                m = np.ones((RANK, RANK)) * (1.9 if factor.endswith("^2") else 1.0)
            moments = moments * m
        return moments.sum()

    def logits(self, table: pl.DataFrame) -> np.ndarray:
        logit = np.full(table.height, BIAS)
        for factors, share in EFFECTS.items():
            logit += LOGIT_STD * np.sqrt(share / self.variance(factors)) * self.effect(factors, table)
        return logit

    def probabilities(self, table: pl.DataFrame) -> np.ndarray:
        """True click probability of every row, shape (rows,)."""
        return 1 / (1 + np.exp(-self.logits(table)))

    def _factor(self, factor: str, table: pl.DataFrame) -> np.ndarray:
        if factor in CATEGORICAL:
            return self.scores[factor][table[factor].to_numpy() - 1]
        value = table[factor.removesuffix("^2")].to_numpy()[:, None]
        return value**2 - 1 if factor.endswith("^2") else value


def frequencies(field: Field) -> np.ndarray:
    """Probability of every id, most frequent first, shape (size,)."""
    weights = 1 / (np.arange(1, field.size + 1) + field.flatness)
    return weights / weights.sum()


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """AUC of scores; with probabilities for labels, its expectation over labels drawn from them (a ratio of expectations)."""
    order = np.argsort(scores, kind="stable")
    _, first = np.unique(scores[order], return_index=True)
    positive = np.add.reduceat(labels[order], first)
    negative = np.add.reduceat(1.0 - labels[order], first)
    below = np.cumsum(negative) - negative
    with_itself = (labels * (1.0 - labels)).sum()
    won = (positive * (below + negative / 2)).sum() - with_itself / 2
    return float(won / (positive.sum() * negative.sum() - with_itself))


def logloss(probability, labels) -> float:
    return float(-(labels * np.log(probability) + (1 - labels) * np.log(1 - probability)).mean())


def _draw_fields(rng: np.random.Generator, count: int) -> pl.DataFrame:
    uniform = rng.random((count, len(CATEGORICAL)))
    columns = {}
    for column, (name, field) in enumerate(CATEGORICAL.items()):
        edges = np.cumsum(frequencies(field))[:-1]
        columns[name] = np.searchsorted(edges, uniform[:, column], side="right") + 1
    for name in NUMERIC:
        columns[name] = np.round(_bell(rng, (count,)), DECIMALS)
    return pl.DataFrame(columns)


def _bell(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Nearly normal numbers, mean 0 and variance 1: twelve uniform ones less six (Irwin and Hall)."""
    return rng.random((*shape, 12)).sum(axis=-1) - 6


def _centred(scores, frequency):
    return scores - (frequency[:, None] * scores).sum(axis=0)

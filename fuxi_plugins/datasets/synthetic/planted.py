"""A synthetic dataset whose every click probability is known: scores can be held against the best possible.

Ids are drawn from power laws and numbers from a bell curve, each field by itself; a click is drawn with
probability

    p(row) = sigmoid(BIAS + sum over effects e of scale_e * sum over k of product over factors f of s_fk(row)),

where ``s_fk`` is the k-th hidden score of the row's id for a categorical field, and the value or its square for
a numeric one. Every score has mean zero under its field's distribution. That makes each effect *pure*: its mean
given all but one of its fields is zero, so nothing of it shows to a model that lacks the interaction; effects
are uncorrelated, and their shares of the logit's variance (Hoeffding's decomposition) are exact and add up to
one. An effect's scale follows from its share.

What a class of models can reach follows from the form of the effects:

    LR     effects of one factor;
    FM     those of two as well, whose form is its own (an inner product of hidden vectors), squares excepted;
    deep   those of three and of squares as well, as far as the rows teach them;
    Bayes  everything: the true probabilities themselves.

All effects of a field share its scores, and every effect of three factors extends one of two, which extends two
of one: gradient descent finds high orders by way of low ones (the staircase of Abbe, Boix-Adsera and
Misiakiewicz, COLT 2022).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from fuxi_plugins.core.errors import UserError


@dataclass(frozen=True)
class Field:
    """A categorical field by the law of Zipf and Mandelbrot: id r of 1..size weighs 1 / (r + flatness)."""

    size: int
    flatness: float

    def cumulative_weights(self) -> np.ndarray:
        """Shape (size,). Divisions and one running sum: the same to the last bit on every machine."""
        return np.cumsum(1 / (np.arange(1, self.size + 1) + self.flatness))

    def frequencies(self) -> np.ndarray:
        """Probability of each id, most frequent first, shape (size,)."""
        cumulative = self.cumulative_weights()
        return np.diff(cumulative, prepend=0) / cumulative[-1]


CATEGORICAL: Mapping[str, Field] = {
    "user": Field(1000, 10),
    "item": Field(300, 10),
    "seller": Field(100, 10),
    "site": Field(60, 10),
    "region": Field(50, 10),
    "category": Field(30, 10),
    "hour": Field(24, 20),
    "device": Field(16, 10),
    "slot": Field(10, 5),
}
NUMERIC = ("price", "age")
DECIMALS = 3  # of a numeric value in the files

# Share of the logit's variance by effect; they add up to one. A categorical field stands for its hidden scores,
# a numeric one for its value, and ``^2`` for the value's square less its mean.
EFFECTS: Mapping[tuple[str, ...], float] = {
    ("user",): 0.05,
    ("item",): 0.04,
    ("seller",): 0.02,
    ("site",): 0.03,
    ("region",): 0.02,
    ("category",): 0.03,
    ("hour",): 0.03,
    ("device",): 0.03,
    ("slot",): 0.03,
    ("price",): 0.01,
    ("age",): 0.01,
    ("site", "category"): 0.10,
    ("hour", "slot"): 0.10,
    ("region", "device"): 0.08,
    ("seller", "hour"): 0.06,
    ("category", "price"): 0.06,
    ("site", "category", "device"): 0.11,
    ("hour", "slot", "category"): 0.11,
    ("device", "price^2"): 0.04,
    ("slot", "age^2"): 0.04,
}
RANK = 2  # hidden scores of an id; the rank of every interaction
LOGIT_STD = 2.0
BIAS = -1.68  # about one click in four rows

_UNIFORMS_PER_BELL = 12
# Of a number by _bell: its fourth moment, 3 - 6 / (5 * 12), less the square of its variance, 1.
_SQUARE_VARIANCE = 1.9


def build_synthetic(folder: Path, *, seed: int = 2026, rows: Sequence[int] = (100_000, 20_000, 20_000)) -> None:
    """Writes train.csv, valid.csv, test.csv and truth.json; the same arguments give the same bytes everywhere.

    Columns of the csv files: label (0 or 1); by categorical field an id, 1 being the most frequent; by numeric
    field a value of mean 0 and variance 1 with three decimals. The hidden scores depend on the seed alone, and a
    longer split begins with the rows of a shorter one.

    truth.json says what the true probabilities score on test.csv, which no model beats but by luck: ``AUC`` and
    ``logloss`` with the labels drawn there, ``expected_AUC`` and ``expected_logloss`` over all labels that might
    have been drawn for its rows; and under ``effects`` the share of the logit's variance by effect.

    Args:
        folder: an existing folder to write to.
        seed: fixes everything; zero or more.
        rows: number of rows of train, valid and test, at least 100 each.

    Raises:
        UserError: seed or rows are not of that kind.
    """
    if seed < 0:
        raise UserError(f"the seed of a synthetic dataset must be zero or more, but is {seed}.")
    if len(rows) != 3 or min(rows) < 100:  # with fewer, a split may lack one of the two labels
        raise UserError(f"rows must be three numbers of 100 or more (train, valid, test), not {list(rows)}.")
    truth = Truth(seed)
    label = probability = np.empty(0)
    for stream, (split, count) in enumerate(zip(("train", "valid", "test"), rows, strict=True), start=1):
        table, luck = _draw_rows(_generator(seed, stream), count)
        probability = truth.probabilities(table)
        label = (luck < probability).astype(np.int64)
        labelled = table.insert_column(0, pl.Series("label", label))
        labelled.write_csv(folder / f"{split}.csv", float_precision=DECIMALS)
    # The loop ends with test, whose labels and probabilities are scored here.
    report = {
        "description": "What the true click probabilities score on test.csv (expected_*: over all labels that "
        "might have been drawn for its rows), and the effects by share of the logit's variance.",
        "AUC": round(auc(probability, label), 6),
        "logloss": round(logloss(probability, label), 6),
        "expected_AUC": round(auc(probability, probability), 6),
        "expected_logloss": round(logloss(probability, probability), 6),
        "effects": {" x ".join(factors): share for factors, share in EFFECTS.items()},
    }
    (folder / "truth.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8", newline="\n")


class Truth:
    """The hidden scores that a seed stands for, and with them the click probability of any row."""

    def __init__(self, seed: int) -> None:
        rng = _generator(seed, stream=0)
        self._scores = {name: _draw_scores(rng, field) for name, field in CATEGORICAL.items()}

    def probabilities(self, table: pl.DataFrame) -> np.ndarray:
        """True click probability of every row, shape (rows,).

        exp may differ between machines in its last bit; a label would differ only if its uniform number fell
        just there, which for all the rows together has a chance of about 1e-11.
        """
        return 1 / (1 + np.exp(-self.logits(table)))

    def logits(self, table: pl.DataFrame) -> np.ndarray:
        """True logit of every row, shape (rows,), from the values as they stand in the files."""
        logit = np.full(table.height, BIAS)
        for factors in EFFECTS:
            logit += self.effect(factors, table)
        return logit

    def effect(self, factors: tuple[str, ...], table: pl.DataFrame) -> np.ndarray:
        """What one effect adds to the logit of every row, shape (rows,)."""
        product = np.ones((table.height, RANK))
        second_moments = np.ones((RANK, RANK))
        for factor in factors:
            product *= self._factor(factor, table)
            second_moments *= self._second_moments(factor)
        # Fields are independent and scores have mean zero: the sum is the variance of product.sum(axis=1).
        scale = LOGIT_STD * np.sqrt(EFFECTS[factors] / second_moments.sum())
        return scale * product.sum(axis=1)

    def _factor(self, factor: str, table: pl.DataFrame) -> np.ndarray:
        """s_fk of every row: shape (rows, RANK), or (rows, 1) for a number, which is the same for every k."""
        if factor in CATEGORICAL:
            return self._scores[factor][table[factor].to_numpy() - 1]
        value = table[factor.removesuffix("^2")].to_numpy()[:, None]
        return value**2 - 1 if factor.endswith("^2") else value

    def _second_moments(self, factor: str) -> np.ndarray | float:
        """Mean of s_fk * s_fl over the field's ids: shape (RANK, RANK), or one number for all k and l."""
        if factor in CATEGORICAL:
            scores = self._scores[factor]
            return np.einsum("r,rk,rl->kl", CATEGORICAL[factor].frequencies(), scores, scores)
        return _SQUARE_VARIANCE if factor.endswith("^2") else 1.0


def auc(score: np.ndarray, label: np.ndarray) -> float:
    """Area under the ROC curve, a tie counting half.

    ``label`` may hold probabilities instead of 0 and 1. Then, over labels drawn from them, it is the expected
    number of pairs in right order by the expected number of pairs of a click and a non-click:
    sum of p_i (1 - p_j) [score_i > score_j] / sum of p_i (1 - p_j) over i != j. Time O(n log n).
    """
    order = np.argsort(score, kind="stable")
    _, first_of_tie = np.unique(score[order], return_index=True)
    clicks = np.add.reduceat(label[order], first_of_tie)
    others = np.add.reduceat(1.0 - label[order], first_of_tie)
    others_below = np.cumsum(others) - others
    row_with_itself = np.sum(label * (1.0 - label))  # a tie that is no pair; zero for labels of 0 and 1
    right = np.sum(clicks * (others_below + others / 2)) - row_with_itself / 2
    return float(right / (clicks.sum() * others.sum() - row_with_itself))


def logloss(probability: np.ndarray, label: np.ndarray) -> float:
    """Mean binary cross-entropy in nats; with probabilities for labels, its mean over labels drawn from them."""
    return float(-np.mean(label * np.log(probability) + (1 - label) * np.log(1 - probability)))


def _draw_rows(rng: np.random.Generator, count: int) -> tuple[pl.DataFrame, np.ndarray]:
    """The fields of every row, and the uniform number that decides its label, shape (count,)."""
    # Row by row the same number of uniforms, so that more rows leave the first ones as they are.
    uniforms = rng.random((count, len(CATEGORICAL) + len(NUMERIC) * _UNIFORMS_PER_BELL + 1))
    for_ids, for_numbers, luck = np.split(uniforms, [len(CATEGORICAL), -1], axis=1)
    columns = {}
    for (name, field), uniform in zip(CATEGORICAL.items(), for_ids.T, strict=True):
        cumulative = field.cumulative_weights()
        columns[name] = 1 + np.searchsorted(cumulative[:-1], uniform * cumulative[-1], side="right")
    for name, uniform in zip(NUMERIC, np.split(for_numbers, len(NUMERIC), axis=1), strict=True):
        columns[name] = np.round(_bell(uniform), DECIMALS)
    return pl.DataFrame(columns), luck[:, 0]


def _draw_scores(rng: np.random.Generator, field: Field) -> np.ndarray:
    """Hidden scores of every id, shape (size, RANK), of mean zero over the field's rows."""
    scores = _bell(rng.random((field.size, RANK, _UNIFORMS_PER_BELL)))
    return scores - np.einsum("r,rk->k", field.frequencies(), scores)


def _bell(uniforms: np.ndarray) -> np.ndarray:
    """Nearly normal numbers, mean 0 and variance 1, of twelve uniform ones each along the last axis (Irwin, Hall).

    Unlike a normal generator it calls nothing whose last bit depends on the machine, and it adds in one order.
    """
    total = np.asarray(sum(uniforms[..., i] for i in range(_UNIFORMS_PER_BELL)))
    return total - _UNIFORMS_PER_BELL / 2


def _generator(seed: int, stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([seed, stream]))

"""The twin of Criteo_x1: thirteen numbers and twenty-six ids of display advertising, every field by itself.

Raw format: ``label,I1..I13,C1..C26``. Numbers are small non-negative decimals of at most six places (the dataset's
authors have scaled counts), many of them zero and none missing; ids are whole numbers, each field's in a range of
its own, about two million in all.
"""

from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from fuxi_plugins.datasets.synthetic.twins.engine import (
    Ids,
    Twin,
    build_twin,
    checked_rows,
    generator,
    hidden_scores,
    power_law,
)

LEVELS = 200  # values that a number may take
NUMBERS = [f"I{i}" for i in range(1, 14)]
# Ids by field; the sizes are of the order of the dataset's.
CATEGORIES = {
    "C1": 1_400, "C2": 550, "C3": 430_000, "C4": 180_000, "C5": 300, "C6": 20, "C7": 12_000, "C8": 620, "C9": 3,
    "C10": 55_000, "C11": 5_200, "C12": 390_000, "C13": 3_100, "C14": 26, "C15": 11_600, "C16": 300_000, "C17": 10,
    "C18": 4_700, "C19": 2_050, "C20": 4, "C21": 350_000, "C22": 17, "C23": 15, "C24": 70_000, "C25": 90,
    "C26": 43_000,
}  # fmt: skip
FLATNESS = 20  # of every field's power law, at most a fifth of its size
FIRST_ID = {  # ids count on from field to field, after one index for each number
    name: len(NUMBERS) + sum(list(CATEGORIES.values())[:position]) for position, name in enumerate(CATEGORIES)
}


class CriteoTwin(Twin):
    label = "label"
    click_rate = 0.2562
    logit_std = 1.6
    effects: ClassVar = {
        **{(name,): 0.012 for name in NUMBERS},
        **{(name,): 0.012 for name in CATEGORIES},
        ("C5", "C6"): 0.08,
        ("C14", "C17"): 0.07,
        ("C2", "C23"): 0.06,
        ("C8", "I6"): 0.06,
        ("C25", "C13"): 0.05,
        ("C6", "C17", "C20"): 0.07,
        ("C14", "C22", "I11"): 0.07,
        ("C5", "C23", "C9"): 0.072,
    }

    def __init__(self, seed: int):
        rng = generator(seed, "scores")
        # The score of a number is its level, curved in a way of its own for each k.
        level = np.linspace(-1, 1, LEVELS)
        self._scores = {name: np.stack([level, level**2 - 0.5 * (-1) ** i], axis=1) for i, name in enumerate(NUMBERS)}
        self._scores |= {name: hidden_scores(rng, size) for name, size in CATEGORIES.items()}

    def draw(self, rng: np.random.Generator, moments: np.ndarray) -> Ids:
        rows = len(moments)
        numbers = {name: power_law(rng, LEVELS, 10, rows) for name in NUMBERS}
        return numbers | {
            name: power_law(rng, size, min(FLATNESS, size // 5), rows) for name, size in CATEGORIES.items()
        }

    def signal(self, name: str, ids: Ids) -> np.ndarray:
        return self._scores[name][ids[name]]

    def raw(self, ids: Ids, label: np.ndarray, first_row: int) -> pl.DataFrame:
        numbers = {name: np.round(ids[name] / (20 + 7 * i), 6) for i, name in enumerate(NUMBERS)}
        return pl.DataFrame({"label": label, **numbers, **{name: FIRST_ID[name] + ids[name] for name in CATEGORIES}})


def build_criteo_x1(folder: Path, *, seed: int = 2026, rows: list[int]) -> None:
    """Writes train.csv, valid.csv, test.csv and truth.json; ``rows`` are those of the three splits."""
    counts = checked_rows(seed, rows, ("train", "valid", "test"))
    build_twin(CriteoTwin(seed), folder, seed, counts)

"""Checks the statements of scripts/measuring/bounds.py on random matrices and writes results/paper/bounds*.csv.

python scripts/check_bounds.py        # about a minute on one core
"""

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from measuring.bounds import check_statements, measure_effects, rank_of_one_plus_p

from fuxi_plugins.core.files import replacing

SHAPES = [(26, 26), (13, 52), (11, 22)]
FOLDER = Path(__file__).resolve().parents[1] / "results" / "paper"


def write_csv(path: Path, rows: Iterable) -> list[dict]:
    table = [
        {key: f"{value:.5g}" if isinstance(value, float) else value for key, value in asdict(row).items()}
        for row in rows
    ]
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    return table


def main() -> None:
    for shape in SHAPES:
        found, values = rank_of_one_plus_p(*shape), shape[0] * shape[1]
        print(f"rank(I + P) at {shape}: {found} of {values}; D (T + 1) / 2 = {shape[1] * (shape[0] + 1) // 2}")
    outcomes = write_csv(FOLDER / "bounds.csv", check_statements(SHAPES, ranks=[1, 3, 8]))
    for name in dict.fromkeys(row["statement"] for row in outcomes):
        verdicts = Counter(row["verdict"] for row in outcomes if row["statement"] == name)
        print(f"{name}: " + ", ".join(f"{count} x {verdict}" for verdict, count in verdicts.items()))
    effects = write_csv(FOLDER / "bounds_effects.csv", measure_effects(SHAPES, decays=[0.0, 0.5, 1.0, 2.0]))
    print(f"{len(effects)} effects of parts at their initialisation in {FOLDER / 'bounds_effects.csv'}")


if __name__ == "__main__":
    main()

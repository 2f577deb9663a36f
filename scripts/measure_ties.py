"""What docs/statistics.md says of few seeds: how often boards of equal models claim to tell two of them apart.

    python scripts/measure_ties.py

Every simulated model has the same expected score, 0: each claim is false and one board in twenty may make one, and 95%
of the intervals should cover 0. Compared are the usual way of Welch and Satterthwaite, the parts of a variance each
with its own degrees of freedom, and what boards do: the same with the rows informing each other.
"""

import numpy as np
from scipy.special import stdtr

from fuxi_plugins.analysis.statistics.inference import LEVEL, Noise, Sample, holm
from fuxi_plugins.analysis.statistics.moderation import moderate

BOARDS = 500
SAMPLING = 0.3  # standard error of test rows that is left in a mean, in deviations of a seed
UNITS = 10_000
COLUMNS = ["models", "seeds", "noise between seeds", "usual", "parts", "board", "usual", "parts", "board"]


def main() -> None:
    print("The first three shares are of boards with a false claim, the others of intervals that cover.")
    print("| " + " | ".join(COLUMNS) + " |")
    for models in (10, 40):
        for seeds in (2, 3, 5):
            for spread, noise in ((0.0, "alike"), (1.5, "differs by model")):
                found = [judge(random_values(models, seeds, spread, seed)) for seed in range(BOARDS)]
                shares = [f"{share:.1%}" for share in np.mean(found, axis=0)]
                print("| " + " | ".join([str(models), str(seeds), noise, *shares]) + " |", flush=True)


def random_values(models: int, seeds: int, spread: float, seed: int) -> np.ndarray:
    """(models, seeds) values; ``spread`` is the deviation over models of the log of the variance between seeds."""
    random = np.random.default_rng(seed)
    deviations = np.exp(random.normal(0, spread, models) / 2)
    return random.normal(size=(models, seeds)) * deviations[:, None] + random.normal(0, SAMPLING, (models, 1))


def judge(values: np.ndarray) -> list[float]:
    """False claims and coverage, each of the three ways."""
    models, seeds = values.shape
    of_seeds = values.var(1, ddof=1), np.full(models, seeds - 1)
    sampling = np.eye(models) * SAMPLING**2
    alone, together = (
        Sample(values.mean(1), *noise, np.full(models, seeds), sampling, UNITS)
        for noise in (of_seeds, moderate(*of_seeds))
    )
    above = np.triu_indices(models, 1)
    differences = alone.differences()
    means = Noise.of((np.diag(sampling), np.array(UNITS - 1)), (of_seeds[0] / seeds, of_seeds[1]))
    return [
        (holm(usual_p_values(differences.effects[above], differences.noise[above])) < LEVEL).any(),
        differences.separable().any(),
        together.differences().separable().any(),
        (usual_p_values(alone.means, means) > LEVEL).mean(),
        covered(alone),
        covered(together),
    ]


def covered(sample: Sample) -> float:
    return float(np.mean([interval.low < 0 < interval.high for interval in sample.intervals()]))


def usual_p_values(effects: np.ndarray, noise: Noise) -> np.ndarray:
    """Satterthwaite's: one t whose degrees of freedom join those of the parts."""
    variance = noise.variances.sum(0)
    freedom = variance**2 / (noise.variances**2 / noise.freedom).sum(0)
    return 2 * stdtr(freedom, -np.abs(effects) / np.sqrt(variance))


if __name__ == "__main__":
    main()

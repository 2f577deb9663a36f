"""What docs/statistics.md says of errors: how often boards of equal models claim a difference, and intervals cover.

    python scripts/measure_error_rates.py              # the tables of the docs, in minutes on one core
    python scripts/measure_error_rates.py --draws 2000

Every simulated model of a board has the same expected score. So each claim is false, and at most one board in twenty
may make one; 95% of the intervals should cover the score.
"""

import argparse
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.special import stdtr
from scipy.stats import norm

from fuxi_plugins.analysis.statistics.inference import Inference, Sampling, holm, infer
from fuxi_plugins.analysis.statistics.influence import sampling_covariance
from fuxi_plugins.analysis.statistics.noise import LEVEL
from fuxi_plugins.records.metrics import find_metric, within_clusters
from fuxi_plugins.records.metrics.ranking import auc_influence

AUC = find_metric("AUC")
SAMPLING = 0.3  # standard error of test rows that is left in a mean, in deviations of a seed
ENOUGH_UNITS = 10_000
SHARED, OWN, SEED = 0.8, 0.5, 0.33  # deviations of a row's score: common to all models, a model's own, a seed's own
STRENGTH = 0.05  # deviation over seeds of how well a model has learned
POSITIVES = 0.2  # share of the test rows
ROWS_A_CLUSTER, CLUSTER = 10, 0.8  # deviation over clusters of how easy their rows are


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Simulates boards of equal models.")
    parser.add_argument("--draws", type=int, default=300, help="boards of each kind (default 300)")
    draws = parser.parse_args(arguments).draws
    for title, columns, lines in (
        ("Seeds", ["models", "seeds", "noise", "false: usual", "board", "covers: usual", "board"], seeds(draws)),
        (
            "One seed",
            ["rows of three seeds", "rows of one", "noise", "pairs compared", "false", "covers"],
            single(draws),
        ),
        ("Few positives", ["positives", "AUC", "false: pair", "board", "covers: DeLong", "board"], positives(draws)),
        ("Clusters", ["clusters", "false: by row", "by cluster", "covers: by row", "by cluster"], clusters(draws)),
    ):
        print(f"\n{title}\n\n| {' | '.join(columns)} |\n|{'|'.join('-' * (len(c) + 2) for c in columns)}|")
        for line in lines:
            print("| " + " | ".join(line) + " |", flush=True)


def seeds(draws: int) -> Iterator[list[str]]:
    """Boards of 10 and 40 models with equal numbers of seeds, whose noise is alike or differs from model to model."""
    for models in (10, 40):
        for count in (2, 3, 5, 10):
            for spread, noise in ((0.0, "alike"), (1.5, "differs")):
                boards = [random_values(np.full(models, count), spread, seed) for seed in range(draws)]
                found = [(usual_way(values), board_of(values)) for values in boards]
                shares = [
                    np.mean([false for (false, _), _ in found]),
                    np.mean([board.significant.any() for _, board in found]),
                    np.mean([covers for (_, covers), _ in found]),
                    np.mean([covered(board, 0.0) for _, board in found]),
                ]
                yield [str(models), str(count), noise, *map(per_cent, shares)]


def single(draws: int) -> Iterator[list[str]]:
    """Boards on which some rows have one seed."""
    for several, one in ((0, 10), (2, 8), (3, 7), (5, 5), (10, 10)):
        for spread, noise in ((0.0, "alike"), (1.5, "differs")):
            counts = np.array([3] * several + [1] * one)
            boards = [board_of(random_values(counts, spread, seed)) for seed in range(draws)]
            pairs = len(counts) * (len(counts) - 1) // 2
            found = [(board.significant.any(), covered(board, 0.0)) for board in boards]
            false, covers = np.mean(found, axis=0)
            compared = f"{boards[0].compared} of {pairs}"
            yield [str(several), str(one), noise, compared, per_cent(false), per_cent(covers)]


def positives(draws: int) -> Iterator[list[str]]:
    """Four models of three seeds on test sets of five rows a positive; and two of the models by themselves."""
    for count in (10, 20, 50, 200, 1000):
        for auc in (0.55, 0.75, 0.9, 0.98, 0.99):
            random = np.random.default_rng(count)
            boards, pairs, wald = [], [], []
            for _ in range(draws):
                labels = np.arange(round(count / POSITIVES)) < count
                values, components = random_scores(random, labels, auc, 4, 3)
                boards.append(infer(values, AUC, Sampling(sampling_covariance(components), count)))
                two = dict(list(values.items())[:2])
                pairs.append(infer(two, AUC, Sampling(sampling_covariance(components[:2]), count)).significant.any())
                wald += [by_delong(own, psi, auc) for own, psi in zip(values.values(), components, strict=True)]
            false = [np.mean(pairs), np.mean([board.significant.any() for board in boards])]
            covers = [np.mean(wald), np.mean([covered(board, auc) for board in boards])]
            yield [f"{count:,}", f"{auc:.2f}", *map(per_cent, false + covers)]


def clusters(draws: int) -> Iterator[list[str]]:
    """Four models of three seeds, where rows of one cluster are easy or hard together; AUC .75."""
    for count in (20, 50, 200):
        groups = np.repeat(np.arange(count), ROWS_A_CLUSTER)
        labels = np.tile(np.arange(ROWS_A_CLUSTER) < round(ROWS_A_CLUSTER * POSITIVES), count)
        random = np.random.default_rng(count)
        by_row, by_cluster = [], []
        for _ in range(draws):
            values, components = random_scores(random, labels, 0.75, 4, 3, groups)
            clustered = [np.array([within_clusters(psi, groups) for psi in own]) for own in components]
            rarer = int(labels.sum())
            by_row.append(infer(values, AUC, Sampling(sampling_covariance(components), rarer)))
            by_cluster.append(infer(values, AUC, Sampling(sampling_covariance(clustered), min(count, rarer))))
        false = [np.mean([board.significant.any() for board in boards]) for boards in (by_row, by_cluster)]
        covers = [np.mean([covered(board, 0.75) for board in boards]) for boards in (by_row, by_cluster)]
        yield [str(count), *map(per_cent, false + covers)]


def random_values(counts: np.ndarray, spread: float, seed: int) -> list[np.ndarray]:
    """Values of models with these numbers of seeds; ``spread`` is the deviation of the log variance between seeds."""
    random = np.random.default_rng(seed)
    deviations = np.exp(random.normal(0, spread, len(counts)) / 2)
    shifts = random.normal(0, SAMPLING, len(counts))
    return [
        random.normal(size=count) * deviation + shift
        for count, deviation, shift in zip(counts, deviations, shifts, strict=True)
    ]


def random_scores(
    random: np.random.Generator,
    labels: np.ndarray,
    auc: float,
    models: int,
    seeds: int,
    groups: np.ndarray | None = None,
) -> tuple[dict[str, dict[int, float]], list[np.ndarray]]:
    """AUCs and components (seeds, N) of models whose expected AUC over seeds and test sets is ``auc``."""
    rows = len(labels)
    own = SHARED**2 + OWN**2 + SEED**2
    of_cluster = 0.0 if groups is None else CLUSTER**2 / 2  # of two rows of different clusters, half of each easiness
    strength = norm.ppf(auc) * np.sqrt(2 * own + STRENGTH**2 + of_cluster)
    easy = np.zeros(rows) if groups is None else random.normal(0, CLUSTER, groups[-1] + 1)[groups]
    common = random.normal(0, SHARED, rows) + easy * (labels - 0.5)
    values, components = {}, []
    for model in range(models):
        noise = random.normal(0, OWN, rows) + random.normal(0, SEED, (seeds, rows))
        learned = strength + random.normal(0, STRENGTH, (seeds, 1))
        aucs, psi = auc_influence(labels, labels * learned + common + noise)
        values[str(model)] = dict(enumerate(aucs.tolist()))
        components.append(psi)
    return values, components


def board_of(values: list[np.ndarray]) -> Inference:
    sampling = Sampling(np.eye(len(values)) * SAMPLING**2, ENOUGH_UNITS)
    return infer({str(i): dict(enumerate(own.tolist())) for i, own in enumerate(values)}, None, sampling)


def covered(board: Inference, truth: float) -> float:
    """The share of the intervals that hold the truth; of a row without one there is none."""
    intervals = [interval for interval in board.intervals if interval]
    return float(np.mean([interval.low <= truth <= interval.high for interval in intervals]))


def by_delong(values: dict[int, float], psi: np.ndarray, truth: float) -> bool:
    """Whether the usual interval covers: DeLong's, symmetric and normal, with the noise between seeds added."""
    aucs = np.array(list(values.values()))
    variance = sampling_covariance([psi])[0, 0] + aucs.var(ddof=1) / len(aucs)
    return bool(abs(aucs.mean() - truth) <= norm.ppf(1 - LEVEL / 2) * np.sqrt(variance))


def usual_way(values: list[np.ndarray]) -> tuple[bool, float]:
    """Welch's tests with Satterthwaite's degrees of freedom and Holm's procedure: a false claim, and coverage."""
    means, of_seeds = np.array([v.mean() for v in values]), np.array([v.var(ddof=1) / len(v) for v in values])
    dof = np.array([len(v) - 1 for v in values])
    a, b = np.triu_indices(len(values), 1)
    p = _satterthwaite(
        means[a] - means[b],
        np.array([np.full(len(a), 2 * SAMPLING**2), of_seeds[a], of_seeds[b]]),
        np.array([np.full(len(a), ENOUGH_UNITS - 1), dof[a], dof[b]]),
    )
    own = _satterthwaite(
        means,
        np.array([np.full(len(values), SAMPLING**2), of_seeds]),
        np.array([np.full(len(values), ENOUGH_UNITS - 1), dof]),
    )
    return bool((holm(p) < LEVEL).any()), float((own > LEVEL).mean())


def _satterthwaite(effects: np.ndarray, variances: np.ndarray, dof: np.ndarray) -> np.ndarray:
    """Two-sided p values by one t whose degrees of freedom join those of the parts."""
    variance = variances.sum(0)
    joined = variance**2 / (variances**2 / dof).sum(0)
    return 2 * stdtr(joined, -np.abs(effects) / np.sqrt(variance))


def per_cent(share: float) -> str:
    return f"{share:.1%}"


if __name__ == "__main__":
    main()

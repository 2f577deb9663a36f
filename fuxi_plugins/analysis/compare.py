"""Two models on one dataset, paired by test row and counted by seed, and what may be said of them in one sentence."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fuxi_plugins.analysis.evidence import Evidence
from fuxi_plugins.analysis.leaderboard import higher_is_better
from fuxi_plugins.analysis.statistics.inference import LEVEL, Interval, Sample
from fuxi_plugins.records.record import Record

SMALLEST_P_SAID = 1e-6  # nothing here is so nearly normal that smaller ones would mean something


@dataclass(frozen=True)
class Comparison:
    """A less B, in one metric."""

    dataset: str
    metric: str
    a: str
    b: str
    means: tuple[float, float]
    seeds: tuple[int, int]
    effect: float
    interval: Interval | None
    p: float
    seeds_won: int  # of the seeds that both have
    seeds_shared: int
    units: str  # what the sampling error is of: "test rows", "groups of test rows", or "" where it is not known

    @property
    def told_apart(self) -> bool:
        return self.p < LEVEL

    @property
    def sentence(self) -> str:
        better = (self.effect > 0) == higher_is_better(self.metric)
        word = "not told apart from" if not self.told_apart else "better than" if better else "worse than"
        reach = f"95% {self.interval.low:+.4f} to {self.interval.high:+.4f}, " if self.interval else ""
        p = f"p = {self.p:.2g}" if self.p >= SMALLEST_P_SAID else f"p < {SMALLEST_P_SAID:.0e}"
        won = f"{self.seeds_won} of {self.seeds_shared} shared seeds won"
        a, b = (
            name if count > 1 else f"one seed of {name}"  # of which alone the sentence then holds
            for name, count in zip((self.a, self.b), self.seeds, strict=True)
        )
        return f"On {self.dataset}, {a} is {word} {b}: {self.effect:+.4f} test {self.metric} ({reach}{p}; {won})."

    @property
    def caveats(self) -> list[str]:
        """What the interval does not know."""
        found = []
        if not self.units:
            found.append("The test labels were not at hand, so only the noise between seeds is counted.")
        single = [name for name, count in zip((self.a, self.b), self.seeds, strict=True) if count == 1]
        if single:
            found.append(f"One seed only, whose noise is not known: {', '.join(single)}.")
        return found


def compare(a: Sequence[Record], b: Sequence[Record], metric: str, evidence: Evidence | None) -> Comparison:
    """Compares the finished runs of two experiments on the same data.

    Args:
        a, b: records of one experiment each, in any order of seeds.
        metric: one that all of them measured on test.
        evidence: that covers both, or None.
    """
    values = [{record.seed: record.metrics["test"][metric] for record in runs} for runs in (a, b)]
    samples = [np.array(list(by_seed.values())) for by_seed in values]
    experiments = [a[0].experiment, b[0].experiment]
    seeds = np.array([len(s) for s in samples])
    differences = Sample(
        means=np.array([s.mean() for s in samples]),
        seed_variances=np.array([s.var(ddof=1) if len(s) > 1 else 0.0 for s in samples]),
        seed_freedom=seeds - 1,
        seeds=seeds,
        sampling=evidence.covariance(metric, experiments) if evidence else None,
        units=evidence.units if evidence else None,
    ).differences()
    shared = sorted(values[0].keys() & values[1].keys())
    sign = 1 if higher_is_better(metric) else -1
    return Comparison(
        dataset=a[0].dataset,
        metric=metric,
        a=_name(a[0]),
        b=_name(b[0]),
        means=(float(samples[0].mean()), float(samples[1].mean())),
        seeds=(len(samples[0]), len(samples[1])),
        effect=float(differences.effects[0, 1]),
        interval=differences.interval(0, 1),
        p=float(differences.p_values()[0, 1]),
        seeds_won=sum(sign * (values[0][seed] - values[1][seed]) > 0 for seed in shared),
        seeds_shared=len(shared),
        units="" if evidence is None else "groups of test rows" if evidence.groups else "test rows",
    )


def _name(record: Record) -> str:
    """The preset; a variant of a grid says what it varies."""
    varied = record.experiment.partition("@")[2]
    return f"{record.preset}@{varied}" if varied else record.preset

"""How the log loss of a variant changes with its size."""

from collections.abc import Mapping

import numpy as np

from fuxi_plugins.analysis.power import needed_for
from fuxi_plugins.analysis.statistics.inference import Difference, Inference, Sampling, infer
from fuxi_plugins.analysis.statistics.noise import LEVEL, interval_around
from fuxi_plugins.reporting.paper.numbers import Effect
from fuxi_plugins.reporting.paper.study import Study

FEWEST_SIZES = 3
OF_INTEREST = 0.001  # the smallest exponent of interest: a log loss lower by 0.07% at twice the size


class Scaling:
    """The exponents b of test logloss = c N^b, N being dense parameters, of variants that ran at several sizes.

    An exponent is the slope of a straight line through the logarithms, which is a weighted sum of the sizes' means. So
    its noise is that of the board: each size's noise between seeds, moderated by the others, and the test rows'.
    """

    def __init__(self, study: Study, sizes: Mapping[str, str]):
        """
        Args:
            study: a suite of sizes.
            sizes: by row of the study, the variant whose size it is.
        """
        self.sizes = {name: variant for name, variant in sizes.items() if name in study.records}
        self.parameters = {name: study.records[name][0].parameters.dense for name in self.sizes}
        self.inference = _of_logarithms(study, list(self.sizes))
        self.test_rows = study.evidence.rows if study.evidence else None

    def weights(self, variant: str) -> np.ndarray | None:
        """(M,) of the rows' means, whose sum is the variant's exponent; None where it ran at too few sizes."""
        own = np.array([name == variant for name in self.sizes.values()])
        logs = np.log([float(size) for size in self.parameters.values()])
        if len(set(logs[own].tolist())) < FEWEST_SIZES:
            return None
        apart = np.where(own, logs - logs[own].mean(), 0.0)
        return apart / np.square(apart).sum()

    def exponent(self, weights: np.ndarray) -> Effect:
        """An exponent, or a difference of two, against 0."""
        effect, noise = self.inference.contrast(weights)
        used = weights != 0
        if not self.inference.comparable.diagonal()[used].all():  # one seed, whose noise nobody tells
            return Effect([], Difference(effect, None, None, None, significant=False), None)
        p = float(noise.p_values(np.array([effect]))[0])
        interval = interval_around(effect, float(noise.half_width(LEVEL)[0]))
        difference = Difference(effect, interval, p, p, significant=p < LEVEL)
        if difference.significant or not noise.known.all():
            return Effect([], difference, None, self.test_rows)
        seeds = np.where(used, self.inference.seeds, self.inference.seeds[used].min())[:, None]
        size = max(abs(effect), OF_INTEREST)
        needed = needed_for(noise, seeds, size, observed=abs(effect) >= OF_INTEREST)
        return Effect([], difference, needed, self.test_rows)


def _of_logarithms(study: Study, rows: list[str]) -> Inference:
    """What may be said of the logarithms of the rows' log losses."""
    losses = {name: {r.seed: r.metrics["test"]["logloss"] for r in study.records[name]} for name in rows}
    experiments = [study.records[name][0].experiment for name in rows]
    sampling = study.evidence.sampling_of("logloss", experiments) if study.evidence else None
    if sampling:
        means = np.array([np.mean(list(by_seed.values())) for by_seed in losses.values()])
        sampling = Sampling(sampling.covariance / np.outer(means, means), sampling.units)  # d log x = dx / x
    return infer({name: {s: float(np.log(x)) for s, x in by.items()} for name, by in losses.items()}, None, sampling)

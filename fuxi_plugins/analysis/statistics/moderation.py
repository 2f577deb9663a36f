"""The noise between seeds, estimated for each model with the help of the others."""

import numpy as np
from scipy.special import betaln, chdtri

from fuxi_plugins.analysis.statistics.roots import falling_root

FEWEST = 3  # models with several seeds, from which on they inform each other
APART = 1e-9  # how rarely usual noise would bring seeds as far apart as those of a model that stands apart
WEIGHTS = np.geomspace(0.5, 1e4, 100)  # degrees of freedom that may be given to what the models have in common


def moderate(variances: np.ndarray, freedom: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draws variances towards their common value, the more the more alike they are.

    Two or three seeds say little of a variance, and among many models some come out far too small by chance, which
    makes false differences. The variances are taken as drawn from a scaled inverse chi-squared distribution, which adds
    to what is known of each what is known of all (Smyth, Statistical Applications in Genetics and Molecular Biology 3,
    2004). Its scale and degrees of freedom are those of the greatest likelihood, because one model with next to no
    noise, as a logistic regression, moves Smyth's moments of logarithms far. Models that stand apart keep their own.

    Args:
        variances: (M,) of one seed's value.
        freedom: (M,) their degrees of freedom; 0 for a model with one seed, which gets the common value.

    Returns:
        Variances (M,) and degrees of freedom (M,); as they came if fewer than ``FEWEST`` models inform each other.
    """
    crowd = inform_each_other(variances, freedom)
    if not crowd.any():
        return variances, freedom
    common, weight = fit_scaled_f(variances[crowd], freedom[crowd])
    joined = weight + freedom
    moderated = (weight * common + freedom * variances) / joined
    # No estimate rests on more than all seeds say together; below 1, Student's quantiles lose all meaning.
    surer = np.clip(joined, 1, freedom[crowd].sum())
    alone = (freedom > 0) & ~crowd
    return np.where(alone, variances, moderated), np.where(alone, freedom, surer)


def inform_each_other(variances: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    """(M,), true for the models with several seeds that do not stand apart.

    For none where these are fewer than ``FEWEST``, or where most of them have no noise at all.
    """
    crowd = (freedom > 0) & ~stands_apart(variances, freedom)
    enough = crowd.sum() >= FEWEST and np.median(variances[crowd]) > 0
    return crowd & enough


def stands_apart(variances: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    """(M,), true where seeds lie so far apart that they must have had different outcomes.

    That is beyond the quantile ``1 - APART`` of the usual noise, which is the median model's. None do where fewer than
    ``FEWEST`` models have several seeds, or where most have no noise at all.
    """
    several = freedom > 0
    if several.sum() < FEWEST:
        return np.zeros(several.shape, bool)
    at_least = np.maximum(freedom, 1)
    usual = np.median((variances * at_least / chdtri(at_least, 0.5))[several])
    return several & (usual > 0) & (variances * freedom > usual * chdtri(at_least, APART))


def fit_scaled_f(variances: np.ndarray, freedom: np.ndarray) -> tuple[float, float]:
    """The scale s and the degrees of freedom w of the greatest likelihood where each variance is s times an F(d, w).

    Of each w the best s is where the mean of (w + d) s / (w s + d v) is one; the best w is one of ``WEIGHTS``.
    """
    w = WEIGHTS[:, None]
    typical = np.log(np.median(variances))

    def lacking(log_scale: np.ndarray) -> np.ndarray:
        scale = np.exp(log_scale)[:, None]
        return 1 - ((w + freedom) * scale / (w * scale + freedom * variances)).mean(1)

    scales = np.exp(falling_root(lacking, np.full(len(w), typical - 20), np.full(len(w), typical + 20)))
    s = scales[:, None]
    log_likelihoods = (
        freedom / 2 * np.log(freedom / (w * s))
        - betaln(freedom / 2, w / 2)
        - (w + freedom) / 2 * np.log1p(freedom * variances / (w * s))
    ).sum(1)
    best = int(log_likelihoods.argmax())
    return float(scales[best]), float(WEIGHTS[best])

"""The noise between seeds, estimated for each model with the help of the others."""

import numpy as np
from scipy.special import betaln, chdtri

from fuxi_plugins.analysis.statistics.roots import falling_root

FEWEST = 3  # models with several seeds, from which on they inform each other
APART = 1e-9  # how rarely usual noise would bring seeds as far apart as those of a model that stands apart
CAUTION = 1.0  # log likelihood that a weight may be below the best, for a model of which nothing else is known
WEIGHTS = np.geomspace(0.5, 1e4, 100)  # degrees of freedom that may be given to what the models have in common


def moderate(variances: np.ndarray, dof: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draws variances towards their common value, the more the more alike they are.

    Two or three seeds say little of a variance, and among many models some come out far too small by chance, which
    makes false differences. The variances are taken as drawn from a scaled inverse chi-squared distribution, which adds
    to what is known of each what is known of all (Smyth, Statistical Applications in Genetics and Molecular Biology 3,
    2004). Its scale and degrees of freedom are those of the greatest likelihood, because one model with next to no
    noise, as a logistic regression, moves Smyth's moments of logarithms far. Models that stand apart keep their own.

    A model with one seed has nothing of its own, and the more the others differ in their noise, the less do they say of
    it. Taken at their likeliest, they would promise too much where they are few; so it gets the smallest weight that
    is still likely (``CAUTION``).

    Args:
        variances: (M,) of one seed's value.
        dof: (M,) their degrees of freedom; 0 for a model with one seed.

    Returns:
        Variances (M,) and degrees of freedom (M,); as they came if fewer than ``FEWEST`` models inform each other.
    """
    crowd = inform_each_other(variances, dof)
    if not crowd.any():
        return variances, dof
    common, weight = fit_scaled_f(variances[crowd], dof[crowd])
    joined = weight + dof
    moderated = (weight * common + dof * variances) / joined
    # No estimate rests on more than all seeds say together; below 1, Student's quantiles lose all meaning.
    surer = np.clip(joined, 1, dof[crowd].sum())
    single = dof == 0
    scale, little = fit_scaled_f(variances[crowd], dof[crowd], CAUTION)
    moderated = np.where(single, scale, moderated)
    surer = np.where(single, np.clip(little, 1, dof[crowd].sum()), surer)
    alone = (dof > 0) & ~crowd
    return np.where(alone, variances, moderated), np.where(alone, dof, surer)


def inform_each_other(variances: np.ndarray, dof: np.ndarray) -> np.ndarray:
    """(M,), true for the models with several seeds that do not stand apart.

    For none where these are fewer than ``FEWEST``, or where most of them have no noise at all.
    """
    crowd = (dof > 0) & ~stands_apart(variances, dof)
    enough = crowd.sum() >= FEWEST and np.median(variances[crowd]) > 0
    return crowd & enough


def stands_apart(variances: np.ndarray, dof: np.ndarray) -> np.ndarray:
    """(M,), true where seeds lie so far apart that they must have had different outcomes.

    That is beyond the quantile ``1 - APART`` of the usual noise, which is the median model's. None do where fewer than
    ``FEWEST`` models have several seeds, or where most have no noise at all.
    """
    several = dof > 0
    if several.sum() < FEWEST:
        return np.zeros(several.shape, bool)
    at_least = np.maximum(dof, 1)
    usual = np.median((variances * at_least / chdtri(at_least, 0.5))[several])
    return several & (usual > 0) & (variances * dof > usual * chdtri(at_least, APART))


def fit_scaled_f(variances: np.ndarray, dof: np.ndarray, caution: float = 0.0) -> tuple[float, float]:
    """The scale s and the degrees of freedom w of the greatest likelihood where each variance is s times an F(d, w).

    Of each w the best s is where the mean of (w + d) s / (w s + d v) is one; the best w is one of ``WEIGHTS``.

    Args:
        caution: the smallest w is taken whose log likelihood is within this of the greatest.
    """
    w = WEIGHTS[:, None]
    typical = np.log(np.median(variances))

    def lacking(log_scale: np.ndarray) -> np.ndarray:
        scale = np.exp(log_scale)[:, None]
        return 1 - ((w + dof) * scale / (w * scale + dof * variances)).mean(1)

    scales = np.exp(falling_root(lacking, np.full(len(w), typical - 20), np.full(len(w), typical + 20)))
    s = scales[:, None]
    log_likelihoods = (
        dof / 2 * np.log(dof / (w * s)) - betaln(dof / 2, w / 2) - (w + dof) / 2 * np.log1p(dof * variances / (w * s))
    ).sum(1)
    found = int(np.argmax(log_likelihoods >= log_likelihoods.max() - caution))
    return float(scales[found]), float(WEIGHTS[found])

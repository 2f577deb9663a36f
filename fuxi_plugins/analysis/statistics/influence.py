"""How the sampling errors of models on the same test rows vary together.

The errors themselves are those of the metrics (``records/metrics``): psi, scaled so that the sampling variance of a
value is ``psi @ psi`` and the covariance of two models on the same rows is ``psi_a @ psi_b``.
"""

import numpy as np


def sampling_covariance(components: list[np.ndarray]) -> np.ndarray:
    """(M, M) covariance over test rows of the models' means over seeds, the seeds' own noise left out.

    A seed's predictions differ from another's in every row; that part of ``psi`` is noise of the seed and stands in the
    variance between seeds already. Two seeds share none of it, so their covariance is free of it: the variance of a
    model is the mean covariance of its pairs of seeds. With one seed nothing can be told apart, and all counts.

    Args:
        components: psi of each model, (seeds, K) each.
    """
    means = np.array([psi.mean(0) for psi in components])
    covariance = means @ means.T
    for model, psi in enumerate(components):
        seeds = len(psi)
        if seeds > 1:
            own = np.sum(psi * psi) / seeds  # mean variance of one seed
            covariance[model, model] = max(0.0, (seeds * covariance[model, model] - own) / (seeds - 1))
    return covariance

"""How sure a metric is: influence functions against definitions, against R, against the jackknife and by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import log_loss, roc_auc_score

from fuxi_plugins.records.metrics import Scored, all_metrics, find_metric, sampling_components
from fuxi_plugins.records.metrics.ranking import auc_influence

ALL = [metric.name for metric in all_metrics()]
ROWWISE = [metric.name for metric in all_metrics() if not metric.per_group]
FIELD_VALUES = 5
GROUPED = [metric.name for metric in all_metrics() if metric.per_group]


def slow_delong(labels, *scores):
    """AUCs and their covariance from the definition: every positive against every negative."""
    positive = np.asarray(labels) == 1
    kernels = [
        np.array([[(x > y) + 0.5 * (x == y) for y in s[~positive]] for x in s[positive]])
        for s in map(np.asarray, scores)
    ]
    m, n = kernels[0].shape
    s10 = np.atleast_2d(np.cov([k.mean(1) for k in kernels]))
    s01 = np.atleast_2d(np.cov([k.mean(0) for k in kernels]))
    return [k.mean() for k in kernels], s10 / m + s01 / n


@st.composite
def scored_labels(draw):
    labels = [0, 0, 1, 1, *draw(st.lists(st.integers(0, 1), max_size=20))]
    score = st.integers(0, 6)  # few values, so that there are ties
    lists = st.lists(score, min_size=len(labels), max_size=len(labels))
    return np.array(labels), np.array(draw(lists)) / 7, np.array(draw(lists)) / 7


@given(scored_labels())
def test_the_fast_auc_and_covariance_are_delongs(sample):
    labels, *scores = sample
    (auc_a, a), (auc_b, b) = (auc_influence(labels, s) for s in scores)
    aucs, covariance = slow_delong(labels, *scores)
    assert [auc_a, auc_b] == pytest.approx(aucs)
    assert auc_a == pytest.approx(roc_auc_score(labels, scores[0]))
    np.testing.assert_allclose([[a @ a, a @ b], [b @ a, b @ b]], covariance, atol=1e-12)


def test_by_hand():
    # Positives .9, .5, negatives .7, .1: the first beats both, the second one. V10 = 1, .5 and V01 = .5, 1, so
    # S10 = S01 = 1/8 and the variance is 1/16 + 1/16.
    auc, psi = auc_influence([1, 1, 0, 0], np.array([0.9, 0.5, 0.7, 0.1]))
    assert float(auc) == 0.75
    assert psi @ psi == pytest.approx(1 / 8)


def test_the_numbers_of_r():
    """pROC 1.18.0 (Robin et al., BMC Bioinformatics 12, 2011) on R 4.2.2: its auc, var, cov, ci.auc and roc.test."""
    i = np.arange(40)
    labels = ((i * 7) % 5 < 2).astype(int)
    a = ((i * 13) % 29) / 29 + 0.35 * labels
    b = np.round(((i * 11) % 17) / 17 + 0.5 * labels, 1)
    (auc_a, auc_b), (psi_a, psi_b) = auc_influence(labels, np.array([a, b]))
    assert (auc_a, auc_b) == pytest.approx((0.783854166667, 0.889322916667), abs=1e-11)
    assert (psi_a @ psi_a, psi_b @ psi_b, psi_a @ psi_b) == pytest.approx(
        (0.00535399211202, 0.00251406855437, 0.000421113092542), abs=1e-13
    )
    half_width = stats.norm.ppf(0.975) * np.sqrt(psi_a @ psi_a)
    assert (auc_a - half_width, auc_a + half_width) == pytest.approx((0.6404417, 0.9272666), abs=1e-7)
    z = (auc_a - auc_b) / np.linalg.norm(psi_a - psi_b)
    assert z == pytest.approx(-1.25827289604, abs=1e-10)
    assert 2 * stats.norm.sf(abs(z)) == pytest.approx(0.208293079837, abs=1e-11)


def test_one_row_of_a_class_is_too_few():
    with pytest.raises(ValueError, match="1 positive and 2 negative"):
        auc_influence([1, 0, 0], np.array([0.9, 0.5, 0.7]))


def test_several_seeds_at_once_are_each_by_itself():
    random = np.random.default_rng(0)
    labels, scores = np.tile([0, 1], 20), random.random((3, 40))
    aucs, psi = auc_influence(labels, scores)
    for one, auc, own in zip(scores, aucs, psi, strict=True):
        assert auc_influence(labels, one)[0] == auc
        np.testing.assert_array_equal(auc_influence(labels, one)[1], own)


def test_logloss_is_scikit_learns_even_of_certainties():
    data = Scored(np.array([1, 0, 1, 0]), np.array([0.8, 0.3, 0.0, 0.4]))
    metric = find_metric("logloss")
    assert metric.value(data) == pytest.approx(log_loss(data.labels, data.scores))
    losses = [log_loss([y], [s], labels=[0, 1]) for y, s in zip(data.labels, data.scores, strict=True)]
    psi = metric.influence(data)
    assert psi @ psi == pytest.approx(np.var(losses, ddof=1) / 4)


def draw(random, groups, size=1):
    """A test set of groups with 1 + Poisson(size - 1) rows, some of one class. The model is too sure of itself, so that
    low bins predict too little and high ones too much, and wrong by another amount in each value of a field. Its scores
    have ties."""
    group = np.repeat(np.arange(groups), 1 + random.poisson(size - 1, groups))
    rows = len(group)
    easiness, field = random.normal(0, 1, groups)[group], random.integers(0, FIELD_VALUES, rows)
    logit = -1 + random.normal(0, 1, rows) + easiness
    labels = (random.random(rows) < 1 / (1 + np.exp(-logit))).astype(float)
    scores = 1 / (1 + np.exp(-(2 * logit + 1.2 + (field - 1) / 2)))
    return Scored(labels, scores.round(2).clip(0.01, 0.99), group, {"user_id": field})


def part(data, rows):
    """Some rows, with the same groups' numbers."""
    fields = {name: column[rows] for name, column in data.fields.items()}
    return Scored(data.labels[rows], data.scores[rows], data.groups[rows], fields)


def jackknife(metric, data, units):
    """The variance by leaving out one unit after the other (Efron and Stein, Annals of Statistics 9, 1981)."""
    left = np.array([metric.value(part(data, np.flatnonzero(units != unit))) for unit in np.unique(units)])
    return (len(left) - 1) / len(left) * ((left - left.mean()) ** 2).sum()


SMOOTH = [name for name in ROWWISE if name != "ECE"]  # leaving out a row moves the edges of all its bins


@pytest.mark.parametrize("name", SMOOTH)
def test_the_variance_of_independent_rows_is_the_jackknifes(name):
    data, metric = draw(np.random.default_rng(0), 1000), find_metric(name)
    psi = sampling_components(metric, data)
    assert psi.shape == (1000,)
    assert psi @ psi == pytest.approx(jackknife(metric, data, data.groups), rel=0.03)


@pytest.mark.parametrize("name", SMOOTH)
def test_the_variance_of_rows_in_clusters_is_the_jackknifes(name):
    data, metric = draw(np.random.default_rng(3), 40, size=50), find_metric(name)
    psi = sampling_components(metric, data, data.groups)
    assert psi.shape == (40,)
    assert psi @ psi == pytest.approx(jackknife(metric, data, data.groups), rel=0.1)


@pytest.mark.parametrize("clusters", [2, 3, 5])
def test_few_clusters_have_their_own_factor(clusters):
    """Of a mean over clusters of equal size the jackknife and psi are the same number, however few there are."""
    random = np.random.default_rng(clusters)
    data = Scored(random.integers(0, 2, 30 * clusters), random.random(30 * clusters))
    units = np.repeat(np.arange(clusters), 30)
    psi = sampling_components(find_metric("logloss"), data, units)
    means = [
        find_metric("logloss").value(Scored(data.labels[units == u], data.scores[units == u])) for u in range(clusters)
    ]
    assert psi @ psi == pytest.approx(np.var(means, ddof=1) / clusters, rel=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_clusters_of_one_unit_change_nothing(name):
    metric = find_metric(name)
    data = draw(np.random.default_rng(4), 100, size=10 if metric.per_group else 1)
    alone, units = metric.influence(data), data.groups
    np.testing.assert_allclose(sampling_components(metric, data, units), alone, rtol=1e-12)


@pytest.mark.parametrize("name", GROUPED)
@pytest.mark.parametrize("groups", [6, 40])
def test_the_variance_of_groups_is_that_of_drawing_groups_anew(name, groups):
    """The delta method of a ratio against the bootstrap of whole groups, with groups of one class among them."""
    random = np.random.default_rng(groups)
    data, metric = draw(random, groups, size=25), find_metric(name)
    psi = sampling_components(metric, data)
    assert psi.shape == (groups,)
    of_group = [np.flatnonzero(data.groups == group) for group in range(groups)]
    redrawn = []
    for _ in range(600):
        chosen = random.integers(0, groups, groups)
        rows = np.concatenate([of_group[group] for group in chosen])
        new = np.repeat(np.arange(groups), [len(of_group[group]) for group in chosen])
        redrawn.append(metric.value(Scored(data.labels[rows], data.scores[rows], new)))
    of_bootstrap = (
        np.var(redrawn) * groups / (groups - 1)
    )  # which divides by G where an unbiased variance does by G - 1
    assert psi @ psi == pytest.approx(of_bootstrap, rel=0.2)


@pytest.mark.parametrize("name", ["avgAUC", "MRR", "NDCG(k=5)"])
def test_a_mean_over_few_groups_has_the_unbiased_variance(name):
    """Exactly: with two groups a factor of 2 that is easily forgotten. A group of one class has no AUC."""
    groups = np.array([0, 0, 1, 1, 1, 2, 2])
    labels, scores = np.array([1, 0, 0, 1, 0, 0, 0]), np.array([0.9, 0.1, 0.5, 0.4, 0.3, 0.2, 0.7])
    own = {"avgAUC": [1, 0.5], "MRR": [1, 0.5, 0], "NDCG(k=5)": [1, 1 / np.log2(3), 0]}[name]
    metric = find_metric(name)
    psi = sampling_components(metric, Scored(labels, scores, groups))
    assert psi @ psi == pytest.approx(np.var(own, ddof=1) / len(own))
    assert psi.sum() == pytest.approx(0, abs=1e-12)


def test_gauc_by_hand():
    # Two groups of 2 and 4 rows, AUCs 1 and 1/2: shares 1/3 and 2/3, gAUC 2/3, deviations 1/3 and -1/6 of it.
    groups = np.array([0, 0, 1, 1, 1, 1])
    data = Scored(np.array([1, 0, 1, 0, 1, 0]), np.array([0.9, 0.1, 0.9, 0.9, 0.2, 0.2]), groups)
    assert find_metric("gAUC").value(data) == pytest.approx(2 / 3)
    assert find_metric("gAUC").influence(data) == pytest.approx(np.sqrt(2) * np.array([1 / 9, -1 / 9]))


@pytest.mark.parametrize("name", GROUPED)
def test_groups_within_clusters(name):
    """Sessions of users: the groups are sessions, and users are what is drawn."""
    random = np.random.default_rng(5)
    data, metric = draw(random, 200, size=20), find_metric(name)
    users = data.groups // 5  # a user's five sessions
    psi = sampling_components(metric, data, users)
    assert psi.shape == (40,)
    assert psi @ psi == pytest.approx(jackknife(metric, data, users), rel=0.1)
    with pytest.raises(ValueError, match="in one cluster"):
        sampling_components(metric, data, np.arange(len(data.labels)) % 7)


REPEATS = 400


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("clustered", [False, True])
def test_bias_and_variance_by_simulation(name, clustered):
    """Over new test sets from the same source the mean of the estimated variances is the variance of the values."""
    metric = find_metric(name)
    random = np.random.default_rng(6)
    values, variances = [], []
    for _ in range(REPEATS):
        data = draw(random, 60, size=15) if clustered or metric.per_group else draw(random, 900)
        psi = sampling_components(metric, data, data.groups if clustered else None)
        values.append(metric.value(data))
        variances.append(psi @ psi)
    true = np.var(values, ddof=1)
    # A variance of 400 values is known to 7% (normal); three times that, and what the delta method leaves out.
    assert np.mean(variances) == pytest.approx(true, rel=0.25)


@pytest.mark.parametrize("name", ["ECE", "field-RCE(user_id)"])
def test_a_calibrated_model_has_too_wide_an_interval_never_too_narrow(name):
    """Where the gaps of bins are noise alone, the variance is above the true one, as Var |x| <= Var x says; and the
    value is above 0, so that an interval is one of its expected value on a test set of this size."""
    metric, random = find_metric(name), np.random.default_rng(7)
    values, variances = [], []
    for _ in range(REPEATS):
        scores = random.uniform(0.05, 0.6, 1000)
        labels = (random.random(1000) < scores).astype(float)
        data = Scored(labels, scores, None, {"user_id": random.integers(0, 20, 1000)})
        psi = metric.influence(data)
        values.append(metric.value(data))
        variances.append(psi @ psi)
    assert np.mean(values) > 5 * np.std(values)
    assert np.var(values) < np.mean(variances) < 10 * np.var(values)


def test_two_models_on_the_same_rows_share_their_errors():
    """psi_a @ psi_b is the covariance: the variance of a difference follows from it."""
    random = np.random.default_rng(8)
    for name in ("AUC", "logloss", "PCOC", "gAUC"):
        metric, differences, estimated = find_metric(name), [], []
        for _ in range(300):
            a = draw(random, 500) if name != "gAUC" else draw(random, 50, size=10)
            b = Scored(a.labels, (a.scores + random.normal(0, 0.05, len(a.scores))).clip(0.01, 0.99), a.groups)
            psi = metric.influence(a) - metric.influence(b)
            differences.append(metric.value(a) - metric.value(b))
            estimated.append(psi @ psi)
        assert np.mean(estimated) == pytest.approx(np.var(differences), rel=0.3), name


def test_one_group_that_counts_says_nothing_of_how_groups_differ():
    assert np.isnan(find_metric("gAUC").influence(Scored([1, 0, 1], [0.5, 0.4, 0.3], np.array([0, 0, 1])))).all()

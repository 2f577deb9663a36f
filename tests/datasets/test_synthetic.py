"""The synthetic dataset: the same everywhere, drawn as it says, and its truth really the truth."""

import hashlib
import itertools
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from sklearn.metrics import log_loss, roc_auc_score

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.synthetic.planted import (
    CATEGORICAL,
    EFFECTS,
    LOGIT_STD,
    NUMERIC,
    Truth,
    auc,
    build_synthetic,
    logloss,
)
from tests.conftest import ROOT

SMALL = {"seed": 7, "rows": (500, 200, 300)}
SHA256 = {  # of the files of SMALL, on any machine
    "train.csv": "0c4c0522b078c0b9794a385fac94a06b3b6d7f1f0aadc23db2408924ef427049",
    "valid.csv": "6291f9cf9ddc0dcb970c65d7b4cc420c0d275c0c50b5012c0a2f57c53165fcf1",
    "test.csv": "0eff7b7cfc9e671176c7c3628c493e9a5b075209513ffa4600f98986b4a24272",
    "truth.json": "1368df0d4bb69172bd2bd3a76852550645265c738e1d3955bf2ebd572abc0a3c",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The dataset as the project ships it."""
    folder = tmp_path_factory.mktemp("synthetic")
    build_synthetic(folder)
    return folder


@pytest.fixture(scope="module")
def train(built):
    return pl.read_csv(built / "train.csv")


@pytest.fixture(scope="module")
def truth():
    return Truth(2026)


# Bytes


def test_the_same_arguments_give_the_same_bytes_everywhere(tmp_path):
    build_synthetic(tmp_path, **SMALL)
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()} == SHA256


def test_another_seed_gives_another_dataset(tmp_path):
    build_synthetic(tmp_path, **(SMALL | {"seed": 8}))
    for name, digest in SHA256.items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() != digest, name


def test_a_longer_split_begins_with_the_shorter_one(tmp_path):
    build_synthetic(tmp_path, **SMALL)
    short = {split: (tmp_path / f"{split}.csv").read_text() for split in ("train", "valid", "test")}
    build_synthetic(tmp_path, seed=7, rows=(900, 200, 400))
    for split, text in short.items():
        assert (tmp_path / f"{split}.csv").read_text().startswith(text), split


def test_splits_are_different_draws(built):
    rows = [set((built / f"{split}.csv").read_text().splitlines()[1:]) for split in ("train", "valid", "test")]
    assert not any(one & other for one, other in itertools.combinations(rows, 2))


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"rows": (500, 500)}, {"rows": (500, 500, 0)}])
def test_impossible_arguments_are_refused(tmp_path, wrong):
    with pytest.raises(UserError, match="must be"):
        build_synthetic(tmp_path, **wrong)
    assert not list(tmp_path.iterdir())


# Form


def test_files_have_the_form_that_the_config_describes(built):
    spec = load_dataset_spec(ROOT / "benchmark_configs", "synthetic")
    header, first = (built / "train.csv").read_text().split("\n")[:2]
    assert header.split(",") == ["label", *CATEGORICAL, *NUMERIC]
    assert set(spec.raw_columns) == set(header.split(","))
    assert all(len(number.split(".")[1]) == 3 for number in first.split(",")[-len(NUMERIC) :])


def test_numbers_have_mean_zero_and_variance_one(train):
    for name in NUMERIC:
        assert train[name].mean() == pytest.approx(0, abs=4 / np.sqrt(train.height))
        assert train[name].var() == pytest.approx(1, abs=4 * np.sqrt(1.9 / train.height))


@pytest.mark.parametrize("name", CATEGORICAL)
def test_ids_follow_the_power_law(train, name):
    size, flatness = CATEGORICAL[name].size, CATEGORICAL[name].flatness
    weights = np.array([1 / (rank + flatness) for rank in range(1, size + 1)])
    seen = np.bincount(train[name], minlength=size + 1)
    assert seen[0] == 0, "ids begin with 1"
    assert len(seen) == size + 1, "and end with the size"
    assert chisquare(seen[1:], weights / weights.sum() * train.height).pvalue > 1e-4


def test_fields_are_independent(train):
    correlations = np.corrcoef(train.select(*CATEGORICAL, *NUMERIC).to_numpy(), rowvar=False)
    assert np.abs(correlations - np.eye(len(correlations))).max() < 5 / np.sqrt(train.height)


# Effects


def every_combination(factors):
    """All ids and numbers of an effect's fields with their probabilities, one row a combination.

    A number stands as three points with the moments of the real one up to the fifth: 0, 1, 0, 2.9, 0.
    """
    axes = {}
    for factor in factors:
        name = factor.removesuffix("^2")
        if name in CATEGORICAL:
            axes[name] = list(enumerate(CATEGORICAL[name].frequencies(), start=1))
        else:
            far = np.sqrt(2.9)
            axes[name] = [(-far, 0.5 / 2.9), (0.0, 1 - 1 / 2.9), (far, 0.5 / 2.9)]
    combinations = list(itertools.product(*axes.values()))
    table = pl.DataFrame({name: [row[i][0] for row in combinations] for i, name in enumerate(axes)})
    return table, np.prod([[probability for _, probability in row] for row in combinations], axis=1)


@pytest.mark.parametrize("factors", EFFECTS, ids=" x ".join)
def test_an_effect_has_its_share_of_the_variance_and_is_pure(truth, factors):
    table, probability = every_combination(factors)
    effect = truth.effect(factors, table)
    assert np.sum(probability) == pytest.approx(1)
    assert np.sum(probability * effect**2) == pytest.approx(EFFECTS[factors] * LOGIT_STD**2)
    weighted = table.with_columns(weighted=pl.Series(probability * effect))
    for left_out in table.columns:
        others = [name for name in table.columns if name != left_out]
        if others:
            means = weighted.group_by(others).agg(pl.col("weighted").sum())["weighted"]
        else:
            means = weighted["weighted"].sum()
        assert np.abs(means).max() < 1e-12, f"something of the effect shows without {left_out}"


def test_shares_add_up_in_the_rows_too(truth, train):
    effects = {factors: truth.effect(factors, train) for factors in EFFECTS}
    assert sum(EFFECTS.values()) == pytest.approx(1)
    assert truth.logits(train).var() == pytest.approx(LOGIT_STD**2, rel=0.02)
    for factors, effect in effects.items():
        assert effect.var() == pytest.approx(EFFECTS[factors] * LOGIT_STD**2, rel=0.06), factors
    correlations = np.corrcoef(list(effects.values()))
    assert np.abs(correlations - np.eye(len(effects))).max() < 0.025


def test_every_field_has_an_effect_and_every_triple_extends_a_pair():
    named = {factor.removesuffix("^2") for factors in EFFECTS for factor in factors}
    assert named == {*CATEGORICAL, *NUMERIC}
    pairs = {frozenset(factors) for factors in EFFECTS if len(factors) == 2}
    for factors in EFFECTS:
        if len(factors) == 3:
            assert any(pair < set(factors) for pair in pairs), factors
        assert all(name.endswith("^2") or (name,) in EFFECTS for name in factors)


# Labels


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_labels_are_drawn_from_the_true_probabilities(built, truth, split):
    table = pl.read_csv(built / f"{split}.csv")
    probability, label = truth.probabilities(table), table["label"].to_numpy()
    for rows in np.array_split(np.argsort(probability), 20):
        spread = np.sqrt(np.sum(probability[rows] * (1 - probability[rows])))
        assert abs(label[rows].sum() - probability[rows].sum()) < 4 * spread


@pytest.mark.parametrize("seed", range(5))
def test_about_one_row_in_four_is_a_click(tmp_path, seed):
    build_synthetic(tmp_path, seed=seed, rows=(20_000, 100, 100))
    assert pl.read_csv(tmp_path / "train.csv")["label"].mean() == pytest.approx(0.25, abs=0.015)


# Truth


def expected_auc_by_pairs(score, probability):
    right = pairs = 0.0
    for i, j in itertools.permutations(range(len(score)), 2):
        click_and_not = probability[i] * (1 - probability[j])
        pairs += click_and_not
        right += click_and_not * ((score[i] > score[j]) + (score[i] == score[j]) / 2)
    return right / pairs


def test_truth_json_scores_the_written_file(built, truth):
    written = json.loads((built / "truth.json").read_text())
    test = pl.read_csv(built / "test.csv")
    probability = truth.probabilities(test)
    assert written["AUC"] == pytest.approx(roc_auc_score(test["label"], probability), abs=1e-6)
    assert written["logloss"] == pytest.approx(log_loss(test["label"], probability), abs=1e-6)
    entropy = -(probability * np.log(probability) + (1 - probability) * np.log1p(-probability))
    assert written["expected_logloss"] == pytest.approx(entropy.mean(), abs=1e-6)
    assert written["effects"] == {" x ".join(factors): share for factors, share in EFFECTS.items()}


def test_expected_auc_of_a_small_file_pair_by_pair(tmp_path):
    build_synthetic(tmp_path, **SMALL)
    probability = Truth(7).probabilities(pl.read_csv(tmp_path / "test.csv"))
    written = json.loads((tmp_path / "truth.json").read_text())
    assert written["expected_AUC"] == pytest.approx(expected_auc_by_pairs(probability, probability), abs=1e-6)


def test_expected_scores_are_the_mean_over_redrawn_labels(built, truth):
    written = json.loads((built / "truth.json").read_text())
    probability = truth.probabilities(pl.read_csv(built / "test.csv"))
    rng = np.random.default_rng(0)
    draws = [(rng.random(len(probability)) < probability).astype(int) for _ in range(40)]
    for name, metric in (("AUC", auc), ("logloss", logloss)):
        scores = [metric(probability, draw) for draw in draws]
        assert written[f"expected_{name}"] == pytest.approx(np.mean(scores), abs=4 * np.std(scores) / np.sqrt(40))
        assert abs(written[name] - written[f"expected_{name}"]) < 4 * np.std(scores)


def test_no_model_is_expected_to_beat_the_truth(built, truth):
    probability = truth.probabilities(pl.read_csv(built / "test.csv"))
    nearly = probability * np.random.default_rng(0).uniform(0.9, 1.1, len(probability))
    assert auc(nearly, probability) < auc(probability, probability)
    assert logloss(np.clip(nearly, 0, 0.999), probability) > logloss(probability, probability)


scores_with_ties = st.lists(st.tuples(st.integers(0, 5), st.floats(0.05, 0.95)), min_size=2, max_size=20)


@given(scores_with_ties)
def test_auc_of_probabilities_is_the_sum_over_pairs(rows):
    score, probability = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    assert auc(score, probability) == pytest.approx(expected_auc_by_pairs(score, probability))


@given(scores_with_ties, st.randoms(use_true_random=False))
def test_auc_of_labels_is_scikit_learns(rows, random):
    score = np.array([score for score, _ in rows])
    label = np.array([0, 1, *(random.randint(0, 1) for _ in rows[2:])])
    assert auc(score, label) == pytest.approx(roc_auc_score(label, score))

"""Rank and AUC over runs: against scipy, within datasets, and with models drawn as a whole."""

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from fuxi_plugins.analysis.rank_auc import last_share, rank_against_auc
from fuxi_plugins.records.parts import RankFamily, RankSummary, StageRank
from tests.analysis.make import record


def run(model, seed, rank, auc):
    def stage(entropy):
        values = {"trained": entropy, "untrained": 1.0, "gaussian": 4.0}
        family = RankFamily(rows=5, columns=6, **{name: {"entropy": value} for name, value in values.items()})
        return StageRank(row=family, token=family)

    ranks = RankSummary(sample=8, seconds=0.1, stages={"tokens": stage(1.0), "ffn_1": stage(rank)})
    return record(model, seed, auc, rank=ranks)


def runs_of(random, models=8, seeds=3, slope=0.0, level=0.6):
    """Runs of one model share its rank and AUC but for a little."""
    made = []
    for place in range(models):
        rank, luck = random.uniform(1, 4), random.normal(0, 0.01)
        for seed in range(seeds):
            mine = rank + random.normal(0, 0.01)
            made.append(run(f"M{place}", seed, mine, level + slope * mine + luck + random.normal(0, 1e-4)))
    return made


def test_the_correlation_is_scipys_and_of_the_last_stage_over_its_null_line():
    runs = runs_of(np.random.default_rng(0))
    (found,) = rank_against_auc({"toy": runs}).values()
    ranks, aucs = [last_share(one) for one in runs], [one.metrics["test"]["AUC"] for one in runs]
    assert found.rho == pytest.approx(spearmanr(ranks, aucs).statistic)
    assert (found.runs, found.models) == (24, 8)
    assert last_share(run("M", 1, 3.0, 0.7)) == 0.75


def test_the_level_of_a_dataset_is_no_correlation():
    """Two datasets, each with a falling relation, one with higher ranks and AUCs: a pooled correlation would rise."""
    low = [run(f"A{i}", 1, 1 + 0.1 * i, 0.6 - 0.01 * i) for i in range(6)]
    high = [run(f"A{i}", 1, 3 + 0.1 * i, 0.9 - 0.01 * i) for i in range(6)]
    found = rank_against_auc({"low": low, "high": high})
    assert found["all, within datasets"].rho == pytest.approx(-1)


def test_seeds_of_a_model_do_not_count_as_new_evidence():
    """The interval of twenty seeds a model is about as wide as that of one."""
    one, many = (
        rank_against_auc({"toy": runs_of(np.random.default_rng(1), seeds=seeds)})["toy"].interval for seeds in (1, 20)
    )
    assert many.high - many.low > 0.5 * (one.high - one.low)
    assert one.high - one.low > 0.3  # eight models say little


def test_the_interval_finds_a_relation_and_few_models_have_none():
    strong = rank_against_auc({"toy": runs_of(np.random.default_rng(2), slope=0.05)})["toy"]
    assert strong.interval.low > 0.3
    assert rank_against_auc({"toy": runs_of(np.random.default_rng(2), models=4)})["toy"].interval is None
    assert rank_against_auc({"toy": [run("A", 1, 2.0, 0.7)] * 2}) == {}
    assert math.isnan(rank_against_auc({"toy": [run("A", seed, 2.0, 0.7) for seed in range(3)]})["toy"].rho)

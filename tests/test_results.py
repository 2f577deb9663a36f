"""The committed results: what the tables say is what the records and the configs say."""

import itertools
import json
import re
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from fuxi_plugins.analysis.across import across
from fuxi_plugins.analysis.compare import compare_on_board
from fuxi_plugins.analysis.comparisons import comparisons
from fuxi_plugins.analysis.leaderboard import Leaderboard
from fuxi_plugins.analysis.ledger import build_ledger
from fuxi_plugins.analysis.literature import load_literature
from fuxi_plugins.analysis.splits import compare_splits
from fuxi_plugins.analysis.suite_board import SuiteBoard
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import logs_of_datasets
from fuxi_plugins.experiments.catalogue import load_experiment_config, load_experiment_configs
from fuxi_plugins.experiments.experiment import ExperimentConfig, resolve
from fuxi_plugins.experiments.suite import Suite, find_suite, load_suite, suite_names
from fuxi_plugins.records.files import read_record
from fuxi_plugins.records.metrics import find_metric
from fuxi_plugins.reporting.boards import suite_boards
from fuxi_plugins.reporting.formats import FORMATS, render
from fuxi_plugins.reporting.ledger import render_ledger
from fuxi_plugins.reporting.literature import render_literature
from fuxi_plugins.reporting.notes import tie_sentence
from fuxi_plugins.reporting.paper import tables
from fuxi_plugins.reporting.paper.gather import studies
from fuxi_plugins.reporting.paper.numbers import auc_effect
from scripts.update_results_page import PAGE, README, updated, with_standing
from tests.conftest import ROOT

WORKSPACE = Workspace.locate(ROOT / "benchmark_configs", ROOT / "results")


def committed(*patterns: str) -> list[Path]:
    """The files under ``results`` that the project ships; what a user has run since is the user's."""
    if not (ROOT / ".git").exists():  # an unpacked archive does not say what was shipped
        return []
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *(f"results/{pattern}" for pattern in patterns)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in sorted(listed.stdout.split("\0")) if name]


BOARDS = [path.stem for path in committed("leaderboards/*.md")]
EXPERIMENTS = load_experiment_configs(WORKSPACE.configs)
RECORDS = [read_record(path) for path in committed("runs/*/record.json")]


def shipped_board(name: str) -> tuple[Suite, Leaderboard]:
    suite_name, _, dataset = name.partition("-")  # a suite of several datasets has a board for each
    suite = find_suite(suite_name, WORKSPACE)
    (board,) = (board for board in suite_boards(suite, WORKSPACE) if dataset in ("", board.dataset))
    return suite, board


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_is_what_its_records_say(name):
    suite, board = shipped_board(name)
    for form in FORMATS:
        path = WORKSPACE.results / "leaderboards" / f"{name}.{form}"
        assert path.read_text() == render(board, suite.title, form), path


def first_panel(board, baselines=()):
    """Of the board in LaTeX; the others repeat the models' names."""
    return render(board, "Title", "tex", baselines).partition(r"\end{tabular}")[0]


@pytest.mark.parametrize("name", BOARDS)
def test_letters_ranks_sentence_latex_and_comparisons_of_a_board_agree_on_every_pair(name):
    _, board = shipped_board(name)
    ranked = board.ranked()
    compared = [row for row in ranked if row.letters]
    for a, b in itertools.combinations(ranked, 2):  # a has the better rank
        difference = board.difference(a, b)
        apart = difference.significant
        if a in compared and b in compared:
            assert apart == (not set(a.letters) & set(b.letters)), (a.display_name, b.display_name)
            assert apart == (difference.adjusted_p < 0.05)
        else:
            assert difference.p is None, (a.display_name, b.display_name)
        if apart:
            assert a.rank_range[0] < b.rank_range[0], (a.display_name, b.display_name)
            assert a.rank_range[1] < b.rank_range[1], (a.display_name, b.display_name)
        said = compare_on_board(board, name, a, b)
        better = difference.effect == 0 or (difference.effect > 0) == find_metric(board.rank_by).higher_is_better
        assert better, "the ranks are by the mean"
        words = "significantly better than" if apart else "not significantly different from"
        assert said.words == (words if difference.p is not None else "not compared with")
    best, *others = ranked
    alike = [
        row for row in others if row in compared and best in compared and not board.difference(best, row).significant
    ]
    assert board.like_the_best() == alike
    sentence = tie_sentence(board)
    if 0 < len(alike) < len([row for row in others if row in compared]):
        assert f"best by its mean: {', '.join(row.display_name for row in alike)} (Holm" in sentence
    latex = first_panel(board).splitlines()
    assert sum(r"$^{\dagger}$ &" in line for line in latex) == len(alike)
    if len(compared) > 1:
        baseline = compared[-1]
        better = [row for row in ranked if row.rank < baseline.rank and board.difference(row, baseline).significant]
        starred = first_panel(board, [baseline.display_name]).splitlines()
        assert sum("$^{*}$ &" in line for line in starred) == len(better)


@pytest.mark.parametrize("name", [name for name in BOARDS if not name.endswith("_tuning")])
def test_compare_says_what_the_largest_board_says(name):
    """Of the first pairs of every board; one that decides otherwise, or has other seeds, is named in the caveats."""
    _, board = shipped_board(name)
    for a, b in itertools.combinations(board.ranked()[:3], 2):
        (found,) = comparisons(a.experiment, b.experiment, board.dataset, board.rank_by, WORKSPACE)
        here = compare_on_board(board, name, a, b)
        if found.board == here.board:
            assert found.words == here.words
            assert found.difference.effect == pytest.approx(here.difference.effect, abs=1e-12)
        elif found.words != here.words:
            said = " ".join(found.caveats)
            assert f"{here.words} on {name}" in said, (a.display_name, b.display_name)


def test_the_papers_report_says_what_its_boards_say():
    checked = 0
    for study in studies(WORKSPACE):
        assert study.evidence is not None or not study.finished, f"{study.name} has no board beside its runs"
        if not study.finished or study.suite not in ("paper_main", "paper_ablation"):
            continue
        _, board = shipped_board(f"{study.suite}@{study.dataset},{study.protocol}")
        rows = {row.display_name: row for row in board.ranked()}
        for variant in study.variants:
            if variant != tables.REFERENCE and variant in rows:
                effect = auc_effect(study, variant, tables.REFERENCE)
                there = board.difference(rows[variant], rows[tables.REFERENCE])
                assert effect.significant == there.significant
                assert effect.mean == pytest.approx(there.effect, abs=1e-12)
                assert effect.known == (there.p is not None)
                checked += 1
    assert checked or not BOARDS


def test_a_boards_verdict_on_a_published_value_is_the_ledgers():
    entries = {(entry.ours.dataset, entry.ours.experiment): entry for entry in build_ledger(RECORDS, WORKSPACE.results)
               if entry.ours}  # fmt: skip
    for name in BOARDS:
        _, board = shipped_board(name)
        for row in board.ranked():
            entry = entries.get((board.dataset, row.experiment))
            if entry and row.verdict and board.rank_by == entry.metric and entry.ours.seeds == len(row.seeds):
                assert row.verdict.word == entry.verdict.word, (name, row.display_name)


def test_the_page_of_results_shows_the_boards_and_what_they_say(tmp_path):
    """Tables and sentences, from what is shipped alone: without the data, and without what a user has run since."""
    shipped_files = committed("runs/*", "leaderboards/*", "published/*")
    for path in shipped_files:
        link = tmp_path / path.relative_to(WORKSPACE.results)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    if shipped_files:
        page, readme = PAGE.read_text(), README.read_text()
        assert "<!-- said -->" in page
        assert "<!-- standing -->" in readme
        shipped = Workspace(WORKSPACE.configs, tmp_path, tmp_path / "no_cache")
        assert updated(page, shipped) == page
        assert with_standing(readme, shipped) == readme


NINE = (
    "frappe_board", "ml100k_zoo_board", "ml100k_random_board", "nycflights13_board", "nycflights13_random_board",
    "s3rec_lastfm_board", "s3rec_lastfm_random_board", "s3rec_toys_board", "s3rec_toys_random_board",
)  # fmt: skip


@pytest.mark.skipif(not set(NINE) <= set(BOARDS), reason="boards that are not here")
def test_nine_datasets_are_five_logs():
    """The numbers over datasets are those that scipy gives of one number a log."""
    boards = [SuiteBoard(name, shipped_board(name)[1]) for name in NINE]
    found = across(boards, find_metric("AUC"), logs=logs_of_datasets(WORKSPACE.configs))
    assert found.how_many == "9 datasets of 5 logs"
    by_log = np.array([found.ranks[[0]].mean(0), *(found.ranks[[d, d + 1]].mean(0) for d in (1, 3, 5, 7))])
    assert found.average_ranks == pytest.approx(by_log.mean(0))
    assert found.friedman_p == pytest.approx(stats.friedmanchisquare(*by_log.T).pvalue)
    assert found.friedman_p > stats.friedmanchisquare(*found.ranks.T).pvalue, "nine units would claim more"
    models = len(found.models)
    for ranks, interval in zip(by_log.T, found.rank_intervals, strict=True):
        ends = stats.ttest_1samp(ranks, 0).confidence_interval()
        assert (interval.low, interval.high) == pytest.approx((max(ends.low, 1), min(ends.high, models)))
    assert found.p_values[~np.eye(models, dtype=bool)].min() >= 2**-4, "five units cannot give less"


WORDS = {1: "one", 11: "eleven", 20: "twenty", 21: "twenty-one"}


def paragraph(page: str, start: str) -> str:
    """The one that starts so, in one line."""
    (found,) = (text for text in (ROOT / "docs" / page).read_text().split("\n\n") if text.startswith(start))
    return " ".join(found.split())


@pytest.mark.parametrize(
    ("start", "first", "second"),
    [
        ("On these flights", "nycflights13_board", "nycflights13_random_board"),
        ("On [toys", "s3rec_toys_board", "s3rec_toys_random_board"),
        ("On [LastFM", "s3rec_lastfm_board", "s3rec_lastfm_random_board"),
        ("On MovieLens 100K", "ml100k_zoo_board", "ml100k_random_board"),
    ],
)
def test_the_page_of_splits_says_what_the_boards_say(start, first, second):
    if not {first, second} <= set(BOARDS):
        pytest.skip("boards that are not here")
    boards = [SuiteBoard(name, shipped_board(name)[1]) for name in (first, second)]
    found = compare_splits(*boards).agreement
    said = paragraph("splits.md", start)
    assert f"{WORDS[len(found.models)]} models" in said
    assert f"tau is {found.tau:.2f} (95% {found.interval.low:.2f} to {found.interval.high:.2f})" in said
    same, reversed_pairs = (sum(getattr(pair, name) for pair in found.pairs) for name in ("is_same", "is_reversed"))
    assert not reversed_pairs
    if same:
        count = f"{WORDS.get(same, same)} {'is' if same == 1 else 'are'}"
        assert f"f {len(found.pairs)} pairs {count} significant on both boards" in said
    else:
        assert not any(pair.is_decided_once for pair in found.pairs)
        assert "no pair is significant on either board" in said


def test_the_page_of_splits_names_the_models_like_the_best():
    boards = [SuiteBoard(name, shipped_board(name)[1]) for name in ("s3rec_lastfm_board", "s3rec_lastfm_random_board")]
    found = compare_splits(*boards).agreement
    said = paragraph("splits.md", "On [LastFM")
    assert f"{found.best_on_both[0]} is best on both" in said
    named = re.search(r"on both; (.*) are not significantly worse on either", said)[1]
    assert set(re.split(", | and ", named)) == set(found.best_on_both[1:])
    of_first_alone = re.search(r"leaves the last out, (.*) are not significantly worse either", said)[1]
    named = re.split(" and ", re.sub(r" \(.*?\)", "", of_first_alone))
    assert set(named) == set(found.best(0)) - set(found.best_on_both)


def test_the_page_of_statistics_says_how_seeds_of_models_go_together():
    _, board = shipped_board("ml100k_board")
    by_seed = [list(row.test["AUC"].by_seed.values()) for row in board.ranked()]
    correlation = np.corrcoef(by_seed)[np.triu_indices(len(by_seed), 1)].mean()
    said = f"over the {WORDS[len(by_seed)]} models of `ml100k_board` the mean correlation of AUCs by seed is "
    assert said + f"{correlation:.2f}".lstrip("0") in paragraph("statistics.md", "Seeds are treated as independent")


def test_the_page_of_results_says_what_the_ablation_on_frappe_says():
    (study,) = (
        one for one in studies(WORKSPACE)
        if (one.suite, one.dataset, one.protocol) == ("paper_ablation", "frappe_x1r", "matched")
    )  # fmt: skip
    effect = auc_effect(study, "RankElastor-GELU", tables.REFERENCE)
    page = " ".join(PAGE.read_text().split())
    assert f"by {effect.mean:.4f} (" in page
    assert f"95% {effect.difference.interval.low:.4f} to {effect.difference.interval.high:.4f})" in page
    _, board = shipped_board("paper_ablation@frappe_x1r,matched")
    pairs = itertools.combinations(board.ranked(), 2)
    apart = [(a, b) for a, b in pairs if board.difference(a, b).significant]
    assert {worse.display_name for _, worse in apart} == {"RankMixer+GLU"}
    means = {row.display_name: f"{row.test['AUC'].mean:.4f}" for row in board.ranked()}
    better = [f"{row.display_name} ({means[row.display_name]})" for row, _ in apart]
    assert (
        f"three others are: the block transpose with GLU (RankMixer+GLU, {means['RankMixer+GLU']}) is worse than "
        + (f"{better[0]}, {better[1]} and {better[2]}")
        in page
    )
    glu, gelu = ({row.display_name: row for row in board.ranked()}[name] for name in ("RankMixer+GLU", "RankMixer"))
    ahead = [gelu.test["AUC"].by_seed[seed] > value for seed, value in glu.test["AUC"].by_seed.items()]
    assert ahead == [True] * 6, "the page says six seeds"


def test_the_ledger_is_what_records_and_published_values_say():
    entries = build_ledger(RECORDS, WORKSPACE.results)
    for path in committed("ledger/ledger.*"):
        assert path.read_text() == render_ledger(entries, path.suffix[1:]), path


def test_the_page_of_published_values_is_what_they_say():
    assert committed("ledger/literature.md") or not (ROOT / ".git").exists()
    for path in committed("ledger/literature*.md"):
        metric = path.stem.partition("-")[2] or "AUC"
        assert path.read_text() == render_literature(load_literature(WORKSPACE.results), metric), path


def test_records_were_made_by_committed_code_of_the_configs_that_are_shipped():
    for record in RECORDS:
        assert record.finished, record.experiment
        # The number of a revision stands for code that is committed. What else was changed then can only be configs,
        # and test_the_shipped_configs_are_those_that_were_run compares these.
        is_a_revision = all(name.startswith("revision ") for name in vars(record.code).values())
        assert is_a_revision or record.uncommitted_changes is False, record.experiment
        experiment_id, _, _ = record.experiment.partition("@")
        assert record.model == shipped(experiment_id).model


def shipped(experiment_id: str) -> ExperimentConfig:
    """An experiment's config, or one of a suite for any dataset."""
    return EXPERIMENTS.get(experiment_id) or load_experiment_config(WORKSPACE.configs, experiment_id)


def changed_settings(record, experiment_id) -> dict[str, tuple]:
    """Settings of a record that its experiment's config has otherwise today."""
    return changed(record, shipped(experiment_id))


def changed(record, config) -> dict[str, tuple]:
    now = resolve(config).params
    return {
        name: (value, now[part].get(name))
        for part, settings in record.params.items()
        for name, value in settings.items()
        if now[part].get(name) != value
    }


def test_the_shipped_configs_are_those_that_were_run():
    """Trials and studies too, by the suite that asked for them."""
    for record in RECORDS:
        if record.suite:
            config = experiments_of(record.suite)[record.experiment]
            assert not changed(record, config), (record.experiment, record.seed)
            assert (record.role, record.variant) == (config.role, config.variant), (record.experiment, record.seed)


@cache
def experiments_of(suite: str) -> dict[str, ExperimentConfig]:
    return {config.id: config for config in load_suite(WORKSPACE.configs, suite).experiments}


@pytest.mark.parametrize("name", [name for name in suite_names(WORKSPACE.configs) if name.endswith("_tuning")])
def test_the_shipped_configs_are_those_that_validation_chose(name):
    path = WORKSPACE.results / "leaderboards" / f"{name}.json"
    if not path.exists():
        pytest.skip(f"{path.name} has not been made yet")
    for row in json.loads(path.read_text())["rows"]:
        (chosen,) = (record for record in RECORDS if record.experiment == row["experiment"])
        assert not changed_settings(chosen, row["experiment"].partition("@")[0]), row["experiment"]

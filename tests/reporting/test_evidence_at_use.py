"""Wherever a result is used, it is compared with what was measured: boards, comparisons, site, status, doctor."""

import itertools
import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from fuxi_plugins.analysis import find_evidence as finding
from fuxi_plugins.analysis.comparisons import comparisons
from fuxi_plugins.analysis.find_evidence import find_evidence
from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.labels import find_test_labels
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.experiments.suite import find_suite
from fuxi_plugins.records.files import PREDICTIONS_FILE, RECORD_FILE, find_records, read_record, write_record
from fuxi_plugins.records.metrics import evaluate_metrics
from fuxi_plugins.reporting.boards import suite_board, write_boards
from fuxi_plugins.reporting.notes import notes
from fuxi_plugins.reporting.site.gather import gather
from tests.analysis.make import record
from tests.conftest import write

MODELS = {"Alpha": 2.0, "Beta": 1.9, "Gamma": 0.3, "Delta": 0.2}
SEEDS = (1, 2, 3)


@pytest.fixture
def world(workspace):
    """A board of four models on the prepared tiny data, measured and written."""
    lines = ["Base: {dataset_id: tiny, epochs: 1, batch_size: 100, metrics: [AUC, logloss, gAUC]}"]
    lines += [f"{name}_tiny: {{model: LR, display_name: {name}}}" for name in MODELS]
    write(workspace.configs / "model_config" / "board.yaml", "\n".join(lines) + "\n")
    experiments = ", ".join(f"{name}_tiny" for name in MODELS)
    suite_text = f"title: Board\nexperiments: [{experiments}]\nseeds: [1, 2, 3]\n"
    write(workspace.configs / "suites" / "board.yaml", suite_text)
    spec = load_dataset_spec(workspace.configs, "tiny")
    card = prepare_dataset(spec, workspace).card
    test = find_test_labels(spec, card.fingerprint, workspace)
    random = np.random.default_rng(0)
    shared = random.normal(size=len(test.labels))
    found = SimpleNamespace(workspace=workspace, card=card, test=test, random=random, shared=shared)
    for name, strength in MODELS.items():
        for seed in SEEDS:
            run(found, name, seed, strength)
    suite = find_suite("board", workspace)
    write_boards(suite, [suite_board(suite, "tiny", workspace)], workspace)
    found.suite = suite
    return found


def run(world, name, seed, strength):
    """Leaves the record and predictions of a run."""
    signal = strength * (world.test.labels - 0.5) + world.shared + 0.3 * world.random.normal(size=len(world.shared))
    scores = (1 / (1 + np.exp(-signal))).astype(np.float32)
    metrics = evaluate_metrics(
        world.test.labels, scores.astype(np.float64), ["AUC", "logloss", "gAUC"], world.test.groups
    )
    folder = world.workspace.run_folder("tiny", f"{name}_tiny", seed)
    folder.mkdir(parents=True, exist_ok=True)
    made = record(
        name,
        seed,
        dataset="tiny",
        experiment=f"{name}_tiny",
        data=world.card,
        metrics={"valid": metrics, "test": metrics},
    )
    write_record(folder, made)
    with h5py.File(folder / PREDICTIONS_FILE, "w") as file:
        file["row_id"], file["y_pred"] = np.arange(len(scores)), scores
    return made


def without_data(world):
    """The same results on a machine that has never seen the data."""
    return replace(world.workspace, cache=world.workspace.cache.with_name("empty"))


def change(world, name, seed, metric, by, split="test"):
    path = world.workspace.run_folder("tiny", f"{name}_tiny", seed) / RECORD_FILE
    made = read_record(path)
    metrics = {**made.metrics, split: {**made.metrics[split], metric: made.metrics[split][metric] + by}}
    write_record(path.parent, made.model_copy(update={"metrics": metrics}))


def change_predictions(world, name, seed):
    path = world.workspace.run_folder("tiny", f"{name}_tiny", seed) / PREDICTIONS_FILE
    with h5py.File(path, "r+") as file:
        scores = file["y_pred"][:]
        scores[0] = 0.5 if scores[0] != 0.5 else 0.25
        file["y_pred"][:] = scores


USES = {
    "board": lambda world, place: suite_board(world.suite, "tiny", place),
    "compare": lambda world, place: comparisons("Alpha", "Beta", None, None, place),
}


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("{name: shop, type: categorical", "{name: store, type: categorical"),
        ("group_id: group", "group_id: shop"),
        ("label_col: {name: label", "label_col: {name: clicked"),
    ],
    ids=["a feature", "the groups", "the label"],
)
@pytest.mark.parametrize("use", USES)
def test_a_config_of_the_data_that_was_changed_spoils_no_result(world, use, then, now):
    """Boards and comparisons are about the data that the runs saw."""
    before = USES[use](world, world.workspace)
    config = world.workspace.configs / "dataset_config" / "tiny.yaml"
    assert then in config.read_text()
    changed = config.read_text().replace(then, now)
    if "store" in now:
        changed = changed.replace("share_embedding: shop", "share_embedding: store").replace("[shop]", "[store]")
    config.write_text(changed)
    after = USES[use](world, world.workspace)
    if use == "compare":
        assert after == before
    else:
        assert [row.intervals for row in after.rows] == [row.intervals for row in before.rows]
        assert "The data of tiny were changed after these runs." in after.outdated[0]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("place", [without_data, lambda world: world.workspace], ids=["without data", "with data"])
@pytest.mark.parametrize(
    ("metric", "by", "split"), [("AUC", 1e-9, "test"), ("AUC", 0.07, "test"), ("logloss", 1e-3, "valid")]
)
def test_a_changed_record_is_named(world, use, place, metric, by, split):
    USES[use](world, place(world))
    change(world, "Alpha", 2, metric, by, split)
    with pytest.raises(
        UserError, match=f"the record of Alpha_tiny seed 2 says {split} {metric} .*One of the two was changed"
    ):
        USES[use](world, place(world))


@pytest.mark.parametrize("use", USES)
def test_changed_predictions_are_named(world, use):
    change_predictions(world, "Beta", 3)
    with pytest.raises(UserError, match="predictions of Beta_tiny seed 3 are not those that were measured: sha256"):
        USES[use](world, without_data(world))
    with pytest.raises(UserError, match="record of Beta_tiny seed 3 says test .*, but its predictions give"):
        USES[use](world, world.workspace)


def test_a_record_and_its_kept_evidence_changed_together_are_found_by_the_data(world):
    change(world, "Alpha", 1, "AUC", 0.05)
    path = world.workspace.results / "leaderboards" / "board.statistics.json"
    text = json.loads(path.read_text())
    text["runs"]["Alpha_tiny"]["1"]["metrics"]["test"]["AUC"] += 0.05
    path.write_text(json.dumps(text))
    suite_board(world.suite, "tiny", without_data(world))  # nobody could know
    with pytest.raises(UserError, match="Alpha_tiny seed 1 says test AUC .*, but its predictions give"):
        suite_board(world.suite, "tiny", world.workspace)


def test_a_run_that_was_repeated_is_measured_anew(world):
    before = suite_board(world.suite, "tiny", world.workspace)
    run(world, "Gamma", 1, 1.5)
    after = suite_board(world.suite, "tiny", world.workspace)
    assert after.evidence.runs["Gamma_tiny"][1] != before.evidence.runs["Gamma_tiny"][1]
    assert after.evidence.runs["Gamma_tiny"][2] == before.evidence.runs["Gamma_tiny"][2]


def test_what_was_measured_once_is_not_measured_again(world, monkeypatch):
    def never(*_):
        raise AssertionError("measured again")

    monkeypatch.setattr(finding, "measure_evidence", never)
    suite_board(world.suite, "tiny", world.workspace)
    run(world, "Gamma", 1, 1.5)
    with pytest.raises(AssertionError, match="measured again"):
        suite_board(world.suite, "tiny", world.workspace)


def test_missing_predictions_leave_the_kept_evidence(world):
    (world.workspace.run_folder("tiny", "Alpha_tiny", 1) / PREDICTIONS_FILE).unlink()
    for place in (world.workspace, without_data(world)):
        assert suite_board(world.suite, "tiny", place).evidence is not None
    shutil.rmtree(world.workspace.results / "leaderboards")
    runs = {"Alpha_tiny": [r for r in find_records(world.workspace.results) if r.display_name == "Alpha"]}
    assert find_evidence([], runs, world.workspace).evidence is None


@pytest.mark.parametrize("place", [without_data, lambda world: world.workspace], ids=["without data", "with data"])
def test_the_site_leaves_the_row_out_and_says_why(world, place):
    change(world, "Alpha", 2, "AUC", 0.07)
    (named,) = (one for one in gather(place(world)).boards if one.suite == "board")
    assert {row.display_name for row in named.board.ranked()} == {"Beta", "Gamma", "Delta"}
    (left,) = (row for row in named.board.rows if not row.rank)
    assert left.display_name == "Alpha"
    assert left.problems[0].startswith("left out: the record of Alpha_tiny seed 2 says test AUC")


def call(world, *arguments):
    folders = ["--configs", str(world.workspace.configs), "--results", str(world.workspace.results)]
    return CliRunner().invoke(main, [*folders, *arguments])


def test_status_and_doctor_name_the_record(world):
    assert "12 done" in call(world, "status", "board").output
    assert "seed" not in call(world, "status", "board").output
    assert "all as boards measured them" in call(world, "doctor").output
    change(world, "Alpha", 2, "AUC", 1e-9)
    said = "the record of Alpha_tiny seed 2 says test AUC"
    assert said in call(world, "status", "board").output
    result = call(world, "doctor")
    assert said in " ".join(result.output.split())
    assert result.exit_code == 1


@pytest.mark.parametrize("place", [without_data, lambda world: world.workspace], ids=["without data", "with data"])
def test_a_run_that_was_copied_to_another_seed_is_named(world, place):
    folders = [world.workspace.run_folder("tiny", "Alpha_tiny", seed) for seed in (1, 4)]
    shutil.copytree(*folders)
    write_record(folders[1], read_record(folders[1] / RECORD_FILE).model_copy(update={"seed": 4}))
    said = "seeds 1 and 4 are copies of one run, so they say nothing of the noise between seeds."
    repeat = "fuxibench run Alpha_tiny --seeds 4 --force trains all but the first."
    assert not [line for line in notes(suite_board(world.suite, "tiny", place(world))) if "copies" in line]
    board = suite_board(find_suite("board", world.workspace, [1, 2, 3, 4]), "tiny", place(world))
    assert f"⚠ Alpha: {said} {repeat}" in notes(board)
    result = call(world, "doctor")
    assert f"WRONG Alpha_tiny: {said} {repeat}" in result.output
    assert result.exit_code == 1


def test_doctor_names_boards_of_an_older_method(world):
    path = world.workspace.results / "leaderboards" / "board.statistics.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "method": 1}))
    assert "measured by an older method: board.statistics.json" in " ".join(call(world, "doctor").output.split())


# --- compare says what the board says ---


@pytest.mark.parametrize("place", [without_data, lambda world: world.workspace], ids=["without data", "with data"])
def test_a_comparison_is_the_boards(world, place):
    board = suite_board(world.suite, "tiny", place(world))
    rows = {row.display_name: row for row in board.ranked()}
    for a, b in (("Alpha", "Beta"), ("Alpha", "Gamma"), ("Delta", "Beta"), ("Gamma", "Delta")):
        (found,) = comparisons(a, b, None, None, place(world))
        ours, theirs = found.difference, board.difference(rows[a], rows[b])
        assert (ours.significant, found.board, found.pairs) == (theirs.significant, "board", 6)
        assert ours.effect == pytest.approx(theirs.effect)
        assert ours.adjusted_p == pytest.approx(theirs.adjusted_p)
        assert "adjusted for the 6 pairs of board" in found.sentence


def test_a_comparison_of_other_seeds_than_the_boards_says_so(world):
    run(world, "Alpha", 4, 2.0)
    (found,) = comparisons("Alpha", "Beta", None, None, world.workspace)
    assert (found.board, found.seeds) == ("board", (3, 3))
    assert "board has 6 of the 7 finished runs of the two; the others are not counted." in found.caveats


def test_a_missing_run_of_another_row_changes_no_verdict_s_noise(world):
    """The sampling of test rows is still counted, on the board and by compare."""
    place = without_data(world)
    (before,) = comparisons("Alpha", "Beta", None, None, place)
    shutil.rmtree(place.run_folder("tiny", "Delta_tiny", 3))
    (found,) = comparisons("Alpha", "Beta", None, None, place)
    assert (found.units, found.pairs) == (before.units, before.pairs)
    board = suite_board(world.suite, "tiny", place)
    assert board.evidence is not None
    delta, alpha = (next(row for row in board.rows if row.display_name == name) for name in ("Delta", "Alpha"))
    assert alpha.calibration
    assert not delta.calibration  # which was measured of three seeds


def test_nothing_is_called_significant_without_the_labels(world):
    place = without_data(world)
    for path in (place.results / "leaderboards").glob("*.statistics.json"):
        path.unlink()
    said = {
        a + b: comparisons(a, b, None, None, place)[0] for a, b in itertools.combinations(("Alpha", "Beta", "Gamma"), 2)
    }
    assert any(found.difference.significant for found in said.values())
    for found in said.values():
        assert "significantly better" not in found.sentence
        assert "significantly worse" not in found.sentence
        assert "apparently" in found.sentence or not found.difference.significant


def test_boards_that_decide_otherwise_are_named(world, monkeypatch):
    """A second board with three of the four rows: the larger one decides, and says what the other would."""
    suite_text = "title: Small\nexperiments: [Alpha_tiny, Beta_tiny, Gamma_tiny]\nseeds: [1, 2, 3]\n"
    write(world.workspace.configs / "suites" / "small.yaml", suite_text)
    small = find_suite("small", world.workspace)
    write_boards(small, [suite_board(small, "tiny", world.workspace)], world.workspace)
    (found,) = comparisons("Alpha", "Gamma", None, None, world.workspace)
    assert found.board == "board"
    assert not any("decide otherwise" in caveat for caveat in found.caveats)
    from fuxi_plugins.analysis import comparisons as module

    def only_on_the_large(a, b, metric, evidence, rows=None, board=""):
        one = compare(a, b, metric, evidence, rows, board)
        differs = board == "board"
        return replace(one, difference=replace(one.difference, significant=differs))

    compare = module.compare
    monkeypatch.setattr(module, "compare", only_on_the_large)
    (found,) = comparisons("Alpha", "Gamma", None, None, world.workspace)
    assert found.difference.significant
    assert found.caveats[-1].startswith(
        "Other boards decide otherwise: not significantly different from on small (3 pairs)."
    )

"""A board's predictions in one file: what comes out is what went in, and the board that follows is the same."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import CACHE_VARIABLE
from fuxi_plugins.experiments.suite import find_suite
from fuxi_plugins.records.predictions import read_predictions
from fuxi_plugins.records.record import FinishedRun
from fuxi_plugins.reporting.boards import suite_board, write_boards
from fuxi_plugins.reporting.formats import FORMATS, render
from fuxi_plugins.submissions import store
from tests.conftest import make_workspace
from tests.submissions.make import write_runs

RUNS = [(name, seed) for name in ("DNN_tiny", "LR_tiny") for seed in (1, 2)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A workspace with the runs of its board, which is written."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        workspace = make_workspace(tmp_path_factory.mktemp("made"), monkeypatch)
        write_runs(workspace, "LR", "LR_tiny", 0.1, suite="tiny_suite")
        write_runs(workspace, "DNN", "DNN_tiny", 0.12, suite="tiny_suite")
        suite = find_suite("tiny_suite", workspace)
        write_boards(suite, [suite_board(suite, "tiny", workspace)], workspace)
        yield workspace


@pytest.fixture(scope="module")
def packed(made, tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "tiny.parquet"
    said = call(made, "predictions", "pack", "tiny_suite", "--output", path)
    assert "4 runs of 2 rows on tiny, 300 test rows" in said
    assert "Licence: Apache-2.0" in said
    return path


def call(workspace, *arguments, code=0):
    folders = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    found = CliRunner().invoke(main, [*folders, *map(str, arguments)], env={CACHE_VARIABLE: str(workspace.cache)})
    assert found.exit_code == code, found.output
    return found.output


def boards(workspace):
    suite = find_suite("tiny_suite", workspace)
    board = suite_board(suite, "tiny", workspace)
    return {form: render(board, suite.title, form) for form in FORMATS}


def test_what_comes_out_is_what_went_in(made, packed, tmp_path):
    there = replace(made, results=tmp_path / "results")
    unpacked = store.unpack(packed, there)
    assert unpacked.written == 4
    assert unpacked.evidence
    for experiment, seed in RUNS:
        ours, theirs = (one.run_folder("tiny", experiment, seed) for one in (made, there))
        assert (ours / "record.json").read_bytes() == (theirs / "record.json").read_bytes()
        scores = [read_predictions(folder / "predictions.h5", 300) for folder in (ours, theirs)]
        assert scores[0].dtype == scores[1].dtype == np.float32
        assert np.array_equal(*scores)
    assert store.unpack(packed, there).written == 0


def test_with_the_labels_everything_is_worked_out_again(made, packed, tmp_path):
    """Boards with intervals, letters and calibration, and the ensembles below them."""
    there = replace(made, results=tmp_path / "results")
    assert "The labels are here" in call(there, "predictions", "unpack", packed)
    (there.results / "leaderboards" / "tiny_suite.statistics.json").unlink()  # so that nothing kept can help
    assert boards(there) == boards(made)
    ours, theirs = (call(one, "leaderboard", "tiny_suite", "--ensembles") for one in (made, there))
    assert "ensemble" in ours.casefold()
    assert theirs.replace(str(there.results), str(made.results)) == ours


def test_without_the_labels_the_board_comes_from_what_was_measured(made, packed, tmp_path):
    there = replace(made, results=tmp_path / "results", cache=tmp_path / "cache")
    said = call(there, "predictions", "unpack", packed)
    assert "labels of tiny are not here" in said
    assert "Ensembles need them" in said
    assert boards(there) == boards(made)


def test_a_file_without_evidence_says_which_tables_need_the_labels(made, tmp_path):
    bare = replace(made, results=tmp_path / "bare")
    bare.results.mkdir()
    (bare.results / "runs").symlink_to(made.results / "runs")
    path = tmp_path / "bare.parquet"
    assert "Not in it: what the labels say" in call(bare, "predictions", "pack", "tiny_suite", "-o", path)
    there = replace(made, results=tmp_path / "results", cache=tmp_path / "cache")
    assert "Boards count only the noise between seeds" in call(there, "predictions", "unpack", path)


def test_neither_labels_nor_features_are_in_the_file(packed):
    assert pq.read_schema(packed).names == ["row_id", *(f"{name}/seed-{seed}" for name, seed in RUNS)]
    for run in store.read_manifest(packed).runs:
        assert set(json.loads(run.record)) <= set(FinishedRun.model_fields)


def test_no_torch_is_needed(made, packed, tmp_path):
    program = "import sys; sys.modules['torch'] = None; from fuxi_plugins.cli.main import main; main()"
    folders = ["--configs", str(made.configs), "--results", str(tmp_path / "results")]
    for command in (["predictions", "unpack", str(packed)], ["leaderboard", "tiny_suite"]):
        done = subprocess.run(
            [sys.executable, "-c", program, *folders, *command], capture_output=True, text=True, check=False,
            env={**os.environ, CACHE_VARIABLE: str(tmp_path / "cache")},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert "DNN" in done.stdout


def rewritten(packed, path, change):
    """The file with another table or manifest."""
    table = pq.read_table(packed)
    pq.write_table(change(table), path)
    return path


def with_manifest(table, **changes):
    found = json.loads(table.schema.metadata[store.KEY])
    return table.replace_schema_metadata({store.KEY: json.dumps(found | changes)})


def as_experiment(table, name):
    """The first run under another name."""
    first, *others = json.loads(table.schema.metadata[store.KEY])["runs"]
    first["record"] = first["record"].replace('"experiment": "DNN_tiny"', f'"experiment": "{name}"')
    first["column"] = f"{name}/seed-1"
    renamed = with_manifest(table, runs=[first, *others])
    names = ["row_id", first["column"], *table.column_names[2:]]
    return renamed.rename_columns(names).replace_schema_metadata(renamed.schema.metadata)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace_schema_metadata({}), "is another parquet file"),
        (lambda t: t.drop_columns(["LR_tiny/seed-2"]), "its columns are not those of the runs"),
        (lambda t: t.slice(1), "or not of 300 rows"),
        (lambda t: t.set_column(1, t.column_names[1], pa.array(np.full(300, 1.5, np.float32))), "between 0 and 1"),
        (lambda t: t.set_column(0, "row_id", pa.array(np.arange(300, dtype=np.int32)[::-1])), "row_id must count"),
        (lambda t: with_manifest(t, board="../../up"), "cannot be the name of a board"),
        (lambda t: with_manifest(t, fingerprint="0" * 64), "is not of the data that the file names"),
        (lambda t: as_experiment(t, "../../up"), "damaged|cannot be the name"),
        (lambda t: with_manifest(t, runs=[]), "cannot be read"),
    ],
)
def test_a_file_that_is_not_right_is_refused_and_nothing_is_written(made, packed, tmp_path, change, message):
    path = rewritten(packed, tmp_path / "other.parquet", change)
    there = replace(made, results=tmp_path / "results")
    with pytest.raises(UserError, match=message):
        store.unpack(path, there)
    assert not there.results.exists()


def test_no_parquet_at_all_and_another_run_in_the_place_are_told(made, packed, tmp_path):
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(UserError, match="cannot be read"):
        store.unpack(tmp_path / "text.parquet", made)
    there = replace(made, results=tmp_path / "results")
    store.unpack(packed, there)
    record = there.run_folder("tiny", "LR_tiny", 1) / "record.json"
    record.write_text(record.read_text().replace("LR_tiny", "LR_other"))
    with pytest.raises(UserError, match="is the record of another run"):
        store.unpack(packed, there)
    with pytest.raises(UserError, match="has no finished run"):
        store.pack("none", [], None, "", made, tmp_path / "none.parquet")

"""What others send stands on a board: ranked where it was verified, and below the ranking where it was not."""

import csv
import hashlib
import io
import json
import shutil
import zipfile
from dataclasses import replace

import pytest
from click.testing import CliRunner

from fuxi_plugins.analysis.comparisons import comparisons
from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.experiments.suite import find_suite
from fuxi_plugins.records.files import find_records, read_record, write_record
from fuxi_plugins.records.record import FinishedRun, make_record
from fuxi_plugins.reporting.boards import suite_board
from fuxi_plugins.reporting.formats import render
from fuxi_plugins.submissions import bundle
from fuxi_plugins.submissions.admit import add
from tests.conftest import make_workspace
from tests.submissions.make import write_runs


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A workspace with the runs of its suite, and those of another model with the same data and metrics."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        workspace = make_workspace(tmp_path_factory.mktemp("made"), monkeypatch)
        write_runs(workspace, "LR", "LR_tiny", 0.1, suite="tiny_suite")
        write_runs(workspace, "DNN", "DNN_tiny", 0.12, suite="tiny_suite")
        write_runs(workspace, "FM", "FM_tiny_as_tiny_suite", 0.3, suite="tiny_suite")
        yield workspace


@pytest.fixture
def here(made, tmp_path):
    """The same workspace as another person has it: the suite's runs alone."""
    workspace = replace(made, results=tmp_path / "results")
    for name in ("LR_tiny", "DNN_tiny"):
        shutil.copytree(made.results / "runs" / "tiny" / name, workspace.results / "runs" / "tiny" / name)
    return workspace


@pytest.fixture
def sent(made, tmp_path):
    path = tmp_path / "FM.zip"
    bundle.pack("FM_tiny_as_tiny_suite", made, path, "Ann")
    return path


def call(workspace, *arguments, code=0):
    folders = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    result = CliRunner().invoke(main, [*folders, *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.output


def board_of(workspace, **how):
    return suite_board(find_suite("tiny_suite", workspace), "tiny", workspace, **how)


def test_a_verified_row_is_ranked_and_compared_and_names_who_sent_it(here, made, sent):
    assert "added to tiny_suite as verified: FM on tiny, seeds 1, 2" in call(
        here, "submit", "add", sent, "--board", "tiny_suite"
    )
    board = board_of(here)
    row = next(row for row in board.rows if row.display_name == "FM")
    assert row.rank is not None
    assert row.letters
    assert (row.submitted_by, row.hparam_source, board.unverified) == ("Ann", "submitted", [])
    assert "recomputed from their predictions: FM (sent by Ann)" in render(board, "T", "md")
    with_own = board_of(made)
    assert [one.display_name for one in with_own.rows if one.submitted_by] == []  # own runs beside it are nobody's
    (flat,) = [one for one in csv.DictReader(io.StringIO(render(board, "T", "csv"))) if one["display_name"] == "FM"]
    assert (flat["tier"], flat["submitted_by"]) == ("verified", "Ann")


def test_an_unverified_row_decides_nothing(here, sent):
    before = board_of(here)
    assert "as unverified" in call(here, "submit", "add", sent, "--board", "tiny_suite", "--unverified")
    after = board_of(here)
    assert after.rows == before.rows  # ranks, letters, intervals and rank ranges are the same
    assert after.inference is not None
    assert after.inference.names == before.inference.names
    assert after.like_the_best() == before.like_the_best()
    (row,) = after.unverified
    assert (row.display_name, row.rank, row.letters, row.rank_range) == ("FM", None, "", None)
    assert {record.experiment for record in find_records(here.results)} == {"LR_tiny", "DNN_tiny"}
    with pytest.raises(UserError, match="FM"):
        comparisons("FM", "LR", "tiny", None, here)
    markdown = render(after, "T", "md")
    assert "FM (unverified)" in markdown
    assert "neither ranked nor compared: FM (sent by Ann)" in markdown
    shown = json.loads(render(after, "T", "json"))
    assert [one["display_name"] for one in shown["unverified"]] == ["FM"]
    assert "FM" not in [one["display_name"] for one in shown["rows"]]
    tiers = {one["display_name"]: one["tier"] for one in csv.DictReader(io.StringIO(render(after, "T", "csv")))}
    assert tiers == {"LR": "own", "DNN": "own", "FM": "unverified"}
    table = render(after, "T", "tex")
    assert "FM" not in "".join(line for line in table.splitlines() if not line.startswith("%"))


def test_an_unverified_row_is_ranked_when_that_is_asked(here, sent):
    add(sent, "tiny_suite", here, verified=False)
    board = board_of(here, rank_unverified=True)
    row = next(row for row in board.rows if row.display_name == "FM")
    assert row.rank is not None
    assert board.evidence is not None  # its predictions are found where they lie
    assert board.unverified == []
    shutil.rmtree(here.results / "leaderboards", ignore_errors=True)
    assert "FM" in call(here, "leaderboard", "tiny_suite", "--rank-unverified")
    assert not (here.results / "leaderboards").exists()  # such a board is not the suite's


def test_a_false_number_is_refused_when_verified_and_shown_as_unverified_otherwise(here, sent, tmp_path):
    def lie(record):
        metrics = {split: {**values, "AUC": 0.99} for split, values in record.metrics.items()}
        return make_record({**record.model_dump(), "metrics": metrics})

    forged = _rewritten(sent, tmp_path / "forged.zip", lie)
    assert "a difference of" in call(here, "submit", "add", forged, "--board", "tiny_suite", code=2)
    assert not here.run_folder("tiny", "FM_tiny_as_tiny_suite", 1).exists()
    add(forged, "tiny_suite", here, verified=False)
    board = board_of(here)
    assert board.unverified[0].test["AUC"].mean == 0.99
    assert "FM" not in [row.display_name for row in board.rows]


def test_what_a_record_says_of_its_own_tier_does_not_count(here, sent, tmp_path):
    def boast(record):
        return record.model_copy(update={"submitted_by": "", "suite": "another", "display_name": "DNN"})

    (first, _) = add(_rewritten(sent, tmp_path / "x.zip", boast), "tiny_suite", here, verified=False)
    assert (first.submitted_by, first.suite) == ("somebody", "tiny_suite")
    assert first.display_name == "DNN (somebody)"  # the name of another row would make them one
    assert len(board_of(here).unverified) == 1


def test_a_folder_is_as_good_as_a_zip(here, sent, tmp_path):
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(sent) as archive:
        archive.extractall(folder)
    assert call(here, "submit", "verify", folder).count("verified: FM") == 2
    assert [one["seed"] for one in json.loads(call(here, "submit", "verify", folder, "--json"))] == [1, 2]
    (folder / "seed-1" / "extra.sh").write_text("rm -rf /")
    assert "no more" in call(here, "submit", "verify", folder, code=2)
    (folder / "seed-1" / "extra.sh").unlink()
    (folder / "seed-1" / "run.log").unlink()
    (folder / "seed-1" / "run.log").symlink_to(sent)
    assert "is a link" in call(here, "submit", "verify", folder, code=2)


def test_what_does_not_fit_a_board_is_refused(here, made, sent, tmp_path):
    def refusal(change):
        with pytest.raises(UserError) as refused:
            add(_rewritten(sent, tmp_path / "x.zip", change), "tiny_suite", here, verified=False)
        return str(refused.value)

    def without(record):
        metrics = {split: {"AUC": values["AUC"]} for split, values in record.metrics.items()}
        return make_record({**record.model_dump(), "metrics": metrics})

    assert "lacks logloss, gAUC" in refusal(without)
    assert "is a trial" in refusal(lambda record: record.model_copy(update={"role": "trial"}))
    other = {"fingerprint": "0" * 64}
    assert "run on other data than tiny_suite" in refusal(
        lambda record: record.model_copy(update={"data": record.data.model_copy(update=other)})
    )
    add(sent, "tiny_suite", here)
    with pytest.raises(UserError, match="seed 1 is here already"):
        add(sent, "tiny_suite", here)
    with pytest.raises(UserError, match="no suite 'tiny_suit'"):
        add(sent, "tiny_suit", here)


def test_a_contributors_name_is_a_name(made, sent, tmp_path):
    with pytest.raises(UserError, match="contributor's name"):
        bundle.pack("FM_tiny_as_tiny_suite", made, tmp_path / "x.zip", "<script>")
    with zipfile.ZipFile(sent) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(files["manifest.json"]) | {"contributor": "<script>"}
    _write(tmp_path / "y.zip", {**files, "manifest.json": json.dumps(manifest).encode()})
    with pytest.raises(UserError, match="names a contributor that is no name"):
        bundle.verify(tmp_path / "y.zip", made)


def _rewritten(path, target, change):
    """The submission with its records changed by an honest liar, who mends the digests, and without a contributor."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    for name in files:
        if name.endswith("record.json"):
            folder = target.parent / "record"
            (folder / "record.json").parent.mkdir(exist_ok=True)
            (folder / "record.json").write_bytes(files[name])
            record = read_record(folder / "record.json")
            assert isinstance(record, FinishedRun)
            files[name] = write_record(folder, change(record)).read_bytes()
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items() if "/" in name}
    digests |= {n: hashlib.sha256(files[n]).hexdigest() for n in ("config.json", "environment.txt")}
    manifest = {"schema": bundle.SCHEMA, "files": digests}
    return _write(target, {**files, "manifest.json": json.dumps(manifest).encode()})


def _write(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_a_table_takes_a_further_row(made):
    arguments = ["table", "--boards", "tiny_suite", "--metrics", "AUC", "--format", "csv"]
    rows = csv.DictReader(io.StringIO(call(made, *arguments, "--with", "FM_tiny_as_tiny_suite")))
    assert {(row["model"], row["board"]) for row in rows} == {(name, "tiny_suite") for name in ("FM", "LR", "DNN")}
    assert "FM" not in call(made, *arguments)
    assert "name boards instead" in call(made, "table", "--datasets", "tiny", "--with", "FM_tiny_as_tiny_suite", code=2)
    assert "but not both" in call(made, *arguments, "--metrics", "tiny:AUC", code=2)

import gc
import shutil
import subprocess
import sys

import pytest
from pydantic import ValidationError

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.differences import differences, require_one_digest
from fuxi_plugins.records.files import find_records, read_record, write_record
from fuxi_plugins.records.parts import Code
from fuxi_plugins.records.record import FailedRun, FinishedRun, Run, SkippedRun, finished_runs, make_record, run_digest
from tests.analysis.make import card, record


def test_a_record_comes_back_as_it_went(tmp_path):
    written = record("A", 3, 0.7)
    assert read_record(write_record(tmp_path, written)) == written


def test_equal_records_give_equal_bytes(tmp_path):
    one, two = (write_record(tmp_path / name, record("A", 3, 0.7)) for name in "ab")
    assert one.read_bytes() == two.read_bytes()


def test_records_are_found_by_dataset(tmp_path):
    for seed in (2, 1):
        write_record(tmp_path / "runs" / "toy" / "A_toy" / f"seed-{seed}", record("A", seed))
    assert [found.seed for found in find_records(tmp_path, "toy")] == [1, 2]
    assert list(find_records(tmp_path, "other")) == []


def test_a_file_that_is_not_the_record_of_its_place_is_named_and_left_out(tmp_path):
    runs = tmp_path / "runs" / "toy" / "A_toy"
    for seed in (1, 2, 3):
        write_record(runs / f"seed-{seed}", record("A", seed))
    shutil.copytree(runs / "seed-1", runs / "seed-1.old")
    shutil.copytree(runs / "seed-1", runs / "seed-7")
    shutil.copytree(runs, tmp_path / "runs" / "toy" / "B_toy")
    edit = runs / "seed-2" / "record.json"
    edit.write_text(edit.read_text().replace('"schema_version"', '"later_version"'))
    edit = runs / "seed-3" / "record.json"
    edit.write_text(edit.read_text().replace('"model": "A"', '"model": "B"'))
    told = []
    assert [found.seed for found in find_records(tmp_path, left_out=told.append)] == [1]
    assert [(one.experiment, one.seed) for one in told] == [
        ("A_toy", -1), ("A_toy", 2), ("A_toy", 3), ("A_toy", 7),
        ("B_toy", 1), ("B_toy", -1), ("B_toy", 2), ("B_toy", 3), ("B_toy", 7),
    ]  # fmt: skip
    assert "seed-1.old" in told[0].reason
    assert "it is a copy or was moved" in told[0].reason
    assert "later_version" in told[1].reason
    assert "changed after the run" in told[2].reason


@pytest.mark.parametrize(
    ("status", "kind"), [("finished", FinishedRun), ("failed", FailedRun), ("skipped", SkippedRun)]
)
def test_a_record_is_of_the_kind_that_its_status_names(tmp_path, status, kind):
    path = write_record(tmp_path, make_record({**record().model_dump(), "status": status}))
    found = read_record(path)
    assert type(found) is kind
    assert finished_runs([found]) == [found] * (kind is FinishedRun)
    assert write_record(tmp_path / "again", found).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", ["data", "best_epoch", "history", "parameters", "seconds", "metrics"])
def test_only_a_finished_run_must_be_whole(name):
    usual = Run.model_fields[name].get_default()
    lacking = {**record().model_dump(), name: usual}
    with pytest.raises(ValidationError, match=name):
        make_record(lacking)
    make_record({**lacking, "status": "failed"})


@pytest.mark.parametrize("split", ["valid", "test"])
def test_a_finished_run_has_metrics_of_both_splits(split):
    whole = record().model_dump()
    with pytest.raises(ValidationError, match=f"but none of {split}"):
        make_record({**whole, "metrics": {**whole["metrics"], split: {}}})


def test_the_error_of_a_broken_record_names_the_field_as_the_file_does(tmp_path):
    path = write_record(tmp_path, record())
    path.write_text(path.read_text().replace('"dense": 1234', '"dense": -1'))
    with pytest.raises(UserError, match=r"is not a record of schema 2: parameters\.dense: "):
        read_record(path)


@pytest.mark.parametrize("text", ["{", "[]", '{"schema_version": 2}', ""])
def test_what_is_not_a_record_is_one_clear_error(tmp_path, text):
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(UserError, match="is not a record of schema 2"):
        read_record(path)


def test_a_cut_record_is_refused(tmp_path):
    path = write_record(tmp_path, record())
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match="is not a record"):
        read_record(path)


def test_another_schema_is_refused(tmp_path):
    path = write_record(tmp_path, record())
    path.write_text(path.read_text().replace('"schema_version": 2', '"schema_version": 1'))
    with pytest.raises(UserError, match=r"is a record of schema 1; .*migrate_records.py"):
        read_record(path)


def test_a_later_schema_is_not_sent_to_the_migration(tmp_path):
    path = write_record(tmp_path, record())
    path.write_text(path.read_text().replace('"schema_version": 2', '"schema_version": 3'))
    with pytest.raises(UserError, match="is not a record of schema 2: schema_version"):
        read_record(path)


def test_a_record_in_another_dataset_s_folder_is_left_out(tmp_path):
    write_record(tmp_path / "runs" / "other" / "A_toy" / "seed-1", record("A", 1))
    told = []
    assert find_records(tmp_path, left_out=told.append) == []
    assert [(one.dataset, one.experiment, one.seed) for one in told] == [("other", "A_toy", 1)]
    assert "holds the record of toy/A_toy/seed-1" in told[0].reason


@pytest.mark.parametrize("collecting", [True, False])
def test_reading_leaves_the_garbage_collector_as_it_was(tmp_path, collecting):
    write_record(tmp_path / "runs" / "toy" / "A_toy" / "seed-1", record("A", 1))
    before = gc.isenabled()
    try:
        (gc.enable if collecting else gc.disable)()
        find_records(tmp_path)
        assert gc.isenabled() == collecting
    finally:
        (gc.enable if before else gc.disable)()


RUN = {"dataset": "toy", "model": "A", "params": {"training": {"epochs": 1}}, "code": Code(model="1", training="1")}


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset": "other"},
        {"model": "B"},
        {"params": {"training": {"epochs": 2}}},
        {"code": Code(model="2", training="1")},
        {"code": Code(model="1", training="2")},
    ],
    ids=str,
)
def test_the_digest_tells_runs_apart_that_differ_in(changes):
    assert run_digest(**RUN) == run_digest(**dict(reversed(RUN.items())))
    assert run_digest(**{**RUN, **changes}) != run_digest(**RUN)


def test_digests_are_the_same_in_every_version():
    """Worked out once; another value means that finished runs are no longer recognised."""
    assert run_digest(**RUN) == "fafaa97d6b81a3880b1b35db6121d3419f9eec1694940f9331f42d117afa9435"


def test_a_record_has_at_most_twenty_metrics():
    many = {f"NDCG(k={k})": 0.5 for k in range(1, 22)}
    with pytest.raises(ValidationError, match="at most 20 metrics, but there are 21"):
        make_record({**record().model_dump(), "metrics": {"valid": many, "test": many}})


@pytest.mark.parametrize("splits", [("train", "test"), ("train", "valid", "test", "extra")])
@pytest.mark.parametrize("name", ["rows", "positive_rate"])
def test_a_data_card_knows_each_split(name, splits):
    with pytest.raises(ValidationError, match="rows and positive_rate are those of train, valid and test"):
        card(**{name: dict.fromkeys(splits, 1)})


def test_runs_that_must_not_be_averaged_are_told_apart():
    one = record("A", 1)
    require_one_digest([one, record("A", 2)])
    edited = record("A", 2, code=Code(model="revision 2", training="revision 1"))
    with pytest.raises(UserError, match=r"seeds 1 and 2 differ: code of the model revision 1 and revision 2\."):
        require_one_digest([one, edited])
    assert differences(one, record("A", params={"model": {"width": 2}, "training": {}})) == ["width not set and 2"]
    assert differences(one, record("A", model="B")) == ["model A and B"]


def test_nan_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="finite number"):
        write_record(tmp_path, record(test=float("nan")))
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_field_is_refused():
    with pytest.raises(ValidationError, match="extra"):
        make_record({**record().model_dump(), "surprise": 1})


@pytest.mark.parametrize(
    "module",
    ["records.files", "analysis.leaderboard", "reporting.formats", "analysis.published", "reporting.terminal",
     "models.registry", "cli.main", "execution.planner", "cli.listing", "experiments.experiment", "datasets.spec"],
)  # fmt: skip
def test_reading_results_needs_neither_torch_nor_fuxictr(module):
    code = (
        "import sys\n"
        "for name in ('torch', 'fuxictr', 'ray', 'polars', 'pandas'): sys.modules[name] = None\n"
        f"import fuxi_plugins.{module}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

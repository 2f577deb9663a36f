import shutil
import subprocess
import sys

import pytest
from pydantic import ValidationError

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.record import Record, find_records, read_record, write_record
from tests.analysis.make import record


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


def test_nan_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="finite number"):
        write_record(tmp_path, record(test=float("nan")))
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_field_is_refused():
    with pytest.raises(ValidationError, match="extra"):
        Record(**{**record().model_dump(), "surprise": 1})


@pytest.mark.parametrize(
    "module",
    ["records.record", "analysis.leaderboard", "reporting.formats", "analysis.published", "reporting.terminal",
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

"""Bad input, tried: each ends in success or in one clear error, never in a traceback or a file elsewhere.

A few cases of each kind run with all tests, always the same; ``--slow`` runs 100,000, each time others.
"""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuxi_plugins.analysis.leaderboard import Cell
from fuxi_plugins.analysis.ranking import build_leaderboard
from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.catalogue import load_dataset_spec, load_dataset_specs
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.execution.leases import Leaser, read_lease
from fuxi_plugins.execution.status import describe_progress
from fuxi_plugins.experiments.catalogue import load_experiment_configs
from fuxi_plugins.experiments.experiment import resolve
from fuxi_plugins.experiments.suite import load_suite
from fuxi_plugins.records.files import find_records, read_record, write_record
from fuxi_plugins.records.predictions import read_predictions, write_predictions
from fuxi_plugins.records.record import Record
from fuxi_plugins.reporting.formats import FORMATS, render
from tests.analysis.make import record
from tests.conftest import TINY_DATASET, TINY_EXPERIMENTS, TINY_SUITE, make_workspace, write_tiny_csv
from tests.fuzz.mutate import ANY_VALUES, ESCAPED, as_bytes, mutated


def cases(fast: int, slow: int):
    return pytest.mark.parametrize("count", [fast, pytest.param(slow, marks=pytest.mark.slow)])


def fuzz(count: int, strategy, check) -> None:
    """Calls ``check`` on ``count`` values and holds it to success or one clear error."""

    @settings(
        max_examples=count,
        derandomize=count < 1000,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def holds(value):
        message = "fine"
        try:
            check(value)
        except UserError as error:
            message = str(error)
        assert len(message.splitlines()) == 1, "a message is one line"
        assert not ESCAPED.exists()

    holds()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One workspace for all cases of this file."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("fuzz")
        patch.chdir(folder)
        yield make_workspace(folder, patch)


@cases(60, 10_000)
def test_experiments(home, count):
    path = home.configs / "model_config" / "tiny.yaml"
    kept = path.read_bytes()

    def check(content):
        path.write_bytes(content)
        for config in load_experiment_configs(home.configs).values():
            resolve(config)

    try:
        fuzz(count, as_bytes(mutated(TINY_EXPERIMENTS)), check)
    finally:
        path.write_bytes(kept)


@cases(60, 10_000)
def test_datasets(home, count):
    path = home.configs / "dataset_config" / "tiny.yaml"
    kept = path.read_bytes()

    def check(content):
        path.write_bytes(content)
        load_dataset_specs(home.configs)

    try:
        fuzz(count, as_bytes(mutated(TINY_DATASET.format(folder="csv"))), check)
    finally:
        path.write_bytes(kept)


@cases(40, 10_000)
def test_suites(home, count):
    path = home.configs / "suites" / "tiny_suite.yaml"
    kept = path.read_bytes()
    text = TINY_SUITE + "    timeout_minutes: 5\n    grid: {learning_rate: [1e-2, 1e-3]}\n"

    def check(content):
        path.write_bytes(content)
        load_suite(home.configs, "tiny_suite")

    try:
        fuzz(count, as_bytes(mutated(text)), check)
    finally:
        path.write_bytes(kept)


@cases(60, 30_000)
def test_records(home, count, tmp_path):
    path = tmp_path / "runs" / "toy" / "A_toy" / "seed-1" / "record.json"
    write_record(path.parent, record())
    text = path.read_text()
    write_record(tmp_path / "runs" / "toy" / "B_toy" / "seed-1", record("B", test=0.8))
    cells = [Cell("toy", f"{display_name}_toy", display_name, 1) for display_name in "AB"]

    def check(content):
        path.write_bytes(content)
        assert isinstance(read_record(path), Record)
        board = build_leaderboard("toy", find_records(tmp_path, "toy"), cells, tmp_path)
        for form in FORMATS:
            render(board, "Fuzz", form)

    fuzz(count, as_bytes(mutated(text, separators='\n :,{}[]"')), check)


@cases(30, 30_000)
def test_leases(count, tmp_path):
    path = Leaser().lease(tmp_path).path
    text = path.read_text()

    def check(content):
        path.write_bytes(content)
        held = read_lease(path)
        if held.owner:
            held.owner.is_gone()
        describe_progress(held.progress)

    fuzz(count, as_bytes(mutated(text, separators=' :,{}"')), check)


@cases(200, 5_000)
def test_predictions(count, tmp_path):
    """Bytes of the HDF5 file are exchanged; whatever HDF5 says of it, it is one message."""
    path = tmp_path / "predictions.h5"
    write_predictions(path, np.linspace(0, 1, 300, dtype=np.float32))
    whole = path.read_bytes()
    damages = st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), min_size=1, max_size=6)

    def check(damage):
        content = bytearray(whole)
        for place, value in damage:
            content[place] = value
        path.write_bytes(content)
        read_predictions(path, 300)

    fuzz(count, damages, check)


@cases(8, 1_000)
def test_dataset_files(home, count):
    spec = load_dataset_spec(home.configs, "tiny")
    path = Path(spec.data_root) / "valid.csv"
    kept = path.read_bytes()
    small = write_tiny_csv(home.cache / "small.csv", rows=12, seed=1).read_text()

    def check(content):
        path.write_bytes(content)
        prepare_dataset(spec, home)

    try:
        fuzz(count, as_bytes(mutated(small, separators="\n,^")), check)
    finally:
        path.write_bytes(kept)


WORDS = [
    "run",
    "list",
    "check",
    "leaderboard",
    "status",
    "data",
    "import",
    "prepare",
    "compare",
    "--help",
    "-h",
    "--version",
    "--seeds",
    "--gpu",
    "--jobs",
    "--threads",
    "--dry-run",
    "--force",
    "--by",
    "--format",
    "--from",
    "--configs",
    "--results",
    "--checkpoint-steps",
    "--all",
    "--dataset",
    "--protocol",
    "--probe",
    "--observe",
    "tiny_suite",
    "LR_tiny",
    "tiny",
    "models",
    "suites",
    "AUC",
    "md",
    "1",
    "0,1",
    "-1",
    "rank",
    "=",
    "--",
    "-",
    "@",
    "tiny_suite@tiny,",
]


@cases(25, 4_000)
def test_arguments(home, count):
    """No run can start, for the data are not there; everything before that can."""
    folder = home.results.parent
    (folder / "csv").rename(folder / "away")
    words = st.lists(st.sampled_from(WORDS) | ANY_VALUES, max_size=7)

    def check(arguments):
        folders = ["--configs", str(home.configs), "--results", str(home.results)]
        result = CliRunner().invoke(main, [*folders, *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), (arguments, result.exception)
        assert result.exit_code in (0, 2), (arguments, result.output)
        assert "Traceback" not in result.output

    try:
        fuzz(count, words, check)
    finally:
        (folder / "away").rename(folder / "csv")

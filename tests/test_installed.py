"""The package without its checkout: the wheel carries the catalogue, and every command answers in an empty folder."""

import os
import shutil
import subprocess
import sys
import zipfile

import click
import pytest

from fuxi_plugins.cli.main import main
from fuxi_plugins.core.workspace import CACHE_VARIABLE
from tests.conftest import ROOT

SOURCES = ("fuxi_plugins", "benchmark_configs", "results/published", "results/speed")
FILES = ("pyproject.toml", "setup.py", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, for building leaves folders behind."""
    source = tmp_path_factory.mktemp("source")
    for folder in SOURCES:
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, source / name)
    build = "from setuptools.build_meta import build_wheel; print(build_wheel('dist'))"
    done = subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = (source / "dist").glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder with the wheel's content, as pip would put it into ``site-packages``."""
    site = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


@pytest.fixture
def call(installed, tmp_path):
    """Runs a command with the installed package, in an empty folder."""
    folder = tmp_path / "empty"
    folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    environment.pop(CACHE_VARIABLE, None)

    def run(*arguments, code=0):
        done = subprocess.run(
            [sys.executable, "-m", "fuxi_plugins", *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout + done.stderr

    run.folder = folder
    return run


def test_the_wheel_holds_every_file_of_the_catalogue_and_of_the_package(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = set()
    for folder in SOURCES:
        inside = "" if folder == "fuxi_plugins" else "fuxi_plugins/catalogue/"
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                expected.add(inside + path.relative_to(ROOT).as_posix())
    assert names == expected
    assert "fuxi_plugins/catalogue/benchmark_configs/suites/quickstart.yaml" in names


def test_the_installed_package_is_the_one_that_is_called(call, installed):
    code = "import fuxi_plugins.core.workspace as w; print(w.CATALOGUE)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=call.folder,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(installed / "fuxi_plugins" / "catalogue")


LISTING = {
    "list suites": "quickstart",
    "list datasets --json": "synthetic",
    "list experiments": "RankElastor_ml100k",
    "list models": "RankMixer",
    "data list": "frappe_x1r",
    "status quickstart": "18 waiting",
    "run ml100k_board --dry-run": "50 of 55 runs took",
    "report ledger --format csv": "Criteo_x1",
    "plan paper_full --dataset criteo_x1": "fuxibench run",
}
# What needs results or files says so in one message.
WITHOUT_RESULTS = {
    "leaderboard quickstart": "'fuxibench run SUITE' trains its rows",
    "table --boards quickstart": "has no finished run yet",
    "across --boards quickstart --out out": "has no finished run yet",
    "compare FM LR": "no run of 'FM' is finished here",
    "power quickstart": "has no finished run yet",
    "splits nycflights13_board nycflights13_random_board": "has no finished run yet",
    "report bars quickstart": "has no finished run yet",
    "report paper": "no run of the paper's suites is finished yet",
    "submit pack LR_synthetic": "no finished run of 'LR_synthetic'",
    "submit import-bars .": "no results.csv is below it",
    "data verify synthetic": "has no published files",
    "data describe mine --from nowhere": "nowhere",
    "data import ml100k --from nowhere": "nowhere",
    "zoo nowhere": "nowhere",
    "join nowhere": "must be HOST:PORT",
    "run-expid --config nowhere --expid X": "must hold model_config.yaml",
    "predictions pack quickstart": "has no finished run",
    "predictions unpack nowhere": "nowhere",
}
# In this order in one folder; the suite is trained whole, so this takes minutes.
WITH_RESULTS = {
    "check": "are valid",
    "status quickstart": "waiting",
    "run quickstart --jobs 2": "18 to run",
    "leaderboard quickstart": "Bayes",
    "show LR_synthetic": "learning_rate",
    "compare FM LR --dataset synthetic": "FM",
    "power quickstart": "AUC",
    "table --boards quickstart": "RankElastor",
    "across --boards quickstart --out out": "files: out",
    "report ledger": "written",
    "report literature": "On Criteo_x1, ",
    "report site": "pages",
    "report bars quickstart": "folders",
    "submit pack LR_synthetic": "submit verify LR_synthetic.zip",
    "submit verify LR_synthetic.zip": "verified",
    "cost LR_synthetic": "FLOP",
    "tune LR_synthetic --trials 1 --jobs 1": "written",
    "data prepare synthetic": "fingerprint",
    "data audit synthetic": "unknown in valid",
    "new synthetic --models LR,FM": "fuxibench run synthetic_common",
    "doctor": "records",
}
ELSEWHERE = {"data fetch": "tests/datasets/test_hub.py", "submit add": "tests/submissions/test_submit_page.py"}


def test_commands_that_read_answer_in_an_empty_folder_and_leave_it_empty(call):
    for command, expected in LISTING.items():
        assert expected in call(*command.split()), command
    assert not list(call.folder.iterdir())


def test_commands_that_need_results_say_so(call):
    for command, expected in WITHOUT_RESULTS.items():
        said = call(*command.split(), code=2)
        assert expected in said, command
        assert said.count("rror: ") == 1, said


def test_every_command_is_called_here():
    called = {*LISTING, *WITH_RESULTS, *WITHOUT_RESULTS, *ELSEWHERE, "init"}
    names = {
        f"{name} {inner}".strip()
        for name, command in main.commands.items()
        for inner in (command.commands if isinstance(command, click.Group) else [""])
    }
    assert names == {name for name in names if any(f"{one} ".startswith(f"{name} ") for one in called)}


def test_own_configs_stand_over_the_shipped_ones(call):
    call("init")
    suite = call.folder / "benchmark_configs" / "suites" / "quickstart.yaml"
    suite.write_text("title: My own\nexperiments: [LR_synthetic]\nseeds: [1]\n")
    assert "My own" in call("list", "suites")
    assert "frappe_board" in call("list", "suites")
    experiments = call.folder / "benchmark_configs" / "model_config" / "mine.yaml"
    experiments.write_text("FM_synthetic: {model: LR, dataset_id: synthetic}\n")
    (line,) = [line for line in call("list", "experiments").splitlines() if line.startswith("FM_synthetic ")]
    assert line.split() == ["FM_synthetic", "LR", "synthetic"]
    shipped = (ROOT / "benchmark_configs" / "dataset_config" / "synthetic.yaml").read_text()
    dataset = call.folder / "benchmark_configs" / "dataset_config" / "synthetic.yaml"
    dataset.write_text(shipped.replace("title: Synthetic", "title: My synthetic"))
    assert "My synthetic" in call("list", "datasets")
    assert "is a workspace already" in call("init", code=2)


@pytest.mark.slow
def test_from_an_empty_folder_to_a_submission(call):
    for command, expected in WITH_RESULTS.items():
        assert expected in call(*command.split()), command
    assert (call.folder / "results" / "leaderboards" / "quickstart.md").exists()
    assert (call.folder / ".cache" / "datasets" / "synthetic").is_dir()

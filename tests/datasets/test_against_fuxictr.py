"""Every id, vocabulary and number of the real samples and of the twins, held against FuxiCTR's own build."""

import gzip
import json
import shutil

import polars as pl
import pytest

from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.sources.acquire import raw_folder
from fuxi_plugins.datasets.sources.install import import_files
from fuxi_plugins.datasets.spec import DatasetSpec
from tests.conftest import ROOT
from tests.datasets.reference import assert_same_ids, fuxictr_build, fuxictr_without_ray
from tests.datasets.test_twins import SMALL, small_spec


@pytest.fixture
def real_workspace(tmp_path):
    return Workspace(ROOT / "benchmark_configs", tmp_path / "results", tmp_path / "cache")


def hold_against_fuxictr(spec, workspace, tmp_path, reference=fuxictr_without_ray):
    prepared = prepare_dataset(spec, workspace)
    assert_same_ids(prepared, reference(spec, raw_folder(spec, workspace), tmp_path))
    for name in ("feature_map.json", "feature_vocab.json"):
        theirs = json.loads((tmp_path / spec.dataset_id / name).read_text())
        assert json.loads((prepared.folder / name).read_text()) == theirs, name


@pytest.mark.slow  # Ray takes its time to start
@pytest.mark.parametrize(("name", "files"), [("frappe_x1r", "frappe_x1r"), ("ml100k", "ml-100k")])
def test_real_data(name, files, real_data, real_workspace, tmp_path):
    spec = load_dataset_spec(real_workspace.configs, name)
    import_files(spec, real_data / files, real_workspace)
    hold_against_fuxictr(spec, real_workspace, tmp_path, fuxictr_build)


@pytest.mark.parametrize("min_count", [10, 2])
def test_the_sample_of_criteo(min_count, real_data, real_workspace, tmp_path):
    for split in ("train", "valid", "test"):
        packed = real_data / "criteo_x4_sample" / f"{split}.csv.gz"
        with gzip.open(packed) as source, (tmp_path / f"{split}.csv").open("wb") as target:
            shutil.copyfileobj(source, target)
    published = load_dataset_spec(real_workspace.configs, "criteo_x4_001")
    own = {"dataset_id": "criteo_sample", "data_root": str(tmp_path), "files": {}, "published_rows": {}}
    hold_against_fuxictr(published.model_copy(update={**own, "min_categr_count": min_count}), real_workspace, tmp_path)


def test_the_sample_of_avazu(real_data, real_workspace, tmp_path):
    """Its ``hour`` is the hour alone, so it is an id like the others here."""
    rows = pl.read_csv(real_data / "avazu_sample15k" / "all.csv.gz", infer_schema=False)
    for split, (start, count) in {"train": (0, 10_000), "valid": (10_000, 2500), "test": (12_500, 2500)}.items():
        rows.slice(start, count).write_csv(tmp_path / f"{split}.csv")
    spec = DatasetSpec(
        dataset_id="avazu_sample",
        title="A sample of Avazu",
        data_root=str(tmp_path),
        **{f"{split}_data": f"{split}.csv" for split in ("train", "valid", "test")},
        min_categr_count=2,
        feature_cols=[
            {"name": [c for c in rows.columns if c != "click"], "type": "categorical", "dtype": "str"},
        ],
        label_col={"name": "click", "dtype": "float"},
    )
    hold_against_fuxictr(spec, real_workspace, tmp_path)


@pytest.mark.parametrize("name", SMALL)
def test_twins(name, real_workspace, tmp_path):
    hold_against_fuxictr(small_spec(name), real_workspace, tmp_path)

"""FuxiCTR's own preprocessing as the reference of what preparation must give."""

import json
import subprocess
import sys

import numpy as np
import polars as pl

from fuxi_plugins.datasets.preprocessing import fuxictr_columns
from fuxi_plugins.datasets.spec import SPLITS
from fuxi_plugins.datasets.store import read_columns

# build_dataset starts Ray, so it runs in a process of its own.
FUXICTR_BUILD = """
import sys, json
from fuxictr.datasets import avazu, criteo, kkbox
from fuxictr.preprocess import build_dataset

class Processor(
    avazu.CustomizedFeatureProcessor, criteo.CustomizedFeatureProcessor, kkbox.CustomizedFeatureProcessor
):
    pass

settings = json.load(open(sys.argv[1]))
build_dataset(Processor(**settings["processor"]), **settings["build"])
"""


def processor_settings(spec, raw, folder) -> dict:
    return {
        "feature_cols": fuxictr_columns(spec, raw),
        "label_col": spec.label_col.as_fuxictr(),
        "dataset_id": spec.dataset_id,
        "data_root": str(folder),
        "group_id": spec.group_id,
    }


def fuxictr_without_ray(spec, raw, folder) -> dict[str, dict[str, np.ndarray]]:
    """What ``build_dataset`` does with FuxiCTR's processor, without the processes that it starts for it."""
    from fuxictr.datasets import avazu, criteo, kkbox
    from fuxictr.preprocess import build_dataset

    class Processor(
        avazu.CustomizedFeatureProcessor, criteo.CustomizedFeatureProcessor, kkbox.CustomizedFeatureProcessor
    ):
        def save_pickle(self, pickle_file):
            """A class inside a function cannot be pickled, and nothing reads it."""

    processor = Processor(**processor_settings(spec, raw, folder))
    frames = {split: processor.preprocess(processor.read_data(str(raw / spec.split_file(split)))) for split in SPLITS}
    merge_meta = sys.modules[build_dataset.__module__].merge_meta_ddf
    meta = merge_meta(processor, frames["train"], frames["valid"], frames["test"])
    processor.fit(frames["train"], meta_ddf=meta, min_categr_count=spec.min_categr_count)
    tables = {split: frame.collect() for split, frame in frames.items()}
    return {
        split: {name: np.asarray(values) for name, values in
                processor.transform({name: table[name].to_numpy() for name in table.columns}).items()}
        for split, table in tables.items()
    }  # fmt: skip


def fuxictr_build(spec, raw, folder) -> dict[str, dict[str, np.ndarray]]:
    """The parquet files that FuxiCTR itself makes of the dataset, by column."""
    settings = {
        "processor": processor_settings(spec, raw, folder),
        "build": {
            **{f"{split}_data": str(raw / spec.split_file(split)) for split in ("train", "valid", "test")},
            "min_categr_count": spec.min_categr_count,
        },
    }
    path = folder / "settings.json"
    path.write_text(json.dumps(settings))
    done = subprocess.run(
        [sys.executable, "-c", FUXICTR_BUILD, str(path)],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    tables = {split: pl.read_parquet(folder / spec.dataset_id / f"{split}.parquet") for split in SPLITS}
    return {split: {name: np.array(table[name].to_list()) for name in table.columns} for split, table in tables.items()}


def assert_same_ids(prepared, reference):
    for split, table in reference.items():
        ours = read_columns(prepared.split_folder(split))
        assert set(ours) == set(table)
        for name, column in ours.items():
            theirs = table[name]
            assert len(column) == len(theirs)
            if column.dtype.kind == "f":
                np.testing.assert_allclose(column, theirs, rtol=1e-6, atol=1e-6, err_msg=f"{split} {name}")
            else:
                np.testing.assert_array_equal(column, theirs, err_msg=f"{split} {name}")

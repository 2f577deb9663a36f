"""Columns of vectors: read alike from every format, refused where they are none, learned by every model."""

import json

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from fuxictr.pytorch.layers import LogisticRegression
from fuxictr.pytorch.models import BaseModel

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.audit import audit
from fuxi_plugins.datasets.catalogue import read_spec
from fuxi_plugins.datasets.describing.describe import describe
from fuxi_plugins.datasets.encoded import as_parquet
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.store import read_columns
from fuxi_plugins.models.registry import is_tree_model, load_model_class, model_names
from fuxi_plugins.training.hosted import TrainerMixin
from fuxi_plugins.training.tree_runs import make_table
from tests.models import tiny

LENGTH = 5
ROWS = 300
RANDOM = np.random.default_rng(7)
# Rounded, so that text holds the numbers whole.
VECTORS = RANDOM.normal(size=(ROWS, LENGTH)).round(3)
MISSING = set(range(0, ROWS, 29))
SHOWN = [None if row in MISSING else list(map(float, VECTORS[row])) for row in range(ROWS)]
OTHERS = {
    "item": [f"i{row % 17}" for row in range(ROWS)],
    "click": [int(vector @ np.arange(LENGTH) > 0) for vector in VECTORS],
}
EXPECTED = np.where(np.isin(np.arange(ROWS), list(MISSING))[:, None], 0, VECTORS).astype(np.float32)


def frame(vectors) -> pl.DataFrame:
    return pl.DataFrame({"image": vectors, **OTHERS}, strict=False)


def write_fixed(path):
    image = pa.array(SHOWN, pa.list_(pa.float32(), LENGTH))
    pq.write_table(pa.table({"image": image, **OTHERS}), path, row_group_size=70)


def write_jsonl(path):
    rows = [{"image": image, **{name: OTHERS[name][row] for name in OTHERS}} for row, image in enumerate(SHOWN)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_text(path, form):
    frame([None if image is None else form(image) for image in SHOWN]).write_csv(path)


WRITE = {
    "list.parquet": lambda path: frame(SHOWN).write_parquet(path),
    "fixed.parquet": write_fixed,
    "lines.arrow": lambda path: frame(SHOWN).write_ipc(path),
    "lines.jsonl": write_jsonl,
    "json.csv": lambda path: write_text(path, json.dumps),
    "numpy.csv": lambda path: write_text(path, lambda image: str(np.array(image)).replace("\n", "")),
    "spaces.csv": lambda path: write_text(path, lambda image: " ".join(map(str, image))),
    "bars.csv": lambda path: write_text(path, lambda image: "|".join(map(str, image))),
}


def prepared(folder, entry):
    return prepare_dataset(read_spec("mine", entry, folder), Workspace(folder, folder, folder / "cache"))


def stored(data) -> np.ndarray:
    """The vectors of all splits, in the order of the file."""
    return np.concatenate([read_columns(data.split_folder(split))["image"] for split in ("train", "valid", "test")])


@pytest.mark.parametrize("name", WRITE)
def test_every_format_gives_the_same_vectors(tmp_path, name):
    WRITE[name](tmp_path / name)
    entry = describe("mine", tmp_path / name).entry
    (image,) = (column for column in entry["feature_cols"] if column["name"] == "image")
    assert (image["type"], image["pretrain_dim"]) == ("embedding", LENGTH)
    entry["split"] = {"by": "order", "valid": 0.2, "test": 0.2}
    np.testing.assert_array_equal(stored(prepared(tmp_path, entry)), EXPECTED)


def test_the_type_that_fuxictrs_demo_gives_vectors_is_taken(tmp_path):
    frame(SHOWN).write_parquet(tmp_path / "rows.parquet")
    image = {"name": "image", "type": "embedding", "dtype": "list", "pretrain_dim": LENGTH}
    split = {"by": "order", "valid": 0.2, "test": 0.2}
    entry = describe("mine", tmp_path / "rows.parquet").entry | {"feature_cols": [image], "split": split}
    for group in ("group_id", "cluster_id"):
        entry.pop(group, None)
    np.testing.assert_array_equal(stored(prepared(tmp_path, entry)), EXPECTED)


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ([0.5] * (LENGTH - 1), "row 8: column 'image' must hold a vector of pretrain_dim=5 finite numbers, but holds"),
        ([0.5] * (LENGTH - 1) + [float("nan")], "row 8: column 'image' must hold a vector of"),
        ([0.5] * (LENGTH - 1) + [1e39], "row 8: column 'image' must hold a vector of"),
        ([0.5] * (LENGTH - 1) + [None], "row 8: column 'image' must hold a vector of"),
    ],
)
def test_what_is_no_vector_is_refused(tmp_path, odd, said):
    frame(SHOWN).write_parquet(tmp_path / "rows.parquet")
    entry = describe("mine", tmp_path / "rows.parquet").entry
    frame([*SHOWN[:7], odd, *SHOWN[8:]]).write_parquet(tmp_path / "rows.parquet")
    with pytest.raises(UserError, match=said):
        prepared(tmp_path, entry)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "needs dtype: float and pretrain_dim"),
        ({"pretrain_dim": 3, "dtype": "str"}, "needs dtype: float and pretrain_dim"),
        ({"pretrain_dim": 3, "normalizer": "StandardScaler"}, "has no normalizer; a missing vector is zeros"),
        ({"type": "numeric", "dtype": "list"}, "dtype: list is of columns of type embedding, but image is numeric"),
        ({"pretrain_dim": 3, "fill_na": 0.0}, "has no fill_na; a missing vector is zeros"),
    ],
)
def test_a_config_says_how_long_vectors_are_and_nothing_of_ids(tmp_path, settings, said):
    image = {"name": "image", "type": "embedding", "dtype": "float", **settings}
    frame(SHOWN).write_parquet(tmp_path / "rows.parquet")
    entry = describe("mine", tmp_path / "rows.parquet").entry | {"feature_cols": [image]}
    with pytest.raises(UserError, match=said):
        read_spec("mine", entry, tmp_path)


@pytest.mark.parametrize("odd", [[0.5], [0.5] * (LENGTH - 1) + [float("inf")]])
def test_lists_that_are_no_vectors_are_left_out(tmp_path, odd):
    frame([odd, *SHOWN[1:]]).write_parquet(tmp_path / "rows.parquet")
    described = describe("mine", tmp_path / "rows.parquet")
    (image,) = (column for column in described.entry["feature_cols"] if column["name"] == "image")
    assert image["active"] is False
    assert any("differ in length or hold what is no number: image" in remark for remark in described.remarks)


def test_encoded_files_may_hold_vectors(tmp_path):
    ids = np.arange(1, ROWS + 1) % 9
    np.savez(tmp_path / "rows.npz", item=ids, image=EXPECTED, click=np.array(OTHERS["click"], np.float32))
    features = [
        {"item": {"source": "", "type": "categorical", "vocab_size": 10}},
        {"image": {"source": "", "type": "embedding", "pretrain_dim": LENGTH}},
    ]
    (tmp_path / "feature_map.json").write_text(json.dumps({"features": features, "labels": ["click"]}))
    files, settings = as_parquet({"train": tmp_path / "rows.npz"}, tmp_path / "feature_map.json", tmp_path / "made")
    entry = {"title": "", "data_root": str(tmp_path), "min_categr_count": 1, **settings}
    entry["train_data"] = str(files["train"].relative_to(tmp_path))
    entry["split"] = {"by": "order", "valid": 0.2, "test": 0.2}
    np.testing.assert_array_equal(stored(prepared(tmp_path, entry)), EXPECTED)


def test_trees_see_the_numbers_one_by_one_and_the_audit_the_one_that_moved_most(tmp_path):
    moving = [image and [*image[:-1], float(row)] for row, image in enumerate(SHOWN)]
    frame(moving).write_parquet(tmp_path / "r.parquet")
    entry = describe("mine", tmp_path / "r.parquet").entry | {"split": {"by": "order", "valid": 0.2, "test": 0.2}}
    data = prepared(tmp_path, entry)
    columns = read_columns(data.split_folder("train"))
    table = make_table(data, columns, "summary")
    assert table.values.shape[1] == LENGTH + 1
    assert table.categorical == [LENGTH]
    np.testing.assert_array_equal(table.values[:, :LENGTH], columns["image"])
    workspace = Workspace(tmp_path, tmp_path, tmp_path / "cache")
    assert audit(data, workspace).columns["image"].drift > 0.9


@pytest.fixture(scope="module")
def with_vectors():
    """The tiny feature map with a column of vectors, and a batch of it."""
    features = {**tiny.feature_map().features}
    features["image"] = {"source": "item", "type": "embedding", "pretrain_dim": LENGTH}
    batch = tiny.columns(32) | {"image": torch.randn(32, LENGTH, generator=torch.Generator().manual_seed(3))}
    return lambda width: tiny.make_feature_map("tiny", features, width, group_id="group"), batch


@pytest.mark.parametrize("name", [name for name in model_names() if not is_tree_model(name)])
def test_every_model_learns_from_vectors(name, with_vectors):
    make_map, batch = with_vectors
    model_class = load_model_class(name)
    settings = getattr(model_class, "small_settings", {})
    model = tiny.build(model_class, make_map(settings.get("embedding_dim", 10)), **settings)
    model.eval()
    for parameter in model.parameters():  # embeddings start near zero, where products have no gradient to speak of
        if parameter.requires_grad and parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.1)
    image = batch["image"].clone().requires_grad_()
    model(batch | {"image": image})["y_pred"].sum().backward()
    assert (image.grad.abs().sum(dim=0) > 0).all(), "each number of the vector must matter"


class OnlyLinear(BaseModel):
    """FuxiCTR's own first-order part, as models of its zoo have it."""

    def __init__(self, feature_map, model_id="OnlyLinear", gpu=-1, learning_rate=1e-3, **kwargs):
        super().__init__(feature_map, model_id=model_id, gpu=gpu, **kwargs)
        self.lr_layer = LogisticRegression(feature_map, use_bias=True)
        self.compile(kwargs["optimizer"], kwargs["loss"], learning_rate)
        self.reset_parameters()
        self.model_to_device()

    def forward(self, inputs):
        return {"y_pred": self.lr_layer(self.get_inputs(inputs))}


def test_fuxictrs_linear_part_is_linear_in_the_numbers(with_vectors):
    make_map, batch = with_vectors
    with pytest.raises(RuntimeError, match="stack"):  # what is mended here
        tiny.build(OnlyLinear, make_map(10))(batch)
    model = tiny.build(type("Hosted", (TrainerMixin, OnlyLinear), {}), make_map(10))
    zeros = {"image": torch.zeros_like(batch["image"])}
    (weights,) = (encoder.weight for encoder in model.lr_layer.embedding_layer.embedding_layer.feature_encoders.values()
                  if isinstance(encoder, torch.nn.Linear))  # fmt: skip
    with torch.no_grad():
        linear = model(batch)["y_pred"] - model(batch | zeros)["y_pred"]
    torch.testing.assert_close(linear, batch["image"] @ weights.T)
    assert any(weights is parameter for group in model.optimizer.param_groups for parameter in group["params"])

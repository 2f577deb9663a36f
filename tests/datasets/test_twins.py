"""Twins: the raw format to the letter, labels really drawn from the truth, and the truth visible in the row."""

import csv
import hashlib
import json
from collections import Counter
from datetime import date
from itertools import pairwise

import h5py
import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.sources.acquire import raw_folder
from fuxi_plugins.datasets.spec import DatasetSpec
from fuxi_plugins.datasets.store import read_columns
from fuxi_plugins.datasets.synthetic.planted import auc
from fuxi_plugins.datasets.synthetic.twins.criteo_x1 import (
    CATEGORIES,
    FIRST_ID,
    NUMBERS,
    CriteoTwin,
    build_criteo_x1,
)
from fuxi_plugins.datasets.synthetic.twins.engine import Truth, generator, power_law
from fuxi_plugins.datasets.synthetic.twins.kuaivideo_x1 import KuaiVideoTwin
from fuxi_plugins.datasets.synthetic.twins.taobaoad_x1 import TaobaoAdTwin
from fuxi_plugins.records.metrics import evaluate_metrics
from tests.conftest import ROOT

SMALL = {
    "criteo_x1_twin": {"seed": 3, "rows": [3000, 500, 6000]},
    "avazu_x4_twin": {"seed": 3, "rows": [3000, 500, 6000]},
    "kuaivideo_x1_twin": {"seed": 3, "rows": [3000, 6000], "users": 60, "items": 300},
    "taobaoad_x1_twin": {"seed": 3, "rows": [3000, 6000], "users": 60, "ads": 300},
}
HEADERS = {
    "criteo_x1_twin": ",".join(["label", *(f"I{i}" for i in range(1, 14)), *(f"C{i}" for i in range(1, 27))]),
    "avazu_x4_twin": "id,click,hour,C1,banner_pos,site_id,site_domain,site_category,app_id,app_domain,app_category,"
    "device_id,device_ip,device_model,device_type,device_conn_type,C14,C15,C16,C17,C18,C19,C20,C21",
    "kuaivideo_x1_twin": "timestamp,user_id,item_id,is_click,is_like,is_follow,pos_items,neg_items",
    "taobaoad_x1_twin": "clk,btag_his,cate_his,brand_his,userid,cms_segid,cms_group_id,final_gender_code,age_level,"
    "pvalue_level,shopping_level,occupation,new_user_class_level,adgroup_id,cate_id,campaign_id,customer,brand,price,"
    "pid,btag",
}
RATES = {"criteo_x1_twin": 0.256, "avazu_x4_twin": 0.170, "kuaivideo_x1_twin": 0.20, "taobaoad_x1_twin": 0.05}


def small_spec(name: str) -> DatasetSpec:
    spec = load_dataset_spec(ROOT / "benchmark_configs", name)
    return spec.model_copy(update={"build_args": SMALL[name]})


@pytest.fixture(scope="module")
def small_workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("twins")
    return Workspace(ROOT / "benchmark_configs", folder / "results", folder / "cache")


@pytest.fixture(scope="module", params=SMALL)
def twin(request, small_workspace):
    """(name, folder of raw files, the rows of test.csv as dicts of text)"""
    folder = raw_folder(small_spec(request.param), small_workspace)
    with (folder / "test.csv").open(newline="") as file:
        return request.param, folder, list(csv.DictReader(file))


def test_columns_are_the_datasets_in_their_order(twin):
    name, folder, rows = twin
    for split in ("train", "test"):
        assert (folder / f"{split}.csv").read_text().split("\n")[0] == HEADERS[name]
    assert len(rows) == 6000
    assert set(small_spec(name).raw_columns) <= set(HEADERS[name].split(","))
    assert '"' not in (folder / "test.csv").read_text()


def test_clicks_have_the_datasets_rate(twin):
    name, _, rows = twin
    label = small_spec(name).label_col.name
    assert np.mean([int(row[label]) for row in rows]) == pytest.approx(RATES[name], abs=0.03)


def test_the_same_arguments_give_the_same_bytes_and_another_seed_others(tmp_path):
    seen = []
    for seed in (3, 3, 4):
        build_criteo_x1(tmp_path, seed=seed, rows=[200, 100, 100])
        seen.append([hashlib.sha256(path.read_bytes()).digest() for path in sorted(tmp_path.iterdir())])
    assert seen[0] == seen[1]
    assert all(one != other for one, other in zip(seen[0], seen[2], strict=True))


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"rows": [500, 500]}, {"rows": [500, 50, 500]}])
def test_impossible_arguments_are_refused(tmp_path, wrong):
    with pytest.raises(UserError, match="twin must be"):
        build_criteo_x1(tmp_path, **{"seed": 1, "rows": [500, 500, 500], **wrong})
    assert not list(tmp_path.iterdir())


def test_frequent_ids_come_first_and_the_tail_is_long():
    ids = power_law(np.random.default_rng(0), 1000, 20, 200_000)
    seen = np.bincount(ids, minlength=1000)
    assert len(seen) == 1000
    head = 21 + np.arange(1001)
    expected = np.diff(np.log(head)) / np.log(head[-1] / head[0]) * 200_000
    assert np.abs(seen - expected).max() < 6 * np.sqrt(expected.max())
    assert seen[0] > 10 * seen[500] > 0


# Formats


def raw_rows(name, small_workspace):
    return pl.read_csv(raw_folder(small_spec(name), small_workspace) / "test.csv", infer_schema=False)


def test_criteos_ids_count_on_from_field_to_field(small_workspace):
    table = raw_rows("criteo_x1_twin", small_workspace)
    numbers = table.select(pl.col(NUMBERS).cast(pl.Float64))
    assert numbers.null_count().to_numpy().sum() == 0
    assert (numbers.min().to_numpy() >= 0).all()
    assert all(len(text.partition(".")[2]) <= 6 for name in NUMBERS for text in table[name])
    for name, size in CATEGORIES.items():
        ids = table[name].cast(pl.Int64)
        assert FIRST_ID[name] <= ids.min() <= ids.max() < FIRST_ID[name] + size
    assert 2_000_000 > sum(CATEGORIES.values()) > 1_800_000


def test_avazus_rows_are_in_a_site_or_in_an_app_at_an_hour_of_ten_days(small_workspace):
    table = raw_rows("avazu_x4_twin", small_workspace)
    no_site, no_app = (table[f"{place}_id"].mode()[0] for place in ("site", "app"))
    in_app = table["site_id"] == no_site
    assert 0.3 < in_app.mean() < 0.4
    assert (table["app_id"].filter(in_app) != no_app).all()
    assert (table["app_id"].filter(~in_app) == no_app).all()
    assert table["hour"].str.contains(r"^1410(2[1-9]|30)([01]\d|2[0-3])$").all()
    hexadecimal = [c for c in table.columns if c.startswith(("site_", "app_", "device_i", "device_model"))]
    assert len(hexadecimal) == 9
    assert table.select(pl.col(hexadecimal).str.contains("^[0-9a-f]{8}$").all()).row(0) == (True,) * 9
    assert (table["device_id"] == table["device_id"].mode()[0]).mean() == pytest.approx(0.82, abs=0.02)
    assert (table["C20"] == "-1").mean() == pytest.approx(0.48, abs=0.03)
    assert table["id"].n_unique() == table.height
    assert int(table["id"][0]) > 2**63, "an id that no 64-bit integer with sign holds"
    for place in ("site", "app"):
        assert table.select(f"{place}_id", f"{place}_domain").n_unique() == table[f"{place}_id"].n_unique()


def test_kuaivideos_histories_grow_with_time_and_every_item_has_a_vector(small_workspace):
    table = raw_rows("kuaivideo_x1_twin", small_workspace)
    assert table["timestamp"].cast(pl.Int64).is_sorted()
    lengths = table["pos_items"].fill_null("").str.split("^").list.len()
    assert lengths.max() == 100
    train = pl.read_csv(raw_folder(small_spec("kuaivideo_x1_twin"), small_workspace) / "train.csv", infer_schema=False)
    assert train["pos_items"].null_count() > 0, "the log begins with empty histories"
    for user in ("0", "1"):
        grown = pl.concat([train, table]).filter(user_id=user)["neg_items"].fill_null("").to_list()
        assert all(later.startswith(earlier) for earlier, later in pairwise(grown))
    with h5py.File(raw_folder(small_spec("kuaivideo_x1_twin"), small_workspace) / "item_visual_emb_dim64.h5") as file:
        assert file["key"][:].tolist() == list(range(300))
        assert file["value"].shape == (300, 64)


def test_taobaoads_histories_are_parallel_and_advertisements_have_one_category(small_workspace):
    table = raw_rows("taobaoad_x1_twin", small_workspace)
    lengths = table.select(pl.col("btag_his", "cate_his", "brand_his").str.count_matches("^", literal=True))
    assert (lengths["btag_his"] == lengths["cate_his"]).all()
    assert (lengths["btag_his"] == lengths["brand_his"]).all()
    assert lengths["cate_his"].max() == 49
    assert set("".join(table["btag_his"].drop_nulls())) <= set("1234^")
    assert set(table["btag"]) == {"1"}
    for field in ("cate_id", "brand", "customer", "campaign_id", "price"):
        assert table.select("adgroup_id", field).n_unique() == table["adgroup_id"].n_unique()
    assert table.select("userid", "age_level").n_unique() == table["userid"].n_unique()


# Truth


def rows_read_back(name, table):
    """The twin and the ids of every row as they follow from the written text alone."""
    args = SMALL[name]
    if name == "criteo_x1_twin":
        ids = {c: table[c].cast(pl.Int64).to_numpy() - FIRST_ID[c] for c in CATEGORIES}
        numbers = {c: table[c].cast(pl.Float64).to_numpy() * (20 + 7 * i) for i, c in enumerate(NUMBERS)}
        return CriteoTwin(args["seed"]), ids | {c: np.rint(values).astype(int) for c, values in numbers.items()}
    if name == "kuaivideo_x1_twin":
        twin = KuaiVideoTwin(args["seed"], args["users"], args["items"])
        ids = {"user": table["user_id"], "item": table["item_id"], "liked": table["pos_items"]}
        ids |= {"disliked": table["neg_items"]}
        return twin, {c: v.fill_null("").to_list() if "liked" in c else v.cast(pl.Int64).to_numpy()
                      for c, v in ids.items()}  # fmt: skip
    twin = TaobaoAdTwin(args["seed"], args["users"], args["ads"])
    ids = {"price": table["price"].cast(pl.Float64).to_numpy(), "history": table["cate_his"].fill_null("").to_list()}
    for field in ("final_gender_code", "pvalue_level", "age_level", "shopping_level"):
        ids[field] = table[field].cast(pl.Int64).to_numpy()
    for field in ("userid", "adgroup_id", "cate_id", "customer", "brand", "pid"):
        ids[field] = table[field].cast(pl.Int64).to_numpy() - 1
    return twin, ids


class ReadBack:
    """A twin whose histories are the written ones: their mean topic is computed item by item."""

    def __init__(self, twin, topics, first_id):
        self._twin, self._topics, self._first_id = twin, topics, first_id

    def __getattr__(self, name):
        return getattr(self._twin, name)

    def signal(self, name, ids):
        if name not in ("liked", "disliked", "history") or name not in ids:
            return self._twin.signal(name, ids)
        means = np.zeros((len(ids[name]), 2))
        for row, text in enumerate(ids[name]):
            if text:
                means[row] = np.mean([self._topics[int(item) - self._first_id] for item in text.split("^")], axis=0)
        return means


@pytest.mark.parametrize("name", ["criteo_x1_twin", "kuaivideo_x1_twin", "taobaoad_x1_twin"])
def test_the_probability_of_a_row_follows_from_what_is_written(name, small_workspace):
    folder, table = raw_folder(small_spec(name), small_workspace), raw_rows(name, small_workspace)
    twin, ids = rows_read_back(name, table)
    truth = Truth(twin, generator(SMALL[name]["seed"], "calibration"))
    if name == "kuaivideo_x1_twin":
        truth._twin = ReadBack(twin, twin._tables["topic"], 0)
    elif name == "taobaoad_x1_twin":
        truth._twin = ReadBack(twin, twin._topics, 1)
    probability = truth.probabilities(ids)
    label = table[twin.label].cast(pl.Int64).to_numpy()
    written = json.loads((folder / "truth.json").read_text())
    assert written["AUC"] == pytest.approx(roc_auc_score(label, probability), abs=1e-6)
    assert written["expected_AUC"] == pytest.approx(auc(probability, probability), abs=1e-6)
    if twin.group:
        groups = ids["user" if name == "kuaivideo_x1_twin" else "userid"]
        assert written["gAUC"] == pytest.approx(
            evaluate_metrics(label, probability, ["gAUC"], groups)["gAUC"], abs=1e-6
        )
    for rows in np.array_split(np.argsort(probability), 20):  # labels are drawn from the probabilities
        spread = np.sqrt(np.sum(probability[rows] * (1 - probability[rows])))
        assert abs(label[rows].sum() - probability[rows].sum()) < 4.5 * spread


@pytest.mark.parametrize("name", SMALL)
def test_shares_add_up_and_the_best_score_leaves_something_to_learn(name, small_workspace):
    written = json.loads((raw_folder(small_spec(name), small_workspace) / "truth.json").read_text())
    assert sum(written["effects"].values()) == pytest.approx(1)
    assert 0.65 < written["expected_AUC"] < 0.87
    assert abs(written["AUC"] - written["expected_AUC"]) < 0.03


# Through the harness


def test_avazus_hour_weekday_and_weekend_are_those_of_the_calendar(small_workspace):
    spec = small_spec("avazu_x4_twin")
    prepared = prepare_dataset(spec, small_workspace)
    columns = read_columns(prepared.split_folder("test"))
    hours = raw_rows("avazu_x4_twin", small_workspace)["hour"].to_list()
    vocabulary = json.loads((prepared.folder / "feature_vocab.json").read_text())
    days = [date(2000 + int(hour[:2]), int(hour[2:4]), int(hour[4:6])) for hour in hours]
    expected = {
        "hour": [str(int(hour[6:8])) for hour in hours],
        "weekday": [str(day.isoweekday() % 7) for day in days],
        "weekend": [str(int(day.isoweekday() > 5)) for day in days],
    }
    for name, values in expected.items():
        assert columns[name].tolist() == [vocabulary[name][value] for value in values], name
    assert "id" not in columns


def test_kuaivideos_vectors_reach_the_model_frozen_and_projected(small_workspace, tmp_path):
    import torch

    from fuxi_plugins.experiments.catalogue import load_experiment_config
    from fuxi_plugins.experiments.experiment import resolve
    from fuxi_plugins.training.assembly import build_model
    from fuxi_plugins.training.preflight import preflight
    from fuxi_plugins.training.trainer import train_model

    spec = small_spec("kuaivideo_x1_twin")
    prepared = prepare_dataset(spec, small_workspace)
    experiment = resolve(load_experiment_config(ROOT / "benchmark_configs", "DNN_kuaivideo_x1_twin"))
    model = build_model(experiment, prepared, gpu=-1, checkpoint_folder=tmp_path)
    embeddings = model.embedding_layer.embedding_layer
    pretrained = embeddings.embedding_layers["item_emb"].pretrain_embedding.weight
    assert embeddings.embedding_layers["pos_items_emb"] is embeddings.embedding_layers["item_emb"]
    vocabulary = json.loads((prepared.folder / "feature_vocab.json").read_text())["item_emb"]
    with h5py.File(raw_folder(spec, small_workspace) / "item_visual_emb_dim64.h5") as file:
        vectors = file["value"][:]
    for item in (0, 7, 299):
        np.testing.assert_array_equal(pretrained[vocabulary[str(item)]].numpy(), vectors[item])
    assert not pretrained[0].any(), "padding stays zero"
    assert not pretrained.requires_grad
    before = pretrained.clone()
    projection = embeddings.feature_encoders["item_emb"].weight.detach().clone()
    train_model(model, experiment, prepared, seed=1, report=lambda _: None)
    assert torch.equal(pretrained, before)
    assert not torch.equal(embeddings.feature_encoders["item_emb"].weight, projection)
    assert preflight(experiment, prepared).embedding == sum(
        parameter.numel() for parameter in embeddings.parameters() if parameter.requires_grad
    )


def test_twins_are_synthetic_on_their_cards(small_workspace):
    card = prepare_dataset(small_spec("taobaoad_x1_twin"), small_workspace).card
    assert card.synthetic
    assert card.valid_is_test
    assert set(card.bayes) == {"AUC", "logloss", "gAUC"}
    assert card.published_as is None
    assert Counter(card.rows) == {"train": 3000, "valid": 6000, "test": 6000}

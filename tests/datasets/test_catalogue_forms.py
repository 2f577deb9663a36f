"""Datasets of the catalogue that no test can have: small files of their published form are imported and prepared."""

import shutil
import zipfile
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import load_dataset_specs
from fuxi_plugins.datasets.columns import SPLITS
from fuxi_plugins.datasets.prepare import PreparedData, prepare_dataset
from fuxi_plugins.datasets.sources.acquire import raw_folder
from fuxi_plugins.datasets.sources.install import import_files
from fuxi_plugins.datasets.store import read_columns
from tests.conftest import ROOT

SPECS = load_dataset_specs(ROOT / "benchmark_configs")
ROWS = 400


def table(seed=0, rows=ROWS, **columns) -> pl.DataFrame:
    """Random ids below a number each, or values as given."""
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {name: random.integers(0, most, rows) if isinstance(most, int) else most for name, most in columns.items()}
    )


@pytest.fixture
def prepared(tmp_path):
    """Writes a dataset's files, imports them as a user does and prepares what the config says."""

    def import_and_prepare(name, **files) -> PreparedData:
        source = tmp_path / "source"
        for path, frame in files.items():
            form = {"separator": "\t"} if path.endswith((".tsv", ".txt")) else {}
            path = source / path
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".parquet":
                frame.write_parquet(path)
            else:
                frame.write_csv(path, include_header=path.suffix != ".txt", **form)
        workspace = Workspace(ROOT / "benchmark_configs", tmp_path / "results", tmp_path / "cache")
        spec = SPECS[name].model_copy(update={"files": dict.fromkeys(SPECS[name].files, ""), "published_rows": {}})
        assert {path.relative_to(source).parts[0] for path in source.rglob("*")} == {
            Path(name).parts[0] for name in spec.files
        }
        import_files(spec, source, workspace)
        shutil.rmtree(source)
        return prepare_dataset(spec, workspace)

    return import_and_prepare


def column(data: PreparedData, split: str, name: str) -> np.ndarray:
    return np.asarray(read_columns(data.split_folder(split))[name])


def test_yambda(prepared):
    listens = table(
        uid=20, timestamp=(np.arange(ROWS) * 5)[::-1].copy(), item_id=50, is_organic=2, played_ratio_pct=100,
        track_length_seconds=300,
    )  # fmt: skip
    data = prepared("yambda_50m", **{"listens.parquet": listens})
    assert data.card.rows == {"train": 320, "valid": 40, "test": 40}
    assert column(data, "test", "played_ratio_pct").tolist() == [
        float(ratio >= 50) for ratio in listens["played_ratio_pct"][:40]]  # fmt: skip


def test_vk_lsvd(prepared):
    weeks = {
        f"train/week_{week:02d}.parquet": table(
            week, 20, user_id=9, item_id=30, place=3, platform=2, agent=3, timespent=60,
            like=[row % 5 == week % 5 for row in range(20)], dislike=[False] * 20,
        ) for week in range(25)
    }  # fmt: skip
    data = prepared("vk_lsvd_ur0.01", **weeks)
    assert data.card.rows == {"train": 400, "valid": 50, "test": 50}
    last = pl.concat([weeks[f"train/week_{week:02d}.parquet"] for week in (22, 23, 24)])["like"][-50:]
    assert column(data, "test", "like").tolist() == last.cast(float).to_list(), "weeks in their order"


def kuairand():
    def log(seed, day):
        moments = 1_650_000_000_000 + day * 86_400_000 + np.arange(ROWS) * 1000
        return table(seed, user_id=15, video_id=40, date=3, time_ms=moments, is_click=2, is_like=2, is_rand=2, tab=4)

    users = {"user_active_degree": ["full_active"] * 15, "register_days_range": ["(0,10]"] * 15}
    flags = ["is_lowactive_period", "is_live_streamer", "is_video_author", "follow_user_num_range"]
    flags += ["fans_user_num_range", "friend_user_num_range", *(f"onehot_feat{number}" for number in range(18))]
    users |= dict.fromkeys(flags, 3)
    videos = {"author_id": 9, "video_type": ["NORMAL"] * 39, "upload_type": 2,
              "video_duration": [17200.0, None, 3.0] * 13,
              "music_id": [7.0, None, 9.0] * 13, "music_type": 3, "tag": ["12,65", "8", None] * 13}  # fmt: skip
    return {
        "log_standard_4_08_to_4_21_pure.csv": log(1, 0), "log_standard_4_22_to_5_08_pure.csv": log(2, 14),
        "log_random_4_22_to_5_08_pure.csv": log(3, 14),
        "user_features_pure.csv": table(rows=15, user_id=np.arange(15), **users),
        "video_features_basic_pure.csv": table(rows=39, video_id=np.arange(39), **videos),
    }  # fmt: skip


def test_kuairand(prepared):
    data = prepared("kuairand_pure", **kuairand())
    assert data.card.rows == {"train": 640, "valid": 80, "test": 80}
    assert "The others are negatives." in data.card.note


def test_kuairand_tested_on_random_exposure(prepared, tmp_path):
    files = kuairand()
    data = prepared("kuairand_pure_random", **files)
    assert data.card.rows == dict.fromkeys(SPLITS, ROWS)
    made = raw_folder(data.spec, Workspace(ROOT / "benchmark_configs", tmp_path / "results", tmp_path / "cache"))
    test = pl.read_csv(made / "test.csv", infer_schema=False)
    random_log = files["log_random_4_22_to_5_08_pure.csv"].cast(pl.String)
    key = ["user_id", "item_id", "timestamp", "label"]
    shown = random_log.select("user_id", pl.col("video_id").alias("item_id"), pl.col("time_ms").alias("timestamp"),
                              pl.col("is_click").alias("label"))  # fmt: skip
    assert test.select(key).sort(key).equals(shown.select(key).sort(key))
    row = test.row(-1, named=True)
    clicks = pl.concat([files[name] for name in data.spec.from_interactions.log.files]).sort("time_ms").filter(
        pl.col("is_click") == 1, pl.col("user_id") == int(row["user_id"]), pl.col("time_ms") < int(row["timestamp"])
    )  # fmt: skip
    assert row["history"].split("^") == clicks["video_id"].cast(pl.String).to_list()[-50:]


def test_criteo_attribution(prepared):
    cats = {f"cat{number}": 5 for number in range(1, 10)}
    outcomes = {"conversion": 2, "attribution": 2, "cost": 9, "cpo": 9, "click_pos": 3}
    impressions = table(timestamp=np.arange(ROWS), uid=30, campaign=6, click=2, **cats, **outcomes)
    data = prepared("criteo_attribution", **{"criteo_attribution_dataset.tsv": impressions})
    assert data.card.rows == {"train": 320, "valid": 40, "test": 40}
    assert not set(read_columns(data.split_folder("test"))) & set(outcomes)


def test_ebnerd(prepared):
    start = datetime(2023, 5, 18)

    def behaviors(first, seed):
        random = np.random.default_rng(seed)
        shown = [random.permutation(30)[:5].tolist() for _ in range(60)]
        return pl.DataFrame({
            "impression_id": range(first, first + 60), "article_id": [None] * 60,
            "impression_time": [start + timedelta(hours=first + hour) for hour in range(60)], "read_time": [1.0] * 60,
            "device_type": [1, 2] * 30, "article_ids_inview": shown, "article_ids_clicked": [ids[:1] for ids in shown],
            "user_id": [7, 8, 9] * 20, "is_sso_user": [True, False] * 30, "is_subscriber": [False] * 60,
        })  # fmt: skip

    articles = pl.DataFrame({
        "article_id": range(29), "category": [140] * 29, "subcategory": [[1, 2], []] * 14 + [[3]],
        "premium": [False] * 29,
        "article_type": ["article_default"] * 29, "sentiment_label": ["Neutral"] * 29, "total_pageviews": range(29),
    })  # fmt: skip
    history = pl.DataFrame({"user_id": [7, 8], "article_id_fixed": [[1, 2, 3], [4]]})
    data = prepared("ebnerd_small", **{
        "train/behaviors.parquet": behaviors(0, 1), "validation/behaviors.parquet": behaviors(60, 2),
        "train/history.parquet": history, "articles.parquet": articles,
    })  # fmt: skip
    assert data.card.rows == {"train": 480, "valid": 60, "test": 60}
    assert data.card.positive_rate == dict.fromkeys(SPLITS, 0.2)
    groups = column(data, "test", "group_id")
    assert (np.unique(groups, return_counts=True)[1] == 5).all(), "a page is a group"


def test_files_of_one_name_in_two_folders_of_an_archive_are_told_apart(tmp_path):
    """As EB-NeRD's are, in whatever folder the archive has them."""
    with zipfile.ZipFile(tmp_path / "ebnerd.zip", "w") as archive:
        for name in SPECS["ebnerd_small"].files:
            archive.writestr(f"ebnerd_small/{name}", name)
    workspace = Workspace(ROOT / "benchmark_configs", tmp_path / "results", tmp_path / "cache")
    folder = import_files(SPECS["ebnerd_small"], tmp_path / "ebnerd.zip", workspace)
    assert {name: (folder / name).read_text() for name in SPECS["ebnerd_small"].files} == {
        name: name for name in SPECS["ebnerd_small"].files}  # fmt: skip


def test_ipinyou(prepared):
    columns = dict.fromkeys(SPECS["ipinyou_x1"].active_columns[0].names, 9)
    frames = {f"{split}.csv": table(seed, click=2, **columns) for seed, split in enumerate(("train", "test"))}
    data = prepared("ipinyou_x1", **frames)
    assert data.card.rows["train"] + data.card.rows["valid"] == data.card.rows["test"] == ROWS
    assert not data.card.valid_is_test


def test_kddcup2012(prepared):
    names = SPECS["kdd12_track2"].column_names
    training = table(**dict.fromkeys(names, 20)).with_columns(Click=pl.Series([0, 3, 1, 0] * (ROWS // 4)))
    training = training.with_columns(DisplayURL=pl.lit("14202400320782190000"))  # beyond 64 bits
    data = prepared("kdd12_track2", **{"training.txt": training.select(names)})
    assert sum(data.card.rows.values()) == ROWS
    assert "Impression" not in read_columns(data.split_folder("train"))
    positives = sum(data.card.rows[split] * data.card.positive_rate[split] for split in SPLITS)
    assert round(positives) == ROWS // 2, "several clicks are one positive"


def test_kddcup2012_small_as_it_is(real_data, tmp_path):
    packed = tmp_path / "Click_prediction_small.csv.gz"
    shutil.copyfile(real_data / "kdd12_click_small" / "kdd12_click_small.csv.gz", packed)
    workspace = Workspace(ROOT / "benchmark_configs", tmp_path / "results", tmp_path / "cache")
    import_files(SPECS["kdd12_small"], tmp_path, workspace)
    card = prepare_dataset(SPECS["kdd12_small"], workspace).card
    assert sum(card.rows.values()) == 39_948
    assert round(sum(card.rows[split] * card.positive_rate[split] for split in SPLITS)) == 6_728


@pytest.mark.parametrize(("name", "file"), [
    ("talkingdata", "train.csv"), ("talkingdata_sample", "train_sample.csv"),
])  # fmt: skip
def test_talkingdata(prepared, name, file):
    moments = [f"2017-11-{6 + row // 100:02d} 10:{row % 60:02d}:00" for row in range(ROWS)]
    clicks = table(
        ip=40, app=9, device=3, os=5, channel=7, click_time=moments, attributed_time=[None] * ROWS, is_attributed=2
    )
    data = prepared(name, **{file: clicks})
    assert data.card.rows["train"] >= 320
    assert sum(data.card.rows.values()) == ROWS
    assert "attributed_time" not in read_columns(data.split_folder("train"))


def test_avazu_by_time(prepared):
    names = [
        name
        for c in SPECS["avazu_x4_001"].active_columns
        for name in c.names
        if name not in ("hour", "weekday", "weekend")
    ]

    def part(seed, rows):
        hours = np.random.default_rng(seed).integers(0, 20, rows)
        return table(seed, rows, id=99, click=2, hour=14102100 + hours, **dict.fromkeys(names, 6))

    parts = {
        f"{split}.csv": part(seed, rows)
        for seed, (split, rows) in enumerate({"train": 400, "valid": 50, "test": 50}.items())
    }
    data = prepared("avazu_x4_by_time", **parts)
    hours = np.sort(np.concatenate([frame["hour"].to_numpy() for frame in parts.values()]))
    assert data.card.rows["train"] == np.sum(hours <= hours[int(0.8 * 499)])
    assert sum(data.card.rows.values()) == 500, "the rows of the three files"


def test_criteo_by_time(prepared):
    names = SPECS["criteo_by_time"].column_names
    rows = table(**dict.fromkeys(names, 30)).with_columns(Label=pl.Series(np.arange(ROWS) % 4 == 0).cast(int))
    rows = rows.with_columns(I1=pl.when(pl.col("I1") > 10).then(pl.col("I1")))
    data = prepared("criteo_by_time", **{"train.txt": rows.select(names)})
    assert data.card.rows == {"train": 320, "valid": 40, "test": 40}
    assert column(data, "test", "Label").tolist() == rows["Label"][-40:].cast(float).to_list()


def test_every_entry_says_where_its_files_come_from_and_under_which_terms():
    for name, spec in SPECS.items():
        if not name.endswith("_twin") and name != "synthetic":
            assert spec.source, name
            assert spec.source.homepage.startswith("http"), name
            assert spec.source.licence, name
            assert spec.source.citation, name

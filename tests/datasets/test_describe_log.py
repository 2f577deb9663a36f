"""A log of what users did has no label: describing it says so, and on demand writes a config that makes rows of it."""

import numpy as np
import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.catalogue import read_spec
from fuxi_plugins.datasets.describing.describe import describe
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.spec import SPLITS
from fuxi_plugins.datasets.store import read_columns

NAMES = {
    "MovieLens": ("userId", "movieId", "timestamp"),
    "Amazon": ("reviewerID", "asin", "unixReviewTime"),
    "a shop": ("customer_id", "sku", "bought_at_ts"),
}


def write_log(path, names, separator=",", rating="rating"):
    """600 interactions of 20 users with 50 items, a rating and a page each."""
    random = np.random.default_rng(1)
    rows = [separator.join([*names, rating, "page"])]
    for moment in range(600):
        user, item, rating = random.integers(20), random.integers(50), random.integers(1, 6)
        rows.append(
            separator.join([f"u{user}", f"i{item}", str(964982703 + 60 * moment), str(rating), f"p{moment % 3}"])
        )
    path.write_text("\n".join(rows) + "\n")


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_an_error_without_a_label_shows_how_to_make_rows(tmp_path, names):
    write_log(tmp_path / "log.csv", names, rating="times")
    user, item, time = names
    with pytest.raises(
        UserError, match=rf"no label .* interactions of {user} with {item} at {time}\? .*--interactions"
    ):
        describe("mine", tmp_path / "log.csv")


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("rating", ["rating", "Book-Rating", "stars"])
def test_a_rating_beside_users_and_items_is_a_label(tmp_path, names, rating):
    write_log(tmp_path / "log.csv", names, rating=rating)
    found = describe("mine", tmp_path / "log.csv")
    assert found.entry["label_col"] == {"name": rating, "dtype": "float", "rule": ">= 4"}
    assert f"--interactions --label {rating}" in " ".join(found.remarks)
    write_log(tmp_path / "log.csv", ("place", *names[1:]), rating=rating)
    with pytest.raises(UserError, match="has no label"):
        describe("mine", tmp_path / "log.csv")


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_a_log_becomes_rows_with_sampled_negatives(workspace, tmp_path, names):
    write_log(tmp_path / "log.csv", names, separator=";")
    found = describe("mine", tmp_path / "log.csv", interactions=True)
    assert "Left out: rating, page." in " ".join(found.remarks)
    assert "Each interaction is positive." in " ".join(found.remarks)
    prepared = prepare_dataset(read_spec("mine", found.entry, tmp_path), workspace)
    labels = {split: read_columns(prepared.split_folder(split))["label"] for split in SPLITS}
    assert sum(map(len, labels.values())) == 2 * (600 - 20)  # without the first of each user, which has no history
    assert all(values.mean() == 0.5 for values in labels.values())


def test_sessions_stand_in_for_users_and_are_no_feature(workspace, tmp_path):
    """As in logs of shops that know no users; test then has other sessions than train."""
    write_log(tmp_path / "log.csv", ("session_id", "aid", "ts"))
    found = describe("mine", tmp_path / "log.csv", interactions=True)
    assert found.entry["from_interactions"]["log"]["user"] == "session_id"
    assert "so sessions stand in their place: session_id, no feature." in " ".join(found.remarks)
    prepared = prepare_dataset(read_spec("mine", found.entry, tmp_path), workspace)
    columns = read_columns(prepared.split_folder("train"))
    assert set(columns) == {"item_id", "history", "group_id", "label"}
    assert len(np.unique(columns["group_id"])) == 20


def test_a_rating_says_which_interactions_are_positive(tmp_path):
    write_log(tmp_path / "log.csv", NAMES["MovieLens"])
    guessed = describe("mine", tmp_path, "rating", None, interactions=True)
    assert guessed.entry["from_interactions"]["log"]["positive"] == {"column": "rating", "rule": ">= 4"}
    assert "a rating of up to 5" in " ".join(guessed.remarks)
    asked = describe("mine", tmp_path, "rating", ">= 3", interactions=True)
    assert asked.entry["from_interactions"]["log"]["positive"]["rule"] == ">= 3"
    assert "Left out: page." in " ".join(asked.remarks)


def test_what_is_no_log_is_told_what_one_is(tmp_path):
    (tmp_path / "a.csv").write_text("x,y2,z\n1,2,3\n4,5,6\n")
    with pytest.raises(UserError, match="must have columns of users, items and times .* but has x, y2, z"):
        describe("mine", tmp_path / "a.csv", interactions=True)
    with pytest.raises(UserError, match=r"no label .* of x, y2, z\.$"):
        describe("mine", tmp_path / "a.csv")
    write_log(tmp_path / "train.csv", NAMES["MovieLens"])
    write_log(tmp_path / "test.csv", NAMES["MovieLens"])
    with pytest.raises(UserError, match="a log must be one file .* but .* holds train.csv, test.csv"):
        describe("mine", tmp_path, interactions=True)
    with pytest.raises(UserError, match="must have the column 'stars', but has userId"):
        describe("mine", tmp_path / "train.csv", "stars", ">= 4", interactions=True)


def write_shown(path):
    """600 items shown to 20 users, clicked or not, with tables of both beside them."""
    random = np.random.default_rng(1)
    rows = [
        f"u{random.integers(20)},i{random.integers(50)},{964982703 + 60 * row},{row % 7 % 2},p{row % 3},{row % 7 % 2}"
        for row in range(600)
    ]
    path.mkdir()
    (path / "shown.csv").write_text("\n".join(["user_id,item_id,timestamp,click,page,liked", *rows]) + "\n")
    items = [f"i{item},b{item % 4},{item / 8}" for item in range(50)]
    (path / "items.csv").write_text("\n".join(["item_id,brand,price", *items]) + "\n")
    (path / "users.csv").write_text("\n".join(["user_id,city", *(f"u{user},c{user % 3}" for user in range(20))]) + "\n")


def test_rows_that_were_shown_keep_their_labels_and_columns_and_get_histories(workspace, tmp_path):
    write_shown(tmp_path / "log")
    found = describe("mine", tmp_path / "log", "click", interactions=True)
    made = found.entry["from_interactions"]
    assert made["log"]["others"] == "negatives"
    assert made["log"]["context"] == ["page"]
    assert (made["negatives"], made["min_history"]) == ({"per_positive": 0}, 0)
    assert made["items"] == {"file": "items.csv", "key": "item_id", "columns": ["brand", "price"]}
    assert made["users"] == {"file": "users.csv", "key": "user_id", "columns": ["city"]}
    assert "Left out: liked." in " ".join(found.remarks)
    prepared = prepare_dataset(read_spec("mine", found.entry, tmp_path), workspace)
    columns = [read_columns(prepared.split_folder(split)) for split in SPLITS]
    assert set(columns[0]) == {"user_id", "item_id", "history", "page", "brand", "price", "city", "group_id", "label"}
    labels = np.concatenate([part["label"] for part in columns])
    assert (len(labels), labels.sum()) == (600, (np.arange(600) % 7 % 2).sum())
    assert sum((part["history"] != 0).any(axis=1).sum() for part in columns) > 500


def test_a_rule_of_the_users_own_leaves_the_other_rows_out(tmp_path):
    """A view before a purchase is no item that was passed over."""
    write_shown(tmp_path / "log")
    made = describe("mine", tmp_path / "log", "click", "== 1", interactions=True).entry["from_interactions"]
    assert "others" not in made["log"]
    assert made["negatives"]["per_positive"] == 1


def test_labelled_rows_without_histories_are_told_of_them(tmp_path):
    write_shown(tmp_path / "log")
    told = "--interactions --label click gives each row the item_id of the user's earlier positive rows"
    assert told in " ".join(describe("mine", tmp_path / "log").remarks)
    (tmp_path / "log" / "shown.csv").write_text("user_id,item_id,click\n" + "u,i,0\nu,j,1\nv,i,0\n" * 200)
    assert told not in " ".join(describe("mine", tmp_path / "log").remarks)

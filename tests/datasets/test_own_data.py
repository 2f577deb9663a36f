"""Tables as users bring them: described, the config prepares, and the guesses are the right ones and said aloud."""

import json
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import read_spec
from fuxi_plugins.datasets.describing.describe import describe
from fuxi_plugins.datasets.describing.names import is_history, is_item, is_moment, is_outcome, is_user
from fuxi_plugins.datasets.prepare import PreparedData, prepare_dataset
from fuxi_plugins.datasets.store import read_columns

ROWS = {"train": 300, "valid": 120, "test": 120}


@pytest.fixture
def mine(tmp_path):
    """Writes a table's splits, describes them, prepares what the config says, and returns all three."""

    def describe_and_prepare(columns, ending=".csv", label=None, rule=None, splits=ROWS, write=None):
        folder = tmp_path / "mine"
        folder.mkdir(exist_ok=True)
        for seed, (split, rows) in enumerate(splits.items()):
            random = np.random.default_rng(seed)
            frame = pl.DataFrame({name: made(random, rows) for name, made in columns.items()})
            path = folder / f"{split}{ending}"
            (write or WRITERS[ending])(frame, path)
        found = describe("mine", folder, label, rule)
        spec = read_spec("mine", found.entry, folder)
        prepared = prepare_dataset(spec, Workspace(tmp_path / "configs", tmp_path / "results", tmp_path / "cache"))
        return found, prepared

    return describe_and_prepare


WRITERS = {
    ".csv": pl.DataFrame.write_csv,
    ".tsv": lambda frame, path: frame.write_csv(path, separator="\t"),
    ".parquet": pl.DataFrame.write_parquet,
    ".jsonl": pl.DataFrame.write_ndjson,
}


def ids(most, text="{}"):
    return lambda random, rows: [text.format(value) for value in random.integers(0, most, rows)]


def numbers(most):
    return lambda random, rows: random.integers(0, most, rows)


def lists(most, join):
    return lambda random, rows: [join([str(v) for v in random.integers(0, most, random.integers(1, 6))])
                                 for _ in range(rows)]  # fmt: skip


def sentences(random, rows):
    """Texts of common words with a semicolon and a comma in each."""
    return ["{} {}, {}; {} {}".format(*ids(200, "w{}")(random, 5)) for _ in range(rows)]


def coin(random, rows):
    return random.integers(0, 2, rows)


def settings(found) -> dict[str, dict]:
    return {column["name"]: column for column in found.entry["feature_cols"]}


def vocabulary(prepared: PreparedData, column: str) -> dict[str, int]:
    known = json.loads((prepared.folder / "feature_vocab.json").read_text())[column]
    return {value: place for value, place in known.items() if not value.startswith("__")}


def said(found) -> str:
    return " ".join(found.remarks)


# Ids


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl"])
@pytest.mark.parametrize("form", ["{}.0", "{}."])
def test_ids_that_are_floats_in_one_split_are_the_ids_of_train(mine, ending, form):
    def user(random, rows):
        return ids(20, "{}" if rows == ROWS["train"] else form)(random, rows)

    found, prepared = mine({"user_id": user, "item": ids(9), "label": coin}, ending)
    assert settings(found)["user_id"]["normalize_ids"] is True
    assert "7.0 the same as 7 (normalize_ids): user_id" in said(found)
    assert set(vocabulary(prepared, "user_id")) == {str(user) for user in range(20)}
    assert prepared.unknown["test"]["user_id"] == 0


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_ids_beyond_int64_are_ids(mine, ending):
    def user(random, rows):
        return pl.Series(16543128959394097761 + random.integers(0, 9, rows).astype(np.uint64), dtype=pl.UInt64)

    found, prepared = mine({"id": user, "item": ids(9), "label": coin}, ending)
    assert settings(found)["id"]["type"] == "categorical"
    assert "Whole numbers beyond 64 bits taken for ids: id" in said(found)
    assert set(vocabulary(prepared, "id")) == {str(16543128959394097761 + k) for k in range(9)}


def test_ids_of_which_another_tool_rounded_some_are_ids(mine):
    def url(random, rows):
        drawn = numbers(20)(random, rows).tolist()
        return [f"1420240032078{k:02}00000" if k % 5 else f"1.420240032078{k:02}e+19" for k in drawn]

    found, prepared = mine({"url": url, "item": ids(9), "label": coin})
    assert settings(found)["url"]["type"] == "categorical"
    assert "Whole numbers beyond 64 bits taken for ids: url" in said(found)
    assert len(vocabulary(prepared, "url")) == 20


def test_types_of_parquet_are_kept(mine):
    columns = {
        "user": lambda random, rows: pl.Series(random.integers(0, 9, rows)).cast(pl.Float64),
        "member": lambda random, rows: pl.Series(coin(random, rows)).cast(pl.Boolean),
        "code": lambda random, rows: pl.Series(ids(9, "00{}")(random, rows)).cast(pl.Categorical),
        "price": lambda random, rows: random.random(rows),
        "seen": lambda random, rows: [list(random.integers(0, 9, 3)) for _ in range(rows)],
        "label": lambda random, rows: pl.Series(coin(random, rows)).cast(pl.Boolean),
    }
    found, prepared = mine(columns, ".parquet")
    kinds = {name: column["type"] for name, column in settings(found).items()}
    assert kinds == {"user": "categorical", "member": "categorical", "code": "categorical", "price": "numeric",
                     "seen": "sequence", "group_id": "meta"}  # fmt: skip
    assert set(vocabulary(prepared, "user")) == {str(user) for user in range(9)}
    assert set(vocabulary(prepared, "code")) == {f"00{code}" for code in range(9)}
    assert set(vocabulary(prepared, "member")) == {"true", "false"}
    assert set(vocabulary(prepared, "seen")) == {str(item) for item in range(9)}


@pytest.mark.parametrize("tokens", [["NA"], ["NULL", "\\N"], ["nan", "-"]])
def test_a_number_with_names_for_what_is_missing_is_a_number(mine, tokens):
    def price(random, rows):
        return [tokens[row % len(tokens)] if row % 7 == 0 else f"{random.random():.2f}" for row in range(rows)]

    found, prepared = mine({"price": price, "item": ids(9), "label": coin})
    assert settings(found)["price"] == {"name": "price", "type": "numeric", "dtype": "float",
                                       "normalizer": "StandardScaler", "na_values": sorted(tokens)}  # fmt: skip
    assert "texts that stand for a missing value (na_values): price" in said(found)
    assert np.isfinite(read_columns(prepared.split_folder("train"))["price"]).all()


def test_a_name_that_means_missing_among_names_is_a_name(mine):
    countries = ("DE", "NA", "US")
    found, prepared = mine({"country": lambda random, rows: random.choice(countries, rows), "label": coin})
    assert "na_values" not in settings(found)["country"]
    assert set(vocabulary(prepared, "country")) == set(countries)


# What is no feature


def test_outcomes_beside_the_label_are_left_out_and_named(mine):
    columns = {
        "user": ids(20), "is_click": coin, "seconds": numbers(9), "purchase": coin,
        "price": lambda random, rows: random.random(rows),
    }  # fmt: skip

    def write(frame, path):  # a play time is above 0 where there was a click
        frame.with_columns(seconds=pl.col("is_click") * (pl.col("seconds") + 5)).write_csv(path)

    found, _ = mine(columns, write=write)
    active = {name for name, column in settings(found).items() if column.get("active", True)}
    assert active == {"user", "price", "group_id"}
    assert "outcomes like the label, by their names: purchase" in said(found)
    assert "alone tells the label with an AUC above 0.99: seconds" in said(found)


def test_chance_in_few_rows_is_no_leak(mine):
    found, _ = mine({"user": ids(10), "label": coin}, splits={"train": 40, "valid": 40, "test": 40})
    assert settings(found)["user"].get("active", True)


@pytest.mark.parametrize(
    ("name", "made", "reason"),
    [
        ("timestamp", lambda random, rows: 1_600_000_000 + np.arange(rows) * 60, "they are times: timestamp"),
        ("eventTime", lambda random, rows: 1_600_000_000_000 + np.arange(rows) // 9, "they are times: eventTime"),
        ("day", lambda random, rows: [f"2026-03-{day:02d}" for day in random.integers(1, 29, rows)], "times: day"),
        ("row", lambda random, rows: np.arange(rows), "nearly every row has its own value: row"),
        ("hash", lambda random, rows: [random.bytes(8).hex() for _ in range(rows)], "has its own value: hash"),
        ("title", sentences, "free text: title"),
        ("nothing", lambda random, rows: [None] * rows, "hold no value: nothing"),
        ("", lambda random, rows: np.arange(rows), "the column with an empty header"),
        ("weight", lambda random, rows: random.integers(1, 9, rows), "by which training weights the loss: weight"),
    ],
)  # fmt: skip
def test_what_is_no_feature_is_left_out_and_said(mine, name, made, reason):
    found, prepared = mine({name: made, "item": ids(9), "label": coin})
    assert not settings(found).get(name, {"active": False}).get("active", True)
    assert reason in said(found)
    computed = {column for column, entry in settings(found).items() if "preprocess" in entry}
    stored = set(read_columns(prepared.split_folder("train"))) - computed
    assert stored == {"item", "label", *(["weight"] if name == "weight" else [])}


# Lists and whose they are


@pytest.mark.parametrize(
    ("join", "expected"),
    [
        (" ".join, {"splitter": " "}),
        (",".join, {"splitter": ","}),
        (", ".join, {"splitter": ", "}),
        ("|".join, {"splitter": "|"}),
        (lambda entries: f"[{', '.join(entries)}]", {"list_format": "brackets"}),
        (str, {"list_format": "brackets"}),
        (json.dumps, {"list_format": "brackets"}),
    ],
)
def test_a_history_is_found_however_it_is_written(mine, join, expected):
    found, prepared = mine({"history": lists(20, join), "item": ids(20), "label": coin})
    history = settings(found)["history"]
    assert (history["type"], history["share_embedding"]) == ("sequence", "item")
    assert {key: history[key] for key in ("splitter", "list_format") if key in history} == expected
    assert set(vocabulary(prepared, "history")) == set(vocabulary(prepared, "item")) == {str(k) for k in range(20)}


def test_whole_numbers_from_one_on_say_nothing_of_whose_a_list_is(mine):
    columns = {
        "user": ids(60), "item": ids(60), "cate_id": ids(60), "attributes": lists(60, "^".join),
        "history": lists(60, "^".join), "cate_hist": lists(60, "^".join), "user_friends": lists(60, "^".join),
        "label": coin,
    }  # fmt: skip
    found, _ = mine(columns)
    owners = {name: column.get("share_embedding") for name, column in settings(found).items() if "max_len" in column}
    assert owners == {"attributes": None, "history": "item", "cate_hist": "cate_id", "user_friends": "user"}
    assert "history shares the table of item, as a history of its values" in said(found)
    assert "a table of their own; a behaviour history shares its item's: attributes" in said(found)


def test_texts_tell_by_themselves_whose_a_list_is(mine):
    def seen(random, rows):
        return ["^".join(ids(20, "s{}")(random, 3)) for _ in range(rows)]

    found, _ = mine({"shop": ids(20, "s{}"), "seen": seen, "label": coin})
    assert settings(found)["seen"]["share_embedding"] == "shop"


def test_users_own_no_list_but_one_that_is_named_after_them(mine):
    def reviewers(random, rows):
        return ["^".join(ids(20, "u{}")(random, 3)) for _ in range(rows)]

    found, _ = mine({"user": ids(20, "u{}"), "seen": reviewers, "user_friends": reviewers, "label": coin})
    owners = {name: settings(found)[name].get("share_embedding") for name in ("seen", "user_friends")}
    assert owners == {"seen": None, "user_friends": "user"}


def test_an_owner_that_is_left_out_shares_nothing(mine):
    columns = {"item": lambda random, rows: np.arange(rows), "history": lists(300, "^".join), "label": coin}
    found, prepared = mine(columns)
    assert "share_embedding" not in settings(found)["history"]
    assert "history" in read_columns(prepared.split_folder("test"))


@pytest.mark.parametrize("places", [["Boston, MA", "Salem, OR", "Paris, TX"], ["New York", "Los Angeles", "Rome"]])
def test_a_comma_or_a_space_in_a_name_makes_no_list(mine, places):
    found, _ = mine({"city": lambda random, rows: random.choice(places, rows), "label": coin})
    assert settings(found)["city"]["type"] == "categorical"


# Labels


@pytest.mark.parametrize(
    ("made", "rule"),
    [
        (lambda random, rows: random.integers(1, 6, rows), ">= 4"),
        (lambda random, rows: random.integers(1, 11, rows) / 2, ">= 4"),
        (lambda random, rows: random.integers(1, 11, rows), ">= 8"),
        (lambda random, rows: random.choice([-1, 1], rows), "> 0"),
        (lambda random, rows: random.choice([0, 0, 1, 7, 23], rows), "> 0"),
        (lambda random, rows: random.choice(["True", "False"], rows), "== true"),
        (lambda random, rows: random.choice(["Y", "N"], rows), "== y"),
        (lambda random, rows: random.choice(["0.0", "1.0"], rows), None),
    ],
)
def test_a_label_that_is_not_0_or_1_gets_a_rule_which_is_said(mine, made, rule):
    found, prepared = mine({"user": ids(9), "item": ids(9), "outcome": made}, label="outcome")
    assert found.entry["label_col"].get("rule") == rule
    assert (rule is None) or (f"positive where it is {rule}" in said(found))
    assert set(np.unique(read_columns(prepared.split_folder("train"))["outcome"])) == {0.0, 1.0}


def test_a_rule_may_be_given(mine):
    kinds = {"user": ids(9), "event": lambda random, rows: random.choice(["view", "click", "buy"], rows)}
    _, prepared = mine(kinds, label="event", rule="in [click, buy]")
    assert 0.5 < prepared.card.positive_rate["train"] < 0.8
    with pytest.raises(UserError, match=r"the label 'event' .* is 'buy', 'click', 'view', and no rule can be guessed"):
        mine(kinds, label="event")
    with pytest.raises(UserError, match="--rule must be a rule, but is 'more'"):
        mine(kinds, label="event", rule="more")
    with pytest.raises(UserError, match="must be what the rule '> 2' can compare, but is also"):
        mine(kinds, label="event", rule="> 2")


# Files


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".jsonl"])
def test_one_file_is_divided_by_its_times_or_else_at_random(mine, ending, tmp_path):
    times = {"time": lambda random, rows: 1_600_000_000 + random.integers(0, 9999, rows)}
    columns = {"user": ids(20), "item": ids(9), "label": coin}
    found, prepared = mine(columns | times, ending, splits={"data": 600})
    assert found.entry["split"] == {"by": "time", "column": "time", "valid": 0.2, "test": 0.2}
    assert "models learn from the past" in said(found)
    assert prepared.card.rows == pytest.approx({"train": 360, "valid": 120, "test": 120}, abs=6)
    found, prepared = mine(columns, ending, splits={"data": 600})
    assert found.entry["split"] == {"by": "random", "valid": 0.2, "test": 0.2, "seed": 2026}
    assert "held out for each, at random (seed 2026)" in said(found)
    assert describe("mine", tmp_path / "mine" / f"data{ending}").entry == found.entry


@pytest.mark.parametrize("form", ["%y%m%d%H", "%Y%m%d", "%Y%m%d%H", "%Y%m%d%H%M%S"])
def test_dates_of_digits_alone_are_times(mine, form):
    def hour(random, rows):
        return [
            (datetime(2014, 10, 21) + timedelta(hours=int(k))).strftime(form) for k in random.integers(0, 240, rows)
        ]

    found, prepared = mine({"hour": hour, "item": ids(9), "label": coin}, splits={"data": 600})
    assert settings(found)["hour"]["active"] is False
    assert found.entry["split"] == {"by": "time", "column": "hour", "valid": 0.2, "test": 0.2}
    assert sum(prepared.card.rows.values()) == 600


def test_an_hour_of_the_day_is_a_feature(mine):
    found, _ = mine({"hour": numbers(24), "item": ids(9), "label": coin}, splits={"data": 600})
    assert settings(found)["hour"] == {"name": "hour", "type": "categorical", "dtype": "str"}


def test_a_split_is_found_by_a_word_in_its_files_name(mine, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "reference.json").write_text('{\n"auc": 0.7\n}\n')
    splits = {"log_train": 300, "log-test": 100}
    found, prepared = mine({"user": ids(20), "label": coin}, ".parquet", splits=splits)
    assert (found.entry["train_data"], found.entry["test_data"]) == ("log_train.parquet", "log-test.parquet")
    assert prepared.card.rows["test"] == 100


def test_a_json_file_beside_one_table_is_no_table(mine, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "reference.json").write_text('{\n"auc": 0.7\n}\n')
    found, _ = mine({"user": ids(20), "label": coin}, splits={"log": 300})
    assert found.entry["train_data"] == "log.csv"


def test_train_and_test_alone_are_enough(mine):
    found, prepared = mine({"user": ids(20), "label": coin}, splits={"train": 300, "test": 100})
    assert prepared.card.rows["test"] == 100
    assert prepared.card.rows["train"] + prepared.card.rows["valid"] == 300
    assert "No file for valid" in said(found)


def test_a_folder_of_parts_is_one_table(mine):
    found, prepared = mine({"user": ids(20), "label": coin}, ".parquet", splits={"part-0": 300, "part-1": 200})
    assert found.entry["train_data"] == "."
    assert sum(prepared.card.rows.values()) == 500
    with pytest.raises(UserError, match=r"must name its training file train.\*, or hold the parts of one table"):
        mine({"item": ids(20), "label": coin}, ".parquet", splits={"part-2": 10})


@pytest.mark.parametrize("separator", [";", "|", "::", "\t"])
def test_another_separator_is_found(mine, separator):
    def write(frame, path):
        path.write_text("\n".join(separator.join(map(str, row)) for row in [frame.columns, *frame.rows()]) + "\n")

    found, prepared = mine({"user": ids(20), "item": ids(9), "label": coin}, write=write)
    assert found.entry["separator"] == separator
    assert prepared.card.rows == ROWS


def test_a_file_without_a_header_gets_names(mine):
    def write(frame, path):
        frame.write_csv(path, include_header=False)

    found, prepared = mine({"label": coin, "item": ids(9)}, label="column_1", write=write)
    assert found.entry["column_names"] == ["column_1", "column_2"]
    assert "looks like values, not like a header" in said(found)
    assert prepared.card.rows == ROWS


def test_times_in_a_file_without_a_header_are_told_by_their_values(mine):
    def write(frame, path):
        frame.write_csv(path, include_header=False)

    def times(random, rows):
        return 880_000_000 + random.integers(0, 20_000_000, rows)

    def hashes(random, rows):
        return random.choice(np.random.default_rng(0).integers(300_000_000, 4_000_000_000, 50), rows)

    columns = {"user": ids(20), "label": coin, "time": times, "item": hashes}
    found, _ = mine(columns, label="column_2", splits={"u": 600}, write=write)
    assert found.entry["split"]["column"] == "column_3"
    assert {name: column.get("active", True) for name, column in settings(found).items()} == {
        "column_1": True, "column_3": False, "column_4": True, "column_3_hour": True, "column_3_weekday": True,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["type", "update", "items", "user.id", "ctr/7d", "a b", "größe"])
def test_any_name_of_a_column_is_taken(mine, name):
    found, prepared = mine({name: ids(20), "label": coin})
    assert name in settings(found)
    assert name in read_columns(prepared.split_folder("test"))


def test_users_give_groups_and_clusters(mine):
    found, prepared = mine({"reviewerID": ids(20, "A{}Q"), "label": coin})
    assert (found.entry["group_id"], found.entry["cluster_id"]) == ("group_id", "reviewerID")
    assert "Rows of the same reviewerID are taken to belong together" in said(found)
    stored = read_columns(prepared.split_folder("train"))
    pairs = set(zip(stored["reviewerID"].tolist(), stored["group_id"].tolist(), strict=True))
    assert len(pairs) == 20 == len({group for _, group in pairs})


def test_users_of_one_class_each_give_clusters_and_no_groups(mine):
    def write(frame, path):
        frame.with_columns(label=pl.col("user").cast(pl.Int64) % 2).write_csv(path)

    found, _ = mine({"user": ids(300), "item": ids(9), "label": coin}, write=write)
    assert "group_id" not in found.entry
    assert found.entry["cluster_id"] == "user"
    assert "Only 0 of them have rows of both classes, too few for gAUC" in said(found)


@pytest.mark.parametrize(
    ("check", "yes", "no"),
    [
        (is_user, ["user", "user_id", "userId", "uid", "USERID", "reviewerID"], ["user_age", "item", "users_count"]),
        (is_item, ["item", "itemId", "movie_id", "ad_id", "video_id"], ["item_price", "user"]),
        (is_history, ["history", "hist_item_id", "click_history", "past_items"], ["tags", "genres", "attributes"]),
        (is_moment, ["timestamp", "event_time", "ts", "createdAt", "date"], ["time_of_day", "watch", "lifetime_value"]),
        (
            is_outcome,
            ["purchase", "is_like", "playTime", "play_time_ms", "conversion"],
            ["price", "like_count", "city"],
        ),
    ],
)
def test_what_names_tell(check, yes, no):
    assert all(map(check, yes))
    assert not any(map(check, no))

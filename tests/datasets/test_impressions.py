"""Rows that list the items shown at once, as in MIND and EB-NeRD: as if a row an item had been written by hand."""

import re

import numpy as np
import polars as pl
import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import read_spec
from fuxi_plugins.datasets.describing.describe import describe
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.reading import csv_blocks
from fuxi_plugins.datasets.reading.files import read_blocks, read_header
from fuxi_plugins.datasets.reading.forms import FileFormat, Impressions
from tests.datasets.test_reading import assert_same

RANDOM = np.random.default_rng(9)
TIMES, ITEMS = 400, 30
USERS = [f"U{user}" for user in RANDOM.integers(0, 40, TIMES)]
SHOWN = [RANDOM.choice(ITEMS, RANDOM.integers(1, 7), replace=False) + 9000 for _ in range(TIMES)]
CLICKED = [[int(item) for item in shown if item % 3 == 0 or RANDOM.random() < 0.1] for shown in SHOWN]
READ = [RANDOM.choice(ITEMS, place % 4, replace=False) + 9000 for place in range(TIMES)]
TITLES = ['"Wheel" of fortune', 'A 5" disk', "Plain"]


def moment(place):
    hour, minute = divmod(place, 60)
    return f"11/{9 + hour // 24}/2019 {hour % 12 or 12}:{minute:02}:07 {'AM' if hour % 24 < 12 else 'PM'}"


def mind(folder):
    rows = zip(range(TIMES), USERS, READ, SHOWN, CLICKED, strict=True)
    (folder / "behaviors.tsv").write_text(
        "".join(
            f"{place}\t{user}\t{moment(place)}\t{' '.join(f'N{item}' for item in read)}\t"
            f"{' '.join(f'N{item}-{int(item in clicked)}' for item in shown)}\n"
            for place, user, read, shown, clicked in rows
        )
    )
    (folder / "news.tsv").write_text(
        "".join(
            f"N{item}\tkind {item % 4}\tpart {item % 5}\t{TITLES[item % 3]} {item}\tAs it is.\thttps://news.com/{item}\t"
            f'[{{"Label": "Q{item % 4}"}}]\t[]\n'
            for item in range(9000, 9000 + ITEMS)
        )
    )


def ebnerd(folder):
    pl.DataFrame(
        {
            "impression_id": range(TIMES),
            "article_id": [None if place % 3 else 9000 + place % ITEMS for place in range(TIMES)],
            "impression_time": pl.Series(
                [f"2023-05-18 {p // 60:02}:{p % 60:02}" for p in range(TIMES)]
            ).str.to_datetime(),
            "article_ids_inview": pl.Series([list(map(int, shown)) for shown in SHOWN]),
            "article_ids_clicked": pl.Series(CLICKED, dtype=pl.List(pl.Int64)),
            "user_id": USERS,
        }
    ).write_parquet(folder / "behaviors.parquet")
    pl.DataFrame(
        {
            "article_id": range(9000, 9000 + ITEMS),
            "category": [f"kind {item % 4}" for item in range(9000, 9000 + ITEMS)],
        }
    ).write_parquet(folder / "articles.parquet")


def by_hand(item_name):
    """A row for each item, and of it what both datasets say."""
    rows = [
        {"user_id": user, item_name: f"{prefix}{item}", "category": f"kind {item % 4}", "click": int(item in clicked)}
        for prefix in [{"item_id": "N"}.get(item_name, "")]
        for user, shown, clicked in zip(USERS, SHOWN, CLICKED, strict=True)
        for item in shown
    ]
    return pl.DataFrame(rows)


def prepared(folder, entry):
    return prepare_dataset(read_spec("mine", entry, folder), Workspace(folder, folder, folder / "cache"))


@pytest.mark.parametrize(("write", "item"), [(mind, "item_id"), (ebnerd, "shown_article_id")])
def test_each_item_is_a_row_as_if_written_by_hand(tmp_path, monkeypatch, write, item):
    monkeypatch.setattr("fuxi_plugins.datasets.reading.files._IMPRESSIONS_BYTES", 3000)
    folders = [tmp_path / "lists", tmp_path / "rows"]
    for folder in folders:
        folder.mkdir()
    write(folders[0])
    by_hand(item).write_csv(folders[1] / "rows.csv")
    entry = describe("mine", folders[0]).entry
    assert entry["impressions"]["item"] == item
    assert entry["split"]["by"] == "time"
    features = [{"name": ["user_id", item, "category"], "type": "categorical", "dtype": "str"}]
    common = {"feature_cols": features, "split": {"by": "order", "valid": 0.2, "test": 0.2}}
    for place in ("cluster_id", "group_id", "feature_sources"):
        entry.pop(place, None)
    plain = {"title": "", "data_root": str(folders[1]), "train_data": "rows.csv", "min_categr_count": 2,
             "label_col": entry["label_col"]}  # fmt: skip
    lists, rows = prepared(folders[0], entry | common), prepared(folders[1], plain | common)
    assert sum(lists.card.rows.values()) == sum(map(len, SHOWN))
    assert_same(lists, rows)


def test_what_describe_says_of_mind(tmp_path):
    mind(tmp_path)
    found = describe("mine", tmp_path)
    columns = {column["name"]: column for column in found.entry["feature_cols"]}
    assert found.entry["tables"] == {"news.tsv": {"news_id": "item_id"}}
    assert found.entry["quotes"] is False
    assert columns["history"]["share_embedding"] == "item_id"
    assert "impressions" not in columns
    assert not columns["title_entities"].get("active", True)
    assert found.entry["feature_sources"]["user"] == ["user_id", "history"]
    assert any("marks the clicked ones with -1" in remark for remark in found.remarks)


@pytest.mark.parametrize(("clicks", "label"), [("clicked", "click"), ("click", "label")])
def test_a_list_of_clicks_may_be_called_as_labels_are(tmp_path, clicks, label):
    pages = {"user_id": USERS, "inview": [list(map(int, shown)) for shown in SHOWN], clicks: CLICKED}
    pl.DataFrame(pages, schema_overrides={clicks: pl.List(pl.Int64)}).write_parquet(tmp_path / "pages.parquet")
    entry = describe("mine", tmp_path).entry
    assert entry["impressions"] == {"shown": "inview", "clicked": clicks, "item": "item_id", "label": label}
    assert sum(prepared(tmp_path, entry).card.rows.values()) == sum(map(len, SHOWN))


def test_the_history_of_a_user_shares_the_table_of_the_items_shown(tmp_path):
    ebnerd(tmp_path)
    users = sorted(set(USERS))
    pl.DataFrame(
        {"user_id": users, "article_id_fixed": [[9000 + place % ITEMS, 9001] for place in range(len(users))]}
    ).write_parquet(tmp_path / "history.parquet")
    found = describe("mine", tmp_path)
    columns = {column["name"]: column for column in found.entry["feature_cols"]}
    assert columns["article_id_fixed"]["share_embedding"] == "shown_article_id"
    assert found.entry["tables"] == {
        "articles.parquet": {"article_id": "shown_article_id"},
        "history.parquet": "user_id",
    }


def test_a_folder_for_each_split_with_tables_in_it(tmp_path):
    """As MIND and EB-NeRD are downloaded: most news are in both, and a user's history is another in each."""
    folders = [tmp_path / "small_train", tmp_path / "small_dev"]
    for place, folder in enumerate(folders):
        folder.mkdir()
        mind(folder)
        lines = (folder / "news.tsv").read_text().splitlines(keepends=True)
        (folder / "news.tsv").write_text("".join(lines[: ITEMS - 5] if place else lines))
        (folder / "people.tsv").write_text(
            "".join(["user_id\tage\n", *(f"{user}\t{place + len(user)}\n" for user in sorted(set(USERS)))])
        )
    found = describe("mine", tmp_path)
    entry = found.entry
    assert entry["train_data"] == "small_train/behaviors.tsv"
    assert entry["valid_data"] == "small_dev/behaviors.tsv"
    assert entry["tables"] == {"*/news.tsv": {"news_id": "item_id"}, "small_train/people.tsv": "user_id"}
    assert "Not read: small_dev/people.tsv." in found.remarks
    assert sum(prepared(tmp_path, entry).card.rows.values()) == 2 * sum(map(len, SHOWN))


MARKED = FileFormat(impressions=Impressions(shown="shown"))
PAIRED = FileFormat(impressions=Impressions(shown="shown", clicked="clicks", item="one", label="hit"))


def rows_of(tmp_path, text, file_format, columns):
    (tmp_path / "rows.csv").write_text(text)
    return pl.concat(block.frame for block in read_blocks(tmp_path / "rows.csv", columns, file_format))


@pytest.mark.parametrize(
    ("text", "file_format", "expected"),
    [
        ("user,shown\na,N1-0 N2-1\nb,\nc,N-2-1\n", MARKED, [("a", "N1", 0), ("a", "N2", 1), ("c", "N-2", 1)]),
        ("user,shown\na,[N1-0  N2-1]\n", MARKED, [("a", "N1", 0), ("a", "N2", 1)]),
        (
            'user,shown,clicks\na,"[3, 4]",[4]\nb,[3],[]\nc,,[3]\n',
            PAIRED,
            [("a", "3", 0), ("a", "4", 1), ("b", "3", 0)],
        ),
        ('user,shown,clicks\na,"3,4,3","3,9"\n', PAIRED, [("a", "3", 1), ("a", "4", 0), ("a", "3", 1)]),
    ],
)
def test_lists_in_texts(tmp_path, text, file_format, expected):
    lists = file_format.impressions
    assert rows_of(tmp_path, text, file_format, ["user", lists.item, lists.label]).rows() == expected
    assert rows_of(tmp_path, text, file_format, ["user"]).height == len(expected)
    assert read_header(tmp_path / "rows.csv", file_format) == ["user", lists.item, lists.label]


def test_an_entry_without_a_mark_is_named_with_its_line(tmp_path):
    with pytest.raises(UserError, match=re.escape("rows.csv, line 4: each entry of 'shown' must end in -1")) as said:
        rows_of(tmp_path, "user,shown\na,N1-0 N2-1\nb,N1-0\nc,N1-0 N7\n", MARKED, ["user"])
    assert "'N1-0 N7'" in str(said.value)


def entry_of(folder, **settings):
    number = {"name": "age", "type": "numeric", "dtype": "float"}
    return {
        "title": "", "data_root": str(folder), "train_data": "rows.csv", "min_categr_count": 1,
        "feature_cols": [{"name": "item_id", "type": "categorical", "dtype": "str"}, number],
        "label_col": {"name": "click", "dtype": "float"}, "split": {"by": "order", "valid": 0.2, "test": 0.2},
        "impressions": {"shown": "shown"}, **settings,
    }  # fmt: skip


def test_a_wrong_value_is_named_with_the_line_of_its_list(tmp_path):
    lines = [f"{age},N1-0 N2-1 N3-0\n" for age in [*range(18), "old", 20]]
    (tmp_path / "rows.csv").write_text("age,shown\n" + "".join(lines))
    with pytest.raises(UserError, match="rows.csv, line 20: .*'old'"):
        prepared(tmp_path, entry_of(tmp_path))


def test_how_lists_and_quotes_are_read_is_part_of_the_data(tmp_path):
    lines = [f"{age},N1-0 N2-1 N3-0,N4-1 N{age}-0\n" for age in range(20)]
    (tmp_path / "rows.csv").write_text("age,shown,other\n" + "".join(lines))
    read = [{}, {"impressions": {"shown": "other"}}, {"quotes": False}]
    assert len({prepared(tmp_path, entry_of(tmp_path, **how)).card.fingerprint for how in read}) == len(read)


def test_new_columns_have_names_of_their_own(tmp_path):
    with pytest.raises(UserError, match="the file has the column click already"):
        rows_of(tmp_path, "user,shown,click\na,N1-0,1\n", MARKED, ["user"])
    with pytest.raises(UserError, match="lacks clicks"):
        rows_of(tmp_path, "user,shown\na,N1-0\n", PAIRED, ["user"])
    with pytest.raises(ValueError, match="must be different columns"):
        Impressions(shown="shown", clicked="shown")


@pytest.mark.parametrize("rows", ["a,1,T-1 T-0\n", "a,1,T-1\n", "a,1,model x-1 y-0\n"])
def test_other_texts_are_no_impressions(tmp_path, rows):
    """The first has a label already; the next names one entry a row; the last holds words."""
    (tmp_path / "rows.csv").write_text("user,click,code\n" + rows * 30 + rows.replace("1,", "0,", 1) * 30)
    assert "impressions" not in describe("mine", tmp_path / "rows.csv").entry


def test_lists_stay_lists_where_another_label_is_asked_for(tmp_path):
    lines = [f"{place % 2},N{place % 7}-0 N{place % 5}-1\n" for place in range(60)]
    (tmp_path / "rows.csv").write_text("stayed,shown\n" + "".join(lines))
    assert describe("mine", tmp_path / "rows.csv").entry["label_col"]["name"] == "click"
    entry = describe("mine", tmp_path / "rows.csv", label="stayed").entry
    assert "impressions" not in entry
    assert entry["feature_cols"][0]["name"] == "shown"


def test_quotes_are_letters_where_they_break_values(tmp_path):
    rows = "".join(f"{place % 2}\t{TITLES[place % 3]}\t{place % 5}\n" for place in range(60))
    (tmp_path / "rows.tsv").write_text("label\ttitle\tkind\n" + rows)
    entry = describe("mine", tmp_path / "rows.tsv").entry
    assert entry["quotes"] is False
    spec = read_spec("mine", entry, tmp_path)
    (block,) = read_blocks(tmp_path / "rows.tsv", ["title"], spec.file_format)
    assert block.frame["title"].to_list() == [TITLES[place % 3] for place in range(60)]
    with pytest.raises(UserError, match="write quotes: false in the dataset config"):
        list(read_blocks(tmp_path / "rows.tsv", ["title"]))


def test_quotes_stay_quotes_where_they_are_whole(tmp_path):
    rows = "".join(f'{place % 2},"a ""big"", {place % 3}",x"y"\n' for place in range(60))
    (tmp_path / "rows.csv").write_text("label,title,kind\n" + rows)
    assert "quotes" not in describe("mine", tmp_path / "rows.csv").entry


def test_a_row_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 100)
    (tmp_path / "rows.csv").write_text("label,title\n1," + "x" * 1000)
    with pytest.raises(UserError, match="line 2: a row must end within 400 bytes"):
        list(read_blocks(tmp_path / "rows.csv", ["title"]))

"""Logs in every form that is read, and what is said of those that are wrong."""

import gzip

import polars as pl
import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.interactions.attributes import read_attributes
from fuxi_plugins.datasets.interactions.log import read_log
from fuxi_plugins.datasets.interactions.settings import Attributes, Log
from fuxi_plugins.datasets.reading.forms import Impressions

EVENTS = [(10, 3, 5, 100), (9, 20, 4, 90), (10, 100, 1, 80), (9, 3, 5, 90)]  # user, item, rating, second


def text(separator, header=False):
    names = [["user_id", "item_id", "rating", "timestamp"]] if header else []
    return "".join(separator.join(map(str, row)) + "\n" for row in [*names, *EVENTS])


NAMED = {"column_names": ["user_id", "item_id", "rating", "timestamp"]}


@pytest.mark.parametrize(("name", "content", "form"), [
    ("ratings.dat", text("::"), {"separator": "::", **NAMED}),
    ("u.data", text("\t"), {"separator": "\t", **NAMED}),
    ("ratings.csv", text(",", header=True), {}),
    ("ratings.tsv", text("\t", header=True), {}),
    ("ratings.csv.gz", text(",", header=True), {}),
    ("ratings.parquet", None, {}),
    ("ratings.jsonl", None, {}),
])  # fmt: skip
def test_a_table_of_any_format_gives_the_same_log(tmp_path, name, content, form):
    path = tmp_path / name
    frame = pl.DataFrame(EVENTS, schema=["user_id", "item_id", "rating", "timestamp"], orient="row")
    if content is None:
        (frame.write_parquet if name.endswith("parquet") else frame.write_ndjson)(path)
    else:
        path.write_bytes(gzip.compress(content.encode()) if name.endswith("gz") else content.encode())
    log = read_log(tmp_path, Log(file=name, positive={"column": "rating", "rule": ">= 4"}, context=["rating"], **form))
    assert log.users.to_list() == ["10", "9"], "as the log first names them"
    assert log.items.to_list() == ["3", "20", "100"], "as numbers"
    assert log.user.tolist() == [0, 0, 1, 1]
    assert log.items.gather(log.item).to_list() == ["100", "3", "20", "3"], "ties stay in the log's order"
    assert log.moment.tolist() == [80, 100, 90, 90]
    assert log.positive.tolist() == [False, True, True, True]
    assert [str(rating) for rating in log.context["rating"]] == ["1", "5", "4", "5"]


def test_dates_are_moments(tmp_path):
    (tmp_path / "log.csv").write_text("who,what,when\na,x,2026-01-02 00:00:01\na,y,2026-01-02 00:00:00\n")
    log = read_log(tmp_path, Log(file="log.csv", user="who", item="what", time="when"))
    assert log.items.gather(log.item).to_list() == ["y", "x"]
    assert log.moment[1] - log.moment[0] == 1


def test_a_line_a_user_is_a_sequence(tmp_path):
    (tmp_path / "log.txt").write_text("7 b a b\n3  c\ta\n")
    log = read_log(tmp_path, Log(file="log.txt", form="sequences"))
    assert list(zip(log.users.gather(log.user), log.items.gather(log.item), log.moment, strict=True)) == [
        ("7", "b", 1), ("7", "a", 2), ("7", "b", 3), ("3", "c", 1), ("3", "a", 2)]  # fmt: skip
    assert log.positive.all()


def test_what_a_page_showed_is_a_row_each(tmp_path):
    frame = pl.DataFrame({
        "who": [7, 3, 7], "when": [30, 20, 10], "shown": [[1, 2, 3], [2], [9, 1]], "clicked": [[3, 1], [], None],
        "page": ["p", "q", "r"],
    })  # fmt: skip
    frame.write_parquet(tmp_path / "log.parquet")
    lists = Impressions(shown="shown", clicked="clicked")
    log = read_log(tmp_path, Log(file="log.parquet", user="who", time="when", impressions=lists, context=["page"]))
    found = zip(log.users.gather(log.user), log.items.gather(log.item), log.positive, log.context["page"], strict=True)
    assert list(found) == [
        ("7", "9", False, "r"), ("7", "1", False, "r"), ("7", "1", True, "p"), ("7", "2", False, "p"),
        ("7", "3", True, "p"), ("3", "2", False, "q")]  # fmt: skip


@pytest.mark.parametrize(("content", "said"), [
    ("1 2 3\n4\n", "log.txt, line 2: a line must hold a user's id and then items, but this one is '4'"),
    ("1 2 3\n\n2 4\n", "line 2: a line must hold"),
    ("1 2 3\n2 4\n1 5\n", "line 3: a user must have one line, but '1' has another"),
    ("1 2^3 3\n", "must not hold \\^, which joins the items of a history, but '2\\^3' does"),
])  # fmt: skip
def test_wrong_sequences_are_named(tmp_path, content, said):
    (tmp_path / "log.txt").write_text(content)
    with pytest.raises(UserError, match=said):
        read_log(tmp_path, Log(file="log.txt", form="sequences"))


@pytest.mark.parametrize(("line", "said"), [
    (",5,4,9", "ratings.csv, line 3: 'user_id' must hold an id, but is empty"),
    ("1,,4,9", "line 3: 'item_id' must hold an id"),
    ("1,5,,9", "line 3: 'rating' must be what the rule '>= 4' can compare, but is None"),
    ("1,5,4,soon", "line 3: 'timestamp' must hold numbers or dates"),
])  # fmt: skip
def test_a_wrong_row_is_named(tmp_path, line, said):
    (tmp_path / "ratings.csv").write_text(f"user_id,item_id,rating,timestamp\n1,2,3,4\n{line}\n")
    with pytest.raises(UserError, match=said):
        read_log(tmp_path, Log(file="ratings.csv", positive={"column": "rating", "rule": ">= 4"}))


def test_a_missing_column_and_an_empty_log_are_said(tmp_path):
    (tmp_path / "log.csv").write_text("user_id,item_id\n1,2\n")
    with pytest.raises(UserError, match="must have the columns user_id, item_id, timestamp, but lacks timestamp"):
        read_log(tmp_path, Log(file="log.csv"))
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\n")
    with pytest.raises(UserError, match="must hold interactions, but holds none"):
        read_log(tmp_path, Log(file="log.csv"))


@pytest.mark.parametrize(("content", "said"), [
    ("[1]", "must hold one JSON object of ids, but holds a list"),
    ('{"a": 1', "must hold one JSON object, but does not"),
    ('{"a": 1}', "'a' must hold an object of kind, brand, but holds 1"),
])  # fmt: skip
def test_wrong_attributes_are_named(tmp_path, content, said):
    (tmp_path / "items.json").write_text(content)
    with pytest.raises(UserError, match=said):
        read_attributes(
            tmp_path, Attributes(file="items.json", form="mapping", columns=["kind", "brand"]), pl.Series(["a"])
        )


def test_an_item_told_of_twice_is_named(tmp_path):
    (tmp_path / "items.csv").write_text("item,kind\na,1\nb,2\na,3\n")
    with pytest.raises(UserError, match="items.csv must tell of each id once, but of 'a' several times"):
        read_attributes(tmp_path, Attributes(file="items.csv", key="item", columns=["kind"]), pl.Series(["a"]))

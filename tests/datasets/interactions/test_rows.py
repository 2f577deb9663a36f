"""Rows made from a log: those of a slow reference, and the laws that every protocol must keep."""

from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.columns import SPLITS
from fuxi_plugins.datasets.interactions import rows as rows_module
from fuxi_plugins.datasets.interactions.rows import build_rows
from fuxi_plugins.datasets.interactions.settings import FromInteractions
from tests.datasets.interactions import reference

RATED = {"column": "stars", "rule": ">= 4"}


def settings_of(log=None, split=None, **others) -> FromInteractions:
    return FromInteractions(log={"file": "log.csv", **(log or {})}, split=split or {"by": "leave_last_out"}, **others)


def made(folder, events, how: FromInteractions) -> list[tuple]:
    """The rows that come of (user, item, moment, stars), split after split."""
    folder.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(events, schema=["user_id", "item_id", "timestamp", "stars"], orient="row").write_csv(
        folder / "log.csv"
    )
    build_rows(folder, folder, how)
    return [(split, *row) for split in SPLITS for row in read(folder, split)]


def read(folder, split) -> list[tuple]:
    table = pl.read_csv(folder / f"{split}.csv", infer_schema=False).fill_null("")
    return [
        (int(row["user_id"]), int(row["item_id"]), int(row["timestamp"]), int(row["label"]),
         [int(item) for item in row["history"].split("^")] if row["history"] else [])
        for row in table.iter_rows(named=True)
    ]  # fmt: skip


def drawn_log(seed, users=12, items=40, length=12):
    """(user, item, moment, stars) in any order; several events share a moment, and some items repeat."""
    random = np.random.default_rng(seed)
    return [
        (int(user) + 5, int(item) + 1, int(moment), int(stars))
        for user, item, moment, stars in zip(
            random.integers(0, users, users * length), random.integers(0, items, users * length),
            random.integers(0, 30, users * length), random.integers(1, 6, users * length), strict=True)
    ]  # fmt: skip


PROTOCOLS = {
    "leave last out": settings_of(),
    "by time": settings_of(split={"by": "time", "valid": 0.2, "test": 0.1}),
    "at random": settings_of(split={"by": "random", "valid": 0.2, "test": 0.1, "seed": 5}),
    "by popularity": settings_of(negatives={"by": "popularity", "per_positive": 3}),
    "past alone": settings_of(negatives={"avoid": "past", "per_positive": 2, "seed": 7}, history=3),
    "rated": settings_of(log={"positive": RATED}, min_history=0),
    "rated, the others negatives": settings_of(
        log={"positive": RATED, "others": "negatives"}, negatives={"per_positive": 0}, history=4, min_history=2,
        split={"by": "time", "valid": 0.1, "test": 0.3},
    ),
    "rated, both": settings_of(log={"positive": RATED, "others": "negatives"}, negatives={"avoid": "past"}),
}  # fmt: skip


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("seed", range(3))
def test_the_rows_are_those_of_the_reference(name, seed, tmp_path, monkeypatch):
    monkeypatch.setattr(rows_module, "BLOCK_ROWS", 17)
    how, events = PROTOCOLS[name], drawn_log(seed)
    positive = [how.log.positive is None or event[3] >= 4 for event in events]
    expected = reference.rows([(*event[:3], p) for event, p in zip(events, positive, strict=True)], how)
    assert made(tmp_path, events, how) == sorted(expected, key=lambda row: SPLITS.index(row[0]))


@settings(max_examples=25)
@given(
    events=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 30), st.integers(0, 8), st.integers(1, 5)), min_size=1),
    avoid=st.sampled_from(["all", "past"]),
    per_positive=st.integers(1, 3),
    history=st.integers(1, 3),
)
def test_what_every_protocol_must_keep(events, avoid, per_positive, history, tmp_path_factory):
    most = max(Counter(user for user, *_ in {event[:2] for event in events}).values())
    assume(most < len({item for _, item, *_ in events}))
    assume(any(u == v and m < n and min(s, t) >= 4 for u, _, m, s in events for v, _, n, t in events))
    how = settings_of(
        log={"positive": RATED}, negatives={"avoid": avoid, "per_positive": per_positive}, history=history
    )
    rows = made(tmp_path_factory.mktemp("log"), events, how)
    likes = {(user, item, moment) for user, item, moment, stars in events if stars >= 4}
    for _, user, item, moment, label, past in rows:
        met = {(i, m) for u, i, m, _ in events if u == user}
        assert 1 <= len(past) <= history
        assert all(any((user, other, when) in likes for when in range(moment)) for other in past), "only the past"
        assert (
            ((user, item, moment) in likes)
            if label
            else all(i != item for i, m in met if avoid == "all" or m <= moment)
        )
    counts = Counter(label for *_, label, _ in rows)
    assert counts[0] == per_positive * counts[1]
    for user in {row[1] for row in rows}:
        ends = {split: [row[3] for row in rows if row[:2] == (split, user) and row[4]] for split in SPLITS}
        assert len(ends["test"]) == 1
        assert max([*ends["train"], *ends["valid"]], default=-1) <= ends["test"][0]


def test_each_setting_of_the_draws_counts_and_the_same_gives_the_same_bytes(tmp_path):
    events = drawn_log(1)
    laws = [{}, {"seed": 1}, {"by": "popularity"}, {"avoid": "past"}, {"per_positive": 2}]
    for number, law in enumerate([*laws, {}]):
        made(tmp_path / str(number), events, settings_of(negatives=law))
    texts = [(tmp_path / str(number) / "train.csv").read_bytes() for number in range(len(laws) + 1)]
    assert len(set(texts[:-1])) == len(laws)
    assert texts[0] == texts[-1]


def test_uniform_and_popular_draws_follow_their_laws(tmp_path):
    """Item 1 stands in every second event of train and item 99 in test alone."""
    random = np.random.default_rng(0)
    events = [(user, 1 if t % 2 else int(random.integers(2, 50)), t, 5) for user in range(300) for t in range(6)]
    events = [(user, 99 if t == 5 else item, t, s) for user, item, t, s in events] + [(999, 98, 0, 5), (999, 97, 1, 5)]
    fresh = [(1000 + user, 60 + t, t, 5) for user in range(500) for t in range(5)]  # have met neither 1 nor 99
    drawn = {}
    for by in ("uniform", "popularity"):
        rows = made(tmp_path / by, events + fresh, settings_of(negatives={"by": by}))
        drawn[by] = Counter(item for _, user, item, _, label, _ in rows if not label and user >= 1000)
    rows = sum(drawn["uniform"].values())
    assert drawn["uniform"][1] / rows == pytest.approx(1 / 53, abs=0.01)
    assert drawn["uniform"][99] > 0
    assert drawn["popularity"][1] > 10 * drawn["uniform"][1]
    assert drawn["popularity"][99] == 0, "test does not tell train what is popular"


def test_a_split_by_file_follows_the_files(tmp_path):
    for number, name in enumerate(("a.csv", "b.csv", "c.csv")):
        lines = "".join(f"u,{item},{100 - number * 10 + item},{item % 2}\n" for item in range(1, 9))
        (tmp_path / name).write_text("user_id,item_id,timestamp,click\n" + lines)
    log = {"file": ["c.csv", "b.csv", "a.csv"], "positive": {"column": "click", "rule": "== 1"}, "others": "negatives"}
    how = FromInteractions(
        log=log, negatives={"per_positive": 0}, min_history=0, split={"by": "file", "valid": "b.csv", "test": "a.csv"}
    )
    build_rows(tmp_path, tmp_path, how)
    moments = {split: pl.read_csv(tmp_path / f"{split}.csv")["timestamp"].to_list() for split in SPLITS}
    assert {split: (min(times), max(times)) for split, times in moments.items()} == {
        "train": (81, 88), "valid": (91, 98), "test": (101, 108)}  # fmt: skip
    assert pl.read_csv(tmp_path / "test.csv")["history"][0].startswith("1^3^5^7^1^3"), "the files' pasts are one"


def test_attributes_and_context_stand_beside_each_row(tmp_path):
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp,page\n7,a,1,x\n7,b,2,y\n7,c,3,z\n8,d,1,x\n8,a,2,y\n")
    (tmp_path / "items.dat").write_bytes("a::Caf\xe9::Drama|War\nb::B::War\nd::D::\n".encode("latin-1"))
    (tmp_path / "users.json").write_text('{"7": {"age": 30, "tags": ["p", "q"]}, "9": {"age": 1}}')
    how = FromInteractions(
        log={"file": "log.csv", "context": ["page"]},
        items={"file": "items.dat", "separator": "::", "column_names": ["film", "title", "genres"], "key": "film",
               "encoding": "latin-1", "columns": ["title", "genres"]},
        users={"file": "users.json", "form": "mapping", "columns": ["age", "tags"]},
        split={"by": "leave_last_out"},
    )  # fmt: skip
    build_rows(tmp_path, tmp_path, how)
    tables = pl.concat([pl.read_csv(tmp_path / f"{split}.csv", infer_schema=False) for split in ("valid", "test")])
    known = {"a": ("Caf\xe9", "Drama|War"), "b": ("B", "War"), "c": (None, None), "d": ("D", None)}
    for row in tables.iter_rows(named=True):
        assert (row["title"], row["genres"]) == known[row["item_id"]]
        assert (row["age"], row["tags"]) == (("30", "p^q") if row["user_id"] == "7" else (None, None))
        assert row["page"] == {"2": "y", "3": "z"}[row["timestamp"]], "a drawn negative has its positive's context"
    assert tables.columns[:5] == ["label", "user_id", "item_id", "timestamp", "history"]


def test_a_log_that_gives_no_row_is_said(tmp_path):
    with pytest.raises(UserError, match="of its 2 none is positive after 1 earlier ones of its user"):
        made(tmp_path, [(3, 1, 0, 5), (4, 2, 0, 5)], settings_of())


@pytest.mark.parametrize("avoid", ["all", "past"])
def test_a_user_who_has_met_every_item_is_named(tmp_path, avoid):
    how = settings_of(negatives={"avoid": avoid})
    with pytest.raises(UserError, match="user '3', who has met each of the 2 items"):
        made(tmp_path, [(3, 1, 0, 5), (3, 2, 1, 5), (4, 1, 0, 5)], how)

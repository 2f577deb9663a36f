"""MovieLens 100K: every column by the book, and nothing of the future in a row."""

import hashlib
import json
from bisect import bisect_left
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.sources.movielens import build_ml100k
from tests.conftest import ROOT

HEADER = "label,user_id,age,gender,occupation,zip_prefix,item_id,release_year,genres,hour,weekday,history,timestamp"

GENRES = "unknown|0\nComedy|1\nDrama|2\nSci-Fi|3\n\n"
USERS = "1|24|M|technician|85711\n2|53|F|other|T8H1N\n3|7|M|student|01234\n"
FILMS = (
    "1|Caf\xe9 (1994)|01-Jan-1995||http://example.org/1|0|1|1|0\n"
    "2|Early (1971)|4-Feb-1971||http://example.org/2|0|0|1|0\n"
    "3|A Year (1979) (1980) (V)||||0|0|0|1\n"
    "4|unknown||||1|0|0|0\n"
    "5|Plain (1996)|31-Dec-1997|01-Jan-1998||0|1|1|1\n"
    "6|Last (1997)|01-Jan-1997||http://example.org/6|0|0|1|0\n"
)
NOON = 875188800  # Thursday, 25 September 1997, 12:00:00 UTC

# User, film, stars and seconds after NOON; out of order, as u.data is. In order of time, 80% of the twenty end
# before row 16 (from 0), amid rows 14 to 16, all of second 60; and 90% before row 18, amid rows 17 and 18 of 70.
RATINGS = [
    (1, 6, 5, 70),
    (2, 5, 4, 90),
    (1, 1, 5, 10),
    (1, 2, 4, 10),
    (1, 3, 3, 10),
    (3, 1, 4, 5),
    (1, 4, 5, 20),
    (2, 1, 2, 25),
    (2, 2, 5, 26),
    (2, 3, 5, 26),
    (3, 2, 5, 30),
    (3, 3, 1, 31),
    (3, 4, 4, 32),
    (3, 5, 4, 32),
    (2, 4, 1, 40),
    (3, 6, 5, 50),
    (1, 5, 4, 60),
    (2, 6, 5, 60),
    (4, 1, 5, 60),
    (4, 2, 5, 70),
]
USERS_OF_RATINGS = USERS + "4|30|F|artist|99999\n"


def write_raw(folder: Path, ratings=RATINGS, **texts: str) -> Path:
    """The four raw files, in their encoding."""
    folder.mkdir(exist_ok=True)
    lines = "".join(f"{user}\t{film}\t{stars}\t{NOON + second}\n" for user, film, stars, second in ratings)
    files = {"data": lines, "user": USERS_OF_RATINGS, "item": FILMS, "genre": GENRES} | texts
    for name, text in files.items():
        (folder / f"u.{name}").write_bytes(text.encode("latin-1"))
    return folder


def build(source: Path) -> dict[str, pl.DataFrame]:
    folder = source / "built"
    folder.mkdir(exist_ok=True)
    build_ml100k(source, folder)
    return read(folder)


def read(folder: Path) -> dict[str, pl.DataFrame]:
    """The splits as text, an empty cell as an empty string."""
    return {
        split: pl.read_csv(folder / f"{split}.csv", infer_schema=False).fill_null("")
        for split in ("train", "valid", "test")
    }


def rows_of(splits: dict[str, pl.DataFrame]) -> list[tuple[int, int, int, str, int]]:
    """(label, user, film, history, seconds after noon), all splits in order."""
    return [
        (
            int(row["label"]),
            int(row["user_id"]),
            int(row["item_id"]),
            row["history"],
            int(row["timestamp"]) - NOON,
        )
        for split in splits.values()
        for row in split.iter_rows(named=True)
    ]


def rows_by_the_book(ratings) -> list[tuple[int, int, int, str, int]]:
    """The same from the definition: for every row, look through all ratings."""
    rows = []
    for user, film, stars, second in sorted(ratings, key=lambda rating: (rating[3], rating[0], rating[1])):
        past = sorted((then, liked) for who, liked, s, then in ratings if who == user and s >= 4 and then < second)
        history = "^".join(str(liked) for _, liked in past[-50:])
        rows.append((int(stars >= 4), user, film, history, second))
    return rows


# A sample small enough to read


def test_every_row_is_by_the_book(tmp_path):
    assert rows_of(build(write_raw(tmp_path))) == rows_by_the_book(RATINGS)


def test_columns_word_by_word(tmp_path):
    source = write_raw(tmp_path)
    build(source)
    lines = (source / "built" / "train.csv").read_text().split("\n")
    assert lines[0] == HEADER
    assert lines[1] == f"1,3,7,M,student,0,1,1995,Comedy^Drama,12,4,,{NOON + 5}"
    assert lines[2] == f"1,1,24,M,technician,8,1,1995,Comedy^Drama,12,4,,{NOON + 10}"
    assert lines[4] == f"0,1,24,M,technician,8,3,1980,Sci-Fi,12,4,,{NOON + 10}", "the year of the title"
    assert lines[5] == f"1,1,24,M,technician,8,4,unknown,unknown,12,4,1^2,{NOON + 20}", "no year anywhere"
    assert lines[6] == f"0,2,53,F,other,other,1,1995,Comedy^Drama,12,4,,{NOON + 25}", "a Canadian zip code"


def test_hour_and_weekday_are_those_of_utc(tmp_path):
    ratings = [(1 + k % 3, 1 + k % 6, 4, 7 * 3600 * k) for k in range(30)]
    for split in build(write_raw(tmp_path, ratings)).values():
        for row in split.iter_rows(named=True):
            moment = datetime.fromtimestamp(int(row["timestamp"]), UTC)
            assert (int(row["hour"]), int(row["weekday"])) == (moment.hour, moment.isoweekday())


def test_likes_of_the_same_second_are_not_yet_history(tmp_path):
    rows = {(user, film): history for _, user, film, history, _ in rows_of(build(write_raw(tmp_path)))}
    assert rows[1, 1] == rows[1, 2] == rows[1, 3] == ""
    assert rows[1, 4] == "1^2", "film 3 was not liked"
    assert rows[3, 4] == rows[3, 5] == "1^2"


def test_no_second_is_torn_apart(tmp_path):
    splits = build(write_raw(tmp_path))
    assert {split: frame.height for split, frame in splits.items()} == {"train": 14, "valid": 3, "test": 3}
    assert set(splits["valid"]["timestamp"]) == {str(NOON + 60)}
    assert set(splits["test"]["timestamp"]) == {str(NOON + 70), str(NOON + 90)}


def test_history_holds_the_latest_fifty(tmp_path):
    films = "".join(f"{film}|Film (1990)|01-Jan-1990|||0|1|0|0\n" for film in range(1, 101))
    ratings = [(1, film, 5, film) for film in range(1, 101)]
    histories = [history.split("^") for _, _, _, history, _ in rows_of(build(write_raw(tmp_path, ratings, item=films)))]
    assert histories[50] == [str(film) for film in range(1, 51)]
    assert histories[51] == [str(film) for film in range(2, 52)]
    assert histories[99] == [str(film) for film in range(50, 100)]


def test_the_order_of_the_raw_lines_does_not_matter(tmp_path):
    first, second = write_raw(tmp_path / "a"), write_raw(tmp_path / "b", RATINGS[::-1])
    build(first), build(second)
    for split in ("train.csv", "valid.csv", "test.csv"):
        assert (first / "built" / split).read_bytes() == (second / "built" / split).read_bytes()


# Any ratings at all

few = settings(max_examples=50)  # each writes and reads seven files

some_ratings = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 5), st.integers(0, 12)),
    min_size=10,
    max_size=24,
    unique_by=lambda rating: rating[:2],
)


@few
@given(ratings=some_ratings)
def test_laws_of_time(tmp_path_factory, ratings):
    source = write_raw(tmp_path_factory.mktemp("raw"), ratings)
    seconds = sorted(rating[3] for rating in ratings)
    valid_from, test_from = seconds[len(seconds) * 8 // 10], seconds[len(seconds) * 9 // 10]
    if not seconds[0] < valid_from < test_from:
        with pytest.raises(UserError, match="enough seconds"):
            build(source)
        return
    splits = build(source)
    assert rows_of(splits) == rows_by_the_book(ratings)
    seconds_of = {split: [int(value) - NOON for value in frame["timestamp"]] for split, frame in splits.items()}
    assert max(seconds_of["train"]) < min(seconds_of["valid"]) == valid_from
    assert max(seconds_of["valid"]) < min(seconds_of["test"]) == test_from


@few
@given(ratings=some_ratings, later=st.integers(0, 12))
def test_what_comes_later_changes_no_earlier_row(tmp_path_factory, ratings, later):
    """The ratings from some second on are turned round: likes become dislikes and the other way."""
    changed = [(user, film, 6 - stars if second >= later else stars, second) for user, film, stars, second in ratings]
    before, after = tmp_path_factory.mktemp("before"), tmp_path_factory.mktemp("after")
    try:
        rows, changed_rows = (
            rows_of(build(write_raw(before, ratings))),
            rows_of(build(write_raw(after, changed))),
        )
    except UserError:
        return  # too few seconds to split
    for row, changed_row in zip(rows, changed_rows, strict=True):
        if row[4] < later:
            assert row == changed_row
        if row[4] <= later:  # of its own second only the label may differ
            assert row[1:] == changed_row[1:]


# What is wrong is said


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "data",
            "1\t1\t5\t875188800\n1\t2\t6\t875188801\n",
            "u.data, line 2: expected user id, item id, rating of 1",
        ),
        ("data", "1 1 5 875188800\n", "u.data, line 1: expected"),
        ("data", "9\t1\t5\t875188800\n", "u.data, line 1: every user must be in u.user, but 9"),
        ("data", "1\t99\t5\t875188800\n", "u.data, line 1: every film must be in u.item, but 99"),
        ("data", "", "u.data must have at least one line"),
        ("user", "1|24|M|technician|85711\n\n2|x|M|other|1\n", "u.user, line 3: expected user id"),
        ("user", "1|24|X|technician|85711\n", "u.user, line 1: expected"),
        ("item", "1|Title|1995-01-01|||0|0|0|1\n", "u.item, line 1: expected movie id"),
        (
            "item",
            "1|Title|01-Jan-1995|||0|0|0\n",
            "u.item, line 1: expected 4 genre flags, as u.genre has, but found 3",
        ),
        ("genre", "unknown|0\nComedy|2\n", "u.genre, line 2: expected genre number 1, but found 2"),
        ("genre", "unknown\n", "u.genre, line 1: expected genre"),
        ("genre", "a,b|0\n", "u.genre, line 1: expected genre"),
    ],
)
def test_a_malformed_raw_file_is_named_with_its_line(tmp_path, file, text, message):
    with pytest.raises(UserError) as error:
        build(write_raw(tmp_path, **{file: text}))
    assert message in str(error.value)
    assert not list((tmp_path / "built").iterdir())


# FuxiCTR reads it


def test_fuxictr_reads_the_files_with_our_config(tmp_path):
    from fuxictr.preprocess import FeatureProcessor

    source = write_raw(tmp_path)
    splits = build(source)
    spec = load_dataset_spec(ROOT / "benchmark_configs", "ml100k")
    processor = FeatureProcessor(
        feature_cols=[column.as_fuxictr() for column in spec.active_columns],
        label_col=spec.label_col.model_dump(),
        dataset_id="sample",
        data_root=str(tmp_path),
        group_id=spec.group_id,
    )
    frames = {
        split: processor.preprocess(processor.read_data(str(source / "built" / f"{split}.csv"))) for split in splits
    }
    processor.fit(frames["train"], min_categr_count=spec.min_categr_count)
    train = frames["train"].collect()
    encoded = processor.transform({name: train[name].to_numpy() for name in train.columns})
    number = processor.processor_dict["item_id::tokenizer"].vocab
    for row, history in enumerate(splits["train"]["history"]):
        films = [number[film] for film in history.split("^") if film]
        assert encoded["history"][row].tolist() == [0] * (50 - len(films)) + films, "by the ids of item_id"
    assert encoded["group_id"].tolist() == [int(user) for user in splits["train"]["user_id"]]
    assert not {"timestamp", "label"} & set(processor.feature_map.features)


# The real files, by their counts


@pytest.fixture
def real(real_data, tmp_path):
    """MovieLens 100K itself, built."""
    build_ml100k(real_data / "ml-100k", tmp_path)
    return tmp_path


def test_the_real_files_give_the_same_bytes_everywhere(real):
    assert {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in real.iterdir()} == {
        "train.csv": "e79552f12c4a01033d1cf9bce5e9b2bc",
        "valid.csv": "b8f1ad04603d4baa0b89800a1e8705b0",
        "test.csv": "f1c18d208ddc1e4465fd95bb03d69695",
    }


def test_counts_of_the_real_files(real):
    splits = read(real)
    everything = pl.concat(splits.values())
    assert {split: frame.height for split, frame in splits.items()} == {
        "train": 79_999,
        "valid": 10_001,
        "test": 10_000,
    }
    assert everything["user_id"].n_unique() == 943
    assert everything["item_id"].n_unique() == 1_682
    assert everything.select("user_id", "item_id").is_unique().all()
    assert (everything["label"] == "1").sum() == 55_375  # 34,174 fours and 21,201 fives
    likes = {split: (frame["label"] == "1").sum() for split, frame in splits.items()}
    assert likes == {"train": 44_072, "valid": 5_674, "test": 5_629}


def test_a_split_at_random_draws_the_same_rows_everywhere_and_no_history_tells_a_test_label(real_data, tmp_path):
    source = real_data / "ml-100k"
    build_ml100k(source, tmp_path, split="random")
    drawn = read(tmp_path)
    build_ml100k(source, tmp_path)
    in_order = pl.concat(read(tmp_path).values()).drop("history")
    expected = json.loads((real_data / "ml-100k-reference" / "reference.json").read_text())["splits"]["random_2026"]
    order = np.random.Generator(np.random.PCG64(2026)).permutation(100_000)
    for split, places in zip(drawn, np.split(order, [80_000, 90_000]), strict=True):
        digest = hashlib.sha256(places.astype("<i8").tobytes()).hexdigest()
        assert digest == expected["sha256_of_positions"][split]
        assert drawn[split].drop("history").equals(in_order[places]), split
    likes = {(row["user_id"], row["item_id"]) for row in drawn["train"].iter_rows(named=True) if row["label"] == "1"}
    found = 0
    for split, frame in drawn.items():
        for row in frame.iter_rows(named=True):
            for film in filter(None, row["history"].split("^")):
                found += 1
                assert (row["user_id"], film) in likes, split
    assert found > 1_000_000


def test_most_of_the_real_test_is_about_new_users(real):
    splits = read(real)
    for split, column, count in (
        ("valid", "user_id", 8_466),
        ("valid", "item_id", 53),
        ("test", "user_id", 8_582),
        ("test", "item_id", 149),
    ):
        known = splits["train"][column].unique().implode()
        assert (~splits[split][column].is_in(known)).sum() == count, (split, column)


def test_no_real_history_knows_its_own_second_or_later(real):
    rows = rows_of(read(real))
    liked_at = {(user, film): second for label, user, film, _, second in rows if label}
    seconds_of_likes = defaultdict(list)
    for user, film in sorted(liked_at):
        seconds_of_likes[user].append(liked_at[user, film])
    for seconds in seconds_of_likes.values():
        seconds.sort()
    for _, user, _, history, second in rows:
        films = [int(film) for film in history.split("^") if film]
        when = [liked_at[user, film] for film in films]
        assert len(films) == min(50, bisect_left(seconds_of_likes[user], second)), "every like before is there"
        assert when == sorted(when)
        assert not when or when[-1] < second

"""Folders as public datasets come: of MovieLens, RecBole, Amazon, Yelp, Taobao, KuaiRand, Book-Crossing and Spark."""

import gzip
import json

import numpy as np
import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import read_spec
from fuxi_plugins.datasets.describing.describe import describe
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.spec import SPLITS

RANDOM = np.random.default_rng(1)
ROWS, USERS, ITEMS = 600, 40, 30
WHO, WHAT = RANDOM.integers(1, USERS + 1, ROWS), RANDOM.integers(1, ITEMS + 1, ROWS)
STARS = RANDOM.integers(1, 6, ROWS)
CLICKS = RANDOM.integers(0, 2, ROWS)
MOMENTS = [964982703 + 4000 * row for row in range(ROWS)]


def table(header, rows, separator=","):
    return header + "\n" + lines(rows, separator)


def lines(rows, separator=","):
    return "".join(separator.join(map(str, row)) + "\n" for row in rows)


def json_lines(rows):
    return "\n".join(map(json.dumps, rows)) + "\n"


def movielens(folder):
    (folder / "ratings.csv").write_text(
        table("userId,movieId,rating,timestamp", zip(WHO, WHAT, STARS, MOMENTS, strict=True))
    )
    (folder / "tags.csv").write_text(
        table("userId,movieId,tag,timestamp", zip(WHO[:50], WHAT[:50], ["odd"] * 50, MOMENTS[:50], strict=True))
    )
    titles = [(item, f'"Film {item}, The (1995)"', ("Comedy|Drama", "Drama")[item % 2]) for item in range(1, ITEMS + 1)]
    (folder / "movies.csv").write_text(table("movieId,title,genres", titles))
    (folder / "README.txt").write_text("Summary\n=======\n\nThis dataset describes 5-star rating, and tagging\n")


def movielens_1m(folder):
    write = {"encoding": "latin-1"}
    rows = zip(WHO, WHAT, STARS, MOMENTS, strict=True)
    (folder / "ratings.dat").write_text(lines(rows, "::"))
    films = (
        (item, f"Rosé, Vol. {item} (1995)", ("Drama", "Comedy|Crime|Drama")[item % 2]) for item in range(1, ITEMS + 1)
    )
    (folder / "movies.dat").write_text(lines(films, "::"), **write)
    people = ((user, "FM"[user % 2], 25, user % 9, 10000 + user % 4) for user in range(1, USERS + 1))
    (folder / "users.dat").write_text(lines(people, "::"))


def recbole(folder):
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    (folder / "ml.inter").write_text(table(header, zip(WHO, WHAT, STARS, MOMENTS, strict=True), "\t"))
    films = [(item, ("Comedy Drama", "Drama")[item % 2], item % 7) for item in range(1, ITEMS + 1)]
    (folder / "ml.item").write_text(table("item_id:token\tgenres:token_seq\tprice:float", films, "\t"))
    people = [(user, 20 + user % 5) for user in range(1, USERS + 1)]
    (folder / "ml.user").write_text(table("user_id:token\tage:token", people, "\t"))


def amazon(folder):
    rows = [
        {"reviewerID": f"A{user}", "asin": f"B{item}", "overall": float(stars), "unixReviewTime": moment}
        for user, item, stars, moment in zip(WHO, WHAT, STARS, MOMENTS, strict=True)
    ]
    (folder / "reviews_Toys_5.json.gz").write_bytes(gzip.compress(json_lines(rows).encode()))
    goods = [
        {"asin": f"B{item}", "price": item / 4, "brand": f"b{item % 3}", "categories": [["Toys", "Games"]]}
        for item in range(1, ITEMS + 1)
    ]
    (folder / "meta_Toys.json.gz").write_bytes(gzip.compress(json_lines(goods).encode()))


def yelp(folder):
    reviews = [
        {"review_id": f"r{row}", "user_id": f"u{WHO[row]}", "business_id": f"b{WHAT[row]}", "stars": int(STARS[row])}
        for row in range(ROWS)
    ]
    (folder / "yelp_academic_dataset_review.json").write_text(json_lines(reviews))
    places = [{"business_id": f"b{item}", "city": f"c{item % 3}", "stars": 3.5} for item in range(1, ITEMS + 1)]
    (folder / "yelp_academic_dataset_business.json").write_text(json_lines(places))
    people = [{"user_id": f"u{user}", "average_stars": user / 8, "fans": user % 3} for user in range(1, USERS + 1)]
    (folder / "yelp_academic_dataset_user.json").write_text(json_lines(people))


def taobao(folder):
    rows = zip(WHO, MOMENTS, WHAT, CLICKS, strict=True)
    (folder / "raw_sample.csv").write_text(table("user,time_stamp,adgroup_id,clk", rows))
    ads = [(item, item % 5, item / 4) for item in range(1, ITEMS + 1)]
    (folder / "ad_feature.csv").write_text(table("adgroup_id,cate_id,price", ads))
    people = [(user, user % 3, user % 2) for user in range(1, USERS + 1)]
    (folder / "user_profile.csv").write_text(table("userid,cms_segid,age_level ", people))


def shop(folder):
    rows = ((row, WHO[row], f"P{WHAT[row]}", CLICKS[row]) for row in range(ROWS))
    (folder / "impressions.csv").write_text(table("id,user_id,product_id,clicked", rows))
    people = [(user, f"c{user % 3}") for user in range(1, USERS + 1)]
    (folder / "users.csv").write_text(table("id,city", people))
    goods = [(f"P{item}", item / 4) for item in range(1, ITEMS + 1)]
    (folder / "products.csv").write_text(table("id,price", goods))


def book_crossing(folder):
    rows = ((f'"{user}"', f'"{item:010d}"', f'"{stars}"') for user, item, stars in zip(WHO, WHAT, STARS, strict=True))
    (folder / "BX-Book-Ratings.csv").write_text(table('"User-ID";"ISBN";"Book-Rating"', rows, ";"))
    books = [(f'"{item:010d}"', f'"B\xfccher {item % 4}"') for item in range(1, ITEMS + 1)]
    (folder / "BX-Books.csv").write_bytes(table('"ISBN";"Publisher"', books, ";").encode("latin-1"))


def kuairand(folder):
    lengths = ["", *RANDOM.integers(5000, 900000, ROWS - 1)]
    rows = ((WHO[row], WHAT[row], MOMENTS[row] * 1000, lengths[row], CLICKS[row], row % 40) for row in range(ROWS))
    header = "user_id,video_id,time_ms,duration_ms,is_click,profile_stay_time"
    (folder / "log_standard.csv").write_text(table(header, rows))
    people = [(user, ('"(50,100]"', '"(100,150]"')[user % 2]) for user in range(1, USERS + 1)]
    (folder / "user_features.csv").write_text(table("user_id,follow_user_num_range", people))


def spark(folder):
    rows = list(zip(WHO, WHAT, CLICKS, strict=True))
    for part in range(3):
        (folder / f"part-0000{part}").write_text(table("user_id,item_id,clicked", rows[part::3]))
    (folder / "_SUCCESS").write_text("")
    (folder / "README").write_text("Three parts, of one table, each\n")


def steam(folder):
    """As its authors published it: dicts of Python, a line each."""
    rows = [
        {
            "username": f"u{WHO[row]}",
            "product_id": str(WHAT[row]),
            "clicked": int(CLICKS[row]),
            "text": 'It\'s "fun" \u2665',
        }
        for row in range(ROWS)
    ]
    (folder / "steam_reviews.json.gz").write_bytes(gzip.compress("".join(f"{row!r}\n" for row in rows).encode()))
    games = [{"id": str(item), "genres": ["Action", "Indie"][: item % 2 + 1], "early_access": item % 3 == 0,
              "price": None if item % 5 == 0 else item / 4} for item in range(1, ITEMS + 1)]  # fmt: skip
    (folder / "steam_games.json.gz").write_bytes(gzip.compress("".join(f"{row!r}\n" for row in games).encode()))


FOLDERS = {  # who writes them: the label's name, the tables, and what some columns are
    movielens: ("rating", {"movies.csv": "movieId"}, {"genres": "sequence", "title": None}),
    movielens_1m: (
        "rating",
        {"movies.dat": "movie_id", "users.dat": "user_id"},
        {"genres": "sequence", "title": None, "zip_code": "categorical"},
    ),
    recbole: ("rating", {"ml.item": "item_id", "ml.user": "user_id"}, {"genres": "sequence", "price": "numeric"}),
    amazon: ("overall", {"meta_Toys.json.gz": "asin"}, {"price": "numeric", "brand": "categorical"}),
    yelp: (
        "stars",
        {"yelp_academic_dataset_business.json": "business_id", "yelp_academic_dataset_user.json": "user_id"},
        {"city": "categorical", "average_stars": "numeric", "review_id": None},
    ),
    taobao: (
        "clk",
        {"ad_feature.csv": "adgroup_id", "user_profile.csv": {"userid": "user"}},
        {"cms_segid": "categorical", "age_level ": "categorical", "price": "numeric"},
    ),
    shop: ("clicked", {"products.csv": {"id": "product_id"}, "users.csv": {"id": "user_id"}}, {"city": "categorical"}),
    book_crossing: ("Book-Rating", {"BX-Books.csv": "ISBN"}, {"Publisher": "categorical"}),
    kuairand: (
        "is_click",
        {"user_features.csv": "user_id"},
        {"follow_user_num_range": "categorical", "profile_stay_time": None},
    ),
    spark: ("clicked", None, {"user_id": "categorical"}),
    steam: (
        "clicked",
        {"steam_games.json.gz": {"id": "product_id"}},
        {"genres": "sequence", "price": "numeric", "username": "categorical"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("write", FOLDERS, ids=lambda write: write.__name__)
def test_the_folder_becomes_a_dataset(tmp_path, write):
    folder = tmp_path / "given"
    folder.mkdir()
    write(folder)
    label, tables, kinds = FOLDERS[write]
    entry = describe("mine", folder).entry
    assert entry["label_col"]["name"] == label
    assert entry.get("tables") == tables
    columns = {column["name"]: column for column in entry["feature_cols"]}
    for name, kind in kinds.items():
        column = columns[name]
        assert (column["type"] if column.get("active", True) else None) == kind, column
    prepared = prepare_dataset(read_spec("mine", entry, folder), Workspace(tmp_path, tmp_path, tmp_path / "cache"))
    assert sum(prepared.card.rows.values()) == ROWS


def test_the_only_action_is_a_label(tmp_path):
    rows = list(zip(WHO, CLICKS, CLICKS, strict=True))
    (tmp_path / "clicks.csv").write_text(table("ip,is_attributed,os", rows))
    found = describe("mine", tmp_path)
    assert found.entry["label_col"]["name"] == "is_attributed"
    assert "Taken for the label: is_attributed." in found.remarks
    (tmp_path / "clicks.csv").write_text(table("ip,is_attributed,purchased", rows))
    with pytest.raises(UserError, match="no label named one of"):
        describe("mine", tmp_path)


@pytest.mark.parametrize("splits", [("tr", "va", "te"), ("train", "dev", "test"), ("log.train", "log.val", "log.test")])
def test_splits_are_known_by_short_names_and_within_longer_ones(tmp_path, splits):
    """A test file that is not known for one would be mixed with train."""
    for place, name in enumerate(splits):
        rows = zip(WHO[place::3], WHAT[place::3], CLICKS[place::3], strict=True)
        (tmp_path / f"{name}.csv").write_text(table("user_id,item_id,clicked", rows))
    entry = describe("mine", tmp_path).entry
    assert [entry[f"{split}_data"] for split in SPLITS] == [f"{name}.csv" for name in splits]


def test_a_country_is_no_split(tmp_path):
    for place, name in enumerate(("clicks_tr", "clicks_de", "clicks_fr")):
        rows = zip(WHO[place::3], WHAT[place::3], CLICKS[place::3], strict=True)
        (tmp_path / f"{name}.csv").write_text(table("user_id,item_id,clicked", rows))
    assert describe("mine", tmp_path).entry["train_data"] == "."


@pytest.mark.parametrize(
    "row",
    [
        "{'user_id': nobody}",
        "{'user_id': 'u1'",
        "{[]: 1}",
        "{'user_id': b'u1'}",
        "{'item_id': " + 500 * "[" + 500 * "]" + "}",
    ],
)
def test_a_line_that_is_no_dict_is_named(tmp_path, row):
    good = "{'user_id': 'u1', 'item_id': 'i1', 'clicked': 1}\n"
    (tmp_path / "reviews.json").write_text(3 * good + row + "\n")
    with pytest.raises(UserError, match="reviews.json, line 4"):
        describe("mine", tmp_path)


@pytest.mark.parametrize(("most", "is_bucketed"), [(40, False), (400, True), (10**6, True)])
def test_whole_amounts_become_buckets_where_values_are_rare(tmp_path, most, is_bucketed):
    rows = zip(WHO, RANDOM.integers(0, most, ROWS), CLICKS, strict=True)
    (tmp_path / "log.csv").write_text(table("user_id,balance,clicked", rows))
    [_, balance, *_] = describe("mine", tmp_path).entry["feature_cols"]
    assert (balance.get("preprocess") == "convert_to_bucket") == is_bucketed
    assert balance.get("active", True)


def test_amounts_that_differ_in_nearly_every_row_become_buckets(tmp_path):
    kuairand(tmp_path)
    found = describe("mine", tmp_path)
    columns = {column["name"]: column for column in found.entry["feature_cols"]}
    assert columns["duration_ms"]["preprocess"] == "convert_to_bucket"
    assert any("(convert_to_bucket): duration_ms." in remark for remark in found.remarks)
    spec = read_spec("mine", found.entry, tmp_path)
    prepared = prepare_dataset(spec, Workspace(tmp_path, tmp_path, tmp_path / "cache"))
    known = json.loads((prepared.folder / "feature_vocab.json").read_text())["duration_ms"]
    numbers = [int(value) for value in known if value.lstrip("-").isdigit()]
    assert all(number <= np.log(900000) ** 2 for number in numbers)
    assert len(numbers) > 20


def test_whose_columns_are_is_told_where_one_of_the_two_has_a_table(tmp_path):
    movielens(tmp_path)
    assert describe("mine", tmp_path).entry["feature_sources"] == {"item": ["movieId", "genres"], "user": ["userId"]}
    (tmp_path / "movies.csv").unlink()
    assert "feature_sources" not in describe("mine", tmp_path).entry


def test_a_log_is_found_among_tables(tmp_path):
    movielens(tmp_path)
    links = [(item, 1000 + 3 * item, 2 * item) for item in range(1, ITEMS + 1)]
    (tmp_path / "links.csv").write_text(table("movieId,imdbId,tmdbId", links))  # nothing but further ids
    log = describe("mine", tmp_path, interactions=True).entry["from_interactions"]
    assert log["log"]["file"] == "ratings.csv"
    assert log["items"] == {"file": "movies.csv", "key": "movieId", "columns": ["genres"]}


def test_a_log_of_what_was_shown_has_its_clicks_for_labels_and_its_finest_times(tmp_path):
    kuairand(tmp_path)
    rows = (tmp_path / "log_standard.csv").read_text().splitlines()
    dated = [f"{'date' if place == 0 else 20220408},{row}" for place, row in enumerate(rows)]
    (tmp_path / "log_standard.csv").write_text("\n".join(dated) + "\n")
    log = describe("mine", tmp_path, interactions=True).entry["from_interactions"]["log"]
    assert log["time"] == "time_ms"
    assert log["positive"] == {"column": "is_click", "rule": "== 1"}
    assert log["others"] == "negatives"


def test_files_without_a_header_are_named(tmp_path):
    """Nothing says which of them has the label, or by which ids they are joined, until their columns have names."""
    people = ((user, "FM"[user % 2], 10000 + user % 3) for user in range(1, USERS + 1))
    (tmp_path / "people.txt").write_text(lines(people))
    (tmp_path / "scores.txt").write_text(lines(zip(WHO, WHAT, CLICKS, strict=True)))
    with pytest.raises(
        UserError, match=r"Without a header: people.txt, scores.txt; --column-names people.txt=user_id,"
    ):
        describe("mine", tmp_path)
    names = {"scores.txt": ["user_id", "item_id", "clicked"], "people.txt": ["user_id", "sex", "town"]}
    found = describe("mine", tmp_path, column_names=names)
    assert found.entry["tables"] == {"people.txt": "user_id"}
    assert found.entry["column_names"] == names
    spec = read_spec("mine", found.entry, tmp_path)
    rows = prepare_dataset(spec, Workspace(tmp_path, tmp_path, tmp_path / "cache"))
    assert sum(rows.card.rows.values()) == ROWS  # the first of each file is no header
    town = json.loads((rows.folder / "feature_vocab.json").read_text())["town"]
    assert {"10000", "10001", "10002"} <= set(town)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"people.txt": ["user_id", "sex"]}, "must name each column of people.txt, whose first row has 3 values"),
        ({"persons.txt": ["user_id"]}, "persons.txt is none of scores.csv, people.txt"),
    ],
)
def test_names_must_fit_their_file(tmp_path, names, said):
    (tmp_path / "people.txt").write_text(lines((user, "F", 7) for user in range(1, USERS + 1)))
    (tmp_path / "scores.csv").write_text(table("user_id,item_id,clicked", zip(WHO, WHAT, CLICKS, strict=True)))
    with pytest.raises(UserError, match=said):
        describe("mine", tmp_path, column_names=names)


def test_a_config_names_columns_of_its_own_files_alone(tmp_path):
    movielens_1m(tmp_path)
    entry = describe("mine", tmp_path).entry
    entry["column_names"]["film.dat"] = ["movie_id"]
    with pytest.raises(UserError, match=r"column_names must name files of the dataset \(movies.dat, .*names film.dat"):
        read_spec("mine", entry, tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("file", "rows", "columns"),
    [
        (
            "ratings_Toys.csv",
            zip(WHO, WHAT, STARS, MOMENTS, strict=True),
            ["user_id", "item_id", "rating", "timestamp"],
        ),
        (
            "UserBehavior.csv",
            zip(WHO, WHAT, WHAT % 4, np.where(CLICKS, "pv", "buy"), MOMENTS, strict=True),
            ["user_id", "item_id", "category_id", "behavior", "timestamp"],
        ),
    ],
)
def test_the_columns_of_well_known_files_are_known(tmp_path, file, rows, columns):
    (tmp_path / file).write_text(lines(rows))
    found = describe("mine", tmp_path / file, interactions=True)
    assert found.entry["from_interactions"]["log"]["column_names"] == columns
    (tmp_path / file).write_text(lines(zip(WHO, WHAT, CLICKS, strict=True)))  # of another width
    with pytest.raises(UserError, match="column_1, column_2, column_3"):
        describe("mine", tmp_path / file, interactions=True)


@pytest.mark.parametrize("files", [["train.txt"], ["day_0", "day_1"]])
def test_criteos_columns_are_known(tmp_path, files):
    rows = [[CLICKS[row], *([row % 7] * 13), *(["68fd1e64"] * 26)] for row in range(ROWS)]
    for place, file in enumerate(files):
        (tmp_path / file).write_text(lines(rows[place :: len(files)], "\t"))
    found = describe("mine", tmp_path)
    assert found.entry["label_col"]["name"] == "label"
    assert found.entry["column_names"] == ["label", *(f"I{n}" for n in range(1, 14)), *(f"C{n}" for n in range(1, 27))]
    assert any("no header; the columns are taken to be those of Criteo's" in remark for remark in found.remarks)
    spec = read_spec("mine", found.entry, tmp_path)
    prepared = prepare_dataset(spec, Workspace(tmp_path, tmp_path, tmp_path / "cache"))
    assert sum(prepared.card.rows.values()) == ROWS

"""Folders as competitions give them out: of Outbrain, KKBox, Diginetica, H&M and Last.fm 1K."""

import numpy as np
import polars as pl
import pytest

from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.audit import audit
from fuxi_plugins.datasets.catalogue import read_spec
from fuxi_plugins.datasets.describing.describe import describe
from fuxi_plugins.datasets.prepare import prepare_dataset
from tests.datasets.test_reading import assert_same

RANDOM = np.random.default_rng(3)
ROWS, REQUESTS, ADS = 800, 200, 30
SHOWN = pl.DataFrame(
    {
        "display_id": np.repeat(np.arange(1, REQUESTS + 1), ROWS // REQUESTS),
        "ad_id": RANDOM.integers(100, 100 + ADS, ROWS),
        "clicked": RANDOM.integers(0, 2, ROWS),
    }
)
EVENTS = pl.DataFrame(
    {
        "display_id": range(1, REQUESTS + 1),
        "document_id": RANDOM.integers(0, 9, REQUESTS),
        "timestamp": RANDOM.permutation(REQUESTS) * 1000 + 61,  # milliseconds since the log began
    }
)
ADVERTS = pl.DataFrame(
    {"ad_id": range(100, 100 + ADS), "document_id": range(ADS), "campaign_id": [a % 4 for a in range(ADS)]}
)


def prepared(folder, entry):
    return prepare_dataset(read_spec("mine", entry, folder), Workspace(folder, folder, folder / "cache"))


def test_the_time_of_a_request_lies_in_a_table_of_its_own(tmp_path):
    """As Outbrain's does: rows are divided by it as if it stood in them."""
    folders = [tmp_path / "tables", tmp_path / "joined"]
    for folder in folders:
        folder.mkdir()
    SHOWN.write_csv(folders[0] / "clicks_train.csv")
    EVENTS.write_csv(folders[0] / "events.csv")
    ADVERTS.write_csv(folders[0] / "promoted_content.csv")
    found = describe("mine", folders[0])
    assert found.entry["split"] == {"by": "time", "column": "timestamp", "valid": 0.2, "test": 0.2}
    assert found.entry["cluster_id"] == "display_id"
    assert "timestamp" in next(remark for remark in found.remarks if remark.startswith("Left out as features, for"))
    joined = SHOWN.join(EVENTS, "display_id", maintain_order="left")
    joined = joined.join(ADVERTS.drop("document_id"), "ad_id", maintain_order="left")
    joined.write_csv(folders[1] / "clicks_train.csv")
    by_hand = {key: value for key, value in found.entry.items() if key != "tables"} | {"data_root": str(folders[1])}
    data = prepared(folders[0], found.entry)
    assert_same(data, prepared(folders[1], by_hand))
    spans = audit(data, Workspace(folders[0], folders[0], folders[0] / "cache")).times
    assert spans["train"][1] < spans["valid"][0]
    assert spans["valid"][1] < spans["test"][0]


def test_a_test_set_without_labels_is_left_out_and_tables_are_joined_all_the_same(tmp_path):
    members = [f"m{member}=" for member in RANDOM.integers(0, 40, ROWS)]
    rows = pl.DataFrame(
        {"msno": members, "song_id": RANDOM.integers(0, 50, ROWS), "target": RANDOM.integers(0, 2, ROWS)}
    )
    rows.write_csv(tmp_path / "train.csv")
    rows.drop("target").with_row_index("id").write_csv(tmp_path / "test.csv")
    pl.DataFrame({"msno": [f"m{member}=" for member in range(40)], "city": [c % 5 for c in range(40)]}).write_csv(
        tmp_path / "members.csv"
    )
    rows.select("msno", prediction=pl.lit("a b")).unique().write_csv(tmp_path / "sample_submission.csv")
    found = describe("mine", tmp_path)
    assert "Not read, because the label is missing: test.csv." in found.remarks
    assert "Not read: sample_submission.csv." in found.remarks
    assert found.entry["tables"] == {"members.csv": "msno"}
    assert set(found.entry["split"]) == {"by", "valid", "test", "seed"}
    assert sum(prepared(tmp_path, found.entry).card.rows.values()) == ROWS


def test_a_test_set_without_header_and_labels_is_left_out(tmp_path):
    """As in Criteo's folder dac, whose test.txt has one value less a row."""
    rows = [[row % 3 % 2, *(row % 7 for _ in range(13)), *(f"{row % 5:08x}" for _ in range(26))] for row in range(ROWS)]
    for name, first in (("train", 0), ("test", 1)):
        text = "".join("\t".join(map(str, row[first:])) + "\n" for row in rows)
        (tmp_path / f"{name}.txt").write_text(text)
    found = describe("mine", tmp_path)
    assert "Not read, because the label is missing: test.txt." in found.remarks
    assert sum(prepared(tmp_path, found.entry).card.rows.values()) == ROWS


@pytest.mark.parametrize(("missing", "user"), [(0.7, "session_id"), (0.2, "user_id")])
def test_sessions_stand_for_users_where_most_rows_name_none(tmp_path, missing, user):
    users = ["NA" if RANDOM.random() < missing else f"{u}" for u in RANDOM.integers(0, 40, ROWS)]
    log = pl.DataFrame(
        {
            "session_id": [row // 8 for row in range(ROWS)],
            "user_id": users,
            "item_id": RANDOM.integers(0, 50, ROWS),
            "eventdate": [f"2016-05-{1 + row // 100:02}" for row in range(ROWS)],
        }
    )
    log.write_csv(tmp_path / "train-item-views.csv", separator=";")
    entry = describe("mine", tmp_path, interactions=True).entry
    assert entry["from_interactions"]["log"]["user"] == user


def test_a_first_row_with_a_moment_is_no_header(tmp_path):
    artists = RANDOM.integers(0, 30, ROWS)
    rows = (
        f"user_{row % 40:06}\t2009-05-{1 + row // 100:02}T{row % 24:02}:08:57Z\ta-{artist:04}\tArtist\tt-{artist}\tA\n"
        for row, artist in enumerate(artists)
    )
    (tmp_path / "userid-timestamp-artid-artname-traid-traname.tsv").write_text("".join(rows))
    people = (f"user_{user:06}\t{'mf'[user % 2]}\tJapan\tAug 13, 2006\n" for user in range(40))
    (tmp_path / "userid-profile.tsv").write_text("#id\tgender\tcountry\tregistered\n" + "".join(people))
    entry = describe("mine", tmp_path, interactions=True).entry
    assert entry["from_interactions"]["log"]["user"] == "user_id"
    assert entry["from_interactions"]["users"]["key"] == "#id"
    assert sum(prepared(tmp_path, entry).card.rows.values()) > ROWS

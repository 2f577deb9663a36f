"""``from_interactions`` in a dataset's config: what is refused, and the way from raw files to prepared data."""

import hashlib
import json

import polars as pl
import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import load_dataset_specs, read_spec
from fuxi_plugins.datasets.columns import SPLITS
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.row_counts import training_rows
from fuxi_plugins.datasets.sources.acquire import is_available, raw_folder
from fuxi_plugins.datasets.sources.install import import_files
from fuxi_plugins.datasets.spec import DatasetSpec
from fuxi_plugins.datasets.store import read_columns
from tests.conftest import ROOT
from tests.datasets.interactions.test_rows import drawn_log

SPECS = load_dataset_specs(ROOT / "benchmark_configs")
ENTRY = {
    "title": "Mine",
    "data_root": "files",
    "from_interactions": {"log": {"file": "log.csv"}, "split": {"by": "leave_last_out"}},
    "group_id": "group",
    "feature_cols": [
        {"name": ["user_id", "item_id"], "type": "categorical", "dtype": "str"},
        {"name": "history", "type": "sequence", "dtype": "str", "max_len": 50, "share_embedding": "item_id"},
        {"name": "group", "type": "meta", "dtype": "str", "preprocess": "copy_from(user_id)"},
    ],
    "label_col": {"name": "label", "dtype": "float"},
}


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "configs", tmp_path / "results", tmp_path / "cache")


def spec_of(tmp_path, **changes):
    return read_spec("mine", ENTRY | changes, tmp_path)


def section(**changes):
    return {"from_interactions": ENTRY["from_interactions"] | changes}


@pytest.mark.parametrize(("changes", "said"), [
    ({"tables": {"users.csv": "user_id"}}, "so leave out tables"),
    ({"train_data": "a.csv"}, "from_interactions makes the files .* so leave out train_data"),
    ({"split": {"by": "random", "valid": 0.1, "test": 0.1}}, "so leave out split"),
    (section(split={"by": "leave_last_out", "valid": 0.1}), "leave_last_out takes no valid and test"),
    (section(split={"by": "time", "valid": 0.5, "test": 0.5}), "must leave rows for train"),
    (section(split={"by": "random", "valid": 0.1}), "random needs valid and test"),
    (section(split={"by": "file", "valid": "b.csv", "test": "log.csv"}), "names two of the log's files"),
    (section(negatives={"per_positive": 0}), "need others: negatives, or all labels are 1"),
    (section(negatives={"by": "popular"}), "by must be"),
    (section(min_history=51), "min_history must be at most history"),
    (section(items={"file": "i.csv", "columns": ["kind"]}), "a table of attributes has a key"),
    (section(items={"file": "i.csv", "key": "id", "columns": ["history"]}), "history stands twice"),
    (section(log={"file": "../log.csv"}), "lies inside it"),
    (section(log={"file": "log.csv", "positive": {"column": "stars", "rule": "good"}}), "a rule is a comparison"),
    (section(log={"file": "log.csv", "form": "sequences", "context": ["page"]}), "need form: table"),
    (section(log={"file": "log.csv", "form": "sequences", "impressions": {"shown": "page"}}), "need form: table"),
    (section(log={"file": "log.csv", "others": "negatives"}), "others: negatives needs positive"),
])  # fmt: skip
def test_what_does_not_fit_together_is_refused(tmp_path, changes, said):
    with pytest.raises(UserError, match=said):
        spec_of(tmp_path, **changes)


def test_a_spec_can_be_written_and_read_again(tmp_path):
    """A run's process gets it as JSON."""
    spec = spec_of(tmp_path)
    assert DatasetSpec.model_validate_json(spec.model_dump_json()) == spec


def write_log(folder, seed=0):
    folder.mkdir(exist_ok=True)
    frame = pl.DataFrame(drawn_log(seed), schema=["user_id", "item_id", "timestamp", "stars"], orient="row")
    frame.write_csv(folder / "log.csv")


def test_from_the_log_to_prepared_data(tmp_path, workspace):
    write_log(tmp_path / "files")
    spec = spec_of(tmp_path)
    assert is_available(spec, workspace)
    assert training_rows(spec, workspace) == prepare_dataset(spec, workspace).card.rows["train"]
    prepared = prepare_dataset(spec, workspace)
    made = raw_folder(spec, workspace)
    for split in SPLITS:
        rows = pl.read_csv(made / f"{split}.csv")
        assert prepared.card.rows[split] == rows.height
        assert read_columns(prepared.split_folder(split))["label"].tolist() == rows["label"].to_list()
    assert prepared.card.positive_rate == dict.fromkeys(SPLITS, 0.5)
    assert "For each positive one negative is drawn uniformly from the items that the user never used (seed 2026)" in (
        prepared.card.note)  # fmt: skip
    assert "Of each user the last row is test" in prepared.card.note


@pytest.mark.parametrize("changes", [
    section(negatives={"seed": 1}), section(negatives={"by": "popularity"}), section(negatives={"avoid": "past"}),
    section(negatives={"per_positive": 2}), section(history=2), section(min_history=2),
    section(split={"by": "time", "valid": 0.1, "test": 0.1}),
    section(log={"file": "log.csv", "positive": {"column": "stars", "rule": ">= 3"}}),
    section(log={"file": "log.csv", "positive": {"column": "stars", "rule": ">= 3"}, "others": "negatives"}),
])  # fmt: skip
def test_each_setting_is_in_the_fingerprint_and_on_the_board(tmp_path, workspace, changes):
    write_log(tmp_path / "files")
    plain, other = (
        prepare_dataset(spec_of(tmp_path), workspace),
        prepare_dataset(spec_of(tmp_path, **changes), workspace),
    )
    assert plain.card.fingerprint != other.card.fingerprint
    assert plain.card.note != other.card.note


def test_another_log_of_the_same_name_is_another_dataset(tmp_path, workspace):
    spec = spec_of(tmp_path)
    fingerprints = set()
    for seed in range(2):
        write_log(tmp_path / "files", seed)
        fingerprints.add(prepare_dataset(spec, workspace).card.fingerprint)
    assert len(fingerprints) == 2
    (tmp_path / "files" / "log.csv").unlink()
    with pytest.raises(UserError, match="needs log.csv in"):
        prepare_dataset(spec, workspace)


def test_movielens_1m_in_the_form_of_its_files(tmp_path, workspace):
    source = tmp_path / "source"
    source.mkdir()
    ratings = drawn_log(3, users=20, items=30, length=20)
    (source / "ratings.dat").write_text("".join(f"{u}::{i}::{stars}::{9000 + t}\n" for u, i, t, stars in ratings))
    films = "".join(f"{item}::Caf\xe9 {item} (1995)::{'Comedy|' * (item % 2)}Drama\n" for item in range(1, 41))
    (source / "movies.dat").write_bytes(films.encode("latin-1"))
    (source / "users.dat").write_text("".join(f"{user}::F::25::{user % 20}::02139\n" for user in range(5, 26)))
    import_files(SPECS["ml1m"], source, workspace)
    rated, drawn = (prepare_dataset(SPECS[name], workspace).card for name in ("ml1m", "ml1m_drawn"))
    assert sum(rated.rows.values()) == len(ratings)
    assert sum(drawn.rows.values()) < 2 * sum(stars >= 4 for *_, stars in ratings)
    assert drawn.positive_rate == dict.fromkeys(SPLITS, 0.5)
    assert "The others are negatives." in rated.note


@pytest.mark.parametrize(("name", "file"), [
    ("s3rec_lastfm", "LastFM"),
    pytest.param("s3rec_toys", "Toys_and_Games", marks=pytest.mark.slow),
    pytest.param("s3rec_sports", "Sports_and_Outdoors", marks=pytest.mark.slow),
    pytest.param("s3rec_yelp", "Yelp", marks=pytest.mark.slow),
])  # fmt: skip
def test_the_sequences_of_s3rec_give_the_published_rows(real_data, workspace, name, file):
    """The reference hashes its rows user after user, whatever their split."""
    source = real_data / "s3rec_sequences"
    expected = json.loads((source / "reference.json").read_text())[file]
    assert SPECS[name].published_rows == expected["rows"]
    import_files(SPECS[name], source, workspace)
    made = raw_folder(SPECS[name], workspace)
    columns = ("part", "user_id", "timestamp", "item_id", "label")
    rows = pl.concat(
        pl.read_csv(made / f"{split}.csv", infer_schema=False).with_columns(part=pl.lit(split)).select(columns)
        for split in SPLITS
    )
    with (workspace.dataset_folder(name) / "source" / f"{file}.txt").open() as lines:
        order = {line.split()[0]: place for place, line in enumerate(lines)}
    rows = rows.sort(
        pl.col("user_id").replace_strict(order, return_dtype=pl.Int64),
        pl.col("timestamp").cast(int),
        maintain_order=True,
    )
    text = "\n".join(rows.select(pl.concat_str(columns, separator=",")).to_series())
    assert hashlib.sha256(text.encode()).hexdigest() == expected["sha256_of_rows"]

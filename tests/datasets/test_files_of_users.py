"""Files as other tools export them: described rightly, and what was guessed is said; or refused with the remedy."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import tarfile

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import fuxi_plugins as fb
from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import read_spec
from fuxi_plugins.datasets.describing.describe import describe
from fuxi_plugins.datasets.describing.encoded_folder import describe_encoded, is_encoded
from fuxi_plugins.datasets.fingerprint import data_fingerprint
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.spec import SPLITS
from fuxi_plugins.datasets.store import read_columns

ROWS = 400


def drawn(seed: int, most: int) -> list[int]:
    return np.random.default_rng(seed).integers(0, most, ROWS).tolist()


CLICKS, USERS, ITEMS = drawn(0, 2), drawn(1, 30), drawn(2, 40)


def csv(header: str, *columns: list, separator=",", end="\n") -> str:
    rows = [separator.join(map(str, row)) for row in zip(*columns, strict=True)]
    return end.join([*([header.replace(",", separator)] if header else []), *rows, ""])


TABLE = csv("click,user,item", CLICKS, USERS, ITEMS)


def described(path, **asked):
    """What is said, the columns' settings, the config and the prepared data."""
    found = describe("mine", path, **asked)
    prepared = prepare_dataset(read_spec("mine", found.entry, path), workspace_of(path))
    return " ".join(found.remarks), {c["name"]: c for c in found.entry["feature_cols"]}, found.entry, prepared


def workspace_of(path):
    return Workspace(path.parent, path.parent, path.parent / "cache")


def labels_of(prepared) -> dict[str, list[int]]:
    return {split: read_columns(prepared.split_folder(split))["click"].tolist() for split in SPLITS}


# How files are packed and written


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("log.csv.bz2", lambda text: bz2.compress(text.encode())),
        ("log.csv.xz", lambda text: lzma.compress(text.encode())),
        ("LOG.CSV.GZ", lambda text: gzip.compress(text.encode())),
        ("LOG.TSV.GZ", lambda text: gzip.compress(text.replace(",", "\t").encode())),
    ],
)
def test_a_packed_file_gives_the_rows_of_the_plain_one(tmp_path, name, pack):
    (tmp_path / "log.csv").write_text(TABLE)
    (tmp_path / name).write_bytes(pack(TABLE))
    plain, packed = described(tmp_path / "log.csv"), described(tmp_path / name)
    assert packed[1] == plain[1]
    assert labels_of(packed[3]) == labels_of(plain[3])


@pytest.mark.parametrize(("name", "pack"), [("log.csv.bz2", bz2.compress), ("log.csv.xz", lzma.compress)])
def test_a_cut_packed_file_is_named(tmp_path, name, pack):
    (tmp_path / name).write_bytes(pack(TABLE.encode())[:-20])
    with pytest.raises(UserError, match=f"{name} is not a complete (bzip2|xz) file.*Download it again"):
        describe("mine", tmp_path / name)


def tar(path):
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("log.csv")
        member.size = len(TABLE)
        archive.addfile(member, io.BytesIO(TABLE.encode()))


def feather(path):
    pa.feather.write_feather(pa.table({"click": CLICKS}), path)


def parquet(path):
    pq.write_table(pa.table({"click": CLICKS}), path)


def bytes_of(content):
    return lambda path: path.write_bytes(content)


OTHER_KINDS = {
    "log.xlsx": (
        bytes_of(b"PK\x03\x04\x14\0\6\0"),
        "a zip archive, an Excel workbook or an npz file. Unpack it, or write",
    ),
    "log.fea": (feather, "an Arrow .feather. file. Let its name end with .arrow"),
    "log.pkl": (bytes_of(pickle.dumps(CLICKS)), "a pickle of Python. Read it with pandas or polars"),
    "log.dat": (parquet, "a parquet file. Let its name end with .parquet"),
    "log.tar.gz": (tar, "a tar archive. Unpack it"),
    "log.csv": (bytes_of(gzip.compress(TABLE.encode())), "packed by gzip. Let its name end with .gz"),
}


@pytest.mark.parametrize("name", OTHER_KINDS)
def test_a_file_that_is_no_text_is_called_what_it_is(tmp_path, name):
    write, said = OTHER_KINDS[name]
    write(tmp_path / name)
    with pytest.raises(UserError, match=f"{name} must be text, .*but is .*{said}"):
        describe("mine", tmp_path / name)


def test_utf_16_with_line_ends_of_windows_is_refused(tmp_path):
    (tmp_path / "log.csv").write_bytes(TABLE.replace("\n", "\r\n").encode("utf-16"))
    with pytest.raises(UserError, match="looks like UTF-16.*iconv"):
        describe("mine", tmp_path / "log.csv")


def test_latin_1_is_read_and_said_and_part_of_the_fingerprint(tmp_path):
    cities = [("Köln", "Düsseldorf", "Bonn")[item % 3] for item in ITEMS]
    text = csv("click,user,city", CLICKS, USERS, cities)
    (tmp_path / "log.csv").write_bytes(text.encode("latin-1"))
    said, _, entry, prepared = described(tmp_path / "log.csv")
    assert entry["encoding"] == "latin-1"
    assert "is not UTF-8 and is read as latin-1" in said
    known = json.loads((prepared.folder / "feature_vocab.json").read_text())["city"]
    assert {"Köln", "Düsseldorf", "Bonn"} < set(known)
    digests = {"train": "0"}
    spec = read_spec("mine", entry, tmp_path)
    assert data_fingerprint(spec, digests) != data_fingerprint(spec.model_copy(update={"encoding": None}), digests)


def test_a_test_file_alone_may_be_in_latin_1(tmp_path):
    for split in SPLITS:
        city = "Köln" if split == "test" else "Bonn"
        (tmp_path / f"{split}.csv").write_bytes(csv("click,user,city", CLICKS, USERS, [city] * ROWS).encode("latin-1"))
    assert describe("mine", tmp_path).entry["encoding"] == "latin-1"


# Which files and columns there are


def test_files_that_are_not_read_are_named(tmp_path):
    for name in ("train.csv", "test.csv", "items.csv"):
        (tmp_path / name).write_text(TABLE)
    assert "Not read: items.csv." in describe("mine", tmp_path).remarks


@pytest.mark.parametrize("header", ["is click,user,2019", "0,1,2", "is click,None,1"])
def test_a_header_may_hold_numbers(tmp_path, header):
    (tmp_path / "log.csv").write_text(csv(header, CLICKS, USERS, ITEMS))
    found = described(tmp_path / "log.csv", label=header.split(",")[0])
    assert "column_names" not in found[2]
    assert sum(found[3].card.rows.values()) == ROWS


def test_a_first_row_of_values_is_no_header_whatever_texts_it_holds(tmp_path):
    systems = ["ios", *(("7", "web")[item % 2] for item in ITEMS[1:])]
    (tmp_path / "log.csv").write_text(csv("", systems, CLICKS, ["", *ITEMS[1:]]))
    with pytest.raises(
        UserError, match=r"of column_1, column_2, column_3. The first row looks like values.*--column-names"
    ):
        describe("mine", tmp_path / "log.csv")
    (tmp_path / "log.csv").write_text(csv("", CLICKS, systems, ["", *ITEMS[1:]]))
    said, _, entry, _ = described(tmp_path / "log.csv")
    assert entry["label_col"]["name"] == "column_1"  # the only end that holds 0 and 1
    assert "Taken for the label: column_1." in said
    _, columns, entry, prepared = described(tmp_path / "log.csv", column_names=["click", "system", "item"])
    assert entry["column_names"] == ["click", "system", "item"]
    assert set(columns) == {"system", "item"}
    assert sum(prepared.card.rows.values()) == ROWS


def test_names_of_columns_are_given_on_the_command_line(workspace, tmp_path):
    """Ratings as MovieLens writes them become a log of interactions in one command."""
    (tmp_path / "ratings.dat").write_text(
        csv("", USERS, ITEMS, drawn(3, 6), range(10**9, 10**9 + ROWS), separator="::")
    )
    call = ["--configs", str(workspace.configs), "data", "describe", "mine", "--from", str(tmp_path / "ratings.dat")]
    call += ["--column-names", "user_id, item_id,rating,timestamp", "--interactions", "--label", "rating"]
    result = CliRunner().invoke(main, call)
    assert result.exit_code == 0, result.output
    assert "column_names: [user_id, item_id, rating, timestamp]" in result.output
    assert "data_root: .\n" in result.output  # within the workspace, which may be moved
    assert "rule: '>= 4'" in result.output or "rule: '> 0'" in result.output


def test_names_of_columns_are_given_file_by_file_on_the_command_line_and_in_python(workspace, tmp_path, monkeypatch):
    (tmp_path / "clicks.txt").write_text(csv("", USERS, ITEMS, CLICKS))
    (tmp_path / "users.txt").write_text(csv("", range(30), [user % 3 for user in range(30)]))
    call = ["--configs", str(workspace.configs), "data", "describe", "mine", "--from", str(tmp_path)]
    call += ["--column-names", "clicks.txt=user_id,item_id,click", "--column-names", "users.txt=user_id, town"]
    result = CliRunner().invoke(main, call)
    assert result.exit_code == 0, result.output
    assert "tables: {users.txt: user_id}" in result.output
    monkeypatch.chdir(tmp_path)
    names = {"clicks.txt": ["user_id", "item_id", "click"], "users.txt": ["user_id", "town"]}
    assert "tables: {users.txt: user_id}" in fb.describe("other", tmp_path, column_names=names).text
    result = CliRunner().invoke(main, [*call, "--column-names", "a,b"])
    assert result.exit_code == 2
    assert "error: --column-names is given once for all files, or for each file as FILE=a,b,c" in result.output


def test_letters_of_any_script_stay_readable_in_the_config(workspace, tmp_path):
    (tmp_path / "log.csv").write_text(csv("click,价格,Größe", CLICKS, USERS, ITEMS))
    call = ["--configs", str(workspace.configs), "data", "describe", "mine", "--from", str(tmp_path / "log.csv")]
    assert CliRunner().invoke(main, call).exit_code == 0
    assert "name: 价格" in (workspace.configs / "dataset_config" / "mine.yaml").read_text(encoding="utf-8")


# Ids, numbers and times


@pytest.mark.parametrize("write", ["{:.3E}", "{:.2e}"])
def test_ids_in_scientific_notation_are_ids_and_amounts_are_not(tmp_path, write):
    texts = [write.format((item + 1) * 10**5) for item in ITEMS]
    (tmp_path / "log.csv").write_text(csv("click,item_id,area", CLICKS, texts, texts))
    said, columns, _, prepared = described(tmp_path / "log.csv")
    assert (columns["item_id"]["type"], columns["area"]["type"]) == ("categorical", "numeric")
    assert "Ids in scientific notation (1.23E+17): item_id." in said
    assert "scientific notation (1.2e5) taken for amounts: area." in said
    known = json.loads((prepared.folder / "feature_vocab.json").read_text())["item_id"]
    assert set(known) - {"__PAD__", "__OOV__"} <= set(texts)


def test_fractions_in_scientific_notation_need_no_remark(tmp_path):
    rates = [(f"{item}e-05", f"0.{item}1", "1e+16")[row % 3] for row, item in enumerate(ITEMS)]
    (tmp_path / "log.csv").write_text(csv("click,user,rate_id", CLICKS, USERS, rates))
    said, columns, *_ = described(tmp_path / "log.csv")
    assert columns["rate_id"]["type"] == "numeric"
    assert "scientific" not in said


def test_only_what_is_beyond_64_bits_is_called_so(tmp_path):
    (tmp_path / "log.csv").write_text(csv("click,a,b", CLICKS, [f"{u}.0" for u in USERS], [10**20 + i for i in ITEMS]))
    said, columns, *_ = described(tmp_path / "log.csv")
    assert "beyond 64 bits taken for ids: b." in said
    assert columns["a"]["normalize_ids"] is True


@pytest.mark.parametrize("form", ["${:.2f}", "{}%", "{:,} €", "€{:.1f}"])
def test_numbers_with_a_unit_are_left_out(tmp_path, form):
    (tmp_path / "log.tsv").write_text(csv("click\tuser\tprice", CLICKS, USERS, map(form.format, ITEMS), separator="\t"))
    said, columns, *_ = described(tmp_path / "log.tsv")
    assert columns["price"]["active"] is False
    assert "a unit stands with their numbers ($3.50 or 12%); write 3.5 and 12: price." in said


TIMES = {
    "dots": "{day:02}.03.2026 {hour:02}:{minute:02}",
    "not padded": "2026/3/{day} {hour}:{minute:02}",
    "with UTC behind": "2026-03-{day:02} {hour:02}:{minute:02}:00 UTC",
}


def moments(form: str) -> list[str]:
    return [form.format(day=1 + row // 20, hour=row % 20, minute=row % 60) for row in range(ROWS)]


@pytest.mark.parametrize("form", TIMES.values(), ids=TIMES)
def test_every_date_that_is_recognised_can_divide_the_rows(tmp_path, form):
    (tmp_path / "log.csv").write_text(csv("click,user,item,at", CLICKS, USERS, ITEMS, moments(form)))
    _, columns, entry, prepared = described(tmp_path / "log.csv")
    assert columns["at"]["active"] is False
    assert entry["split"] == {"by": "time", "column": "at", "valid": 0.2, "test": 0.2}
    assert labels_of(prepared)["test"] == CLICKS[-80:]


@pytest.mark.parametrize("form", ["03/{day:02}/2026 {hour}:{minute:02}", "{day} Mar 2026", "Mar {day}, 2026"])
def test_a_date_that_nobody_can_read_for_certain_is_no_feature_and_said(tmp_path, form):
    (tmp_path / "log.tsv").write_text(csv("click\tuser\tat", CLICKS, USERS, moments(form), separator="\t"))
    said, columns, entry, _ = described(tmp_path / "log.tsv")
    assert columns["at"]["active"] is False
    assert "Write them as 2026-03-01 12:30:00" in said
    assert entry["split"]["by"] == "random"


def test_a_missing_time_is_named_as_the_reason_for_a_random_split(tmp_path):
    times = ["", *range(10**9 + 1, 10**9 + ROWS)]
    (tmp_path / "log.csv").write_text(csv("click,user,time", CLICKS, USERS, times))
    said, _, entry, _ = described(tmp_path / "log.csv")
    assert entry["split"]["by"] == "random"
    assert "because log.csv, line 2: 'time' must hold numbers or dates" in said


def test_times_that_leave_a_split_one_class_are_named_as_the_reason(tmp_path):
    (tmp_path / "log.csv").write_text(csv("click,user,time", sorted(CLICKS), USERS, range(10**9, 10**9 + ROWS)))
    said, _, entry, _ = described(tmp_path / "log.csv")
    assert entry["split"]["by"] == "random"
    assert "because by time valid and test would hold one class" in said


# Labels, splits and sessions


@pytest.mark.parametrize(
    ("values", "rule"), [((1, 2), "== 2"), ((3, 7), "== 7"), ((1, 2, 3), "> 1"), ((2, 3, 4), ">= 4"), ((0, 3), "> 0")]
)
def test_a_guessed_rule_leaves_both_classes(tmp_path, values, rule):
    labels = [values[row % len(values)] for row in range(ROWS)]
    (tmp_path / "log.csv").write_text(csv("label,user,item", labels, USERS, ITEMS))
    _, _, entry, prepared = described(tmp_path / "log.csv")
    assert entry["label_col"]["rule"] == rule
    assert 0 < prepared.card.positive_rate["train"] < 1


def test_a_file_of_one_class_is_named(tmp_path):
    for split in SPLITS:
        (tmp_path / f"{split}.csv").write_text(
            csv("click,user,item", [1] * ROWS if split == "valid" else CLICKS, USERS, ITEMS)
        )
    remarks = describe("mine", tmp_path).remarks
    assert "All labels of valid.csv that were looked at are 1, but every split needs both classes." in remarks
    assert len([remark for remark in remarks if "All labels" in remark]) == 1


@pytest.mark.parametrize("names", [("train", "valid", "test"), ("Train", "dev", "TEST")])
def test_a_column_that_names_the_splits_divides_the_rows(tmp_path, names):
    marks = [names[max(0, row % 5 - 2)] for row in range(ROWS)]
    (tmp_path / "log.csv").write_text(csv("click,user,item,split", CLICKS, USERS, ITEMS, marks))
    said, columns, entry, prepared = described(tmp_path / "log.csv")
    assert columns["split"]["active"] is False
    assert (entry["split"]["by"], entry["split"]["column"]) == ("column", "split")
    assert ("values" in entry["split"]) == (names[0] != "train")
    assert "split says which rows are train, valid and test." in said
    assert labels_of(prepared)["test"] == CLICKS[4::5]


def test_marks_of_two_splits_are_no_feature_and_valid_is_drawn_of_train(tmp_path):
    (tmp_path / "log.csv").write_text(csv("click,user,set", CLICKS, USERS, [("train", "test")[u % 2] for u in USERS]))
    said, columns, entry, _ = described(tmp_path / "log.csv")
    assert columns["set"]["active"] is False
    assert (entry["split"]["by"], entry["split"]["column"], entry["split"]["valid"]) == ("column", "set", 0.2)
    assert "set says which rows are train and test; 20% of those of train are drawn for valid." in said


def test_sessions_are_no_features_and_group_the_rows_where_there_are_no_users(tmp_path):
    sessions = [f"s{row // 8}" for row in range(ROWS)]
    (tmp_path / "log.csv").write_text(csv("click,session_id,item", CLICKS, sessions, ITEMS))
    said, columns, entry, _ = described(tmp_path / "log.csv")
    assert columns["session_id"]["active"] is False
    assert "for they number sessions or requests: session_id." in said
    assert entry["cluster_id"] == "session_id"
    (tmp_path / "log.csv").write_text(csv("click,session_id,item,user", CLICKS, sessions, ITEMS, USERS))
    assert describe("mine", tmp_path / "log.csv").entry["cluster_id"] == "user"


def test_a_few_large_sessions_are_a_feature(tmp_path):
    (tmp_path / "log.csv").write_text(csv("click,visit_no,item", CLICKS, [user % 4 for user in USERS], ITEMS))
    assert "active" not in described(tmp_path / "log.csv")[1]["visit_no"]


# Folders that FuxiCTR has encoded


@pytest.fixture(params=[".npz", ".h5", ".parquet"])
def encoded(request, tmp_path):
    """A folder as ``build_dataset`` leaves it; returns it and each split's columns."""
    folder = tmp_path / "encoded"
    folder.mkdir()
    features = [
        {"user": {"source": "", "type": "categorical", "vocab_size": 31}},
        {"history": {"source": "", "type": "sequence", "vocab_size": 41, "max_len": 3,
                     "feature_encoder": "layers.MaskedAveragePooling()"}},
    ]  # fmt: skip
    (folder / "feature_map.json").write_text(json.dumps({"labels": ["click"], "features": features}))
    tables = {}
    for seed, split in enumerate(SPLITS):
        random = np.random.default_rng(seed)
        history = random.integers(1, 40, (100, 3)) * (np.arange(3) < random.integers(1, 4, (100, 1)))
        tables[split] = {
            "user": random.integers(1, 30, 100).astype(float),
            "history": history.astype(float),
            "click": (np.arange(100) % 2).astype(float),
        }
        path = folder / f"{split}{request.param}"
        if request.param == ".npz":
            np.savez(path, **tables[split])
        elif request.param == ".h5":
            with h5py.File(path, "w") as file:
                for name, values in tables[split].items():
                    file[name] = values
        else:
            pq.write_table(pa.table({name: list(values) for name, values in tables[split].items()}), path)
    return folder, tables


def test_an_encoded_folder_is_taken_as_it_is(encoded, workspace):
    """Equal numbers become equal ids and others become others; padding is no entry."""
    folder, tables = encoded
    call = ["--configs", str(workspace.configs), "data", "describe", "mine", "--from", str(folder)]
    result = CliRunner().invoke(main, call)
    assert result.exit_code == 0, result.output
    assert "FuxiCTR has encoded these files" in result.output
    assert str(workspace.cache) not in result.output  # which may be deleted at any time
    assert is_encoded(folder)
    found = describe_encoded("mine", folder, folder.parent / "decoded")
    prepared = prepare_dataset(read_spec("mine", found.entry, folder), workspace)
    assert set(prepared.card.rows.values()) == {100}
    train = read_columns(prepared.split_folder("train"))
    np.testing.assert_array_equal(train["click"], tables["train"]["click"])
    for name in ("user", "history"):
        written, ids = tables["train"][name].ravel().tolist(), np.asarray(train[name]).ravel().tolist()
        assert len(set(zip(written, ids, strict=True))) == len(set(written)) == len(set(ids))
    assert (train["history"][tables["train"]["history"] == 0] == 0).all()


def test_an_encoded_folder_without_a_split_is_refused(encoded):
    folder, _ = encoded
    next(folder.glob("valid.*")).unlink()
    with pytest.raises(UserError, match="must hold valid as one of valid.npz, valid.h5, valid.parquet"):
        describe_encoded("mine", folder, folder.parent / "decoded")

"""Files as they come: what is odd but right is read right, what is wrong is one message with file, line and remedy."""

import csv
import gzip
import json
import zipfile

import numpy as np
import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.describing.describe import describe
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.reading.files import read_blocks, read_header
from fuxi_plugins.datasets.sources.acquire import replacing_folder, source_folder
from fuxi_plugins.datasets.sources.install import import_files
from fuxi_plugins.datasets.store import MatrixWriter, read_columns
from tests.conftest import write_tiny_csv

HEADER = "label,user,shop,price,shops\n"


@pytest.fixture
def files(tmp_path):
    return tmp_path / "csv"


def prepare(workspace):
    return prepare_dataset(load_dataset_spec(workspace.configs, "tiny"), workspace)


def ids(prepared, split="train"):
    return {name: np.array(column) for name, column in read_columns(prepared.split_folder(split)).items()}


def assert_nothing_is_left(workspace):
    assert not [path for path in workspace.dataset_folder("tiny").iterdir() if path.is_dir()]


# Odd, but right


def as_crlf(content):
    return content.replace(b"\n", b"\r\n")


def with_bom(content):
    return b"\xef\xbb\xbf" + content


def without_last_line_end(content):
    return content.rstrip(b"\n")


def with_quotes(content):
    return b"\n".join(b",".join(b'"' + value + b'"' for value in line.split(b",")) for line in content.splitlines())


def with_blank_lines_at_the_end(content):
    return content + b"\n\r\n\n"


def in_another_order(content):
    return b"\n".join(b",".join(reversed(line.split(b","))) for line in content.splitlines())


def with_an_extra_column(content):
    head, *lines = content.splitlines()
    return b"\n".join([head + b",note", *(line + b",unread" for line in lines)])


@pytest.mark.parametrize(
    "change",
    [as_crlf, with_bom, without_last_line_end, with_quotes, with_blank_lines_at_the_end, in_another_order,
     with_an_extra_column],
)  # fmt: skip
def test_an_odd_file_gives_the_same_ids(workspace, files, change):
    expected = ids(prepare(workspace))
    for path in files.iterdir():
        path.write_bytes(change(path.read_bytes()))
    for name, column in ids(prepare(workspace)).items():
        np.testing.assert_array_equal(column, expected[name], err_msg=name)


def test_a_file_with_every_value_in_quotes_is_described_as_one_without(tmp_path):
    """Missing values among them, which are then quoted too."""
    rows = [
        (f"u{i % 31}", "" if i % 10 == 0 else i % 17 / 4, f"2026-03-{1 + i // 27:02d}", i % 3 % 2) for i in range(800)
    ]
    described = []
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL):
        with (tmp_path / "log.csv").open("w", newline="") as file:
            csv.writer(file, quoting=quoting).writerows([("user", "price", "day", "click"), *rows])
        described.append(describe("mine", tmp_path / "log.csv"))
    assert described[0] == described[1]
    (price,) = (column for column in described[1].entry["feature_cols"] if column["name"] == "price")
    assert price["type"] == "numeric"


def test_a_packed_file_is_read_as_it_is(workspace, files):
    expected = ids(prepare(workspace))
    (files / "train.csv.gz").write_bytes(gzip.compress((files / "train.csv").read_bytes()))
    config = workspace.configs / "dataset_config" / "tiny.yaml"
    config.write_text(config.read_text().replace("train_data: train.csv", "train_data: train.csv.gz"))
    for name, column in ids(prepare(workspace)).items():
        np.testing.assert_array_equal(column, expected[name], err_msg=name)


def test_commas_quotes_and_newlines_inside_quotes_are_part_of_the_value(workspace, files, monkeypatch):
    monkeypatch.setattr("fuxi_plugins.datasets.reading.csv_blocks.BLOCK_BYTES", 200)
    odd = 'a ""shop"", or\nnot'
    with (files / "train.csv").open("a") as file:
        file.write(f'1,3,"{odd}",1.5,s1\n' * 3)
    prepared = prepare(workspace)
    vocabulary = json.loads((prepared.folder / "feature_vocab.json").read_text())["shop"]
    assert ids(prepared)["shop"][-3:].tolist() == [vocabulary['a "shop", or\nnot']] * 3
    assert prepared.card.rows["train"] == 603


def test_large_ids_one_value_long_and_empty_sequences_and_unseen_values(workspace, files):
    config = workspace.configs / "dataset_config" / "tiny.yaml"
    config.write_text(config.read_text().replace("max_len: 3,", "max_len: 2,"))
    (files / "train.csv").write_text(
        HEADER + "1,9007199254740993,s1,1.0,s1^s2^s3\n" * 3 + "0,9007199254740992,s1,1.5,\n" * 2
    )
    (files / "test.csv").write_text(HEADER + "1,5,s9,1.0,s9^s1\n" + "0,9007199254740993,s1,1.0,s1\n")
    prepared = prepare(workspace)
    train, test = ids(prepared), ids(prepared, "test")
    vocabulary = json.loads((prepared.folder / "feature_vocab.json").read_text())
    assert train["user"].tolist() == [2, 2, 2, 1, 1], "two ids that a float would take for one"
    assert train["shop"].tolist() == [vocabulary["shop"]["s1"]] * 5
    assert train["shops"].tolist()[0] == [vocabulary["shop"]["s1"], vocabulary["shop"]["s2"]], "the first two stay"
    assert train["shops"].tolist()[-1] == [0, 0]
    unknown = vocabulary["shop"]["__OOV__"]
    assert test["shop"].tolist() == [unknown, vocabulary["shop"]["s1"]]
    assert test["shops"].tolist() == [[unknown, vocabulary["shop"]["s1"]], [vocabulary["shop"]["s1"], 0]]
    assert test["user"].tolist() == [vocabulary["user"]["__OOV__"], 2]


def test_every_size_of_block_gives_the_same_rows(tmp_path):
    path = write_tiny_csv(tmp_path / "x.csv", rows=50, seed=1)
    path.write_text(path.read_text() + '1,3,"two\nlines, ""quoted""",1.5,s1\n')
    whole = next(read_blocks(path, ["shop", "label"])).frame
    assert whole.height == 51
    for size in (1, 7, 64, 333, 5000):
        blocks = list(read_blocks(path, ["shop", "label"], block_bytes=size)) if size > 30 else []
        rows = [row for block in blocks for row in block.frame.rows()]
        assert rows == (whole.rows() if blocks else [])
        lines = [block.line(row) for block in blocks for row in range(block.frame.height)]
        assert lines == ([*range(2, 52), 53] if blocks else [])


# Wrong


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "1,3,s2,1.5",
            r"train.csv, line 602: a row must have as many values as the header, 5, but has 4. The file may",
        ),
        ("1,3,s2,1.5,s1,8", r"train.csv, line 602: .* but has 6. A comma inside a value needs quotes"),
        ("", r"train.csv, line 602: .* but has 0"),
        ('1,3,"s2,1.5,s1', r"train.csv, line 602: a quote is not closed before the file ends"),
        (HEADER.strip(), r"train.csv, line 602: the header stands here a second time, .* Remove the line"),
        ("1,9223372036854775808,s2,1.5,s1", r"line 602: column 'user' must hold a whole number of at most 64 bits"),
        ("1,3.5,s2,1.5,s1", r"line 602: column 'user' must hold a whole number .*dtype: str"),
        ("1,3,s2,inf,s1", r"line 602: column 'price' must hold a number of at most 3.4e38, but holds 'inf'"),
        ("1,3,s2,-1e300,s1", r"line 602: column 'price' must hold a number of at most 3.4e38, but holds '-1e300'"),
        ("1,3,s2,1;5,s1", r"line 602: column 'price' must hold a number of at most 3.4e38, but holds '1;5'"),
    ],
)
def test_a_wrong_line_is_named_with_its_remedy(workspace, files, line, message):
    with (files / "train.csv").open("a") as file:
        file.write(line + "\n1,3,s2,1.5,s1\n")
    with pytest.raises(UserError, match=message):
        prepare(workspace)
    assert_nothing_is_left(workspace)


def test_a_line_is_named_rightly_in_a_later_block_after_a_value_of_two_lines(workspace, files, monkeypatch):
    monkeypatch.setattr("fuxi_plugins.datasets.reading.csv_blocks.BLOCK_BYTES", 400)
    with (files / "train.csv").open("a") as file:
        file.write('1,3,"two\nlines",1.5,s1\n' + "1,3,s2,1.5,s1\n" * 100 + "1,3,s2,cheap,s1\n")
    with pytest.raises(UserError, match="train.csv, line 704: column 'price'"):
        prepare(workspace)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"label;user;shop\n1;2;3\n", "values must be separated by commas, but the header is separated by semicolons"),
        (b"label\tuser\n1\t2\n", "separated by tabs"),
        (b"label,user,user\n1,2,3\n", "each column must have a name of its own, but user stands twice"),
        (b"\n1,2\n", "is empty"),
        (b"label,caf\xe9\n1,2\n", "line 1: the file must be UTF-8"),
    ],
)
def test_a_wrong_header_is_named(tmp_path, content, message):
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_header(tmp_path / "x.csv")


def test_bytes_that_are_not_text_are_named(workspace, files):
    with (files / "train.csv").open("ab") as file:
        file.write(b"1,3,caf\xe9,1.5,s1\n")
    with pytest.raises(UserError, match="train.csv, line 602: the file must be UTF-8.*iconv"):
        prepare(workspace)


def test_a_quote_that_swallows_the_file_is_found_early(workspace, files, monkeypatch):
    monkeypatch.setattr("fuxi_plugins.datasets.reading.csv_blocks.BLOCK_BYTES", 400)
    lines = (files / "train.csv").read_text().splitlines()
    lines[5] = '1,3,"s2,1.5,s1'
    (files / "train.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match=r"train.csv, line \d+: a quote opens a value that does not end|not closed"):
        prepare(workspace)


@pytest.mark.parametrize("column", ["shop", "shops"])
def test_a_column_without_values_is_named(workspace, files, column):
    position = HEADER.strip().split(",").index(column)
    rows = [line.split(",") for line in (files / "train.csv").read_text().splitlines()[1:]]
    for row in rows:
        row[position] = ""
    (files / "train.csv").write_text(HEADER + "".join(",".join(row) + "\n" for row in rows))
    with pytest.raises(UserError, match=f"train.csv: column '{column}' must hold a value .* active: false"):
        prepare(workspace)
    assert_nothing_is_left(workspace)


def test_a_group_that_is_not_a_whole_number_is_named(workspace, files):
    config = workspace.configs / "dataset_config" / "tiny.yaml"
    config.write_text(config.read_text().replace("name: user, type: categorical, dtype: int",
                                                 "name: user, type: categorical, dtype: str"))  # fmt: skip
    prepare(workspace)
    with (files / "train.csv").open("a") as file:
        file.write("1,anna,s2,1.5,s1\n")
    with pytest.raises(UserError, match="train.csv, line 602: column 'user' must hold a whole number"):
        prepare(workspace)


def test_a_cut_gzip_is_named(workspace, files):
    (files / "train.csv.gz").write_bytes(gzip.compress((files / "train.csv").read_bytes())[:-30])
    config = workspace.configs / "dataset_config" / "tiny.yaml"
    config.write_text(config.read_text().replace("train_data: train.csv", "train_data: train.csv.gz"))
    with pytest.raises(UserError, match=r"train.csv.gz is not a complete gzip file: .* Download it again"):
        prepare(workspace)


# The disk


def test_a_full_disk_while_preparing_is_said_and_a_second_call_succeeds(workspace, monkeypatch):
    with monkeypatch.context() as patched:

        def append(*_):
            raise OSError(28, "No space left on device")

        patched.setattr(MatrixWriter, "append", append)
        with pytest.raises(UserError, match=r"the disk of .* is full; nothing half-made is kept.*FUXIBENCH_CACHE"):
            prepare(workspace)
    assert_nothing_is_left(workspace)
    assert prepare(workspace).card.rows["train"] == 600


def test_a_disk_that_is_too_small_is_said_before_anything_is_written(workspace, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("fuxi_plugins.core.files.shutil.disk_usage", lambda _: type("Usage", (), {"free": 100}))
        with pytest.raises(UserError, match="preparing tiny needs 0.00 GB, but the disk of"):
            prepare(workspace)
    assert_nothing_is_left(workspace)


def test_what_a_killed_preparation_left_is_cleared_away(workspace):
    first = prepare(workspace)
    left = first.folder.with_name(f".{first.folder.name}.abc.partial")
    left.mkdir()
    (left / "half").write_text("half")
    first.folder.rename(first.folder.with_name("aside"))
    assert prepare(workspace).folder == first.folder
    assert not left.exists()


# Archives


@pytest.fixture
def provided(workspace, files):
    """``tiny`` as a dataset whose files are imported."""
    return load_dataset_spec(workspace.configs, "tiny").model_copy(update={"data_root": None})


def test_files_come_out_of_one_archive_and_out_of_one_each(provided, workspace, files, tmp_path):
    names = ("train.csv", "valid.csv", "test.csv")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in names:
            archive.write(files / name, f"deep/down/{name}")
    (tmp_path / "each").mkdir()
    for name in names:
        with zipfile.ZipFile(tmp_path / "each" / f"{name}.zip", "w") as archive:
            archive.write(files / name, name)
    for origin in (tmp_path / "all.zip", tmp_path / "each"):
        folder = import_files(provided, origin, workspace)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
            name: (files / name).read_bytes() for name in names
        }


def test_a_member_is_never_written_where_the_archive_says(provided, workspace, files, tmp_path):
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.write(files / "train.csv", "../../../../escaped/train.csv")
        for name in ("valid.csv", "test.csv"):
            archive.write(files / name, f"/absolute/{name}")
    folder = import_files(provided, tmp_path / "evil.zip", workspace)
    assert sorted(path.name for path in folder.iterdir()) == ["test.csv", "train.csv", "valid.csv"]
    assert not list(tmp_path.rglob("escaped"))


def test_bombs_and_doubtful_archives_are_refused(provided, workspace, files, tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.csv", b"0" * 10_000_000)
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a/train.csv", b"")
        archive.writestr("b/train.csv", b"")
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        archive.writestr("other.csv", b"")
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "train.csv.gz").write_bytes(gzip.compress(b"0" * 10_000_000))
    for origin, message in {
        "bomb.zip": "unpacks to more than 200 times its size",
        "packed": "unpacks to more than 200 times its size",
        "two.zip": "must hold one train.csv, but holds a/train.csv, b/train.csv",
        "none.zip": "must hold train.csv, but does not",
    }.items():
        with pytest.raises(UserError, match=message):
            import_files(provided, tmp_path / origin, workspace)
        assert not source_folder(provided, workspace).exists()


def test_a_folder_that_could_not_be_filled_keeps_the_old_one(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").write_text("old")
    with pytest.raises(ZeroDivisionError), replacing_folder(tmp_path / "folder") as temporary:
        (temporary / "new").write_text("new")
        _ = 1 / 0
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "old"]

"""One table, written in every way that users have it, gives the same ids; what is wrong is named with its place."""

import csv
import gzip
import io
import json
import operator
import zipfile

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.yaml_files import load_yaml
from fuxi_plugins.datasets.catalogue import load_dataset_spec, read_spec
from fuxi_plugins.datasets.columns import LabelColumn
from fuxi_plugins.datasets.fingerprint import data_fingerprint
from fuxi_plugins.datasets.label_rule import LabelRule
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.reading.files import read_blocks, read_header
from fuxi_plugins.datasets.reading.forms import ColumnForm, FileFormat
from fuxi_plugins.datasets.reading.values import as_text, cleaned, from_brackets
from fuxi_plugins.datasets.store import read_columns

SPLITS = ("train", "valid", "test")
COMPARISONS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "==": operator.eq,
               "!=": operator.ne}  # fmt: skip


def prepare(workspace, columns=None, **changes):
    """Prepares ``tiny`` with other settings; ``columns`` change those of single feature columns."""
    entry = load_yaml(workspace.configs / "dataset_config" / "tiny.yaml")["tiny"] | changes
    entry["feature_cols"] = [column | (columns or {}).get(column["name"], {}) for column in entry["feature_cols"]]
    spec = read_spec("tiny", {key: value for key, value in entry.items() if value is not None}, "here")
    return prepare_dataset(spec, workspace)


def assert_same(prepared, expected):
    for split in SPLITS:
        ours, theirs = read_columns(prepared.split_folder(split)), read_columns(expected.split_folder(split))
        assert set(ours) == set(theirs)
        for name, column in ours.items():
            np.testing.assert_array_equal(column, theirs[name], err_msg=f"{split} {name}")


def separated(separator: str):
    def write(path, table):
        path.write_text(path.read_text().replace(",", separator))

    return write


def in_types(table: pl.DataFrame, *, lists: bool) -> pl.DataFrame:
    """Numbers as numbers, and the history as a list, as a program that made the table had them."""
    history = pl.col("shops").fill_null("").str.split("^").list.eval(pl.element().filter(pl.element() != ""))
    return table.with_columns(
        pl.col("label", "user").cast(pl.Int64),
        pl.col("price").cast(pl.Float64),
        history if lists else pl.col("shops"),
    )


def as_parquet(path, table):
    in_types(table, lists=True).write_parquet(path)


def as_parquet_as_pandas_has_it(path, table):
    """Ids are floats, as a missing value makes them; text is a category."""
    typed = in_types(table, lists=True)
    typed.with_columns(pl.col("user").cast(pl.Float64), pl.col("shop").cast(pl.Categorical)).write_parquet(path)


def as_arrow(path, table):
    """A stream in batches, as Hugging Face's library saves it."""
    typed = in_types(table, lists=True).to_arrow()
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, typed.schema) as stream:
        stream.write_table(typed, max_chunksize=70)


def as_feather(path, table):
    in_types(table, lists=True).write_ipc(path, compression="zstd")


def as_parts(path, table):
    path.unlink(missing_ok=True)
    (path / "deep").mkdir(parents=True)
    typed = in_types(table, lists=True)
    typed[:100].write_parquet(path / "deep" / "part-0.parquet")
    typed[100:].write_parquet(path / "part-1.parquet")
    (path / "_SUCCESS").write_text("")


def as_jsonl(path, table):
    rows = in_types(table, lists=True).rows(named=True)
    path.write_text("".join(json.dumps({k: v for k, v in row.items() if v is not None}) + "\n" for row in rows))


def as_gzip(path, table):
    path.write_bytes(gzip.compress(path.read_bytes()))


def as_zstd(path, table):
    path.write_bytes(pa.compress(path.read_bytes(), codec="zstd", asbytes=True))


def as_zip(path, table):
    text = path.read_text()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside.csv", text)


def as_old_mac(path, table):
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r"))


def as_jsonl_gzip(path, table):
    as_jsonl(path, table)
    as_gzip(path, table)


def without_header(path, table):
    path.write_text(path.read_text().partition("\n")[2])


WAYS = {
    "tsv": ("{}.tsv", separated("\t"), {}),
    "semicolons": ("{}.csv", separated(";"), {"separator": ";"}),
    "several characters": ("{}.dat", separated("::"), {"separator": "::"}),
    "parquet": ("{}.parquet", as_parquet, {}),
    "parquet of pandas": ("{}.parquet", as_parquet_as_pandas_has_it, {}),
    "arrow": ("{}.arrow", as_arrow, {}),
    "feather": ("{}.feather", as_feather, {}),
    "a folder of parts": ("{}", as_parts, {}),
    "jsonl": ("{}.jsonl", as_jsonl, {}),
    "jsonl.gz": ("{}.jsonl.gz", as_jsonl_gzip, {}),
    "gz": ("{}.csv.gz", as_gzip, {}),
    "zst": ("{}.csv.zst", as_zstd, {}),
    "zip": ("{}.csv.zip", as_zip, {}),
    "carriage returns": ("{}.csv", as_old_mac, {}),
    "no header": ("{}.csv", without_header, {"column_names": ["label", "user", "shop", "price", "shops"]}),
    "another name": ("{}.data", as_parquet, {"data_format": "parquet"}),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_writing_gives_the_same_ids(workspace, tmp_path, way):
    name, write, settings = WAYS[way]
    expected = prepare(workspace)
    for split in SPLITS:
        source, path = tmp_path / "csv" / f"{split}.csv", tmp_path / "csv" / name.format(split)
        table = pl.read_csv(source, infer_schema=False)
        if path != source and write is not as_parts:
            path.write_bytes(source.read_bytes())
        write(path, table)
    named = {f"{split}_data": name.format(split) for split in SPLITS}
    prepared = prepare(workspace, **named, **settings)
    assert_same(prepared, expected)
    assert prepared.card.fingerprint != expected.card.fingerprint


LISTS = {
    "python": (str, {"list_format": "brackets"}),
    "json": (json.dumps, {"list_format": "brackets"}),
    "numbers": (lambda entries: "[" + ", ".join(entries) + "]", {"list_format": "brackets"}),
    "numpy": (lambda entries: "[" + "  ".join(entries) + "]", {"list_format": "brackets"}),
    "tuple": (lambda entries: str(tuple(entries)), {"list_format": "brackets"}),
    "spaces": (" ".join, {"splitter": " "}),
    "commas": (",".join, {"splitter": ","}),
    "bars": ("|".join, {"splitter": "|"}),
}


@pytest.mark.parametrize("way", LISTS)
def test_every_way_of_writing_a_list_gives_the_same_ids(workspace, tmp_path, way):
    write, settings = LISTS[way]
    expected = prepare(workspace)
    for split in SPLITS:
        path = tmp_path / "csv" / f"{split}.csv"
        table = pl.read_csv(path, infer_schema=False)
        texts = [write(text.split("^") if text else []) for text in table["shops"].fill_null("")]
        table.with_columns(pl.Series("shops", texts)).write_csv(path)
    assert_same(prepare(workspace, columns={"shops": settings}), expected)


def test_ids_written_as_floats_are_the_same_ids(workspace, tmp_path):
    text = {"user": {"dtype": "str"}, "group": {"dtype": "str"}}
    expected = prepare(workspace, columns=text)
    path = tmp_path / "csv" / "test.csv"
    table = pl.read_csv(path, infer_schema=False)
    table.with_columns(pl.col("user") + ".0").write_csv(path)
    apart = read_columns(prepare(workspace, columns=text).split_folder("test"))["user"]
    assert len(np.unique(apart)) == 1, "as they stand, all are unknown"
    normal = {"user": {"dtype": "str", "normalize_ids": True}, "group": {"dtype": "str"}}
    assert_same(prepare(workspace, columns=normal), expected)
    assert_same(
        prepare(workspace, columns={"user": {"normalize_ids": True}, "group": {}}), prepare_int(workspace, path)
    )


def prepare_int(workspace, path):
    table = pl.read_csv(path, infer_schema=False)
    table.with_columns(pl.col("user").str.strip_suffix(".0")).write_csv(path)
    return prepare(workspace)


LARGE = [18446744073709551615, 16543128959394097762, 7]


def test_ids_beyond_int64_keep_every_digit(tmp_path):
    (tmp_path / "x.csv").write_text("id\n" + "".join(f"{number}\n" for number in LARGE))
    (tmp_path / "x.jsonl").write_text("".join(f'{{"id": {number}}}\n' for number in LARGE))
    pl.DataFrame({"id": pl.Series(LARGE, dtype=pl.UInt64)}).write_parquet(tmp_path / "x.parquet")
    for path in tmp_path.iterdir():
        (block,) = read_blocks(path, ["id"])
        assert as_text(block.frame["id"]).to_list() == [str(number) for number in LARGE], path


def test_missing_values_have_the_names_that_the_config_gives_them(workspace, tmp_path):
    path = tmp_path / "csv" / "train.csv"
    text = path.read_text()
    for name, value in (("none", ""), ("named", "NA"), ("other", "\\N")):
        path.write_text(text + f"1,3,s2,{value},s1\n")
        if name == "none":
            expected = prepare(workspace)
            continue
        with pytest.raises(UserError, match="line 602: column 'price' must hold a number .* na_values names texts"):
            prepare(workspace)
        assert_same(prepare(workspace, columns={"price": {"na_values": ["NA", "\\N"]}}), expected)


@pytest.mark.parametrize(
    ("positive", "negative", "rule"),
    [
        ("5", "2", ">= 4"), ("1", "-1", "> 0"), ("1", "-1", "== 1"), ("true", "False", "== true"), ("3", "0", "> 0"),
        ("Click", "skip", "in [click, buy]"), ("4", "3.5", "in [4, 5]"), ("yes", "no", "!= no"), ("1.0", "0.0", None),
    ],
)  # fmt: skip
def test_a_rule_makes_the_label(workspace, tmp_path, positive, negative, rule):
    expected = prepare(workspace)
    for split in SPLITS:
        path = tmp_path / "csv" / f"{split}.csv"
        table = pl.read_csv(path, infer_schema=False)
        label = table["label"].replace_strict({"1": positive, "0": negative})
        table.with_columns(label).write_csv(path)
    prepared = prepare(workspace, label_col={"name": "label", "rule": rule} if rule else {"name": "label"})
    assert_same(prepared, expected)
    assert prepared.card.positive_rate == expected.card.positive_rate


def test_a_truth_value_of_parquet_is_a_label_and_a_rule_that_cannot_compare_names_the_row(workspace, tmp_path):
    expected = prepare(workspace)
    for split in SPLITS:
        table = in_types(pl.read_csv(tmp_path / "csv" / f"{split}.csv", infer_schema=False), lists=True)
        table.with_columns(pl.col("label").cast(pl.Boolean)).write_parquet(tmp_path / "csv" / f"{split}.parquet")
    files = {f"{split}_data": f"{split}.parquet" for split in SPLITS}
    assert_same(prepare(workspace, **files), expected)
    assert_same(prepare(workspace, **files, label_col={"name": "label", "rule": "== true"}), expected)
    with pytest.raises(UserError, match=r"train.csv, line 2: the label 'shop' must be what its rule '> 2' can compare"):
        prepare(workspace, label_col={"name": "shop", "rule": "> 2"}, columns={"shop": {"active": False},
                                                                             "shops": {"active": False}},
                feature_sources=None)  # fmt: skip


@given(st.sampled_from(list(COMPARISONS)), st.integers(-2, 2), st.lists(st.sampled_from([-2, -1.5, 0, 1, 2, None])))
def test_a_rule_of_numbers_compares_as_python_does(comparison, operand, values):
    rule = LabelRule.parse(f"{comparison} {operand}")
    expected = [None if value is None else COMPARISONS[comparison](value, operand) for value in values]
    for column in (pl.Series(values, dtype=pl.Float64), pl.Series(values, dtype=pl.Float64).cast(pl.String)):
        assert rule.positives(column).to_list() == expected


def test_how_rows_are_read_is_part_of_the_fingerprint(workspace):
    spec = load_dataset_spec(workspace.configs, "tiny")
    changes = [{}, {"separator": ";"}, {"column_names": ["label", "user"]}, {"column_names": ["user", "label"]}]
    changes += [{"weight_col": "w"}, {"label_missing": "drop"}, {"label_col": LabelColumn(name="label", rule="> 0")}]
    prints = [data_fingerprint(spec.model_copy(update=change), {"train": "a"}) for change in changes]
    assert len(set(prints)) == len(changes)
    assert data_fingerprint(spec.model_copy(update={"cluster_id": "user"}), {"train": "a"}) == prints[0]


@pytest.mark.parametrize("rule", ["4", ">= four", "in [a", "is 4", "> nan", "in []", ""])
def test_what_is_no_rule_is_told_what_one_is(workspace, rule):
    with pytest.raises(UserError, match=r"a rule is a comparison such as >= 4, == 1"):
        prepare(workspace, label_col={"name": "label", "rule": rule})


def test_one_of_several_labels_is_learned_and_none_is_a_feature(workspace, tmp_path):
    for split in SPLITS:
        path = tmp_path / "csv" / f"{split}.csv"
        table = pl.read_csv(path, infer_schema=False)
        table.with_columns(bought=pl.col("label") != "1").write_csv(path)
    several = [{"name": "label"}, {"name": "bought", "rule": "== true"}]
    first = prepare(workspace, label_col=several)
    second = prepare(workspace, label_col=several, label="bought")
    for split in SPLITS:
        clicked = read_columns(first.split_folder(split))["label"]
        columns = read_columns(second.split_folder(split))
        np.testing.assert_array_equal(columns["bought"], 1 - clicked)
        assert "label" not in columns
    assert first.card.fingerprint == prepare(workspace, label_col={"name": "label", "dtype": "float"}).card.fingerprint
    assert first.card.fingerprint != second.card.fingerprint
    assert first.spec.with_labels(["bought"]).label_col == second.spec.label_col
    with pytest.raises(UserError, match="label names one of the columns in label_col, label, bought"):
        prepare(workspace, label_col=several, label="sold")
    with pytest.raises(UserError, match="a label or weight is no feature, but shop stands in feature_cols as well"):
        prepare(workspace, label_col=[{"name": "label"}, {"name": "shop"}])


def test_weights_are_stored_beside_the_columns_and_are_part_of_the_data(workspace, tmp_path):
    plain = prepare(workspace)
    for split in SPLITS:
        path = tmp_path / "csv" / f"{split}.csv"
        lines = path.read_text().split()
        path.write_text("\n".join([lines[0] + ",w", *(f"{line},{row / 4}" for row, line in enumerate(lines[1:]))]))
    weighted = prepare(workspace, weight_col="w")
    np.testing.assert_array_equal(read_columns(weighted.split_folder("test"))["w"], np.arange(300) / 4)
    assert weighted.card.fingerprint != plain.card.fingerprint
    path.write_text(path.read_text() + "\n1,3,s2,1.5,s1,-1")
    with pytest.raises(UserError, match="test.csv, line 302: the weight 'w' must be at least 0, but is '-1'"):
        prepare(workspace, weight_col="w")


def test_rows_without_a_label_are_refused_or_left_out(workspace, tmp_path):
    """What is left equals the same files without these rows, and the counts are told."""
    missing = {"train": ("NA", "", "NA"), "valid": (), "test": ("",)}
    whole = {split: (tmp_path / "csv" / f"{split}.csv").read_text().splitlines() for split in SPLITS}
    for split, texts in missing.items():
        path = tmp_path / "csv" / f"{split}.csv"
        path.write_text("\n".join(whole[split][:50] + whole[split][50 + len(texts) :]))
    expected = prepare(workspace)
    for split, texts in missing.items():
        path = tmp_path / "csv" / f"{split}.csv"
        rows = [",".join([text, *row.split(",")[1:]]) for text, row in zip(texts, whole[split][50:], strict=False)]
        path.write_text("\n".join(whole[split][:50] + rows + whole[split][50 + len(texts) :]))
    label = {"name": "label", "na_values": ["NA"]}
    with pytest.raises(
        UserError, match=r"3 of 600 in train.csv have none \(the first: train.csv, line 51\), 1 of 300 in"
    ):
        prepare(workspace, label_col=label)
    with pytest.raises(
        UserError, match="line 51: the label 'label' must be 0 or 1, but is 'NA' .* na_values in label_"
    ):
        prepare(workspace, label_missing="drop")
    prepared = prepare(workspace, label_col=label, label_missing="drop")
    assert_same(prepared, expected)
    assert prepared.card.unlabelled == {"train": 3, "test": 1}
    assert prepared.card.rows == expected.card.rows == {"train": 597, "valid": 300, "test": 299}
    assert prepared.card.fingerprint != expected.card.fingerprint


def test_a_split_without_any_label_is_refused(workspace, tmp_path):
    path = tmp_path / "csv" / "test.csv"
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *("," + row.split(",", 1)[1] for row in rows)]))
    with pytest.raises(UserError, match="test.csv must hold rows with a label, but none of its 300 rows has one"):
        prepare(workspace, label_missing="drop")


def test_text_groups_are_numbered_whatever_remap_says(workspace):
    """Each group has a number of its own, in every split the same."""
    columns = {"user": {"dtype": "str"}, "group": {"dtype": "str", "preprocess": "copy_from(shop)", "remap": False}}
    prepared = prepare(workspace, columns=columns)
    shops = json.loads((prepared.folder / "feature_vocab.json").read_text())["shop"]
    pairs = set()
    for split in SPLITS:
        stored = read_columns(prepared.split_folder(split))
        pairs |= set(zip(stored["shop"].tolist(), stored["group"].tolist(), strict=True))
    assert len(pairs) == len({group for _, group in pairs}) == len(shops) - 2, "all but padding and unknown"


def test_a_column_may_share_a_table_that_stands_below_it(workspace):
    expected = prepare(workspace)
    entry = load_yaml(workspace.configs / "dataset_config" / "tiny.yaml")["tiny"]
    user, shop, price, shops, group = entry["feature_cols"]
    prepared = prepare(workspace, feature_cols=[shops, user, shop, price, group])
    assert_same(prepared, expected)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"shop": {"active": False}}, "shops shares the embedding of 'shop', which is not active"),
        ({"shop": {"dtype": "int"}}, "shops and shop, whose embedding it shares, must have one dtype, .* int and str"),
        ({"shops": {"dtype": "int", "share_embedding": None}}, "the sequence shops must have dtype: str"),
    ],
)
def test_a_table_that_cannot_be_shared_is_refused(workspace, columns, message):
    with pytest.raises(UserError, match=message):
        prepare(workspace, columns=columns, feature_sources=None)


# Values


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("[3, 7]", ["3", "7"]), ("[]", []),
        ("['a, b', 'c']", ["a, b", "c"]), ('["x"]', ["x"]), ("(1 2  3)", ["1", "2", "3"]),
        ("[1.0, nan]", ["1.0"]), (None, None), ("[None, 'q']", ["q"]), ("[3 7]", ["3", "7"]), ("[7]", ["7"]),
        ("['it''s']", ["its"]), ('["a\\"b"]', ['a"b']),
    ],
)  # fmt: skip
def test_lists_in_brackets(text, entries):
    assert from_brackets(pl.Series("x", [text], dtype=pl.String)).to_list() == [entries]


@given(st.lists(st.lists(st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1)), min_size=1))
def test_lists_in_brackets_are_what_json_and_python_read(lists):
    lists = [[entry for entry in entries if entry not in ("nan", "NaN", "None", "null")] for entries in lists]
    for write in (json.dumps, repr):
        texts = pl.Series("x", [write(entries) for entries in lists], dtype=pl.String)
        assert from_brackets(texts).to_list() == lists


def test_an_entry_that_holds_the_splitter_is_refused():
    with pytest.raises(UserError, match=r"'tags': an entry of a list must not hold the splitter '\^', but .*a\^b"):
        cleaned(pl.Series("tags", [["a"], ["a^b", "c"]]), ColumnForm())


def test_lists_of_any_type_are_joined_without_what_is_missing():
    assert cleaned(pl.Series("x", [[1, 2], [], None, [3, None]]), ColumnForm()).to_list() == ["1^2", "", None, "3"]
    floats = pl.Series("x", [[1.0, 2.5], [float("nan")], [2.0**60]])
    assert cleaned(floats, ColumnForm(splitter="|")).to_list() == ["1|2.5", "", str(2**60)]
    texts = pl.Series("x", [["7.0", "7", "7.5"]])
    assert cleaned(texts, ColumnForm(normalize_ids=True)).to_list() == ["7^7^7.5"]


# Wrong


def test_every_part_must_have_the_columns(tmp_path):
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "0.parquet")
    pl.DataFrame({"b": [1]}).write_parquet(tmp_path / "1.parquet")
    with pytest.raises(UserError, match=r"1.parquet must have the columns a, but lacks a; its header is b"):
        list(read_blocks(tmp_path, ["a"]))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.parquet", b"a,b\n1,2\n", "x.parquet is not a complete parquet file: .* Download it again"),
        ("x.jsonl", b'{"a": 1}\n[1, 2]\n', r"x.jsonl, line 2: each line must be one JSON object, .* '\[1, 2\]'"),
        ("x.jsonl", b'{"a": 1}\n{"a": \n', "x.jsonl, line 2: each line must be one JSON object"),
        ("x.jsonl", b"", "x.jsonl must hold rows, but is empty"),
        ("x.csv.zst", b"not packed", "x.csv.zst is not a complete zstd file"),
        ("x.csv.zip", b"not packed", "x.csv.zip is not a complete zip file"),
        ("x.csv", b"a;b\n1;2\n", "separated by semicolons.* or say so in the dataset config: separator: ';'"),
        ("x.tsv", b"a,b\n1,2\n", "values must be separated by tabs, but the header is separated by commas"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        list(read_blocks(tmp_path / name, read_header(tmp_path / name)))


def test_an_archive_of_several_files_and_an_empty_folder_are_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.csv.zip", "w") as archive:
        archive.writestr("a.csv", "a\n1\n")
        archive.writestr("b.csv", "a\n1\n")
    with pytest.raises(UserError, match="must hold one file, but holds a.csv, b.csv"):
        read_header(tmp_path / "x.csv.zip")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="the folder .*empty must hold csv files, but holds none"):
        read_header(tmp_path / "empty")


def test_a_file_without_a_header_is_recognised(workspace, tmp_path):
    without_header(tmp_path / "csv" / "valid.csv", None)
    with pytest.raises(UserError, match="valid.csv must have the columns .* in a file without a header.* column_names"):
        prepare(workspace)


@given(st.data())
def test_any_size_of_block_gives_the_same_rows(tmp_path_factory, data):
    """Whatever the separator, quotes and line ends inside values."""
    value = st.text(st.sampled_from("ab,;\t\n\"' é"), max_size=4)
    rows = data.draw(st.lists(st.tuples(value, value), min_size=1, max_size=12))
    separator = data.draw(st.sampled_from([",", ";", "\t"]))
    folder = tmp_path_factory.mktemp("blocks")
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([("x", "y"), *rows])
    (folder / "x.csv").write_text(text.getvalue(), newline="")
    found = FileFormat(separator=separator)
    for size in (100, 1000):
        blocks = list(read_blocks(folder / "x.csv", ["x", "y"], found, block_bytes=size))
        read = [tuple(value or "" for value in row) for block in blocks for row in block.frame.rows()]
        assert read == rows

"""Random tables, described and prepared: rows, labels, ids and numbers are those of a slow reading in plain Python."""

import csv
import json
import math
from collections import Counter
from datetime import date

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import read_spec
from fuxi_plugins.datasets.describing.describe import describe
from fuxi_plugins.datasets.prepare import PreparedData, prepare_dataset
from fuxi_plugins.datasets.spec import DatasetSpec
from fuxi_plugins.datasets.store import read_columns

SPLITS = ("train", "valid", "test")
words = st.text(st.sampled_from("abXY09 ,;|\"'é-"), min_size=1, max_size=4).filter(lambda word: word.strip() == word)


@st.composite
def columns(draw, rows: int) -> list[str]:
    """The texts of a column: ids, floats, words, lists or what is all mixed, some of them missing."""
    kind = draw(st.sampled_from(["ids", "float ids", "floats", "words", "list", "brackets", "mixed", "large"]))
    some = st.integers(0, 4)
    value = {
        "ids": some.map(str),
        "float ids": st.tuples(some, st.sampled_from(["", ".0"])).map(lambda pair: f"{pair[0]}{pair[1]}"),
        "floats": st.integers(-99, 99).map(lambda number: str(number / 8)),
        "words": st.sampled_from(draw(st.lists(words, min_size=1, max_size=4))),
        "list": st.lists(some.map(str), max_size=4).map("^".join),
        "brackets": st.lists(some, max_size=4).map(str),
        "mixed": st.one_of(some.map(str), words, st.sampled_from(["NA", "nan", "1e5", "-"])),
        "large": some.map(lambda number: str(2**64 + number)),
    }[kind]
    missing = draw(st.sampled_from([0, 0, 0.2]))
    found = draw(st.lists(value, min_size=rows, max_size=rows))
    return ["" if draw(st.floats(0, 1)) < missing else text for text in found] if missing else found


@st.composite
def tables(draw) -> dict[str, list[list[str]]]:
    """By split the rows of a table; the first is its header, ``label`` last."""
    counts = {split: draw(st.integers(4, 12)) for split in SPLITS}
    names = draw(st.lists(st.sampled_from(["user", "item", "price", "history", "type", "x.y", "tags", "city"]),
                          min_size=1, max_size=4, unique=True))  # fmt: skip
    whole = [draw(columns(sum(counts.values()))) for _ in names]
    found, start = {}, 0
    for split, count in counts.items():
        labels = [str(row % 2) for row in range(count)]
        rows = [list(row) for row in zip(*(column[start : start + count] for column in whole), labels, strict=True)]
        found[split], start = [[*names, "label"], *rows], start + count
    return found


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(tables())
def test_what_is_described_is_prepared_as_python_reads_it(tmp_path_factory, table):
    folder = tmp_path_factory.mktemp("table")
    for split, rows in table.items():
        with (folder / f"{split}.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    try:
        found = describe("mine", folder)
    except UserError as error:
        if "a column to learn from, but none is left" not in str(error):
            raise
        return
    spec = read_spec("mine", found.entry, folder)
    prepared = prepare_dataset(spec, Workspace(folder, folder, folder / "cache"))
    rows = {}
    for split in SPLITS:
        with (folder / f"{split}.csv").open(newline="") as file:
            rows[split] = list(csv.DictReader(file))
    assert_as_python_reads(prepared, rows)


def assert_as_python_reads(prepared: PreparedData, rows: dict[str, list[dict[str, str]]]):
    """Holds rows, labels, ids and numbers against a slow reading; ``rows`` are texts by split and column."""
    spec = prepared.spec
    read = {split: slow_reading(texts, spec) for split, texts in rows.items()}
    vocabularies = json.loads((prepared.folder / "feature_vocab.json").read_text())
    for split, texts in rows.items():
        stored = read_columns(prepared.split_folder(split))
        np.testing.assert_array_equal(stored["label"], [int(row["label"]) for row in texts])
        for name, column in stored.items():
            if name == "label" or spec.group_id == name:
                continue
            assert_column(spec, name, column, read[split][name], read["train"], vocabularies)


def slow_reading(rows: list[dict[str, str]], spec: DatasetSpec) -> dict[str, list]:
    """Each column as a few lines of Python read it: a text, a list of texts or a number a row."""
    found = {}
    for column in spec.active_columns:
        if column.is_of_clock:  # of dates alone in these tables
            texts = [row[column.made_from] for row in rows]
            found[column.name] = [text and str(date.fromisoformat(text).isoweekday()) for text in texts]
        elif column.type != "meta":
            found[column.name] = [as_python(row[column.name], column) for row in rows]
    return found


def as_python(text: str, column):
    if text in (column.na_values or []):
        text = ""
    if column.type == "numeric":
        return float(text or 0)
    if column.preprocess == "convert_to_bucket":
        number = float(text or column.fill_na)
        bucket = int(math.log(number) ** 2 if number > 2 else number)
        return "" if bucket == column.fill_na else str(bucket)
    if column.type == "categorical":
        return whole(text, column)
    if column.list_format:
        return [str(entry) for entry in json.loads(text)] if text else []
    return [whole(entry, column) for entry in text.split(column.splitter)] if text else []


def whole(text: str, column) -> str:
    return text.partition(".")[0] if column.normalize_ids and text.replace(".0", "").isdigit() else text


def assert_column(spec, name, stored, values, train, vocabularies):
    (column,) = (column for column in spec.active_columns if column.name == name)
    if column.type == "numeric":
        known = np.array(train[name])
        mean, deviation = (known[0], 1) if len(set(known)) == 1 else (known.mean(), known.std())
        scaled = (np.array(values) - mean) / deviation
        np.testing.assert_allclose(stored, scaled, rtol=1e-5, atol=1e-5, err_msg=name)
        return
    vocabulary = vocabularies[name]
    frequent = set()
    sharing = [name, column.share_embedding or "", *(c.name for c in spec.active_columns if c.share_embedding == name)]
    sharing += [
        c.name for c in spec.active_columns if c.share_embedding and c.share_embedding == column.share_embedding
    ]
    for other in filter(None, sharing):
        entries = [entry for value in train[other] for entry in (value if isinstance(value, list) else [value])]
        least = column.min_categr_count or 2
        frequent |= {entry for entry, count in Counter(entries).items() if count >= least and entry}
    assert set(vocabulary) - {"__PAD__", "__OOV__", ""} == frequent, name
    places = {place: entry for entry, place in vocabulary.items()}
    for row, value in enumerate(values):
        if column.type == "categorical":
            assert places[stored[row]] == (value if value in frequent else "__OOV__"), name
        else:
            kept = [entry if entry in frequent else "__OOV__" for entry in value[: stored.shape[1]] if entry]
            assert [places[place] for place in stored[row] if place] == kept, name

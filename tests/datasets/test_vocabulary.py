"""Vocabularies as arrays against FuxiCTR's own Tokenizer, a dict of every value."""

import json

import numpy as np
import polars as pl
import pytest
from fuxictr.preprocess import feature_processor
from fuxictr.preprocess.tokenizer import Tokenizer
from hypothesis import assume, given
from hypothesis import strategies as st

from fuxi_plugins.datasets.preprocessing import _fitting_arrays, _Tokenizer
from fuxi_plugins.datasets.vocabulary import PADDING, UNKNOWN, ArrayTokenizer, Vocabulary

VALUES = {
    "str": st.one_of(st.sampled_from(["", "a", "é", "𝕏", "Z", '"', PADDING, UNKNOWN]), st.text(max_size=3)),
    "int": st.integers(-(2**62), 2**62),
    "small int": st.integers(1, 30),
    "float": st.one_of(st.integers(-9, 9).map(float), st.floats(-1e30, 1e30).map(lambda number: number + 0.0)),
}
DTYPES = {"str": pl.String, "int": pl.Int64, "small int": pl.Int64, "float": pl.Float64}


@st.composite
def counted(draw, kinds=tuple(VALUES), columns=1):
    """The kind of value, and for each column how often each value occurs."""
    kind = draw(st.sampled_from(kinds))
    counts = st.dictionaries(VALUES[kind], st.integers(1, 4), min_size=1, max_size=12)
    return kind, [draw(counts) for _ in range(columns)]


def both(kind, counts, **settings):
    """FuxiCTR's tokenizer and ours, of the same counts."""
    theirs, ours = Tokenizer(**settings), ArrayTokenizer(**settings)
    missing = settings.get("na_value", "")
    assume(any(count >= theirs._min_freq and value != missing for value, count in counts.items()))
    theirs.build_vocab(counts)
    ours.build_vocab(as_frame(kind, counts))
    return theirs, ours


def as_frame(kind, counts):
    frame = pl.DataFrame({"value": pl.Series(list(counts), dtype=DTYPES[kind]), "len": list(counts.values())})
    return frame.sample(fraction=1, shuffle=True, seed=1)


def assert_same(kind, theirs, ours, beside=()):
    """The ids of known values and of others, the sizes and the files."""
    assert ours.vocab_size() == theirs.vocab_size()
    assert ours.vocab[UNKNOWN] == theirs.vocab[UNKNOWN]
    asked = [*(value for value in theirs.vocab if kind == "str" or not isinstance(value, str)), *beside]
    found = ours.vocab.ids_of(pl.Series(asked, dtype=DTYPES[kind]))
    assert found.tolist() == theirs.encode_category(asked)
    own = dict(json.loads(ours.vocab.as_json()).items())
    by_id = dict(sorted(theirs.vocab.items(), key=lambda entry: entry[1]))
    assert own == json.loads(json.dumps(by_id))
    if len(set(by_id.values())) == len(by_id):
        assert list(own) == list(json.loads(json.dumps(by_id)))


@given(counted(columns=2), st.integers(1, 3), st.sampled_from(["", "a", 3, 3.0]))
def test_ids_are_fuxictrs(columns, least, missing):
    kind, (counts, others) = columns
    theirs, ours = both(kind, counts, min_freq=least, na_value=missing)
    assert_same(kind, theirs, ours, others)


@given(counted(columns=3), st.integers(1, 2))
def test_shared_tables_grow_as_fuxictrs(columns, least):
    kind, (first, *others) = columns
    theirs, ours = both(kind, first, min_freq=least)
    for counts in others:
        their_next, our_next = both(kind, counts, min_freq=least)
        their_next.merge_vocab(theirs)
        our_next.merge_vocab(ours)
        assert_same(kind, their_next, our_next)
    assert_same(kind, theirs, ours)


@given(counted(["small int"], columns=2))
def test_numbers_that_are_their_own_ids(columns):
    kind, (first, second) = columns
    theirs, ours = both(kind, first, remap=False)
    their_next, our_next = both(kind, second, remap=False)
    assert_same(kind, theirs, ours)
    their_next.merge_vocab(theirs)
    our_next.merge_vocab(ours)
    assert_same(kind, their_next, our_next)


@given(counted(["str", "small int"]), st.data())
def test_keys_of_pretrained_vectors_get_ids_behind_the_unknown(tmp_path_factory, columns, data):
    kind, (counts,) = columns
    values = VALUES[kind].filter(lambda value: value not in (PADDING, UNKNOWN) and "\x00" not in str(value))
    keys = data.draw(st.lists(values, min_size=1, max_size=8))
    theirs, ours = both(kind, counts)
    path = str(tmp_path_factory.mktemp("vectors") / "vectors.npz")
    np.savez(path, key=np.array(keys), value=np.zeros((len(keys), 2)))
    theirs.load_pretrained_vocab(str if kind == "str" else int, path)
    ours.add_values(keys)
    found = ours.vocab.ids_of(pl.Series(keys, dtype=DTYPES[kind]))
    assert found.tolist() == theirs.encode_category(keys)
    assert (ours.vocab_size(), ours.vocab[UNKNOWN]) == (theirs.vocab_size(), theirs.vocab[UNKNOWN])


def test_a_missing_value_is_unknown_and_so_is_all_in_an_empty_vocabulary():
    vocabulary = Vocabulary(pl.Series(["b", "a"]), np.array([1, 2]), 3)
    assert vocabulary.ids_of(pl.Series(["a", None, "b", "c"])).tolist() == [2, 3, 1, 3]
    assert vocabulary.ids_of(pl.Series([], dtype=pl.String)).tolist() == []
    empty = Vocabulary(pl.Series([], dtype=pl.String), np.empty(0, np.int64), 1)
    assert empty.ids_of(pl.Series(["a", None])).tolist() == [1, 1]


def test_values_that_share_a_hash_stay_apart(monkeypatch):
    """A seed that gives two known values one hash is passed over; an unknown value of a known one's hash is unknown."""
    monkeypatch.setattr(pl.Series, "hash", lambda values, seed: values.str.len_chars().cast(pl.UInt64) * (seed > 1))
    vocabulary = Vocabulary(pl.Series(["bb", "a"]), np.array([1, 2]), 3)
    assert vocabulary.ids_of(pl.Series(["a", "c", "bb", "dd", None])).tolist() == [2, 3, 1, 3, 3]


def test_fuxictrs_class_is_back_after_fitting():
    with pytest.raises(RuntimeError), _fitting_arrays():
        assert feature_processor.Tokenizer is _Tokenizer
        raise RuntimeError
    assert feature_processor.Tokenizer is Tokenizer

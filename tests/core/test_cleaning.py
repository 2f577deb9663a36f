"""Each format's cleaning, by laws that hold for any text, and by what has been seen in the wild."""

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuxi_plugins.core import cleaning

ANY = st.text(max_size=40) | st.text("\x1b[]*()\\|`<>&%$#_{}~^=+-@\u202e\u2066\u200b\ufeff\n\r\t \"'/:a", max_size=40)
SEEN = re.compile(r"[^\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]*")


@given(ANY)
def test_nothing_that_moves_a_cursor_or_turns_the_direction_is_left(text):
    for clean in (cleaning.visible, cleaning.markdown, cleaning.latex, lambda t: str(cleaning.csv_cell(t))):
        assert SEEN.fullmatch(clean(text)), clean
    for clean in (cleaning.terminal, cleaning.html, cleaning.log):
        assert SEEN.fullmatch(clean(text).replace("\n", "").replace("\t", "")), clean


@given(ANY.filter(str.isprintable))
def test_what_is_printable_stays_as_it_is(text):
    assert cleaning.visible(text) == cleaning.terminal(text) == text


@given(st.lists(ANY | st.floats(allow_nan=False) | st.integers() | st.none(), min_size=1, max_size=4))
def test_a_csv_reads_back_as_many_cells_none_of_them_a_formula(row):
    (header, read) = csv.reader(io.StringIO(cleaning.csv_text(["name"] * len(row), [row])))
    assert len(header) == len(read) == len(row)
    for value, cell in zip(row, read, strict=True):
        if isinstance(value, float | int):
            assert float(cell) == float(value)
        elif cell and cell[0] in "=+-@\t\r":
            float(cell)  # a number that was written as text


@given(ANY)
def test_markdown_is_a_cell_without_links_or_html(text):
    shown = cleaning.markdown(text)
    assert "<" not in shown
    assert "\n" not in shown
    bare = re.sub(r"\\\\", "•", shown)  # a backslash that is shown; it parts what stands on its two sides
    assert not re.search(r"(?<!\\)\|", bare)
    assert not re.search(r"(?<!\\)\][(\[:]", bare)


@given(ANY)
def test_latex_holds_no_command_and_no_special_of_the_text(text):
    symbols = "backslash|bar|asciitilde|asciicircum|less|greater"
    known = rf"\\text({symbols})\{{\}}|\$(\\pm|\\times|-)\$|\\[&%$#_{{}}]|{{[\[*]}}"
    assert not re.search(r"[\\&%$#_{}~^<>|\[*\u0180-\u2013]", re.sub(known, "", cleaning.latex(text)))
    assert "\n" not in cleaning.latex_comment(text)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ('File "/home/ann/my models/net.py", line 3, in forward', 'File ".../net.py", line 3, in forward'),
        ("/Users/ann/x/net.py:3: error", ".../net.py:3: error"),
        (r"C:\Users\ann\net.py is missing", ".../net.py is missing"),
        ("[Errno 2] No such file: '/home/ann/a b/train.csv'", "[Errno 2] No such file: '.../train.csv'"),
        ('File "/opt/v/lib/python3.11/site-packages/torch/nn/m.py"', 'File ".../torch/nn/m.py"'),
        ("file:///home/ann/net.py", "file://.../net.py"),
        ("(/home/ann/net.py)", "(.../net.py)"),
        ("~/secret/net.py", ".../net.py"),
        ("see https://example.org/a/b", "see https://example.org/a/b"),
        ("1,000 rows/s, AUC/logloss, 1/2/3, – / –", "1,000 rows/s, AUC/logloss, 1/2/3, – / –"),
        ("../models/net.html and models/net.html", "../models/net.html and models/net.html"),
    ],
)
def test_a_path_keeps_its_file_and_loses_its_folders(text, clean):
    assert cleaning.without_folders(text) == clean
    assert cleaning.html(text) == clean
    assert cleaning.json_value({"a": [text]}) == {"a": [clean]}


def test_a_log_does_not_name_its_user(monkeypatch):
    monkeypatch.setenv("LOGNAME", "ann")
    monkeypatch.setenv("HOME", "/home/annie")
    cleaning._user_names.cache_clear()
    assert (
        cleaning.log("annie@host:\x1b[1m ann said anna\n/home/annie/x.py")
        == "user@host:\\x1b[1m user said anna\n.../x.py"
    )
    cleaning._user_names.cache_clear()


def test_a_long_text_is_cleaned_in_time_that_grows_with_its_length():
    for text in ('"' + "/a" * 200_000, "/" * 400_000, "[" * 400_000 + "\x1b" * 1000, "'/a b" * 80_000):
        for clean in (cleaning.log, cleaning.markdown, cleaning.html, cleaning.csv_cell):
            assert len(clean(text)) > 0

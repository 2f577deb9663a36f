"""docs/first_board.md explains a committed board: its rows, and what it says of them."""

import json
import re

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "first_board.md").read_text()
BOARD = (ROOT / "results" / "leaderboards" / "ml100k_board.md").read_text()


def cells(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|") and not set(line) <= set("|:- ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_table_is_of_the_board():
    head, *rows = cells(BOARD)
    shown_head, *shown = cells(PAGE)
    by_model = {row[head.index("model")]: row for row in rows}
    assert len(shown) == 5
    for row in shown:
        whole = by_model[row[shown_head.index("model")]]
        assert row == [whole[head.index(column)] for column in shown_head]


def test_what_it_says_of_the_rows_is_so():
    rows = {row[2]: row for row in cells(BOARD)[1:]}
    letters = {name: set(row[1]) for name, row in rows.items()}
    assert letters["FinalMLP"] & letters["DCNv2"]
    assert letters["DCNv2"] & letters["RankMixer"]
    assert not letters["FinalMLP"] & letters["RankMixer"]
    alike = [name for name in rows if name != "FinalMLP" and letters[name] & letters["FinalMLP"]]
    assert len(alike) == 7
    assert "seven models are not significantly different" in PAGE
    assert len(rows) - 1 - len(alike) == 3
    assert len(rows) * (len(rows) - 1) // 2 == 55
    detectable = re.search(r"Smallest detectable difference: ([\d.]+) AUC", BOARD).group(1)
    assert f"here {detectable} AUC" in PAGE


def test_the_sampling_of_users_is_the_larger_noise():
    """The interval of FinalMLP is much wider than its noise between seeds alone."""
    path = ROOT / "results" / "leaderboards" / "ml100k_board.json"
    (row,) = (row for row in json.loads(path.read_text())["rows"] if row["model"] == "FinalMLP")
    interval = row["intervals"]["AUC"]
    assert interval["high"] - interval["low"] > 4 * row["test"]["AUC"]["std"]

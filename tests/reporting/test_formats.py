"""A suite of several datasets gives one valid piece of csv and of JSON."""

import io
import json

import pandas as pd

from fuxi_plugins.reporting.formats import render_all
from tests.analysis.make import suite_board


def test_boards_of_several_datasets_are_one_csv_and_one_json(tmp_path):
    values = {"A": [0.7, 0.71], "B": [0.6, 0.61]}
    boards = [suite_board(name, values, tmp_path).board for name in ("one", "two")]
    table = pd.read_csv(io.StringIO(render_all(boards, "Two", "csv")))
    assert list(zip(table.dataset, table.display_name, strict=True)) == [
        ("one", "A"), ("one", "B"), ("two", "A"), ("two", "B")
    ]  # fmt: skip
    assert [board["dataset"] for board in json.loads(render_all(boards, "Two", "json"))] == ["one", "two"]
    assert json.loads(render_all(boards[:1], "One", "json"))["dataset"] == "one"

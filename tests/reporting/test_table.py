"""The formats of a paper's table: they say the same, pass nothing on, and come out of a few lines of Python."""

import csv
import io
import itertools
import json
import re
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner

from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.reporting.table import TABLE_FORMATS, paper_table
from tests.conftest import ROOT
from tests.reporting.make import HOSTILE_NAMES, table_of

WORKSPACE = Workspace.locate(ROOT / "benchmark_configs", ROOT / "results")
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


class Cells(HTMLParser):
    """The texts of a table's body, and every tag."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.rows, self.inside = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.rows and self.rows[-1] and data.strip():
            self.rows[-1][-1] += data


def test_every_format_shows_the_same_numbers(tmp_path):
    made = table_of(tmp_path)
    table = made.table
    tidy = list(csv.DictReader(io.StringIO(made.to_csv())))
    plain = json.loads(made.to_json())["values"]
    frame = made.to_pandas()
    markdown = [[cell.strip() for cell in line.split("|")[1:-1]] for line in made.to_markdown().splitlines()
                if line.startswith("|")][2:]  # fmt: skip
    html = Cells(made.to_html()).rows[2:-1]
    latex = [line.split(" & ") for line in made.to_latex("two").splitlines() if line.startswith(tuple(table.models))]
    assert len(markdown) == len(html) == len(latex) == len(table.models)
    cells = itertools.product(enumerate(table.entries.items()), enumerate(table.columns))
    for line, (((row, (model, entries)), (place, column)), read) in enumerate(zip(cells, tidy, strict=True)):
        entry, shown = entries[place], table.text(model, place)
        assert (read["model"], read["dataset"], read["measure"]) == (model, column.dataset, column.measure.name)
        assert (float(read["value"]) if read["value"] else None) == entry.value == plain[line]["value"]
        assert read["reason"].startswith(entry.reason[:8]), "where it says more, it is cleaned"
        value = frame.loc[model, (column.dataset, column.measure.name)]
        assert value == entry.value if entry.value is not None else value != value
        for cell in (markdown[row][place + 1], html[row][place + 1], latex[row][place + 1].replace("$-$", "-")):
            assert shown in cell.replace("--", "–"), (model, column)
        assert ("**" in markdown[row][place + 1]) == ("textbf" in latex[row][place + 1]) == (entry.place == 1)
        assert ("<ins>" in markdown[row][place + 1]) == ("underline" in latex[row][place + 1]) == (entry.place == 2)
        assert (
            (" *" in markdown[row][place + 1])
            == ("$^{*}$" in latex[row][place + 1].partition("phantom")[0])
            == entry.better
        )
    assert any(entry.better for entries in table.entries.values() for entry in entries)


@pytest.mark.parametrize("form", TABLE_FORMATS)
def test_no_format_passes_on_what_a_record_smuggles(tmp_path, form):
    text = table_of(tmp_path, names=HOSTILE_NAMES).render(form, caption=HOSTILE_NAMES[1])
    assert not UNSEEN.search(text)
    assert "/home/ann" not in text
    assert "my secret" not in text
    if form == "csv":
        assert not [cell for row in csv.reader(io.StringIO(text)) for cell in row if cell.startswith("=")]
    if form == "md":
        assert "](" not in text.replace("\\](", "")
        assert "<script" not in text
    if form == "html":
        assert set(Cells(text).tags) <= {
            "table",
            "caption",
            "thead",
            "tbody",
            "tfoot",
            "tr",
            "th",
            "td",
            "b",
            "u",
            "sup",
            "br",
        }
    if form == "tex":
        assert "\\input" not in text
        assert "\\alpha" not in text
    if form == "json":
        assert json.loads(text)["values"][0]["model"] in HOSTILE_NAMES


def test_holes_are_marked_and_their_reasons_stand_below(tmp_path):
    made = table_of(tmp_path)
    markdown = made.to_markdown()
    assert "–<sup>a</sup>" in markdown
    assert "- <sup>a</sup> Seed 1: failed: OSError" in markdown
    assert "--$^{a}$" in made.to_latex()
    assert "$^{a}$ Seed 1: failed: OSError" in made.to_latex()
    assert "–<sup>a</sup>" in made.to_html()


def test_the_float_has_a_caption_and_a_label(tmp_path):
    made = table_of(tmp_path)
    text = made.to_latex("two", caption="50% of all", label="tab:overall")
    assert "\\caption{50\\% of all}\n\\label{tab:overall}" in text
    assert text.count("\\begin{table*}") == text.count("\\end{table*}") == 1
    assert "\\caption{Test AUC, logloss, RelaImpr on dataset\\_0, dataset\\_1" in made.to_latex()
    with pytest.raises(UserError, match="a label must be of letters"):
        made.to_latex(label="tab}\\input{x}")
    with pytest.raises(UserError, match="one column wide or two"):
        made.to_latex("three")


def test_a_frame_in_five_lines():
    table = paper_table(["frappe_board", "ml100k_board"], metrics=["AUC", "RelaImpr"], baselines=["DNN"],
                        workspace=WORKSPACE)  # fmt: skip
    frame = table.to_pandas()
    assert frame.loc["DNN", ("ml100k", "RelaImpr")] == 0
    auc = frame[("ml100k", "AUC")]
    assert frame[("ml100k", "RelaImpr")].to_list() == pytest.approx(((auc - 0.5) / (auc["DNN"] - 0.5) - 1).to_list())
    assert "\\begin{table}" in table.to_latex()


def test_of_datasets_the_board_with_most_of_the_models_is_taken_and_said():
    table = paper_table(datasets=["ml100k"], models=["LR", "LorentzFM"], workspace=WORKSPACE)
    assert {column.board for column in table.table.columns} == {"ml100k_zoo_board"}
    assert ("", "ml100k: rows of ml100k_zoo_board, the board with most of these models.") in table.legend
    assert table.table.models == ["LR", "LorentzFM"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "name one or the other"),
        ({"boards": ["frappe_board"], "datasets": ["ml100k"]}, "name one or the other"),
        ({"datasets": ["ml100"]}, r"no suite with results on the dataset 'ml100'; did you mean 'ml100k'\?"),
        ({"boards": ["frappe_bord"]}, "did you mean 'frappe_board'"),
    ],
)
def test_what_cannot_be_found_is_said(settings, message):
    with pytest.raises(UserError, match=message):
        paper_table(**settings, workspace=WORKSPACE)


def call(*arguments):
    folders = ["--configs", str(WORKSPACE.configs), "--results", str(WORKSPACE.results)]
    return CliRunner().invoke(main, [*folders, *arguments])


def test_the_command_prints_what_python_gives():
    words = "table --boards frappe_board ml100k_board --metrics AUC,RelaImpr --baseline DNN FM --digits 5 --format csv"
    done = call(*words.split())
    assert done.exit_code == 0, done.output
    boards, chosen = ["frappe_board", "ml100k_board"], {"metrics": ["AUC", "RelaImpr"], "baselines": ["DNN", "FM"]}
    assert done.output == paper_table(boards, **chosen, digits=5, workspace=WORKSPACE).to_csv()


def test_an_unknown_model_is_one_message():
    done = call("table", "--boards", "frappe_board", "--models", "RankElaster")
    assert done.exit_code == 2
    assert "did you mean 'RankElastor'?" in done.output


def sentences(table):
    return [text for _, text in table.legend]


@pytest.mark.parametrize("models", [["DNN"], ["DNN", "HSTU"]], ids=["alone", "beside one without results"])
def test_where_nothing_was_compared_nothing_is_said_to_be_no_better(models):
    """HSTU is not on Frappe's board of eleven; with it as a baseline, the same holds of DNN."""
    found = paper_table(["frappe_board", "ml100k_random_board"], models=models, metrics={"frappe_x1r": ["AUC"],
                        "ml100k_random": ["RelaImpr"]}, baselines=["DNN"], workspace=WORKSPACE)  # fmt: skip
    assert not any(text.startswith("No model is") for text in sentences(found))


def test_a_model_that_was_compared_is_said_to_be_no_better():
    found = paper_table(["frappe_board"], models=["DNN", "LR"], baselines=["DNN"], workspace=WORKSPACE)
    assert "No model is significantly better than the best baseline (of DNN)." in sentences(found)


def test_the_rank_says_which_datasets_are_of_one_log():
    boards = ["frappe_board", "ml100k_board", "ml100k_random_board"]
    found = paper_table(boards, models=["DNN", "LR"], workspace=WORKSPACE)
    (said,) = (text for text in sentences(found) if text.startswith("Rank:"))
    assert said.endswith("Datasets of one log are averaged first: 3 datasets are of 2 logs.")
    assert json.loads(found.to_json())["logs"] == {
        "frappe_x1r": "frappe_x1", "ml100k": "ml100k", "ml100k_random": "ml100k",
    }  # fmt: skip
    apart = paper_table(boards[:2], models=["DNN", "LR"], workspace=WORKSPACE)
    assert "Rank: mean over datasets of the rank by AUC, among models with all results." in sentences(apart)

"""What the site finds in a workspace: boards by what they are for, model cards, and a user's own choice of boards."""

import pytest
from click.testing import CliRunner

from fuxi_plugins.analysis.tuning_results import find_tuning_results
from fuxi_plugins.cli.main import main
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.experiments.suite import load_suite
from fuxi_plugins.models.registry import NATIVE_MODELS
from fuxi_plugins.models.variants import VARIANTS
from fuxi_plugins.reporting.site.contents import NamedBoard
from fuxi_plugins.reporting.site.figure import front_figure
from fuxi_plugins.reporting.site.front import front, front_table, listed_boards
from fuxi_plugins.reporting.site.gather import _kind, gather, main_boards, model_cards
from fuxi_plugins.reporting.site.models import model, records_by_model
from fuxi_plugins.reporting.site.views import search_index
from tests.analysis.make import suite_board
from tests.conftest import ROOT

WORKSPACE = Workspace.locate(ROOT / "benchmark_configs", ROOT / "results")


@pytest.mark.parametrize(
    ("suite", "kind"),
    [
        ("frappe_board", "board"),
        ("ml100k_zoo_board", "board"),
        ("ml100k_tuning", "search"),
        ("frappe_plateau", "search"),
        ("frappe_declared", "study"),
        ("paper_ablation@ml100k,matched", "study"),
        ("paper_main@ml100k,repository", "study"),
    ],
)
def test_a_board_is_told_what_it_is_for(suite, kind):
    loaded = load_suite(WORKSPACE.all_configs, suite)
    assert _kind(loaded, synthetic=False) == kind
    assert _kind(loaded, synthetic=True) == ("search" if kind == "search" else "synthetic")


def named(stem, dataset, models, results, kind="board"):
    values = {name: [0.8 - 0.01 * place, 0.81 - 0.01 * place] for place, name in enumerate(models)}
    return NamedBoard(stem, stem, stem, suite_board(dataset, values, results).board, kind)


def test_the_first_page_has_of_each_dataset_the_largest_board(tmp_path):
    boards = [
        named("small", "a", "XY", tmp_path),
        named("large", "a", "XYZ", tmp_path),
        named("study", "a", "WXYZ", tmp_path, "study"),
        named("other", "b", "XY", tmp_path),
    ]
    assert [one.stem for one in main_boards(boards)] == ["large", "other"]
    on_synthetic = [named("twin", "c", "XY", tmp_path, "synthetic"), named("search", "c", "XYZ", tmp_path, "search")]
    assert [one.stem for one in main_boards([*boards, *on_synthetic])] == ["large", "other"]
    assert [one.stem for one in main_boards(on_synthetic)] == ["twin"]
    assert [one.stem for one in main_boards(on_synthetic[1:])] == ["search"]
    assert main_boards([]) == []


@pytest.fixture(scope="module")
def gathered():
    return gather(WORKSPACE, ["frappe_board", "frappe_declared", "twins_smoke"])


def test_the_search_box_names_each_row_once_and_calls_a_changed_option_a_variant(gathered):
    kinds = {name: kind for name, _, kind in search_index(gathered, list(records_by_model(gathered)), [])}
    assert (kinds["DNN"], kinds["DNN in bf16 [amp=bf16]"], kinds["Frappe board"]) == ("model", "variant", "board")
    assert "DNN in bf16" not in kinds


def test_boards_of_one_suite_have_titles_of_their_own_and_one_seed_ties_with_nobody(gathered):
    boards = [board for board in gathered.boards if board.suite == "twins_smoke"]
    assert len({board.title for board in boards}) == len(boards) > 1
    (kind,) = listed_boards(boards)
    assert [row["alike"] for row in kind["rows"]] == [None] * len(boards)


def test_every_native_model_and_variant_has_a_card():
    cards = model_cards()
    assert set(cards) >= {*NATIVE_MODELS, *VARIANTS}
    assert cards["DCNv2"].paper.url == "https://arxiv.org/abs/2008.13535"
    formula = next(passage for passage in cards["DCNv2"].passages if passage.is_formula)
    assert formula.text.startswith("x_0 = [e_1; ...; e_n]")
    assert cards["XGBoost"].paper.authors == ("Tianqi Chen", "Carlos Guestrin")
    assert cards["CrossNetV2"].paper == cards["DCNv2"].paper
    for name in NATIVE_MODELS:
        card = cards[name]
        assert card.summary, name
        assert card.paper, name
        assert card.code.exists(), name
        assert any(passage.is_formula for passage in card.passages), name
        assert not any("Args:" in passage.text or "Authors:" in passage.text for passage in card.passages), name


def test_the_committed_searches_can_be_read():
    for search in find_tuning_results(ROOT / "results"):
        assert all(model.display_name for model in search.models)


def site(*arguments, results=ROOT / "results"):
    folders = ["--configs", str(ROOT / "benchmark_configs"), "--results", str(results)]
    return CliRunner().invoke(main, [*folders, "report", "site", *map(str, arguments)])


def test_a_site_of_ones_own(tmp_path):
    (tmp_path / "ABOUT.md").write_text("We are *a lab*.\n")
    (tmp_path / "logo.PNG").write_bytes(b"png")
    out = tmp_path / "out"
    done = site("--boards", "frappe_gains", "--title", "Our & models", "--about", tmp_path / "ABOUT.md",
                "--logo", tmp_path / "logo.PNG", "--out", out)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert len(list((out / "boards").iterdir())) == 1
    assert {path.name.split("-")[0] for path in (out / "models").iterdir()} == {"DSSM", "AFN"}
    assert {path.name.split("-")[0] for path in (out / "code").iterdir()} == {"dssm", "afn"}
    for page in out.rglob("*.html"):
        text = page.read_text()
        assert "Our &amp; models" in text
        assert 'static/logo.png" alt=""' in text
        assert "RankElastor" not in text
    (dataset,) = (out / "datasets").iterdir()
    assert "<dt>Fields</dt><dd>10 categorical</dd>" in dataset.read_text()
    assert "We are <em>a lab</em>." in (out / "index.html").read_text()
    assert (out / "static" / "logo.png").read_bytes() == b"png"


def test_what_a_site_cannot_show_is_named(tmp_path):
    (tmp_path / "logo.txt").touch()
    for arguments, said in (
        (["--boards", "frappe_gain"], "did you mean 'frappe_gains'"),
        (["--boards", "frappe_gains"], "frappe_gains has none yet"),
        (["--logo", tmp_path / "logo.txt"], "the logo must be an image (.svg, .png"),
    ):
        done = site("--out", tmp_path / "out", *arguments, results=tmp_path)
        assert done.exit_code == 2
        assert said in done.output
        assert not (tmp_path / "out").exists()


def test_the_first_page_counts_two_splits_of_a_log_once():
    """In the text, the column of ranks, its downloads, the figure and the pages of models."""
    found = gather(WORKSPACE, ["frappe_board", "ml100k_board", "ml100k_random_board"])
    shown = front(found)
    assert (shown["how_many"], shown["unit"]) == ("3 datasets of 2 logs", "log")
    assert any("averaged within each log first" in sentence for sentence in shown["limits"])
    averages = {model["name"]: model["average"] for model in shown["models"] if model["average"]}
    (frappe, by_time, at_random) = found.across.ranks
    assert list(averages.values()) == pytest.approx((frappe + (by_time + at_random) / 2) / 2)
    table = front_table(found, list(averages)).table
    assert {name: entry.value for name, entry in table.average_ranks.items()} == pytest.approx(averages)
    figure = front_figure([named.board for named in found.main], found.across)
    assert "share of 3 datasets of 2 logs" in figure.caption
    place = model("LR", records_by_model(found)["LR"], [], found)["average"]
    assert (place["how_many"], place["rank"]) == ("3 datasets of 2 logs", averages["LR"])


def test_splits_of_one_log_alone_give_no_average_rank():
    found = gather(WORKSPACE, ["ml100k_board", "ml100k_random_board"])
    assert found.across is None
    assert front(found)["how_many"] == "2 datasets"
    assert front_table(found, ["LR", "DNN"]).table.average_ranks is None

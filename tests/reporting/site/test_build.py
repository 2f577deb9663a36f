"""The site's files: complete, safe whatever a record says, and nothing in them asks a network for anything."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from fuxi_plugins.analysis.leaderboard import Cell, build_leaderboard
from fuxi_plugins.analysis.ledger import build_ledger
from fuxi_plugins.analysis.tuning_results import ModelSearch, Search, Trial
from fuxi_plugins.analysis.uncertainty import with_uncertainty
from fuxi_plugins.records.parts import Cost, Latency, RankFamily, RankSummary, StageRank
from fuxi_plugins.reporting.site.addresses import slug
from fuxi_plugins.reporting.site.build import write_site
from fuxi_plugins.reporting.site.charts import Point, Scale, interval, pareto_front, scatter
from fuxi_plugins.reporting.site.contents import Contents, NamedBoard
from tests.analysis.make import record
from tests.conftest import ROOT

ATTACK = "<img src=x onerror=alert(1)>"


def contents(results, hostile=False):
    """A small board: two models alike, one behind, one that failed, one that was never run."""
    names = {"Alpha": 0.80, "Beta": 0.799, "Gamma": 0.70, **({ATTACK: 0.75} if hostile else {})}
    records = [record(name, s, v + 0.002 * s, valid=v) for name, v in names.items() for s in (1, 2, 3)]
    records += [record("Delta", s, failed=f"RuntimeError: {ATTACK}", traceback=ATTACK) for s in (1, 2, 3)]
    cells = [Cell("toy", r.experiment, r.display_name, r.seed) for r in records]
    cells += [Cell("toy", "Omega_toy", "Omega", 1)]
    board = with_uncertainty(build_leaderboard("toy", records, cells, results), None)
    title = f"Toy {ATTACK}" if hostile else "Toy board"
    return Contents(
        boards=[NamedBoard("toy_board", "toy_board", title, board)],
        records=records,
        ledger=build_ledger(records, results),
        summaries={"Alpha": f"Alpha is {ATTACK}"},
        sentences=[f"Alpha beats {ATTACK}"],
    )


class Page(HTMLParser):
    """Tags with their attributes, and ids."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.ids = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.tags.append((tag, named))
        self.links += [named[key] for key in ("href", "src") if key in named]
        if "id" in named:
            self.ids.append(named["id"])


@pytest.fixture
def site(tmp_path):
    write_site(tmp_path / "site", contents(tmp_path, hostile=True))
    return tmp_path / "site"


def pages(site):
    return {path: Page(path.read_text()) for path in sorted(site.rglob("*.html"))}


def test_every_board_model_and_run_has_its_page(site):
    found = pages(site)
    assert len(found) == 2 + 1 + 6 + 15  # first page and ledger, a board, six models, fifteen runs
    assert len(list((site / "data").glob("*.json"))) == 15 + 2


def test_every_link_leads_to_a_file_of_the_folder(site):
    for path, page in pages(site).items():
        for link in page.links:
            if link.startswith(("#", "data:,")):
                assert link == "data:," or link[1:] in page.ids
                continue
            target = (path.parent / link).resolve()
            assert target.is_relative_to(site.resolve()), (path, link)
            assert target.is_file(), (path, link)


def test_nothing_asks_a_network(site):
    for path in site.rglob("*.*"):
        if path.suffix in (".html", ".css", ".js"):
            text = path.read_text()
            assert not re.search(r"(?:src|href|url\(|import|fetch\()\s*[=(]?\s*[\"']?(?:https?:)?//", text), path


def test_what_a_record_says_is_text(site):
    for path, page in pages(site).items():
        assert ATTACK not in path.read_text(), path
        for tag, attributes in page.tags:
            assert tag != "img", path
            assert not [name for name in attributes if name.startswith("on")], path
        scripts = [attributes for tag, attributes in page.tags if tag == "script"]
        assert [script.get("src") is not None for script in scripts] == [True], path
    assert "&lt;img src=x onerror=alert(1)&gt;" in (site / "index.html").read_text()
    assert not list(site.rglob("*<*"))


def test_pages_have_a_language_a_title_one_heading_and_named_regions(site):
    for path, page in pages(site).items():
        tags = [tag for tag, _ in page.tags]
        assert tags.count("h1") == 1, path
        assert tags.count("main") == 1
        assert ("html", {"lang": "en"}) in page.tags
        assert re.search(r"<title>\S", path.read_text())
        for tag, attributes in page.tags:
            if attributes.get("role") in ("region", "img", "search"):
                assert attributes.get("aria-label"), (path, tag)
            if tag == "th":
                assert attributes.get("scope"), path
        assert len(page.ids) == len(set(page.ids)), path


def test_failures_and_gaps_are_rows(site):
    (board,) = (site / "boards").glob("*.html")
    text = board.read_text()
    assert "seed 1: failed: RuntimeError: &lt;img" in text
    assert "seed 1: not run" in text


def test_a_run_says_how_to_repeat_it(site):
    path = next(path for path in (site / "runs").glob("toy-Alpha-toy-1-*.html"))
    assert "fuxibench run Alpha_toy --seeds 1" in path.read_text()


def test_a_probed_run_shows_its_effective_ranks(tmp_path):
    family = RankFamily(
        rows=8, columns=4, untrained={"entropy": 1.25}, trained={"entropy": 2.5}, gaussian={"entropy": 3.75}
    )
    summary = RankSummary(sample=1000, seconds=1, stages={"block 1": StageRank(row=None, token=family)})
    made = contents(tmp_path)
    probed = made.records[0].model_copy(update={"rank": summary})
    write_site(tmp_path / "site", replace(made, records=[probed, *made.records[1:]]))
    text = next((tmp_path / "site" / "runs").glob("toy-Alpha-toy-1-*.html")).read_text()
    assert '<th scope="row">block 1</th><td>of a token</td>' in text
    assert '2.50 <span class="muted">(1.25, 3.75)</span>' in text
    text = next((tmp_path / "site" / "models").glob("Alpha-*.html")).read_text()
    for state, value in (("trained", 2.5), ("untrained", 1.25), ("gaussian", 3.75)):
        assert f"<title>{state}: stage 1, effective rank (entropy) {value:.5f}</title>" in text


def test_a_measured_model_shows_what_it_costs(tmp_path):
    cost = Cost(
        device="cpu", processor="Toy 1000", threads=1, batch_size=512, flops_per_row=1.5e6, flops_coverage=1.0,
        training_rows_per_second=12_345, inference_rows_per_second=67_890,
        latency={"1": Latency(calls=10, p50_ms=0.25, p99_ms=0.75)}, peak_bytes=200_000_000,
    )  # fmt: skip
    made = contents(tmp_path)
    records = [record.model_copy(update={"cost": cost}) for record in made.records if record.display_name == "Alpha"]
    cells = [Cell("toy", r.experiment, r.display_name, r.seed) for r in records]
    board = with_uncertainty(build_leaderboard("toy", records, cells, tmp_path), None)
    write_site(tmp_path / "site", replace(made, records=records, boards=[NamedBoard("toy", "toy", "Toy", board)]))
    text = next((tmp_path / "site" / "models").glob("Alpha-*.html")).read_text()
    for shown in ("1.5e+06", "12,345", "67,890", "200", "1: 0.25, 0.75", "Toy 1000"):
        assert shown in text.split('id="cost"')[1], shown


def test_a_search_is_drawn_and_can_be_downloaded(tmp_path):
    trials = [Trial(number=n, experiment=f"Alpha@{n}", settings={"rate": n}, valid=v) for n, v in enumerate([0.7, 0.8])]
    trials.append(Trial(number=2, experiment="Alpha@2", settings={"rate": 2}, valid=None, reason=ATTACK))
    alpha = ModelSearch(
        experiment="Alpha_toy", display_name="Alpha", metric="AUC", space=ATTACK, trials=trials, best=trials[1],
        expected_best=[0.75, 0.8],
    )  # fmt: skip
    write_site(tmp_path / "site", replace(contents(tmp_path), tuning_results=[Search("toy_board", [alpha])]))
    text = (tmp_path / "site" / "tuning_results.html").read_text()
    assert ATTACK not in text
    assert "<title>Alpha: trials 2, valid AUC 0.80000</title>" in text
    assert "rate=1" in text
    (download,) = (tmp_path / "site" / "data").glob("search-*.json")
    assert json.loads(download.read_text())[0]["trials"][2]["reason"] == ATTACK
    assert 'href="tuning_results.html"' in (tmp_path / "site" / "index.html").read_text()


def test_the_paper_is_a_part_of_the_site_where_it_was_written(tmp_path):
    (tmp_path / "paper" / "figures").mkdir(parents=True)
    (tmp_path / "paper" / "index.html").write_text("<p>rerun")
    (tmp_path / "paper" / "figures" / "rank.svg").write_text("<svg/>")
    count = write_site(tmp_path / "site", replace(contents(tmp_path), paper=tmp_path / "paper"))
    assert count == len(list((tmp_path / "site").rglob("*.html")))
    assert (tmp_path / "site" / "paper" / "figures" / "rank.svg").exists()
    assert 'href="../paper/index.html"' in next((tmp_path / "site" / "boards").glob("*.html")).read_text()


def test_the_folder_is_written_anew_but_never_over_other_files(tmp_path):
    site = tmp_path / "site"
    write_site(site, contents(tmp_path))
    (site / "runs" / "old.html").write_text("old")
    count = write_site(site, contents(tmp_path))
    assert count == len(list(site.rglob("*.html")))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="other files"):
        write_site(tmp_path / "other", contents(tmp_path))
    assert (tmp_path / "other" / "thesis.txt").read_text() == "mine"


def test_the_same_results_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_site(tmp_path / name, contents(tmp_path))
    for path in (tmp_path / "a").rglob("*.*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def test_names_that_differ_have_files_that_differ():
    names = ["a_b", "a-b", "a b", "../a", "A_b", "x" * 300, "x" * 301]
    assert len({slug(name).lower() for name in names}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9-]{1,90}", slug(name)) for name in names)


def test_the_front_is_what_no_cheaper_point_beats():
    points = [Point(1, 0.5, "a"), Point(2, 0.7, "b"), Point(3, 0.6, "c"), Point(4, 0.9, "d"), Point(4, 0.8, "e")]
    assert [point.label for point in pareto_front(points)] == ["a", "b", "d"]
    assert ATTACK not in scatter([Point(1, 2, ATTACK), Point(2, 3, "b")], ATTACK, "y")


def test_scales_keep_order_and_ends():
    scale = Scale.over([0.7, 0.8], 0, 100)
    assert 0 < scale(0.7) < scale(0.75) < scale(0.8) < 100
    assert scale.inside(5) == 100
    logarithmic = Scale.over([1, 100], 0, 100, True)
    assert logarithmic(10) == pytest.approx(50)
    for low, high in ((1, 1e9), (3, 4), (250, 900)):
        ticks = Scale.over([low, high], 0, 1, True).ticks()
        assert 2 <= len(ticks) <= 14
    assert Scale.over([0.5, 0.5], 0, 1)(0.5) == 0.5


def test_a_mean_beyond_the_scale_is_an_arrow():
    scale = Scale(0.7, 0.8, 8, 172)
    assert "<circle" in interval(0.75, 0.74, 0.76, None, scale, "x")
    assert "<circle" not in interval(0.5, 0.4, 0.6, None, scale, "x")


def test_the_board_shows_the_letters_and_marks_what_is_like_the_best(tmp_path):
    made = contents(tmp_path)
    board = made.boards[0].board
    assert {row.display_name: row.letters for row in board.ranked()} == {"Alpha": "a", "Beta": "a", "Gamma": "b"}
    write_site(tmp_path / "site", made)
    text = next((tmp_path / "site" / "boards").glob("*.html")).read_text()
    found = re.findall(r'data-name="(\w+)"[^>]*data-first="(\w+)"', text)
    assert dict(found) == {"Alpha": "true", "Beta": "true", "Gamma": "false", "Delta": "false", "Omega": "false"}
    assert "<td>a</td>" in text
    assert "<td>b</td>" in text


def test_a_row_that_was_left_out_says_why(tmp_path):
    made = contents(tmp_path)
    cells = [
        Cell("toy", f"{display_name}_toy", display_name, seed)
        for display_name in ("Alpha", "Beta", "Gamma")
        for seed in (1, 2, 3)
    ]
    reason = "the record of Alpha_toy seed 2 says test AUC 0.9, but 0.8 when it was measured"
    board = build_leaderboard("toy", made.records, cells, tmp_path, left_out={"Alpha_toy": reason})
    board = with_uncertainty(board, None)
    assert [row.display_name for row in board.ranked()] == ["Beta", "Gamma"]
    write_site(tmp_path / "site", replace(made, boards=[NamedBoard("toy", "toy", "Toy", board)]))
    assert f"left out: {reason}" in next((tmp_path / "site" / "boards").glob("*.html")).read_text()


def test_reports_import_neither_torch_nor_fuxictr():
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('torch', 'fuxictr', 'ray', 'polars'):\n"
        "            raise ImportError(name + ' is not here')\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import importlib, pkgutil, fuxi_plugins.reporting\n"
        "for module in pkgutil.walk_packages(fuxi_plugins.reporting.__path__, 'fuxi_plugins.reporting.'):\n"
        "    importlib.import_module(module.name)\n"
        "import fuxi_plugins.reporting.site.gather, fuxi_plugins.analysis.comparisons\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr

"""The site's files: complete, safe whatever a record says, and nothing in them asks a network for anything."""

import csv
import html
import io
import itertools
import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fuxi_plugins.analysis.leaderboard import Cell
from fuxi_plugins.analysis.ranking import build_leaderboard
from fuxi_plugins.analysis.uncertainty import with_uncertainty
from fuxi_plugins.models.registry import class_source
from fuxi_plugins.records.parts import Cost, Epoch, Latency, RankFamily, RankSummary, StageRank
from fuxi_plugins.reporting.site import addresses, build, front
from fuxi_plugins.reporting.site import pages as pages_module
from fuxi_plugins.reporting.site.addresses import slug
from fuxi_plugins.reporting.site.build import DOWNLOADS, write_site
from fuxi_plugins.reporting.site.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    MARK,
    RIGHT,
    TOP,
    WIDTH,
    Box,
    Line,
    Point,
    Scale,
    interval,
    lines,
    pareto_front,
    place_labels,
    scatter,
)
from fuxi_plugins.reporting.site.contents import Contents, Frame, ModelCard, NamedBoard
from fuxi_plugins.reporting.site.folder import MARKER
from fuxi_plugins.reporting.site.intervals import board_scale, near_the_first
from tests.analysis.make import suite_board
from tests.conftest import ROOT
from tests.reporting.site.make import ATTACK, Page, contents, search, whole


@pytest.fixture
def site(tmp_path):
    write_site(tmp_path / "site", whole(tmp_path))
    return tmp_path / "site"


def pages(site):
    return {path: Page(path.read_text()) for path in sorted(site.rglob("*.html"))}


def test_every_board_model_and_run_has_its_page(site):
    found = pages(site)
    runs = 15 + 9
    # First page, list, ledger, search and paper; boards, datasets and models.
    assert len(found) == 5 + 2 + 2 + 6 + runs
    # And of all models, both boards, the ledger and the search.
    assert len(list((site / "data").glob("*.json"))) == runs + 5
    assert len(list((site / "configs").glob("*.yaml"))) == runs + 1


def test_every_link_leads_to_a_file_of_the_folder(site):
    check_links(site)


def check_links(site):
    for path, page in pages(site).items():
        for link in page.links:
            if link.startswith(("#", "data:,")):
                assert link == "data:," or link[1:] in page.ids
                continue
            if link.startswith("https://"):  # of papers and datasets, which a reader may follow
                assert any(tag == "a" and named.get("href") == link for tag, named in page.tags)
                continue
            file, _, part = link.partition("#")
            target = (path.parent / file).resolve()
            assert not part or part in Page(target.read_text()).ids, (path, link)
            assert target.is_relative_to(site.resolve()), (path, link)
            assert target.is_file(), (path, link)


def test_nothing_asks_a_network(site):
    for path in site.rglob("*.*"):
        if path.suffix in (".html", ".css", ".js"):
            text = re.sub(r'<a href="https://[^"]*"', "", path.read_text())  # a link asks when a reader follows it
            assert not re.search(r"(?:src|href|url\(|import|fetch\()\s*[=(]?\s*[\"']?(?:https?:)?//", text), path


def test_what_a_record_says_is_text(site):
    for path, page in pages(site).items():
        assert ATTACK not in path.read_text(), path
        for tag, attributes in page.tags:
            assert tag != "img" or attributes["src"].startswith("figures/"), path
            assert not [name for name in attributes if name.startswith("on")], path
        scripts = [attributes for tag, attributes in page.tags if tag == "script"]
        assert [script.get("src") is not None for script in scripts] == [True, True], path
        assert not [link for link in page.links if link.startswith("javascript:")], path
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


def test_the_first_page_has_the_best_first_and_the_like_the_best_bold(site):
    text = (site / "index.html").read_text()
    rows = re.findall(r'<tr data-name="([^"]+)" data-first="(\w+)">(.*?)</tr>', text, flags=re.DOTALL)
    assert [(html.unescape(name), whole) for name, whole, _ in rows] == [
        ("Alpha", "true"), ("Beta", "true"), ("Gamma", "true"), (ATTACK, "false"),
    ]  # fmt: skip
    averages = [re.search(r'data-value="([\d.]*)"', cells)[1] for _, _, cells in rows]
    assert averages == ["1.5", "1.5", "3.0", ""]  # of three models: each of the first two is once ahead
    alike = [re.findall(r'class="number( alike)?" data-value="0\.\d+"', cells) for _, _, cells in rows]
    assert alike == [[" alike", ""], [" alike", " alike"], ["", ""], [""]]
    assert "of RankElastor" not in text
    lead = re.search(r'<p class="lead">(.*?)</p>', text, flags=re.DOTALL)[1]
    assert '<a href="paper/index.html#s1">Which claims of the RankElastor paper hold</a>' in lead
    assert "The whole board" not in lead  # of several datasets


@pytest.mark.parametrize("few", [4, 1])
def test_of_many_datasets_the_intervals_stand_below_the_values(tmp_path, monkeypatch, few):
    """Either way a column is sorted by the cells that stand below its head."""
    monkeypatch.setattr(front, "FEW", few)
    write_site(tmp_path / "site", contents(tmp_path))
    table = re.search(r'<table id="front".*?</table>', (tmp_path / "site" / "index.html").read_text(), re.DOTALL)[0]
    each = 1 if few == 1 else 2
    assert re.findall(r'data-column="(\d+)"', table) == ["0", "1", "2", "3", str(3 + each)]
    for row in re.findall(r"<tr data-name.*?</tr>", table, re.DOTALL):
        cells = re.findall(r"<(?:td|th)\b.*?</(?:td|th)>", row, re.DOTALL)
        assert len(cells) == 3 + 2 * each
        values = [cell for cell in cells if 'data-value="0.' in cell]
        assert [("<svg" in cell) for cell in values] == [each == 1] * len(values)
        assert row.count("<svg") == len(values)


def test_the_first_table_can_be_taken_away_with_its_values(site):
    text = (site / "index.html").read_text()
    assert re.findall(r'download href="data/(.*?)"', text) == [f"models.{form}" for form in DOWNLOADS.values()]
    shown = re.findall(r'<td class="number[^"]*" data-value="(0\.\d+)"', text)
    taken = csv.DictReader(io.StringIO((site / "data" / "models.csv").read_text()))
    assert sorted(shown) == sorted(row["value"] for row in taken if row["value"])
    assert "All results have default hyper-parameters." in text


def test_the_first_page_says_where_hyper_parameters_come_from(tmp_path):
    made = contents(tmp_path)
    first, second = made.main
    tuned = [replace(row, hparam_source="tuned") for row in second.board.rows[:1]]
    main = [first, replace(second, board=replace(second.board, rows=[*tuned, *second.board.rows[1:]]))]
    write_site(tmp_path / "site", replace(made, main=main))
    text = (tmp_path / "site" / "index.html").read_text()
    assert "Hyper-parameters: 5 results with default ones, 1 with tuned ones." in text


def test_a_board_says_nothing_twice(site):
    text = html.unescape(next(site.glob("boards/fun*.html")).read_text())
    text = re.sub(r"<details class=\"copy\">.*?</details>", "", text, flags=re.DOTALL)
    assert text.count("(Holm's procedure over all 3 pairs") == 1
    assert text.count("share a letter if and only if their difference is not significant.") == 1


def test_what_the_columns_of_a_board_mean_is_said_without_a_mouse(site):
    """In the words of the hovers, which a phone and the keyboard do not have."""
    text = next(site.glob("boards/toy*.html")).read_text()
    said = re.search(r'<details class="meanings">(.*?)</details>', text, flags=re.DOTALL)[1]
    heads = re.search(r"<thead>(.*?)</thead>", text, flags=re.DOTALL)[1]
    hovers = re.findall(r' title="([^"]+)"><button', heads)
    assert len(hovers) > 8
    assert [hover for hover in hovers if f"<dd>{hover}</dd>" not in said] == []


def test_the_first_page_of_one_dataset_leads_to_its_board_and_not_to_a_paper_that_nobody_reran(tmp_path):
    made = small(tmp_path)
    write_site(tmp_path / "site", replace(made, main=made.main[:1]))
    lead = re.search(r'<p class="lead">(.*?)</p>', (tmp_path / "site" / "index.html").read_text(), flags=re.DOTALL)[1]
    assert f'<a href="{addresses.board_page("toy_board")}">The whole board</a>' in lead
    assert "RankElastor" not in lead


def test_a_model_card_cites_its_paper_and_shows_formula_code_and_places(site):
    text = next((site / "models").glob("Alpha-*.html")).read_text()
    assert '<a href="https://arxiv.org/abs/2000.00001">Alpha: &lt;img' in text
    assert "y = x &lt;img" in text
    address = re.search(r'<a href="../(code/fm-\w{6}\.py\.txt)">fm.py</a>', text)[1]
    assert "class FM" in (site / address).read_text()
    assert "@misc{Alpha," in text
    assert "author = {Ada One and Bo " in text
    assert "by Ada One, Bo &lt;img" in text
    equations, _, remarks = text.partition('id="remarks"')
    assert "Where <code>x</code> is &lt;img" in equations
    assert "Data: any" in remarks
    assert "Data: any" not in equations
    assert "Average rank 1.5" in text
    assert "over 2 datasets: toy, fun" in text
    assert text.count("Toy &lt;img") == 1
    assert "Fun board" in text


def test_a_dataset_has_its_source_and_config(site):
    text = next((site / "datasets").glob("toy-*.html")).read_text()
    assert '<a href="https://toy.org">' in text
    assert (site / re.search(r'download href="\.\./(configs/[^"]+)"', text)[1]).read_text() == "toy: {}\n"


def test_a_runs_config_is_that_of_its_record(site):
    text = next((site / "configs").glob("toy-Alpha-toy-1-*.yaml")).read_text()
    assert yaml.safe_load(text) == {"Alpha_toy": {"model": "Alpha", "dataset_id": "toy", "seed": 1}}


def test_the_about_text_is_markdown_and_its_html_is_text(site):
    about = (site / "index.html").read_text().split('class="about"')[1]
    assert "<h2>Who</h2>" in about
    assert '<a href="https://us.org">us</a>' in about
    assert "javascript:" in about
    assert 'href="javascript:' not in about


def test_the_footer_says_what_the_pages_are_made_of(site):
    for path in site.rglob("*.html"):
        of_what = "Run of" if path.parent.name == "runs" else "24 runs, the newest of"
        assert re.search(rf"<p>{of_what} 2026-01-01.*\sMade by .*of fuxibench \d", path.read_text()), path


def test_failures_and_gaps_are_rows(site):
    (board,) = (site / "boards").glob("toy*.html")
    text = board.read_text()
    assert "seed 1: failed: RuntimeError: &lt;img" in text
    assert "seed 1: not run" in text


def test_a_run_says_how_to_repeat_it(site):
    path = next(path for path in (site / "runs").glob("toy-Alpha-toy-1-*.html"))
    assert "fuxibench run Alpha_toy --seeds 1" in path.read_text()


def test_a_run_shows_its_curves_and_the_code_of_its_model(tmp_path):
    history = [
        Epoch(epoch=epoch, step=epoch, train_loss=0.75 / epoch, learning_rate=1e-3, seconds=1, evaluation_seconds=1,
              valid={"AUC": 0.5, "logloss": 0.625 / epoch})
        for epoch in (1, 2)
    ]  # fmt: skip
    made = contents(tmp_path)
    run = made.records[0].model_copy(update={"history": history})
    write_site(tmp_path / "site", replace(made, records=[run, *made.records[1:]]))
    text = next((tmp_path / "site" / "runs").glob("toy-Alpha-toy-1-*.html")).read_text()
    assert "train loss, with regularisation: epoch 2, loss 0.37500" in text
    assert "valid logloss: epoch 2, loss 0.31250" in text
    assert re.search(r'<a class="button" href="../code/fm-\w{6}.py.txt">fm.py</a>', text)


def test_a_model_of_ones_own_shows_the_source_that_each_run_kept(tmp_path):
    made = contents(tmp_path)
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(f"# {folder}")
    runs = [("toy", "Beta_toy", 1), ("toy", "Beta_toy", 2)]
    records = [
        record.model_copy(update={"started": "2027-01-01T00:00:00+00:00"})
        if (record.dataset, record.experiment, record.seed) == runs[1]
        else record
        for record in made.records
    ]
    sources = {run: [tmp_path / folder / "mine.py"] for run, folder in zip(runs, ("old", "new"), strict=True)}
    write_site(tmp_path / "site", replace(made, records=records, sources=sources))
    linked = {}
    for page in ("runs/toy-Beta-toy-1-*", "runs/toy-Beta-toy-2-*", "models/Beta-*"):
        text = next((tmp_path / "site").glob(f"{page}.html")).read_text()
        linked[page] = (tmp_path / "site" / re.search(r'href="../(code/mine-[^"]+)"', text)[1]).read_text()
    assert list(linked.values()) == ["# old", "# new", "# new"]


def test_a_class_that_plays_anothers_part_leaves_each_its_code(tmp_path):
    """As RankElastor plays RankMixer in the formulation of its authors, in runs that are newer than RankMixer's own."""
    made = contents(tmp_path)
    records = [
        record.model_copy(update={"model": "LR", "started": "2027-01-01T00:00:00+00:00"})
        if (record.display_name, record.dataset) in {("Alpha", "fun"), ("Gamma", "toy")}
        else record
        for record in made.records
    ]
    models = {
        **made.models,
        "Gamma": ModelCard(code=class_source("FwFM")[1]),
        "LR": ModelCard(code=class_source("LR")[1]),
    }
    write_site(tmp_path / "site", replace(made, records=records, models=models))
    check_links(tmp_path / "site")
    shown = {
        page: re.search(r">(\w+.py)</a>", next((tmp_path / "site").glob(f"{page}-*.html")).read_text())[1]
        for page in (
            "models/Alpha",
            "runs/toy-Alpha-toy-1",
            "runs/fun-Alpha-fun-1",
            "models/Gamma",
            "runs/fun-Gamma-fun-1",
        )
    }
    assert list(shown.values()) == ["fm.py", "fm.py", "lr.py", "fwfm.py", "fwfm.py"]


def test_unverified_results_stand_apart_and_are_never_ranked(tmp_path):
    write_site(tmp_path / "site", whole(tmp_path))
    text = next((tmp_path / "site" / "boards").glob("toy*.html")).read_text()
    ranked, _, apart = text.partition('<details class="unverified">')
    assert "Mailed" not in ranked
    assert "Sent by Ann Lee" in ranked
    assert "Show 1 unverified result</summary>" in apart
    assert 'Mailed <span class="flag">unverified</span>' in apart
    assert "Mailed" not in (tmp_path / "site" / "index.html").read_text()


def test_a_probed_run_shows_its_effective_ranks(tmp_path):
    family = RankFamily(
        rows=8, columns=4, untrained={"entropy": 1.25}, trained={"entropy": 2.5}, gaussian={"entropy": 3.75}
    )
    summary = RankSummary(
        sample=1000, seconds=1, stages={"block 1": StageRank(token=family), "block 2": StageRank(token=family)}
    )
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
    write_site(tmp_path / "site", replace(contents(tmp_path), tuning_results=[search()]))
    text = (tmp_path / "site" / "tuning_results.html").read_text()
    assert ATTACK not in text
    assert "<title>Alpha: trials 2, valid AUC 0.80000</title>" in text
    assert "rate=1" in text
    (download,) = (tmp_path / "site" / "data").glob("search-*.json")
    assert json.loads(download.read_text())[0]["trials"][2]["reason"] == ATTACK
    assert 'href="tuning_results.html"' in (tmp_path / "site" / "index.html").read_text()


def test_the_paper_is_a_part_of_the_site_where_it_was_written(tmp_path):
    (tmp_path / "paper" / "figures").mkdir(parents=True)
    (tmp_path / "paper" / "index.html").write_text("<body><main><h1>rerun</h1></main></body>")
    (tmp_path / "paper" / "figures" / "rank.svg").write_text("<svg/>")
    made = write_site(tmp_path / "site", replace(contents(tmp_path), paper=tmp_path / "paper"))
    assert made.pages == len(list((tmp_path / "site").rglob("*.html")))
    text = (tmp_path / "site" / "paper" / "index.html").read_text()
    assert '<div class="report"><h1>rerun</h1></div>' in text
    assert 'href="../index.html"' in text
    assert (tmp_path / "site" / "paper" / "figures" / "rank.svg").exists()
    assert 'href="../paper/index.html"' in next((tmp_path / "site" / "boards").glob("toy*.html")).read_text()


def test_only_what_changed_is_written_and_never_over_other_files(tmp_path):
    site = tmp_path / "site"
    made = contents(tmp_path)
    first = write_site(site, made)
    assert first.pages == len(list(site.rglob("*.html")))
    assert write_site(site, made).written == []
    (site / "runs" / "old.html").write_text("old")
    (site / "old" / "er").mkdir(parents=True)
    renamed = replace(made, boards=[replace(made.boards[0], title="Renamed"), *made.boards[1:]])
    changed = write_site(site, renamed).written
    assert "boards/" + slug("toy_board") + ".html" in changed
    assert "boards/" + slug("fun_board") + ".html" not in changed
    assert not (site / "runs" / "old.html").exists()
    assert not (site / "old").exists()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="other files"):
        write_site(tmp_path / "other", made)
    assert (tmp_path / "other" / "thesis.txt").read_text() == "mine"


def test_the_same_results_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_site(tmp_path / name, contents(tmp_path))
    for path in (tmp_path / "a").rglob("*.*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def small(results):
    """The site without the figure across datasets, which takes longest to draw."""
    return replace(contents(results), across=None)


def files_of(site):
    return {p.relative_to(site).as_posix(): p.read_bytes() for p in sorted(site.rglob("*")) if p.is_file()}


def pages_of_runs_made(monkeypatch):
    """Records whose files are rendered from now on."""
    made, render = [], build._run

    def noted(pages, record, *rest):
        made.append(record)
        return render(pages, record, *rest)

    monkeypatch.setattr(build, "_run", noted)
    return made


def test_a_new_result_makes_one_page_of_a_run_and_the_site_that_a_build_from_nothing_gives(tmp_path, monkeypatch):
    after = small(tmp_path)
    *earlier, newest = after.records
    rendered = pages_of_runs_made(monkeypatch)
    write_site(tmp_path / "site", replace(after, records=earlier))
    assert len(rendered) == len(earlier)
    rendered.clear()
    write_site(tmp_path / "site", after)
    assert rendered == [newest]
    write_site(tmp_path / "from nothing", after)
    assert files_of(tmp_path / "site") == files_of(tmp_path / "from nothing")


def test_whatever_a_page_follows_from_makes_it_again(tmp_path):
    made = small(tmp_path)
    write_site(tmp_path / "site", made)
    changes = {
        "title": {"frame": Frame(title="Ours")},
        "ledger": {"ledger": []},
        "tuning": {"tuning_results": [search()]},
        "record": {"records": [record.model_copy(update={"role": "study"}) for record in made.records]},
        "suite": {"boards": [replace(one, suite="other") for one in made.boards]},
        "code": {"models": {"Alpha": replace(made.models["Alpha"], code=None)}},
    }
    for name, change in changes.items():
        made = replace(made, **change)
        assert any(page.startswith("runs/") for page in write_site(tmp_path / "site", made).written), name
        write_site(tmp_path / name, made)
        assert files_of(tmp_path / "site") == files_of(tmp_path / name), name


def test_a_page_that_was_changed_by_hand_and_a_damaged_marker_are_made_good(tmp_path, monkeypatch):
    made, site = small(tmp_path), tmp_path / "site"
    write_site(site, made)
    right = files_of(site)
    first, second = (site / addresses.run_page(record) for record in made.records[:2])
    first.write_text("mine")
    second.unlink()
    rendered = pages_of_runs_made(monkeypatch)
    write_site(site, made)
    assert (files_of(site), rendered) == (right, list(made.records[:2]))
    for damaged in ("{", "[]", '{"a": 1}'):
        (site / MARKER).write_text(damaged)
        write_site(site, made)
        assert files_of(site) == right


def test_another_version_of_the_package_makes_every_page_again(tmp_path, monkeypatch):
    made = small(tmp_path)
    write_site(tmp_path / "site", made)
    monkeypatch.setattr(pages_module, "_code", lambda: ["other"])
    rendered = pages_of_runs_made(monkeypatch)
    write_site(tmp_path / "site", made)
    assert len(rendered) == len(made.records)


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


def test_a_mean_beyond_the_scale_is_an_arrow_with_its_value():
    scale = Scale(0.7, 0.8, 8, 172)
    assert "<circle" in interval(0.75, 0.74, 0.76, None, scale, "x", "0.75")
    for mean in (0.5, 0.9):
        drawn = interval(mean, mean, mean, None, scale, "x", f"{mean}")
        assert "<circle" not in drawn
        assert f">{mean}</text>" in drawn
    cut = interval(0.75, 0.6, 0.9, None, scale, "x", "0.75")
    assert cut.count('class="cut"') == 2


def test_one_dead_model_does_not_set_the_scale(tmp_path):
    ranked = contents(tmp_path).boards[1].board.ranked()
    scale = board_scale(ranked, "AUC", (8, 172))
    alone = board_scale(ranked[:2], "AUC", (8, 172))
    assert [row.display_name for row in near_the_first(ranked, "AUC")] == ["Beta", "Alpha"]
    assert (scale.low, scale.high) == (alone.low, alone.high)
    assert scale.low > 0.5
    assert board_scale([], "AUC", (8, 172))(0.5) == 90


def test_a_scale_shows_at_least_half_of_the_rows(tmp_path):
    values = {"A": [0.90, 0.901], "B": [0.88, 0.881], **{f"C{n}": [0.5 + n / 1000, 0.501] for n in range(6)}}
    ranked = suite_board("toy", values, tmp_path).board.ranked()
    assert near_the_first(ranked, "AUC") == ranked


marks = st.lists(
    st.tuples(st.floats(LEFT, WIDTH - RIGHT), st.floats(TOP, HEIGHT - BOTTOM), st.text("ab", min_size=1, max_size=12)),
    max_size=30,
)


@given(marks)
def test_no_label_covers_another_or_a_mark_or_the_line(marks):
    line = [(x, y) for x, y, _ in sorted(marks)]
    boxes = [box for _, box in place_labels(marks, line)]
    for (x1, y1), (x2, y2) in itertools.pairwise(line):
        for t in np.linspace(0, 1, 50):
            x, y = x1 + t * (x2 - x1), y1 + t * (y2 - y1)
            assert not any(box.left + 4 < x < box.right - 4 and box.top + 4 < y < box.bottom - 4 for box in boxes)
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    points = [Box(x - MARK, y - MARK, x + MARK, y + MARK) for x, y, _ in marks]
    assert not any(box.overlaps(point) for box in boxes for point in points)
    assert all(box.left >= 0 and box.right <= WIDTH and box.top >= 0 and box.bottom <= HEIGHT for box in boxes)


def test_a_label_alone_stands_beside_its_mark():
    ((label, box),) = place_labels([(300, 200, "DCNv2")])
    assert label == "DCNv2"
    assert 300 < box.left < 320


def test_a_curve_of_one_point_is_not_drawn():
    assert lines([Line("seed 1", [(1, 0.7)])], "epoch", "AUC") == ""
    drawn = lines([Line("seed 1", [(1, 0.7)]), Line("seed 2", [(1, 0.7), (2, 0.8)])], "epoch", "AUC")
    assert "seed 1" not in drawn
    assert "series s1" in drawn  # the colour that the caption gives the second seed


def test_the_board_shows_the_letters_and_marks_what_is_like_the_best(tmp_path):
    made = contents(tmp_path)
    board = made.boards[0].board
    assert {row.display_name: row.letters for row in board.ranked()} == {"Alpha": "a", "Beta": "a", "Gamma": "b"}
    write_site(tmp_path / "site", made)
    text = next((tmp_path / "site" / "boards").glob("toy*.html")).read_text()
    found = re.findall(r'data-name="(\w+)"[^>]*data-first="(\w+)"', text)
    assert dict(found) == {"Alpha": "true", "Beta": "true", "Gamma": "false", "Delta": "false", "Omega": "false"}
    assert "<td>a</td>" in text
    assert "<td>b</td>" in text


def test_a_model_whose_seeds_end_far_apart_is_never_bold(tmp_path):
    """Its own noise is why it is not significantly worse, although its mean is far below the best."""
    ends = {"A": [0.900, 0.901, 0.902], "B": [0.8995, 0.901, 0.902], "C": [0.5, 0.9, 0.6], "D": [0.1, 0.101, 0.102]}
    board = suite_board("toy", ends, tmp_path).board
    assert [row.display_name for row in board.like_the_best()] == ["B", "C"]
    named = NamedBoard("toy", "toy", "Toy", board)
    write_site(tmp_path / "site", Contents(boards=[named], main=[named], records=[], ledger=[]))
    for page, bold in (("index.html", r'class="number[^"]* alike"'), (addresses.board_page("toy"), r'class="alike"')):
        text = (tmp_path / "site" / page).read_text()
        rows = dict(re.findall(r'<tr data-name="(\w)"(.*?)</tr>', text, flags=re.DOTALL))
        assert {name for name, cells in rows.items() if re.search(bold, cells)} == {"A", "B"}
        assert "Models whose seeds end far apart are never bold." in text


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
    assert f"left out: {reason}" in next((tmp_path / "site" / "boards").glob("toy*.html")).read_text()


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

"""A small site: two datasets, models alike, one behind, one that failed, one that was never run."""

from dataclasses import replace
from html.parser import HTMLParser

from fuxi_plugins.analysis.across import across
from fuxi_plugins.analysis.leaderboard import Cell
from fuxi_plugins.analysis.ledger import build_ledger
from fuxi_plugins.analysis.ranking import build_leaderboard
from fuxi_plugins.analysis.suite_board import SuiteBoard
from fuxi_plugins.analysis.tuning_results import ModelSearch, Search, Trial
from fuxi_plugins.analysis.uncertainty import with_uncertainty
from fuxi_plugins.datasets.source import Source
from fuxi_plugins.models.citation import Paper, Passage
from fuxi_plugins.models.registry import class_source
from fuxi_plugins.records.metrics import find_metric
from fuxi_plugins.reporting.paper.document import Section, write_report
from fuxi_plugins.reporting.paper.tables import Table
from fuxi_plugins.reporting.site.contents import Contents, DatasetCard, Frame, ModelCard, NamedBoard
from tests.analysis.make import record

ATTACK = "<img src=x onerror=alert(1)>"
TABLE = f"| split | rows |\n|:--|--:|\n| {'train ' * 40} | 16,000 |"  # wider than a phone, and aligned
PAPER = Paper(f"Alpha: {ATTACK}", "KDD", 2020, "https://arxiv.org/abs/2000.00001", ("Ada One", f"Bo {ATTACK}"))
PASSAGES = (Passage(f"y = x {ATTACK}", is_formula=True), Passage(f"Where ``x`` is {ATTACK}"), Passage("Data: any"))


def contents(results, hostile=False):
    """Alpha, Beta and Gamma stand on both boards; Delta failed and Omega was never run on the first."""
    names = {"Alpha": 0.80, "Beta": 0.799, "Gamma": 0.70, **({ATTACK: 0.75} if hostile else {})}
    records = [record(name, s, v + 0.002 * s, valid=v) for name, v in names.items() for s in (1, 2, 3)]
    records += [record("Delta", s, failed=f"RuntimeError: {ATTACK}", traceback=ATTACK) for s in (1, 2, 3)]
    others = [
        record(name, s, v + 0.002 * s, valid=v, dataset="fun", experiment=f"{name}_fun")
        for name, v in {"Beta": 0.9, "Alpha": 0.89, "Gamma": 0.2}.items()
        for s in (1, 2, 3)
    ]
    cells = [Cell(r.dataset, r.experiment, r.display_name, r.seed) for r in [*records, *others]]
    cells += [Cell("toy", "Omega_toy", "Omega", 1)]
    title = f"Toy {ATTACK}" if hostile else "Toy board"
    main = [
        NamedBoard(f"{dataset}_board", f"{dataset}_board", named, _board(dataset, runs, cells, results))
        for dataset, named, runs in (("toy", title, records), ("fun", "Fun board", others))
    ]
    _, code = class_source("FM")
    return Contents(
        boards=main,
        records=[*records, *others],
        ledger=build_ledger([*records, *others], results),
        main=main,
        across=across([SuiteBoard(named.suite, named.board) for named in main], find_metric("AUC")),
        models={"Alpha": ModelCard(f"Alpha is {ATTACK}", PASSAGES, PAPER, code)},
        datasets={"toy": DatasetCard("Toy", ATTACK, Source(homepage="https://toy.org", licence=ATTACK), "toy: {}\n")},
        frame=Frame(about=f"# Who\n\n[us](https://us.org) [bad](javascript:alert(1)) {ATTACK}\n\n{TABLE}"),
    )


def whole(results):
    """The hostile site with every kind of page: unverified results, a search and the paper's report too."""
    made = contents(results, hostile=True)
    first, *others = made.boards
    sent = replace(first.board.rows[0], display_name="Mailed", rank=None, letters="", submitted_by=ATTACK)
    verified = replace(first.board.rows[1], submitted_by="Ann Lee")
    rows = [first.board.rows[0], verified, *first.board.rows[2:]]
    named = replace(first, board=replace(first.board, rows=rows, unverified=[sent]))
    return replace(made, boards=[named, *others], tuning_results=[search()], paper=_paper(results / "paper"))


def search():
    """Two trials of Alpha, and one that failed."""
    trials = [Trial(number=n, experiment=f"Alpha@{n}", settings={"rate": n}, valid=v) for n, v in enumerate([0.7, 0.8])]
    trials.append(Trial(number=2, experiment="Alpha@2", settings={"rate": 2}, valid=None, reason=ATTACK))
    alpha = ModelSearch(
        experiment="Alpha_toy", display_name="Alpha", metric="AUC", space=ATTACK, trials=trials, best=trials[1],
        expected_best=[0.75, 0.8],
    )  # fmt: skip
    return Search("toy_board", [alpha])


def _paper(folder):
    """What the report on the paper writes."""
    table = Table(["claim", "difference"], [["more AUC", "+0.1"]])
    write_report([Section("Claims", ["Said."], [table], reading=["A line is a claim."])], folder)
    return folder


def _board(dataset, records, cells, results):
    return with_uncertainty(build_leaderboard(dataset, records, cells, results), None)


class Page(HTMLParser):
    """Tags with their attributes, ids and links."""

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

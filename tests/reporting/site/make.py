"""A small site: two datasets, models alike, one behind, one that failed, one that was never run."""

from html.parser import HTMLParser

from fuxi_plugins.analysis.across import across
from fuxi_plugins.analysis.leaderboard import Cell
from fuxi_plugins.analysis.ledger import build_ledger
from fuxi_plugins.analysis.ranking import build_leaderboard
from fuxi_plugins.analysis.suite_board import SuiteBoard
from fuxi_plugins.analysis.uncertainty import with_uncertainty
from fuxi_plugins.datasets.spec import Source
from fuxi_plugins.models.citation import Paper
from fuxi_plugins.models.registry import native_source
from fuxi_plugins.records.metrics import find_metric
from fuxi_plugins.reporting.site.contents import Contents, DatasetCard, Frame, ModelCard, NamedBoard
from tests.analysis.make import record

ATTACK = "<img src=x onerror=alert(1)>"
PAPER = Paper(f"Alpha: {ATTACK}", "KDD", 2020, "https://arxiv.org/abs/2000.00001")


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
    _, code = native_source("FM")
    return Contents(
        boards=main,
        records=[*records, *others],
        ledger=build_ledger([*records, *others], results),
        main=main,
        across=across([SuiteBoard(named.suite, named.board) for named in main], find_metric("AUC")),
        models={"Alpha": ModelCard(f"Alpha is {ATTACK}", f"y = x {ATTACK}", PAPER, code)},
        datasets={"toy": DatasetCard("Toy", ATTACK, Source(homepage="https://toy.org", licence=ATTACK), "toy: {}\n")},
        frame=Frame(about=f"# Who\n\n[us](https://us.org) [bad](javascript:alert(1)) {ATTACK}"),
    )


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

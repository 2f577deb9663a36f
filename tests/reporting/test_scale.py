"""Two hundred models, ten datasets, ten seeds: the tables and the site of 20,000 records, in seconds of one core."""

import resource
import time

import numpy as np
import pytest

from fuxi_plugins.analysis.leaderboard import Cell
from fuxi_plugins.analysis.ledger import build_ledger
from fuxi_plugins.analysis.ranking import build_leaderboard
from fuxi_plugins.analysis.uncertainty import with_uncertainty
from fuxi_plugins.records.files import find_records
from fuxi_plugins.records.parts import Epoch
from fuxi_plugins.reporting.formats import FORMATS, render
from fuxi_plugins.reporting.site.build import write_site
from fuxi_plugins.reporting.site.contents import Contents, NamedBoard
from tests.analysis.make import card, record

MODELS, DATASETS, SEEDS = 200, 10, 10


@pytest.mark.slow
def test_twenty_thousand_records(tmp_path):
    random = np.random.default_rng(0)
    history = [
        Epoch(epoch=e, step=e, train_loss=0.5, learning_rate=1e-3, valid={"AUC": 0.7 + e / 1000, "logloss": 0.5},
              seconds=1.0, evaluation_seconds=0.1)
        for e in range(1, 9)
    ]  # fmt: skip
    cells: dict[str, list[Cell]] = {}
    for d in range(DATASETS):
        data = card(published_as=f"Set{d}")
        for m in range(MODELS):
            for seed in range(SEEDS):
                value = 0.7 + 0.1 * m / MODELS + 0.002 * float(random.normal())
                made = record(
                    f"Model{m:03}", seed, value, dataset=f"set{d}", experiment=f"Model{m:03}_set{d}", data=data,
                    history=history,
                )  # fmt: skip
                cells.setdefault(made.dataset, []).append(Cell(made.dataset, made.experiment, made.display_name, seed))
                path = tmp_path / "runs" / made.dataset / made.experiment / f"seed-{seed}" / "record.json"
                path.parent.mkdir(parents=True)
                path.write_text(made.model_dump_json())
    started = time.process_time()
    records = list(find_records(tmp_path))
    read = time.process_time() - started
    boards = []
    for dataset, expected in cells.items():
        board = with_uncertainty(build_leaderboard(dataset, records, expected, tmp_path), None)
        boards.append(NamedBoard(dataset, dataset, dataset, board))
        for form in FORMATS:
            render(board, dataset, form)
    tables = time.process_time() - started
    ledger = build_ledger(records, tmp_path)
    began = time.process_time()
    pages = write_site(tmp_path / "site", Contents(boards, records, ledger)).pages
    site = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MiB
    print(f"read {read:.1f} s, tables {tables:.1f} s in all, {pages} pages in {site:.1f} s, at most {peak:.0f} MiB")
    assert len(records) == MODELS * DATASETS * SEEDS
    assert pages == 2 + 2 * DATASETS + MODELS + len(records)
    (board,) = (tmp_path / "site" / "boards").glob("set0-*.html")
    assert board.stat().st_size < 500_000
    assert tables < 5
    assert site < 60
    assert peak < 1024

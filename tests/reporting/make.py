"""Tables and boards made up for the tests of formats."""

from fuxi_plugins.analysis.leaderboard import Leaderboard
from fuxi_plugins.analysis.measures import find_measure
from fuxi_plugins.analysis.table import build_table
from fuxi_plugins.reporting.table import PaperTable
from tests.analysis.make import board_of, record, suite_board

HOSTILE_NAMES = [
    "=cmd|'/c calc'!A1",
    "\x1b[2J\u202eevil\u200b [x](javascript:alert(1)) |a| \\input{x} <img src=x>",
    "</td></table><script>alert(1)</script>&amp;",
    "$\\alpha$ 100% #1 a_b^c ~ {x} \\\\ 中文 ⚠ é",
    "x" * 120,
]


def table_of(folder, names=("DNN", "AutoInt+", "RankElastor"), datasets=2, digits=4) -> PaperTable:
    """Three columns a dataset; the last model failed on the first dataset, for a reason that is hostile too."""
    boards = []
    for number in range(datasets):
        values = {
            name: [0.7 + (place + seed / 50 + number) / 40 for seed in range(3)] for place, name in enumerate(names)
        }
        failed = (
            {} if number else {values and list(values)[-1]: f"OSError: {HOSTILE_NAMES[1]} '/home/ann/my secret/x.py'"}
        )
        finished = {name: found for name, found in values.items() if name not in failed}
        boards.append(_board(f"dataset_{number}", finished, failed, folder))
    measures = [find_measure(name) for name in ("AUC", "logloss", "RelaImpr")]
    return PaperTable(build_table(boards, measures, baselines=[names[0]], digits=digits))


def _board(dataset, values, failed, folder):
    records = [
        record(name, seed, value, dataset=dataset, experiment=f"E{place}_{dataset}")
        for place, (name, found) in enumerate(values.items())
        for seed, value in enumerate(found, 1)
    ]
    records += [record(name, 1, dataset=dataset, experiment=f"F_{dataset}", failed=why) for name, why in failed.items()]
    return board_of(dataset, records, folder)


def hostile_board(folder) -> Leaderboard:
    values = {name: [0.7, 0.71] for name in HOSTILE_NAMES}
    return _board("toy", values, {}, folder).board


__all__ = ["HOSTILE_NAMES", "hostile_board", "suite_board", "table_of"]

"""Gathers what the site shows: every suite's boards and search, every record, the ledger, the paper, and sentences."""

from collections.abc import Iterator, Sequence

from fuxi_plugins.analysis.compare import Comparison, compare_on_board
from fuxi_plugins.analysis.ledger import build_ledger
from fuxi_plugins.analysis.tuning_results import find_tuning_results
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.experiments.suite import load_suite, suite_names
from fuxi_plugins.models.registry import model_names, model_summary
from fuxi_plugins.records.files import find_records
from fuxi_plugins.records.record import Record, finished_runs
from fuxi_plugins.reporting.boards import board_file, suite_board, suite_cells
from fuxi_plugins.reporting.site.contents import Contents, NamedBoard

# The project's model and those it is held against; a sentence each on every dataset with runs of both.
SUBJECT, RIVALS = "RankElastor", ("RankMixer", "DCNv2", "FinalMLP")


def gather(workspace: Workspace) -> Contents:
    """The site's contents, from configs and results alone."""
    records = list(find_records(workspace.results))
    boards = list(_boards(workspace, records))
    return Contents(
        boards=boards,
        records=records,
        ledger=build_ledger(records, workspace.results),
        summaries={name: model_summary(name) for name in model_names()},
        sentences=sentences(boards),
        tuning_results=list(find_tuning_results(workspace.results)),
        paper=workspace.results / "paper" if (workspace.results / "paper" / "index.html").exists() else None,
    )


def _boards(workspace: Workspace, records: Sequence[Record]) -> Iterator[NamedBoard]:
    """Boards that have a finished run; those of a search come last."""
    instances = [p.stem for p in sorted((workspace.results / "leaderboards").glob("*@*.md"))]  # of a template's suite
    names = [*suite_names(workspace.all_configs), *instances]
    finished = {(record.experiment, record.seed) for record in finished_runs(records)}
    listed = sorted((load_suite(workspace.all_configs, name) for name in names), key=lambda suite: suite.is_search)
    suites = {suite.name: suite for suite in listed}
    for name, suite in suites.items():  # a template and its usual instance are one
        for dataset in suite.datasets:
            cells = [cell for cell in suite_cells(suite) if cell.dataset == dataset]
            if any((cell.experiment, cell.seed) in finished for cell in cells):
                board = suite_board(suite, dataset, workspace, leave_out=True)
                stem = board_file(suite, dataset, workspace, "x").stem
                yield NamedBoard(stem=stem, suite=name, title=suite.title, board=board)


def sentences(boards: Sequence[NamedBoard]) -> list[str]:
    """What boards say of the project's model beside its rivals: of each rival and dataset, the largest board with both.

    Of real data only: a generator's effects were chosen, so an order on them says nothing of the models.
    """
    found: dict[tuple[str, str], Comparison] = {}
    for named in sorted(boards, key=lambda named: -len(named.board.ranked())):
        board = named.board
        rows = {row.display_name: row for row in board.ranked()}
        for rival in RIVALS:
            if board.data.synthetic or not {SUBJECT, rival} <= set(rows):
                continue
            if compared := compare_on_board(board, named.stem, rows[SUBJECT], rows[rival]):
                found.setdefault((rival, board.dataset), compared)
    order = {rival: place for place, rival in enumerate(RIVALS)}
    return [found[key].sentence for key in sorted(found, key=lambda key: (order[key[0]], key[1]))]

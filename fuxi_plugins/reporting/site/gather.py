"""Gathers what the site shows: every suite's boards and search, every record, the ledger, the paper, and sentences."""

from collections.abc import Iterator, Sequence

from fuxi_plugins.analysis.comparisons import comparisons
from fuxi_plugins.analysis.ledger import build_ledger
from fuxi_plugins.analysis.tuning_results import find_searches
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.experiments.suite import load_suite, suite_names
from fuxi_plugins.models.registry import model_names, model_summary
from fuxi_plugins.records.record import Record, find_records
from fuxi_plugins.reporting.boards import board_file, suite_board, suite_cells
from fuxi_plugins.reporting.site.contents import Contents, NamedBoard

# The project's model and those it is held against; a sentence each on every dataset with runs of both.
SUBJECT, RIVALS = "RankElastor", ("RankMixer", "DCNv2", "FinalMLP")


def gather(workspace: Workspace) -> Contents:
    """The site's contents, from configs and results alone."""
    records = list(find_records(workspace.results))
    return Contents(
        boards=list(_boards(workspace, records)),
        records=records,
        ledger=build_ledger(records, workspace.results),
        summaries={name: model_summary(name) for name in model_names()},
        sentences=sentences(workspace, records),
        searches=list(find_searches(workspace.results)),
        paper=workspace.results / "paper" if (workspace.results / "paper" / "index.html").exists() else None,
    )


def _boards(workspace: Workspace, records: Sequence[Record]) -> Iterator[NamedBoard]:
    """Boards that have a finished run; those of a search come last."""
    instances = [p.stem for p in sorted((workspace.results / "leaderboards").glob("*@*.md"))]  # of a template's suite
    names = sorted([*suite_names(workspace.configs), *instances], key=lambda name: name.endswith("_tuning"))
    finished = {(record.experiment, record.seed) for record in records if record.finished}
    suites = {suite.name: suite for suite in (load_suite(workspace.configs, name) for name in names)}
    for name, suite in suites.items():  # a template and its usual instance are one
        for dataset in suite.datasets:
            cells = [cell for cell in suite_cells(suite) if cell.dataset == dataset]
            if any((cell.experiment, cell.seed) in finished for cell in cells):
                board = suite_board(suite, dataset, workspace)
                stem = board_file(suite, dataset, workspace, "x").stem
                yield NamedBoard(stem=stem, suite=name, title=suite.title, board=board)


def sentences(workspace: Workspace, records: Sequence[Record]) -> list[str]:
    """What the runs allow to be said of the project's model beside its rivals, from results alone.

    Of real data only: a generator's effects were chosen, so an order on them says nothing of the models.
    """
    real = [record for record in records if record.finished and not record.data.synthetic]
    presets = {record.preset for record in real if "@" not in record.experiment}
    datasets = {record.dataset for record in real}
    if SUBJECT not in presets:
        return []
    found = []
    for rival in RIVALS:
        if rival in presets:
            try:
                compared = comparisons(SUBJECT, rival, None, "AUC", workspace)
                found += [one.sentence for one in compared if one.dataset in datasets]
            except UserError as error:  # no dataset in common, or several experiments of one name: said instead
                found.append(str(error))
    return found

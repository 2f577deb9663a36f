"""Gathers what the site shows: the boards and searches of suites, their records, the ledger and the paper."""

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from fuxi_plugins.analysis.across import Across, across
from fuxi_plugins.analysis.ledger import NOT_PUBLISHED, build_ledger
from fuxi_plugins.analysis.suite_board import SuiteBoard
from fuxi_plugins.analysis.tuning_results import find_tuning_results
from fuxi_plugins.core.cleaning import json_value
from fuxi_plugins.core.configs import config_files, folders_of
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.core.yaml_files import load_yaml, yaml_text
from fuxi_plugins.datasets.catalogue import load_dataset_specs, logs_of_datasets
from fuxi_plugins.datasets.spec import DatasetSpec
from fuxi_plugins.experiments.suite import Suite, find_suite, load_suite, suite_names
from fuxi_plugins.models.citation import paper_in, passages_in
from fuxi_plugins.models.registry import NATIVE_MODELS, TREE_MODELS, class_source, model_names, model_summary
from fuxi_plugins.models.variants import VARIANTS
from fuxi_plugins.records.files import MODEL_FOLDER, FoundRecords
from fuxi_plugins.records.metrics import find_metric, main_metric
from fuxi_plugins.records.record import DEVIATING_SETTINGS, Record, finished_runs
from fuxi_plugins.reporting.boards import board_file, suite_board, suite_cells
from fuxi_plugins.reporting.site.contents import (
    DEFAULT_FRAME,
    Contents,
    DatasetCard,
    Frame,
    Kind,
    ModelCard,
    NamedBoard,
)

_log = logging.getLogger(__name__)


def gather(workspace: Workspace, names: Sequence[str] = (), frame: Frame = DEFAULT_FRAME) -> Contents:
    """The site's contents, from configs and results alone.

    Args:
        names: of the suites to show. Default: all that have a finished run.
        frame: title, logo and text about the site.

    Raises:
        UserError: a named suite that is not there, or none of whose runs has finished.
    """
    found = FoundRecords.below(workspace.results)
    for one in found.left_out:
        _log.warning("%s", one.reason)
    records = found.records
    boards = list(_boards(workspace, found, names))
    if names:
        shown = {row.experiment for named in boards for row in named.board.rows}
        records = [record for record in records if record.experiment in shown]
    main = main_boards(boards)
    ledger = [entry for entry in build_ledger(records, workspace.results) if entry.verdict != NOT_PUBLISHED]
    report = workspace.results / "paper"
    return Contents(
        boards=boards,
        records=records,
        ledger=[entry for entry in ledger if entry.ours] if names else ledger,
        main=main,
        across=_across(main, logs_of_datasets(workspace.all_configs)),
        models=model_cards(),
        datasets=_datasets(workspace, {named.board.dataset for named in boards} | {r.dataset for r in records}),
        tuning_results=[one for one in find_tuning_results(workspace.results) if not names or one.suite in names],
        paper=report if not names and (report / "index.html").exists() else None,
        sources=_kept_sources(workspace, records),
        frame=frame,
    )


def _kept_sources(workspace: Workspace, records: Sequence[Record]) -> dict[tuple[str, str, int], list[Path]]:
    """The source files that lie beside the runs of models with a file of their own, by dataset, experiment and seed."""
    found = {}
    for record in records:
        if record.model_source and not record.model_source.commit:
            run = workspace.results / "runs" / record.dataset / record.experiment / f"seed-{record.seed}"
            files = sorted((run / MODEL_FOLDER).rglob("*.py"))
            found[record.dataset, record.experiment, record.seed] = files
    return found


def _boards(workspace: Workspace, found: FoundRecords, names: Sequence[str]) -> Iterator[NamedBoard]:
    """Boards that have a finished run; those of a search come last."""
    if names:
        listed = [find_suite(name, workspace) for name in names]
    else:
        instances = [p.stem for p in sorted((workspace.results / "leaderboards").glob("*@*.md"))]  # of templates
        every = [load_suite(workspace.all_configs, name) for name in (*suite_names(workspace.all_configs), *instances)]
        listed = sorted(every, key=lambda suite: suite.is_search)
    finished = {(record.experiment, record.seed) for record in finished_runs(found.records)}
    on = cache(found.on)
    for suite in {suite.name: suite for suite in listed}.values():  # a template and its usual instance are one
        with_runs = [
            dataset
            for dataset in suite.datasets
            if any((c.experiment, c.seed) in finished for c in suite_cells(suite) if c.dataset == dataset)
        ]
        if names and not with_runs:
            raise UserError(f"a suite on the site must have a finished run, but {suite.name} has none yet.")
        for dataset in with_runs:
            board = suite_board(suite, dataset, workspace, leave_out=True, found=on(dataset))
            stem = board_file(suite, dataset, workspace, "x").stem
            kind = _kind(suite, board.data.synthetic)
            title = suite.title if len(suite.datasets) == 1 else f"{suite.title}, {dataset}"
            yield NamedBoard(stem, suite.name, title, board, kind, suite.description)


def _kind(suite: Suite, synthetic: bool) -> Kind:
    if suite.is_search:
        return "search"
    if synthetic:
        return "synthetic"
    is_study = "@" in suite.name or any(one.role == "study" for one in suite.experiments) or _compares_options(suite)
    return "study" if is_study else "board"


def _compares_options(suite: Suite) -> bool:
    """Whether it trains a model both with and without options that change results, as in bfloat16."""
    found: dict[tuple[str, str], set[bool]] = {}
    for one in suite.experiments:
        deviates = any(one.settings.get(name) for name in DEVIATING_SETTINGS)
        found.setdefault((one.dataset_id, one.model), set()).add(deviates)
    return any(len(with_and_without) == 2 for with_and_without in found.values())


def main_boards(boards: Sequence[NamedBoard]) -> list[NamedBoard]:
    """Those of the first page: of each real dataset the board that ranks most models.

    Where no board has real data, those on synthetic data take their place, and where there are only studies and
    searches, these.
    """
    for kinds in (("board",), ("synthetic",), ("study", "search")):
        largest: dict[str, NamedBoard] = {}
        for named in boards:
            before = largest.get(named.board.dataset)
            if named.kind in kinds and (not before or len(named.board.ranked()) > len(before.board.ranked())):
                largest[named.board.dataset] = named
        if largest:
            return list(largest.values())
    return []


def _across(main: Sequence[NamedBoard], logs: Mapping[str, str]) -> Across | None:
    """The models on all main boards, by the first metric that all of these have measured."""
    common = [name for name in main[0].board.metrics if all(name in one.board.metrics for one in main)] if main else []
    if len(main) < 2 or not common:
        return None
    boards = [SuiteBoard(one.suite, one.board) for one in main]
    try:
        return across(boards, find_metric(main_metric(common)), logs=logs)
    except UserError:  # fewer than two models stand on all of them, or all are of one log
        return None


def model_cards() -> dict[str, ModelCard]:
    """Of every known model and every variant, by its name."""
    cards = {}
    for name in model_names():
        if (source := class_source(name)) is None:
            cards[name] = ModelCard(model_summary(name))
        else:
            docstring, file = source
            own = file if name in NATIVE_MODELS or name in TREE_MODELS else None  # others are kept beside their runs
            cards[name] = ModelCard(docstring.partition("\n")[0], passages_in(docstring), paper_in(docstring), own)
    for name, variant in VARIANTS.items():
        whole = cards[variant.model]
        cards[name] = ModelCard(variant.summary, whole.passages, whole.paper, whole.code)
    return cards


def _datasets(workspace: Workspace, names: set[str]) -> dict[str, DatasetCard]:
    specs = load_dataset_specs(workspace.all_configs)
    configs = _dataset_configs(workspace)
    return {
        name: DatasetCard(spec.title, " ".join(spec.note.split()), spec.source, configs[name], _fields(spec))
        for name, spec in specs.items()
        if name in names
    }


def _fields(spec: DatasetSpec) -> str:
    """How many fields of each type a model sees, in words; columns of type meta are not for models."""
    kinds = ("vector" if column.vector_length else column.type for column in spec.active_columns for _ in column.names)
    types = Counter(kind for kind in kinds if kind != "meta")
    return ", ".join(f"{count} {kind}" for kind, count in types.items())


def _dataset_configs(workspace: Workspace) -> Mapping[str, str]:
    """The entry of each dataset in its file, as YAML; one's own goes before the catalogue's."""
    found: dict[str, str] = {}
    for folder in reversed(folders_of(workspace.all_configs)):
        for path in config_files(folder, "dataset_config"):
            found |= {name: yaml_text({name: json_value(entry)}) for name, entry in load_yaml(path).items()}
    return found

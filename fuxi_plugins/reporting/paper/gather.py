"""Gathers what the report on the paper shows: the runs of its suites, on every dataset and protocol that has any."""

from collections.abc import Iterator

from fuxi_plugins.analysis.find_evidence import EVIDENCE, find_evidence
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import load_dataset_specs
from fuxi_plugins.experiments.suite import Suite, instance_name, load_suite
from fuxi_plugins.experiments.template import load_template
from fuxi_plugins.records.files import find_records
from fuxi_plugins.records.record import FinishedRun, Record
from fuxi_plugins.reporting.boards import board_file, suite_cells
from fuxi_plugins.reporting.paper.study import Study

TEMPLATE = "paper"
CONDITIONAL = ("paper_sequence", "paper_ablation")  # which not every dataset and protocol can have
SUITES = (
    "paper_main",
    "paper_ablation",
    "paper_sequence",
    "paper_rank",
    "paper_efficiency",
    "paper_scaling_width",
    "paper_scaling_depth",
    "paper_scaling_joint",
)


def studies(workspace: Workspace, dataset: str | None = None, protocol: str | None = None) -> Iterator[Study]:
    """A study for each of the paper's suites on each dataset with runs of it.

    Raises:
        UserError: a dataset or a protocol that does not exist.
    """
    protocols = [protocol] if protocol else list(load_template(workspace.all_configs, TEMPLATE).protocols)
    for name in [dataset] if dataset else load_dataset_specs(workspace.all_configs):
        records = {(r.experiment, r.seed): r for r in find_records(workspace.results, name)}
        if not records and not dataset:
            continue
        for one in protocols:
            for suite_name in SUITES:
                try:
                    suite = load_suite(workspace.all_configs, instance_name(suite_name, name, one))
                except UserError:
                    if dataset and suite_name not in CONDITIONAL:
                        raise
                    continue
                yield _study(suite, suite_name, name, one, records, workspace)


def _study(
    suite: Suite, name: str, dataset: str, protocol: str, records: dict[tuple[str, int], Record], workspace: Workspace
) -> Study:
    finished: dict[str, list[FinishedRun]] = {}
    failed: dict[str, list[str]] = {}
    cells = suite_cells(suite)
    for cell in cells:
        record = records.get((cell.experiment, cell.seed))
        if record is None:
            continue
        if isinstance(record, FinishedRun):
            finished.setdefault(cell.display_name, []).append(record)
        else:
            failed.setdefault(cell.display_name, []).append(f"seed {cell.seed} failed: {record.reason}")
    variants = list(dict.fromkeys(cell.display_name for cell in cells))
    runs = {records[0].experiment: records for records in finished.values()}
    kept = board_file(suite, dataset, workspace, EVIDENCE)
    evidence = find_evidence([kept], runs, workspace).strict() if runs else None
    return Study(
        name, dataset, protocol, suite.title, variants, len(cells), finished, workspace.results, failed, evidence
    )

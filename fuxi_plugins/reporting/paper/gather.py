"""Gathers what the report on the paper shows: the runs of its suites, on every dataset and profile that has any."""

from collections.abc import Iterator

from fuxi_plugins.analysis.comparisons import EVIDENCE
from fuxi_plugins.analysis.find_evidence import find_evidence
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.spec import load_dataset_specs
from fuxi_plugins.experiments.suite import Suite, instance_name, load_suite
from fuxi_plugins.experiments.template import load_template
from fuxi_plugins.records.record import FinishedRun, Record, find_records
from fuxi_plugins.reporting.boards import board_file, suite_cells
from fuxi_plugins.reporting.paper.study import Study

TEMPLATE = "paper"
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


def studies(workspace: Workspace, dataset: str | None = None, profile: str | None = None) -> Iterator[Study]:
    """A study for each of the paper's suites on each dataset with runs of it.

    Raises:
        UserError: a dataset or a profile that does not exist.
    """
    profiles = [profile] if profile else list(load_template(workspace.all_configs, TEMPLATE).profiles)
    for name in [dataset] if dataset else load_dataset_specs(workspace.all_configs):
        records = {(r.experiment, r.seed): r for r in find_records(workspace.results, name)}
        if not records and not dataset:
            continue
        for one in profiles:
            for suite_name in SUITES:
                try:
                    suite = load_suite(workspace.all_configs, instance_name(suite_name, name, one))
                except UserError:
                    if dataset and suite_name != "paper_sequence":  # which not every dataset can have
                        raise
                    continue
                yield _study(suite, suite_name, name, one, records, workspace)


def _study(
    suite: Suite, name: str, dataset: str, profile: str, records: dict[tuple[str, int], Record], workspace: Workspace
) -> Study:
    finished: dict[str, list[FinishedRun]] = {}
    failed: dict[str, list[str]] = {}
    cells = suite_cells(suite)
    for cell in cells:
        record = records.get((cell.experiment, cell.seed))
        if record is None:
            continue
        if isinstance(record, FinishedRun):
            finished.setdefault(cell.preset, []).append(record)
        else:
            failed.setdefault(cell.preset, []).append(f"seed {cell.seed} failed: {record.reason}")
    arms = list(dict.fromkeys(cell.preset for cell in cells))
    runs = {records[0].experiment: records for records in finished.values()}
    kept = board_file(suite, dataset, workspace, EVIDENCE)
    evidence = find_evidence([kept], runs, workspace).strict() if runs else None
    return Study(name, dataset, profile, suite.title, arms, len(cells), finished, workspace.results, failed, evidence)

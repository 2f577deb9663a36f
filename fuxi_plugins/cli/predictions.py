"""``fuxibench predictions``: all test predictions of a board in one file, and back."""

from pathlib import Path

import click

from fuxi_plugins.cli.completion import suites
from fuxi_plugins.cli.console import say
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace

OURS = "Apache-2.0 for predictions and records"


@click.group()
def predictions() -> None:
    """Packs a board's test predictions, or unpacks them."""


@predictions.command()
@click.argument("board", shell_complete=suites)
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), help="File to write. Default: BOARD.predictions.parquet."
)
@click.option("--dataset", help="Dataset of the board, where the suite has several.")
@click.option("--licence", default=OURS, show_default=True, help="Licence that you give, in words.")
@click.pass_obj
def pack(workspace: Workspace, board: str, output: Path | None, dataset: str | None, licence: str) -> None:
    """Packs the test predictions of all seeds of a board. The file holds no labels and no features.

    \b
    fuxibench predictions pack frappe_board --output frappe.parquet
    """
    from fuxi_plugins.analysis.evidence import read_evidence
    from fuxi_plugins.analysis.find_evidence import EVIDENCE, board_of
    from fuxi_plugins.datasets.catalogue import load_dataset_spec
    from fuxi_plugins.experiments.suite import find_suite
    from fuxi_plugins.records.files import find_records
    from fuxi_plugins.records.record import FinishedRun
    from fuxi_plugins.reporting.boards import board_file, suite_cells
    from fuxi_plugins.submissions import store

    suite = find_suite(board, workspace)
    if dataset not in suite.datasets and (dataset or len(suite.datasets) > 1):
        raise UserError(f"{board} has boards of {', '.join(suite.datasets)}; name one of them by --dataset.")
    dataset = dataset or suite.datasets[0]
    expected = {(cell.experiment, cell.seed) for cell in suite_cells(suite)}
    records = [
        record
        for record in find_records(workspace.results, dataset)
        if isinstance(record, FinishedRun) and (record.experiment, record.seed) in expected
    ]
    kept = board_file(suite, dataset, workspace, EVIDENCE)
    source = load_dataset_spec(workspace.all_configs, dataset).source
    data = f"the data, of which nothing is in the file, have their own: {source.licence}" if source else ""
    name = board_of(kept)
    path = output or Path(f"{name}.predictions.parquet")
    said = "; ".join(filter(None, (licence, data)))
    manifest = store.pack(name, records, read_evidence(kept), said, workspace, path)
    say(store.describe(manifest, path))
    if manifest.evidence is None:
        say("Not in it: what the labels say of sampling errors; 'fuxibench leaderboard' measures it where they are.")


@predictions.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def unpack(workspace: Workspace, path: Path) -> None:
    """Unpacks a file of predictions into results/runs. Trains nothing.

    \b
    fuxibench predictions unpack frappe.parquet
    fuxibench leaderboard frappe_board --ensembles
    """
    from fuxi_plugins.analysis.find_evidence import find_test_rows
    from fuxi_plugins.submissions import store

    unpacked = store.unpack(path, workspace)
    manifest = unpacked.manifest
    say(store.describe(manifest, path))
    say(f"{unpacked.written} of {len(unpacked.records)} runs are new in {workspace.results / 'runs'}.")
    if find_test_rows(unpacked.records[0], workspace) is not None:
        say("The labels are here: boards, comparisons, calibration and ensembles are measured again.")
    elif unpacked.evidence:
        say(
            f"The labels of {manifest.dataset} are not here. Boards, comparisons and calibration come from "
            f"{unpacked.evidence}, which was measured with them. Ensembles need them; 'fuxibench data list' "
            "says how to get the data."
        )
    else:
        say(
            f"The labels of {manifest.dataset} are not here, and no file says what was measured with them. Boards "
            "count only the noise between seeds; ensembles and calibration need the labels. 'fuxibench data list' says "
            "how to get the data."
        )

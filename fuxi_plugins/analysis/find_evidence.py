"""Finds evidence about runs: kept beside a board if it is of these predictions, else measured from data at hand."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from fuxi_plugins.analysis.evidence import Digests, Evidence, measure_evidence, read_evidence
from fuxi_plugins.core.files import file_digest
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.records.record import PREDICTIONS_FILE, Record


def find_evidence(
    kept_in: Iterable[Path], runs: Mapping[str, Sequence[Record]], workspace: Workspace
) -> Evidence | None:
    """The evidence about some finished runs, kept or measured.

    Args:
        kept_in: files where earlier calls may have kept it.
        runs: finished records by experiment, all of one dataset.

    Returns:
        None when predictions are missing, or neither the kept evidence is theirs nor the labels are here.
    """
    first = next(iter(runs.values()))[0]
    digests = _digests(runs, workspace)
    if digests is None:
        return None
    for path in kept_in:
        kept = read_evidence(path)
        if kept and kept.covers(first.data.fingerprint, digests):
            return kept
    if not workspace.dataset_folder(first.dataset).exists():
        return None
    return _measure(runs, digests, workspace)


def predictions_path(record: Record, workspace: Workspace) -> Path:
    return workspace.run_folder(record.dataset, record.experiment, record.seed) / PREDICTIONS_FILE


def _digests(runs: Mapping[str, Sequence[Record]], workspace: Workspace) -> Digests | None:
    digests: Digests = {}
    for experiment, records in runs.items():
        paths = {str(record.seed): predictions_path(record, workspace) for record in records}
        if not all(path.exists() for path in paths.values()):
            return None
        digests[experiment] = {seed: file_digest(path, "sha256") for seed, path in paths.items()}
    return digests


def _measure(runs: Mapping[str, Sequence[Record]], digests: Digests, workspace: Workspace) -> Evidence | None:
    # Imported here: what preparation needs takes a second to load, and most calls find the evidence kept.
    from fuxi_plugins.datasets.labels import find_test_labels
    from fuxi_plugins.datasets.spec import load_dataset_spec
    from fuxi_plugins.records.predictions import read_predictions

    first = next(iter(runs.values()))[0]
    spec = load_dataset_spec(workspace.configs, first.dataset)
    test = find_test_labels(spec, first.data.fingerprint, workspace)
    if test is None:
        return None

    def scores(record: Record):
        return read_predictions(predictions_path(record, workspace), len(test.labels))

    return measure_evidence(runs, digests, scores, test.labels, test.groups)

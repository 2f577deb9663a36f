"""Finds evidence about runs: measured from the data where they are at hand, else kept beside a board.

Whatever is found is compared with the records and predictions that are here now, every time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path

import numpy as np

from fuxi_plugins.analysis.evidence import (
    METHOD,
    Digests,
    Evidence,
    TestRows,
    measure_evidence,
    read_evidence,
    render_evidence,
)
from fuxi_plugins.analysis.ranking import own_key
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import digest, file_digest, write_text
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.records.files import PREDICTIONS_FILE
from fuxi_plugins.records.record import FinishedRun, Record

EVIDENCE = "statistics.json"  # ends the name of a board's file of evidence
Runs = Mapping[str, Sequence[FinishedRun]]  # finished records by the key of their row, all of one dataset


def evidence_file(board: str, workspace: Workspace) -> Path:
    """Where a board's evidence is kept.

    Args:
        board: suite, and dataset where the suite has several.
    """
    return workspace.boards_folder / f"{board}.{EVIDENCE}"


def board_of(evidence: Path) -> str:
    """The board whose evidence the file keeps."""
    return evidence.name.removesuffix(f".{EVIDENCE}")


def evidence_files(workspace: Workspace, suite: str = "") -> list[Path]:
    """All files of boards' evidence, or of those boards whose names begin with a suite's, sorted."""
    return sorted(workspace.boards_folder.glob(f"{escape(suite)}*.{EVIDENCE}"))


@dataclass(frozen=True)
class Found:
    """Evidence about the runs that nothing is wrong with, and what is wrong with the others, by experiment."""

    evidence: Evidence | None
    problems: dict[str, str] = field(default_factory=dict)

    def strict(self) -> Evidence | None:
        """The evidence.

        Raises:
            UserError: something is wrong with a run.
        """
        for text in self.problems.values():
            raise UserError(f"{text}. One of the two was changed; restore it, or run it again with --force.")
        return self.evidence


def find_evidence(kept_in: Iterable[Path], runs: Runs, workspace: Workspace) -> Found:
    """The evidence about some finished runs; none when neither the data nor kept evidence about them are here.

    Args:
        kept_in: files where boards may have kept it.
    """
    first = next(iter(runs.values()))[0]
    digests = _digests(runs, workspace)
    kept = [evidence for path in kept_in if (evidence := read_evidence(path)) and evidence.dataset == first.dataset]
    test = find_test_rows(first, workspace)
    missing = [name for name, by_seed in digests.items() if len(by_seed) < len(runs[name])]
    if test is not None and not missing:
        return _measured(runs, digests, kept, test, workspace)
    covering = [evidence for evidence in kept if evidence.covers(first.data.fingerprint, runs)]
    for evidence in covering:
        if not _problems(runs, digests, evidence):
            return Found(evidence.only(list(runs)))
    problems: dict[str, str] = {}
    for evidence in covering or kept:  # a file about other seeds, too, knows what these runs once said
        problems |= _problems(runs, digests, evidence)
    if not covering:
        return Found(None, problems)
    agreeing = [name for name in runs if name not in problems]
    return Found(covering[-1].only(agreeing) if agreeing else None, problems)


def changed_since_measured(
    records: Iterable[Record], kept_in: Iterable[Path], workspace: Workspace
) -> dict[tuple[str, str, int], str]:
    """Records and predictions that are not what boards measured, by dataset, experiment and seed; needs no data.

    Args:
        kept_in: the files of boards' evidence.
    """
    kept = [evidence for path in kept_in if (evidence := read_evidence(path))]
    found = {}
    for record in records:
        names = (record.experiment, own_key(record))
        about = [(e, n) for e in kept if e.dataset == record.dataset for n in names if record.seed in e.runs.get(n, ())]
        if about and isinstance(record, FinishedRun):
            now = _digests({record.experiment: [record]}, workspace)[record.experiment].get(record.seed)
            texts = [text for evidence, name in about if (text := evidence.problem(name, record, now))]
            if texts:
                found[record.dataset, record.experiment, record.seed] = texts[0]
    return found


def predictions_path(record: FinishedRun, workspace: Workspace) -> Path:
    """Where a run's predictions lie, or would lie; those of an unverified run have a folder of their own."""
    names = (record.dataset, record.experiment, record.seed)
    own = workspace.run_folder(*names) / PREDICTIONS_FILE
    sent = workspace.unverified.run_folder(*names) / PREDICTIONS_FILE
    return sent if sent.exists() and not own.exists() else own


def predictions_digest(record: FinishedRun, workspace: Workspace) -> str | None:
    """sha256 of a run's predictions; None where the file is missing."""
    path = predictions_path(record, workspace)
    return file_digest(path, "sha256") if path.exists() else None


def _problems(runs: Runs, digests: Digests, evidence: Evidence, *, same_predictions: bool = False) -> dict[str, str]:
    """What differs from the evidence, by experiment.

    Args:
        same_predictions: only of runs with the predictions that were measured. Others have been run again.
    """
    found: dict[str, str] = {}
    for experiment, records in runs.items():
        for record in records:
            now = digests[experiment].get(record.seed)
            measured = evidence.runs.get(experiment, {}).get(record.seed)
            if same_predictions and measured and measured.predictions != now:
                continue
            if text := evidence.problem(experiment, record, now):
                found.setdefault(experiment, text)
    return found


def _digests(runs: Runs, workspace: Workspace) -> Digests:
    """sha256 of the runs' predictions, of those files that exist."""
    return {
        experiment: {record.seed: found for record in records if (found := predictions_digest(record, workspace))}
        for experiment, records in runs.items()
    }


def _measured(runs: Runs, digests: Digests, kept: Sequence[Evidence], test: TestRows, workspace: Workspace) -> Found:
    """Measured from the data, once for the same predictions: the cache keeps it, and nobody publishes the cache."""
    from fuxi_plugins.records.predictions import read_predictions  # HDF5 takes long to load

    changed: dict[str, str] = {}
    for evidence in kept:
        changed |= _problems(runs, digests, evidence, same_predictions=True)
    agreeing = {name: records for name, records in runs.items() if name not in changed}
    if not agreeing:
        return Found(None, changed)
    first = next(iter(agreeing.values()))[0]
    said = {name: {str(r.seed): r.metrics for r in records} for name, records in agreeing.items()}
    key = digest([METHOD, first.data.fingerprint, test.clustered_by, said, sorted(
        (name, seed, value) for name in agreeing for seed, value in digests[name].items()
    )])  # fmt: skip
    path = workspace.cache / "evidence" / f"{key}.json"
    before = read_evidence(path)
    if before is not None:
        return Found(before, changed)
    measured, wrong = measure_evidence(
        agreeing,
        digests,
        lambda record: read_predictions(predictions_path(record, workspace), len(test.labels)).astype(np.float64),
        test,
    )
    if measured and not wrong:
        write_text(path, render_evidence(measured))
    return Found(measured, changed | wrong)


def find_test_rows(record: FinishedRun, workspace: Workspace) -> TestRows | None:
    """Labels and clusters of the test rows, if the record's data have been prepared on this machine.

    None as well where the dataset's config no longer has the label.
    """
    if not workspace.dataset_folder(record.dataset).exists():
        return None
    # Imported here: what preparation needs takes a second to load, and most calls find no data.
    from fuxi_plugins.datasets.catalogue import load_dataset_spec
    from fuxi_plugins.datasets.labels import find_test_clusters, find_test_labels

    spec = load_dataset_spec(workspace.all_configs, record.dataset)
    if not spec.has_labels(record.data.learned_labels):
        return None
    spec = spec.with_labels(record.data.learned_labels)
    test = find_test_labels(spec, record.data.fingerprint, workspace)
    if test is None:
        return None
    clusters, clustered_by = find_test_clusters(spec, record.data.fingerprint, workspace), spec.cluster_id
    if clusters is None:
        clusters, clustered_by = test.groups, test.grouped_by
    return TestRows(np.asarray(test.labels), test.groups, clusters, clustered_by, test.fields)

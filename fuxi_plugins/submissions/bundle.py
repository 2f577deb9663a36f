"""Results that others send: records and predictions, believed only as far as they can be worked out again.

A submission is data, of which nothing is executed. Every metric of a record is worked out anew with the labels of
whoever verifies it.
"""

import hashlib
import json
import tempfile
import tokenize
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from fuxi_plugins.analysis.same_predictions import SamePredictions, same_predictions
from fuxi_plugins.core.cleaning import log
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import cache_gone, file_digest, replacing
from fuxi_plugins.core.source import source_digest
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.records.differences import require_one_digest
from fuxi_plugins.records.files import LOG_FILE, MODEL_FOLDER, PREDICTIONS_FILE, RECORD_FILE, read_record, record_files
from fuxi_plugins.records.metrics import check_metrics, evaluate_metrics
from fuxi_plugins.records.predictions import read_predictions
from fuxi_plugins.records.record import FinishedRun, Record
from fuxi_plugins.submissions.archive import CONFIG, ENVIRONMENT, MANIFEST, NAME, SCHEMA, unpack

TOLERANCE = 1e-6  # of a metric


@dataclass(frozen=True)
class Submission:
    """What was sent, in a folder of our own: names, sizes, digests and records are checked, metrics are not."""

    path: Path
    runs: dict[Path, FinishedRun]  # by the folder that holds the run's files
    contributor: str  # as the submission says; "" when it does not


@dataclass(frozen=True)
class Verified:
    """A run of a submission, with its metrics as the verifier worked them out."""

    record: FinishedRun
    metrics: dict[str, float]
    remark: str = ""  # what says less of its model than a run should


def pack(experiment: str, workspace: Workspace, path: Path, contributor: str = "") -> list[FinishedRun]:
    """Packs every finished run of an experiment with its predictions, log, settings, environment and own source.

    Args:
        contributor: the name that a board gives with the rows.

    Raises:
        UserError: there is no finished run, predictions are missing, or the contributor's name cannot be shown.
    """
    if contributor and not NAME.fullmatch(contributor):
        raise UserError(f"a contributor's name has letters, digits, spaces and .-_@, but this is {contributor!r}.")
    records = {path.parent: read_record(path) for path in record_files(workspace.results, experiment=experiment)}
    finished = {folder: record for folder, record in records.items() if isinstance(record, FinishedRun)}
    if not finished:
        raise UserError(f"there is no finished run of {experiment!r} in {workspace.results / 'runs'} to pack.")
    require_one_digest(list(finished.values()))
    first = next(iter(finished.values()))
    files = {
        CONFIG: _json({"dataset": first.dataset, "model": first.model, "params": first.params}),
        ENVIRONMENT: _environment(first),
    }
    for folder, record in finished.items():
        for name in (RECORD_FILE, PREDICTIONS_FILE, LOG_FILE):
            if (folder / name).exists():
                content = (folder / name).read_bytes()
                files[f"seed-{record.seed}/{name}"] = _passed_on(content) if name == LOG_FILE else content
            elif name == PREDICTIONS_FILE:
                raise UserError(f"{folder} lacks {name}, which is needed to verify the run.")
        for source in sorted((folder / MODEL_FOLDER).rglob("*.py")):
            files[f"seed-{record.seed}/{source.relative_to(folder).as_posix()}"] = source.read_bytes()
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        manifest = {"schema": SCHEMA, "files": digests, **({"contributor": contributor} if contributor else {})}
        for name, content in {MANIFEST: _json(manifest), **files}.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return list(finished.values())


@contextmanager
def opened(path: Path) -> Iterator[Submission]:
    """Opens a submission without believing it; its folder is gone afterwards.

    Raises:
        UserError: the first thing that is wrong with its files or records.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        names, contributor = unpack(path, folder)
        seeds = sorted({name.partition("/")[0] for name in names if "/" in name})
        if not seeds:
            raise UserError(f"{path} holds no run.")
        runs = {folder / seed: _read_run(path, folder / seed) for seed in seeds}
        _require_one_experiment(path, list(runs.values()))
        _require_no_copies(path, runs)
        yield Submission(path, runs, contributor)


def recompute(submission: Submission, workspace: Workspace) -> list[Verified]:
    """Compares data and metrics of every run with the data on this machine; needs no network.

    Raises:
        UserError: the first thing that is wrong, with the difference where a number is.
    """
    verified = [_recompute(submission.path, folder, run, workspace) for folder, run in submission.runs.items()]
    remarks = {seed: same.sentence for same in _same_predictions(submission.runs) for seed in same.seeds}
    return [replace(one, remark=remarks.get(one.record.seed, "")) for one in verified]


def verify(path: Path, workspace: Workspace) -> list[Verified]:
    """Checks a submission without a network and works out its metrics anew.

    Raises:
        UserError: the first thing that is wrong, with the difference where a number is.
    """
    with opened(path) as submission:
        return recompute(submission, workspace)


def _require_one_experiment(path: Path, records: Sequence[Record]) -> None:
    if len(names := {(record.dataset, record.experiment) for record in records}) > 1:
        listed = " and ".join(f"{experiment} on {dataset}" for dataset, experiment in sorted(names))
        raise UserError(f"{path} must hold the runs of one experiment, but holds {listed}.")
    try:
        require_one_digest(records)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _require_no_copies(path: Path, runs: Mapping[Path, FinishedRun]) -> None:
    for same in _same_predictions(runs):
        if same.copied:
            raise UserError(f"{path} must hold a run for each seed, but {same.sentence}")


def _same_predictions(runs: Mapping[Path, FinishedRun]) -> list[SamePredictions]:
    folders = {run.seed: folder for folder, run in runs.items()}
    return same_predictions(
        list(runs.values()), lambda run: file_digest(folders[run.seed] / PREDICTIONS_FILE, "sha256")
    )


def _read_run(path: Path, folder: Path) -> FinishedRun:
    for name in (RECORD_FILE, PREDICTIONS_FILE):
        if not (folder / name).exists():
            raise UserError(f"{path}: {folder.name} lacks {name}.")
    try:
        read = read_record(folder / RECORD_FILE)
    except UserError as error:
        raise UserError(f"{path}: {folder.name}/{error.args[0].removeprefix(str(folder) + '/')}") from error
    where = f"{path}: {folder.name}"
    record = _require_finished(where, folder.name, read)
    _check_source(where, folder / MODEL_FOLDER, record)
    return record


def _recompute(path: Path, folder: Path, record: FinishedRun, workspace: Workspace) -> Verified:
    from fuxi_plugins.datasets.catalogue import load_dataset_spec
    from fuxi_plugins.datasets.labels import find_test_labels
    from fuxi_plugins.datasets.prepare import prepare_dataset

    where = f"{path}: {folder.name}"
    spec = load_dataset_spec(workspace.all_configs, record.dataset).with_labels(record.data.learned_labels)
    prepared = prepare_dataset(spec, workspace)
    own = prepared.card
    if record.data.fingerprint != own.fingerprint:
        raise UserError(
            f"{where} was run on another split of {record.dataset}: its fingerprint is "
            f"{record.data.fingerprint[:16]}, that of the data here {own.fingerprint[:16]}."
        )
    for fact in ("rows", "positive_rate", "valid_is_test", "synthetic"):
        said, seen = getattr(record.data, fact), getattr(own, fact)
        if said != seen:
            raise UserError(f"{where}: the record says that the data's {fact} is {said}, but here it is {seen}.")
    test = find_test_labels(spec, own.fingerprint, workspace)
    if test is None:
        raise cache_gone(prepared.folder)
    try:
        scores = read_predictions(folder / PREDICTIONS_FILE, len(test.labels))
    except UserError as error:
        raise UserError(f"{where}: {error.args[0].replace(str(folder) + '/', '')}") from error
    said = record.metrics["test"]
    try:
        for values in record.metrics.values():
            check_metrics(values)
        metrics = evaluate_metrics(test.labels, scores, list(said), test.groups, test.fields)
    except ValueError as error:
        raise UserError(f"{where}: {error}.") from error
    for name, value in metrics.items():
        if not abs(value - said[name]) <= TOLERANCE:
            raise UserError(
                f"{where}: the record says test {name} {said[name]:.6f}, but its predictions give {value:.6f}, "
                f"a difference of {said[name] - value:+.6f}."
            )
    return Verified(record, metrics)


def _require_finished(where: str, folder: str, record: Record) -> FinishedRun:
    for name in (record.dataset, record.experiment, record.model, record.display_name):
        if not NAME.fullmatch(name):
            raise UserError(f"{where}: {name!r} cannot be the name of a dataset, experiment, model or row.")
    if folder != f"seed-{record.seed}":
        raise UserError(f"{where}: the record in it is of seed {record.seed}.")
    if not isinstance(record, FinishedRun):
        raise UserError(f"{where}: a submitted run must be finished, but this one is not.")
    return record


def _check_source(where: str, folder: Path, record: Record) -> None:
    """The source of a model, where it is sent, is the one that computed the run; it is parsed, not executed."""
    files = sorted(folder.rglob("*.py"))
    if not files:
        return
    try:
        found = source_digest(files, folder)
    except (UserError, SyntaxError, tokenize.TokenError, RecursionError, MemoryError):
        found = "no Python"
    if record.code.model != f"sha256:{found}":
        raise UserError(f"{where}/{MODEL_FOLDER} is not the model source that the record names by its hash.")


def _environment(record: Record) -> bytes:
    lines = [f"commit {record.commit}", f"uncommitted changes {record.uncommitted_changes}"]
    if record.machine:
        lines += [f"device {record.machine.device}", f"processor {record.machine.processor}"]
        lines += [f"{name} {version}" for name, version in record.machine.versions.items()]
    return ("\n".join(lines) + "\n").encode()


def _passed_on(content: bytes) -> bytes:
    """A log as others may read it: nothing in it says whose machine wrote it."""
    return log(content.decode(errors="replace")).encode()


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()

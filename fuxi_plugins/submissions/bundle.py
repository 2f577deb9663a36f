"""Results that others send: one zip of records and predictions, believed only as far as they can be worked out again.

A submission is data. Nothing in it is executed or unpacked by its own names: only files of known names and bounded size
are read, into a folder of our own. Every metric of a record is worked out anew with the labels of whoever verifies it.
"""

import hashlib
import json
import re
import stat
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from fuxi_plugins.core.cleaning import log
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import cache_gone, file_digest, replacing
from fuxi_plugins.core.source import source_digest
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.records.differences import require_one_digest
from fuxi_plugins.records.files import LOG_FILE, MODEL_FOLDER, PREDICTIONS_FILE, RECORD_FILE, read_record
from fuxi_plugins.records.metrics import check_metrics, evaluate_metrics
from fuxi_plugins.records.predictions import read_predictions
from fuxi_plugins.records.record import FinishedRun, Record

SCHEMA = "fuxibench submission 1"
MANIFEST, CONFIG, ENVIRONMENT = "manifest.json", "config.json", "environment.txt"
MOST_FILES = 1000
MOST_BYTES = 2 << 30  # of all files together, uncompressed
MOST_BYTES_OF_LOG = 65 << 20  # a run's log is cut at 64 MB
MOST_BYTES_OF_TEXT = 4 << 20  # of a record or the manifest, whose values take far more memory than their text
MOST_BYTES_OF = {PREDICTIONS_FILE: MOST_BYTES, LOG_FILE: MOST_BYTES_OF_LOG}
TOLERANCE = 1e-6  # of a metric
_RUN_FILE = re.compile(rf"seed-\d{{1,9}}/({RECORD_FILE}|{PREDICTIONS_FILE}|{LOG_FILE})".replace(".", r"\."))
# Source is text to read, for whoever verifies too: nothing of it is executed.
_SOURCE_FILE = re.compile(rf"seed-\d{{1,9}}/{MODEL_FOLDER}/(\w{{1,99}}/){{0,9}}\w{{1,99}}\.py", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_.+=,@()&-][A-Za-z0-9_.+=,@()& -]{0,199}")


@dataclass(frozen=True)
class Verified:
    """A run of a submission, with its metrics as the verifier worked them out."""

    record: FinishedRun
    metrics: dict[str, float]


def pack(experiment: str, workspace: Workspace, path: Path) -> list[FinishedRun]:
    """Packs every finished run of an experiment with its predictions, log, settings, environment and own source.

    Raises:
        UserError: there is no finished run, or predictions are missing.
    """
    folders = sorted((workspace.results / "runs").glob(f"*/{_escaped(experiment)}/seed-*"))
    records = {folder: read_record(folder / RECORD_FILE) for folder in folders if (folder / RECORD_FILE).exists()}
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
        for name, content in {MANIFEST: _json({"schema": SCHEMA, "files": digests}), **files}.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return list(finished.values())


def verify(path: Path, workspace: Workspace) -> list[Verified]:
    """Checks a submission without a network and works out its metrics anew.

    Raises:
        UserError: the first thing that is wrong, with the difference where a number is.
    """
    with tempfile.TemporaryDirectory() as folder:
        names = _extract(path, Path(folder))
        _check_digests(path, Path(folder), names)
        seeds = sorted({name.partition("/")[0] for name in names if "/" in name})
        if not seeds:
            raise UserError(f"{path} holds no run.")
        verified = [_verify_run(path, Path(folder) / seed, workspace) for seed in seeds]
        _require_one_experiment(path, [run.record for run in verified])
        return verified


def _require_one_experiment(path: Path, records: Sequence[Record]) -> None:
    if len(names := {(record.dataset, record.experiment) for record in records}) > 1:
        listed = " and ".join(f"{experiment} on {dataset}" for dataset, experiment in sorted(names))
        raise UserError(f"{path} must hold the runs of one experiment, but holds {listed}.")
    try:
        require_one_digest(records)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _extract(path: Path, folder: Path) -> list[str]:
    """Writes the files into our folder, once their names and sizes are known to be harmless."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_entries(path, entries)
            for entry in entries:
                target = folder / entry.filename  # of a known name, so inside the folder
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, target.open("wb") as copy:
                    _copy(source, copy, entry.file_size)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise UserError(f"{path} must be a sound zip file, but: {error}.") from error
    return [entry.filename for entry in entries]


def _check_entries(path: Path, entries: Sequence[zipfile.ZipInfo]) -> None:
    names = [entry.filename for entry in entries]
    if len(entries) > MOST_FILES:
        raise UserError(f"{path} holds {len(entries)} files; a submission has at most {MOST_FILES}.")
    for entry in entries:
        name = entry.filename
        if name not in (MANIFEST, CONFIG, ENVIRONMENT) and not (
            _RUN_FILE.fullmatch(name) or _SOURCE_FILE.fullmatch(name)
        ):
            raise UserError(
                f"{path} holds {name!r}; a submission has records, predictions, logs and model source by seed, no more."
            )
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise UserError(f"{path}: {name!r} is a link, which a submission must not contain.")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others may ask for gigabytes
            raise UserError(f"{path}: {name!r} must be stored plainly or by deflate, as in most zip files.")
        most = MOST_BYTES_OF.get(name.rpartition("/")[2], MOST_BYTES_OF_TEXT)
        if entry.file_size > most:
            raise UserError(f"{path}: {name!r} would unpack to {entry.file_size:,} bytes; {most:,} at most.")
    if len(set(names)) < len(names):
        raise UserError(f"{path} holds a file twice, so it is unclear which one counts.")
    total = sum(entry.file_size for entry in entries)
    if total > MOST_BYTES:
        raise UserError(f"{path} would unpack to {total:,} bytes; a submission has at most {MOST_BYTES:,}.")
    if MANIFEST not in names:
        raise UserError(f"{path} must hold {MANIFEST}, as 'fuxibench submit pack' writes it.")


def _copy(source: IO[bytes], copy: IO[bytes], size: int) -> None:
    """Copies what was announced and no byte more, whatever the file's header claims."""
    left = size
    while chunk := source.read(min(1 << 20, left + 1)):
        left -= len(chunk)
        if left < 0:
            raise zipfile.BadZipFile("a file is longer than it says")
        copy.write(chunk)


def _check_digests(path: Path, folder: Path, names: Sequence[str]) -> None:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        schema, digests = manifest["schema"], dict(manifest["files"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: {MANIFEST} must name the schema and the files' digests, but does not.") from error
    if schema != SCHEMA:
        raise UserError(f"{path}: the schema must be {SCHEMA!r}, but is {schema!r}.")
    found = {name: file_digest(folder / name, "sha256") for name in names if name != MANIFEST}
    for name in sorted({*found, *digests}):
        if found.get(name) != digests.get(name):
            raise UserError(f"{path}: {name!r} is not the file that {MANIFEST} was written for.")


def _verify_run(path: Path, folder: Path, workspace: Workspace) -> Verified:
    from fuxi_plugins.datasets.labels import find_test_labels
    from fuxi_plugins.datasets.prepare import prepare_dataset
    from fuxi_plugins.datasets.spec import load_dataset_spec

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
        if not _NAME.fullmatch(name):
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


def _escaped(name: str) -> str:
    """A name in which a glob reads no pattern."""
    return re.sub(r"([*?\[])", r"[\1]", name)

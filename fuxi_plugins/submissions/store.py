"""One file with all test predictions of a board, from which it can be worked out again without training.

It is a parquet file: a row for each test row, ``row_id`` and a float32 column for each run, unrounded, compressed by
zstd. Its metadata hold the runs' records and what was measured with the labels; neither labels nor features are in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, ValidationError

from fuxi_plugins.analysis.evidence import Evidence, render_evidence
from fuxi_plugins.analysis.find_evidence import evidence_file
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import file_digest, replacing, write_text
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.records.files import PREDICTIONS_FILE, RECORD_FILE
from fuxi_plugins.records.parts import Frozen
from fuxi_plugins.records.predictions import read_predictions, write_predictions
from fuxi_plugins.records.record import FinishedRun, parse_record
from fuxi_plugins.submissions.archive import MOST_BYTES, NAME

KEY = b"fuxibench"  # of the parquet file's metadata
ROW = "row_id"
LEVEL = 9  # of zstd


class StoredRun(Frozen):
    column: str
    predictions: str  # sha256 of the run's own file
    record: str  # the record's file


class Manifest(Frozen):
    """What the file says of itself."""

    schema_name: Literal["fuxibench predictions 1"] = "fuxibench predictions 1"
    board: str  # suite, and dataset where it has several
    dataset: str
    fingerprint: str
    rows: int = Field(gt=0)
    licence: str
    runs: list[StoredRun] = Field(min_length=1)
    evidence: Evidence | None  # sampling errors and calibration, as they were measured with the labels


@dataclass(frozen=True)
class Unpacked:
    """
    Args:
        records: of all runs in the file.
        written: how many of them were not here before.
        evidence: where the evidence lies; None where the file has none, or where the predictions here are not, byte for
            byte, those that it was measured from.
    """

    manifest: Manifest
    records: list[FinishedRun]
    written: int
    evidence: Path | None


def pack(
    board: str,
    records: Sequence[FinishedRun],
    evidence: Evidence | None,
    licence: str,
    workspace: Workspace,
    path: Path,
) -> Manifest:
    """Writes all runs of a board to one file.

    Args:
        records: of one dataset and one fingerprint.
        evidence: what was measured about them, or None.
        licence: of the data and of the predictions, in words.

    Raises:
        UserError: no run, a run without its predictions, or runs on different data.
    """
    if not records:
        raise UserError(f"the board {board} has no finished run whose predictions could be packed.")
    first = records[0]
    rows = first.data.rows["test"]
    columns: dict[str, np.ndarray] = {ROW: np.arange(rows, dtype=np.int32)}
    runs = []
    for record in records:
        if record.data.fingerprint != first.data.fingerprint:
            raise UserError(f"{record.experiment} and {first.experiment} come from different data of {first.dataset}.")
        folder = workspace.run_folder(record.dataset, record.experiment, record.seed)
        name = f"{record.experiment}/seed-{record.seed}"
        columns[name] = read_predictions(folder / PREDICTIONS_FILE, rows).astype(np.float32)
        text = (folder / RECORD_FILE).read_text(encoding="utf-8")
        runs.append(StoredRun(column=name, predictions=file_digest(folder / PREDICTIONS_FILE, "sha256"), record=text))
    manifest = Manifest(
        board=board, dataset=first.dataset, fingerprint=first.data.fingerprint, rows=rows, licence=licence, runs=runs,
        evidence=evidence,
    )  # fmt: skip
    table = pa.table(columns)
    with (
        replacing(path) as temporary,
        pq.ParquetWriter(
            temporary,
            table.schema,
            compression="zstd",
            compression_level=LEVEL,
            use_dictionary=False,
            use_byte_stream_split=list(columns)[1:],
            store_schema=False,
        ) as writer,
    ):
        writer.write_table(table)
        writer.add_key_value_metadata({KEY: manifest.model_dump_json()})
    return manifest


def unpack(path: Path, workspace: Workspace) -> Unpacked:
    """Puts the runs of a file where runs lie, with their predictions, and the board's evidence beside the boards.

    Runs that are here already, with the same record, stay as they are.

    Raises:
        UserError: the file is not such a file, or another run lies in the place of one of its runs.
    """
    manifest = read_manifest(path)
    records = _records(path, manifest)
    waiting = {}
    for column, record in records.items():
        folder = workspace.run_folder(record.dataset, record.experiment, record.seed)
        here = folder / RECORD_FILE
        text = next(run.record for run in manifest.runs if run.column == column)
        if not here.exists():
            waiting[column] = folder, text
        elif here.read_text(encoding="utf-8") != text:
            raise UserError(
                f"{here} is the record of another run than that in {path}. Unpack into another folder (fuxibench "
                "--results FOLDER predictions unpack FILE), or move it away."
            )
    for column, scores in _scores(path, manifest, list(waiting)).items():
        folder, text = waiting[column]
        folder.mkdir(parents=True, exist_ok=True)
        write_predictions(folder / PREDICTIONS_FILE, scores)
        write_text(folder / RECORD_FILE, text)
    said = {run.column: run.predictions for run in manifest.runs}
    same = all(
        file_digest(workspace.run_folder(r.dataset, r.experiment, r.seed) / PREDICTIONS_FILE, "sha256") == said[column]
        for column, r in records.items()
    )
    kept = None
    if manifest.evidence and same:
        kept = evidence_file(manifest.board, workspace)
        if not kept.exists():
            write_text(kept, render_evidence(manifest.evidence))
    return Unpacked(manifest, list(records.values()), len(waiting), kept)


def read_manifest(path: Path) -> Manifest:
    """What a file says of itself, compared with its columns; no prediction is read.

    Raises:
        UserError: it is not such a file.
    """
    try:
        file = pq.ParquetFile(path)
        found = (file.metadata.metadata or {}).get(KEY)
        if found is None:
            raise UserError(f"{path} must be a file of 'fuxibench predictions pack', but is another parquet file.")
        manifest = Manifest.model_validate_json(found)
    except (pa.ArrowException, OSError, ValidationError) as error:
        raise UserError(
            f"{path} must be a file of 'fuxibench predictions pack', but cannot be read: {error}."
        ) from error
    wanted = {ROW: pa.int32(), **{run.column: pa.float32() for run in manifest.runs}}
    seen = {field.name: field.type for field in file.schema_arrow}
    if seen != wanted or len(seen) != len(manifest.runs) + 1 or file.metadata.num_rows != manifest.rows:
        raise UserError(f"{path}: its columns are not those of the runs that it names, or not of {manifest.rows} rows.")
    if manifest.rows * len(seen) * 4 > MOST_BYTES:
        raise UserError(f"{path} holds more than {MOST_BYTES >> 30} GB of predictions; split the board.")
    if not NAME.fullmatch(manifest.board):
        raise UserError(f"{path}: {manifest.board!r} cannot be the name of a board.")
    return manifest


def _records(path: Path, manifest: Manifest) -> dict[str, FinishedRun]:
    """The records by column. Their names are safe as names of folders."""
    found = {}
    for run in manifest.runs:
        try:
            record = parse_record(run.record.encode())
        except ValidationError as error:
            raise UserError(f"{path}: the record of {run.column} is damaged: {error.errors()[0]['msg']}.") from error
        if not isinstance(record, FinishedRun) or run.column != f"{record.experiment}/seed-{record.seed}":
            raise UserError(f"{path}: the column {run.column} must have the record of its own finished run.")
        about = record.dataset, record.data.fingerprint, record.data.rows.get("test")
        if about != (manifest.dataset, manifest.fingerprint, manifest.rows):
            raise UserError(f"{path}: the run {run.column} is not of the data that the file names.")
        for name in (record.dataset, record.experiment):
            if not NAME.fullmatch(name):
                raise UserError(f"{path}: {name!r} cannot be the name of a dataset or experiment.")
        found[run.column] = record
    return found


def _scores(path: Path, manifest: Manifest, columns: Sequence[str]) -> Mapping[str, np.ndarray]:
    """(N,) float32 of each column; probabilities, in the order of the test rows."""
    try:
        table = pq.read_table(path, columns=[ROW, *columns])
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} is damaged: {error}.") from error
    found = {name: table[name].to_numpy() for name in table.column_names}
    if not np.array_equal(found.pop(ROW), np.arange(manifest.rows)):
        raise UserError(f"{path}: row_id must count the test rows from 0, each once and in order.")
    for name, scores in found.items():
        if not ((scores >= 0) & (scores <= 1)).all():  # false of NaN too
            raise UserError(f"{path}: {name} must hold probabilities between 0 and 1, but some are not.")
    return found


def describe(manifest: Manifest, path: Path) -> str:
    """Size, content and licence, in a line each."""
    size, values = path.stat().st_size, manifest.rows * len(manifest.runs)
    experiments = len({run.column.rpartition("/")[0] for run in manifest.runs})
    return (
        f"{path}: {len(manifest.runs)} runs of {experiments} rows on {manifest.dataset}, {manifest.rows:,} test rows; "
        f"{size:,} bytes, {size / values:.2f} a prediction (float32, unrounded). No labels, no features.\n"
        f"Licence: {manifest.licence}"
    )

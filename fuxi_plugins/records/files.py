"""Records as files: one ``record.json`` a run, in ``results/runs/DATASET/EXPERIMENT/seed-N/``."""

import gc
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from pydantic import ValidationError

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import canonical_json, write_text
from fuxi_plugins.core.workspace import RUNS_FOLDER, run_folder
from fuxi_plugins.records.record import SCHEMA, Record, parse_record

_log = logging.getLogger(__name__)

# What lies in a run's folder.
RECORD_FILE = "record.json"
PREDICTIONS_FILE = "predictions.h5"
RANK_FILE = "rank.h5"
LOG_FILE = "run.log"
MODEL_FOLDER = "model"  # with the source of a model that lies in a file of its own
EPOCHS_FILE = "metrics.jsonl"


def write_record(folder: Path, record: Record) -> Path:
    """Writes ``folder/record.json`` atomically, with sorted keys so that equal runs give equal bytes."""
    path = folder / RECORD_FILE
    canonical_json(record.model_dump())  # refuses NaN before anything is written
    write_text(path, record.model_dump_json(indent=1) + "\n")
    return path


def read_record(path: Path) -> Record:
    """Reads one record.

    Raises:
        UserError: the file is not a record of this schema.
    """
    try:
        return parse_record(path.read_bytes())
    except ValidationError as error:
        if (older := _older_schema(path)) is not None:
            raise UserError(
                f"{path} is a record of schema {older}; `python scripts/migrate_records.py` brings it to {SCHEMA}."
            ) from error
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "the file"  # the first part names the kind of run
        raise UserError(f"{path} is not a record of schema {SCHEMA}: {where}: {first['msg']}.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def _older_schema(path: Path) -> int | None:
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    schema = found.get("schema_version") if isinstance(found, dict) else None
    return schema if isinstance(schema, int) and 0 < schema < SCHEMA else None


def record_files(results: Path, dataset: str | None = None, experiment: str | None = None) -> list[Path]:
    """The files of all records below a folder of results, or of those of a dataset or an experiment, sorted."""
    folders = (escape(name) if name else "*" for name in (dataset, experiment))
    return sorted((results / RUNS_FOLDER).glob("/".join((*folders, "seed-*", RECORD_FILE))))


@dataclass(frozen=True)
class LeftOut:
    """A file in a record's place that is not the record of that place."""

    dataset: str  # by its path, as the next two
    experiment: str
    seed: int  # -1 where the folder's name has none
    reason: str


@dataclass(frozen=True)
class FoundRecords:
    """Records, and the files in a record's place that are none."""

    records: list[Record]
    left_out: list[LeftOut]

    @classmethod
    def below(cls, results: Path, dataset: str | None = None) -> "FoundRecords":
        left_out: list[LeftOut] = []
        return cls(find_records(results, dataset, left_out.append), left_out)

    def on(self, dataset: str) -> "FoundRecords":
        """Those of one dataset."""
        return FoundRecords(
            [record for record in self.records if record.dataset == dataset],
            [one for one in self.left_out if one.dataset == dataset],
        )


def find_records(
    results: Path, dataset: str | None = None, left_out: Callable[[LeftOut], None] | None = None
) -> list[Record]:
    """All records below ``results/runs``, in the order of their paths.

    A file that is broken, of another schema, or whose record has other names than its path is left out: it may be
    a copy, and no record can stop the others from being read.

    Args:
        left_out: is told of each file that is left out; without it a warning is logged.
    """
    say = left_out or (lambda one: _log.warning("%s", one.reason))
    found = []
    with _without_collecting():
        for path in record_files(results, dataset):
            try:
                record = read_record(path)
                _require_its_place(record, path)
            except UserError as error:
                *_, of_dataset, experiment, seed, _ = path.parts
                digits = seed.removeprefix("seed-")
                say(LeftOut(of_dataset, experiment, int(digits) if digits.isdecimal() else -1, str(error)))
            else:
                found.append(record)
    return found


def _require_its_place(record: Record, path: Path) -> None:
    runs = path.parents[3]
    place = run_folder(runs.parent, record.dataset, record.experiment, record.seed)
    if path.parent != place:
        named = place.relative_to(runs)
        raise UserError(f"{path} holds the record of {named}, so it is a copy or was moved; it is left out.")


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Pauses the search for cyclic garbage. Records hold no cycles, and it would look through all of them again and
    again while they are read: three quarters of the time for 20,000."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()

"""Raw files -> a store of matrices, by FuxiCTR's own FeatureProcessor, in bounded memory and without Ray.

Each file is read once, block by block: every value is checked, what vocabularies are made of is counted, and the rows
are staged with codes of their block's own. Once the vocabularies are known, the staged rows become the columns. The ids
are those of FuxiCTR's ``build_dataset``; only the way of the rows through memory is ours.
"""

import importlib.metadata
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from filelock import FileLock

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import digest, explaining_full_disk, require_space
from fuxi_plugins.core.threads import work_ahead
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.clusters import Clusters
from fuxi_plugins.datasets.fingerprint import data_fingerprint
from fuxi_plugins.datasets.preprocessing import Encoder, Processor, Statistics
from fuxi_plugins.datasets.reading.blocks import Block
from fuxi_plugins.datasets.reading.checks import (
    RowCount,
    check_header,
    check_labels,
    check_split,
    labelled_rows,
    typed_block,
)
from fuxi_plugins.datasets.side_tables import header_with_tables, open_tables, read_rows, require_matches
from fuxi_plugins.datasets.sources.acquire import raw_digests, raw_folder, replacing_folder
from fuxi_plugins.datasets.spec import SPLITS, DatasetSpec
from fuxi_plugins.datasets.splitting import Division, divide, divided, rows_of
from fuxi_plugins.datasets.staging import StageWriter, staged_blocks, with_codes
from fuxi_plugins.datasets.store import MatrixWriter, bytes_needed, writing
from fuxi_plugins.datasets.unknown_ids import UNKNOWN_FILE, UnknownIds, unknown_shares, warnings
from fuxi_plugins.records.metrics import is_metric
from fuxi_plugins.records.parts import DataCard

STORE_VERSION = 2  # of the layout below; part of the store's name, not of the data's fingerprint
FEATURE_MAP_FILE = "feature_map.json"
CARD_FILE = "card.json"
GROUPED_BY = "group_id"  # in the card's file
CLUSTERS_FILE = "test_clusters.npy"  # beside the splits, for no model sees it


@dataclass(frozen=True)
class Progress:
    """How far a pass over a split has come."""

    doing: str  # "check" or "encode"
    split: str
    rows: int
    share: float  # of the file's bytes, or nan where a packed file does not say
    rows_per_second: float


Report = Callable[[Progress], None]


@dataclass(frozen=True)
class PreparedData:
    """A dataset ready to train on: ``folder`` holds a folder of matrices a split and FuxiCTR's feature map."""

    spec: DatasetSpec
    folder: Path
    card: DataCard

    def split_folder(self, split: str) -> Path:
        return self.folder / split

    @property
    def unknown(self) -> dict[str, dict[str, float]]:
        """By split and column, the share of ids that train does not know."""
        return unknown_shares(self.folder)


def prepare_dataset(spec: DatasetSpec, workspace: Workspace, report: Report = lambda _: None) -> PreparedData:
    """Prepares a dataset, or opens what an earlier call has prepared from the same files and settings.

    A changed file, setting or library version has another key and another folder: nothing stale is reused. A call
    that is interrupted leaves nothing that a later one would take for prepared.

    Raises:
        UserError: files are missing or not what the config says, or the disk is full.
    """
    raw = raw_folder(spec, workspace)
    fingerprint = data_fingerprint(spec, raw_digests(spec, raw, workspace))
    folder = prepared_folder(spec, fingerprint, workspace)
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            with replacing_folder(folder) as temporary, explaining_full_disk(folder.parent):
                counts = _fit_and_write(spec, raw, temporary, report)
                written = {**_facts(raw, counts), "fingerprint": fingerprint, GROUPED_BY: spec.group_id}
                (temporary / CARD_FILE).write_text(json.dumps(written))
    facts = json.loads((folder / CARD_FILE).read_text()) | {"fingerprint": fingerprint}
    facts.pop(GROUPED_BY, None)  # no part of a record
    card = DataCard(
        title=spec.title,
        note=spec.whole_note,
        published_as=spec.published_as,
        valid_is_test=spec.valid_is_test,
        synthetic=facts["bayes"] is not None,
        label=spec.label_col.name if len(spec.labels) > 1 else None,
        further_labels=[column.name for column in spec.further_labels],
        weighted_by=spec.weight_col,
        warnings=warnings(unknown_shares(folder)),
        **facts,
    )
    return PreparedData(spec, folder, card)


def stored_fingerprint(folder: Path) -> str | None:
    """That of the data that lie in a folder of prepared data; None where there are none."""
    path = folder / CARD_FILE
    return json.loads(path.read_text())["fingerprint"] if path.exists() else None


def stored_group_id(folder: Path, spec: DatasetSpec) -> str | None:
    """The column by which prepared data are grouped; a folder of an older release does not say it, but the config."""
    return json.loads((folder / CARD_FILE).read_text()).get(GROUPED_BY, spec.group_id)


def prepared_folder(spec: DatasetSpec, fingerprint: str, workspace: Workspace) -> Path:
    """Where the data of a fingerprint lie once these versions of the libraries have prepared them."""
    libraries = {name: importlib.metadata.version(name) for name in ("fuxictr", "polars")}
    clusters = [spec.cluster_column] if spec.cluster_column else []  # stored, though no part of the fingerprint
    return workspace.dataset_folder(spec.dataset_id) / digest([fingerprint, libraries, STORE_VERSION, *clusters])[:16]


def _facts(raw: Path, counts: dict[str, RowCount]) -> dict[str, Any]:
    truth = raw / "truth.json"
    bayes = json.loads(truth.read_text()) if truth.exists() else None
    return {
        "rows": {split: count.rows for split, count in counts.items()},
        "positive_rate": {split: count.positives / count.rows for split, count in counts.items()},
        "unlabelled": {split: count.unlabelled for split, count in counts.items() if count.unlabelled},
        "bayes": {name: value for name, value in bayes.items() if is_metric(name)} if bayes else None,
    }


def _fit_and_write(spec: DatasetSpec, raw: Path, folder: Path, report: Report) -> dict[str, RowCount]:
    processor = Processor(spec, raw, folder)
    for split in SPLITS:
        path = raw / spec.split_file(split)
        check_header(path.name, header_with_tables(path, raw, spec.tables, spec.file_format), spec, split)
    staged = {split: folder / f"{split}.stage" for split in SPLITS}
    statistics, counts, clusters = _stage(spec, raw, processor, staged, report)
    check_labels(spec, counts)
    for split in SPLITS:
        check_split(spec.split_name(split), counts[split])
    _compare_with_published(spec, counts)
    encoders = processor.fit(statistics)
    columns = {name: (encoder.dtype, encoder.width) for name, encoder in encoders.items()}
    needed = sum(bytes_needed(count.rows, columns) for count in counts.values())
    require_space(folder, needed, f"preparing {spec.dataset_id}")
    unknown = {}
    for split in SPLITS:
        with writing(folder / split, counts[split].rows, columns) as writer:
            unknown[split] = _encode(split, staged[split], encoders, writer, report)
        staged[split].unlink()
    (folder / UNKNOWN_FILE).write_text(json.dumps({split: unknown[split].shares() for split in ("valid", "test")}))
    if spec.cluster_column:
        np.save(folder / CLUSTERS_FILE, clusters.numbers())
    return counts


@dataclass(frozen=True)
class _Staged:
    """A block after the first pass."""

    split: str
    rows: pa.RecordBatch
    count: RowCount
    clusters: pl.Series | None
    share: float  # of the file up to its end


def _stage(
    spec: DatasetSpec, raw: Path, processor: Processor, staged: dict[str, Path], report: Report
) -> tuple[Statistics, dict[str, RowCount], Clusters]:
    """Reads, checks and counts every row, and writes those of each split to its file in ``staged``."""

    def stage(item: tuple[str, Block]) -> _Staged:
        split, block = item
        count = RowCount()
        typed = typed_block(block, spec, count)
        frame = _preprocessed(processor, block, typed)
        frame = frame.with_columns(typed[name] for name in spec.stored_as_read)
        clusters = typed[spec.cluster_column] if spec.cluster_column and split == "test" else None
        return _Staged(split, with_codes(frame, spec), count, clusters, block.share)

    statistics, clusters = Statistics(spec), Clusters()
    counts = {split: RowCount() for split in SPLITS}
    started = time.perf_counter()
    with ExitStack() as opened:
        writers = {split: opened.enter_context(closing(StageWriter(path))) for split, path in staged.items()}
        labelled = ((split, labelled_rows(block, spec, counts[split])) for split, block in _blocks(spec, raw))
        for block in work_ahead(stage, ((split, block) for split, block in labelled if block.frame.height)):
            statistics.add(block.rows, meta_only=block.split != "train")
            writers[block.split].write(block.rows)
            if block.clusters is not None:
                clusters.add(block.clusters)
            counts[block.split].add(block.count)
            rate = sum(count.rows for count in counts.values()) / (time.perf_counter() - started)
            report(Progress("check", block.split, counts[block.split].rows, block.share, rate))
    return statistics, counts, clusters


def _encode(split: str, staged: Path, encoders: dict[str, Encoder], writer: MatrixWriter, report: Report) -> UnknownIds:
    """Writes a split's rows with the ids of the vocabularies."""

    def encode(block: pa.RecordBatch) -> tuple[pa.RecordBatch, dict[str, np.ndarray]]:
        return block, {name: encoder.array(block[name]) for name, encoder in encoders.items()}

    unknown = UnknownIds({name: e.unknown for name, e in encoders.items() if e.unknown is not None})
    started = time.perf_counter()
    for block, encoded in work_ahead(encode, staged_blocks(staged)):
        writer.append(encoded)
        unknown.add(block, encoded)
        rate = writer.written / (time.perf_counter() - started)
        report(Progress("encode", split, writer.written, writer.written / writer.rows, rate))
    return unknown


def _preprocessed(processor: Processor, block: Block, frame: pl.DataFrame) -> pl.DataFrame:
    try:
        return processor.preprocess(frame)
    except pl.exceptions.PolarsError as error:
        said = str(error).splitlines()[0]
        raise UserError(
            f"{block.place(0)} to {block.unit} {block.line(frame.height - 1)}: a value is not of the form that the "
            f"column's preprocess needs: {said}."
        ) from error


def split_blocks(
    spec: DatasetSpec, raw: Path, split: str, columns: list[str], division: Division | None
) -> Iterator[Block]:
    """The rows of a split, from its own file or picked out of the one that several share."""
    blocks = read_rows(raw / spec.split_file(split), columns, spec.file_format, open_tables(spec, raw))
    return rows_of(split, blocks, division) if division and spec.is_divided(split) else blocks


def _blocks(spec: DatasetSpec, raw: Path) -> Iterator[tuple[str, Block]]:
    """The blocks of rows of every split, with its name; a file that several splits share is read once.

    Raises:
        UserError: a table beside the rows has no row of their ids.
    """
    tables = open_tables(spec, raw)
    for split in SPLITS:
        blocks = read_rows(raw / spec.split_file(split), spec.columns_read(split), spec.file_format, tables)
        if not spec.split or not spec.is_divided(split):
            yield from ((split, block) for block in blocks if block.frame.height)
        elif split == "train":
            division = divide(spec.split, raw / spec.train_data, spec.file_format, tables)
            sharing = [name for name in SPLITS if spec.is_divided(name)]
            yield from ((name, block) for name, block in divided(sharing, blocks, division) if block.frame.height)
    require_matches(tables)


def _compare_with_published(spec: DatasetSpec, counts: dict[str, RowCount]) -> None:
    for split, rows in spec.published_rows.items():
        if not spec.build and not spec.split and counts[split].rows != rows:
            raise UserError(
                f"{spec.dataset_id}: {spec.split_file(split)} must have the published {rows:,} rows, but has "
                f"{counts[split].rows:,}. Import the published file, or give your own a dataset id of its own."
            )

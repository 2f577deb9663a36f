"""Raw csv files -> a column store, by FuxiCTR's own FeatureProcessor, in bounded memory and without Ray.

The ids are those of FuxiCTR's ``build_dataset``: the same ``preprocess``, ``fit`` and ``transform`` make them;
only the way of the rows through memory is ours.
"""

import importlib.metadata
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from filelock import FileLock

from fuxi_plugins.datasets.acquire import raw_digests, raw_folder, replacing_folder
from fuxi_plugins.datasets.checks import RawFile, check_raw_file, reading
from fuxi_plugins.datasets.spec import SPLITS, DatasetSpec
from fuxi_plugins.datasets.store import smallest_integer, writing
from fuxi_plugins.errors import UserError
from fuxi_plugins.files import digest
from fuxi_plugins.records import DataCard
from fuxi_plugins.workspace import Workspace

STORE_VERSION = 1  # of the layout below; part of the store's name, not of the data's fingerprint
CHUNK_ROWS = 100_000
FEATURE_MAP_FILE = "feature_map.json"
CARD_FILE = "card.json"


@dataclass(frozen=True)
class PreparedData:
    """A dataset ready to train on: ``folder`` holds a folder of columns a split and FuxiCTR's feature map."""

    spec: DatasetSpec
    folder: Path
    card: DataCard

    def split_folder(self, split: str) -> Path:
        return self.folder / split


def prepare_dataset(spec: DatasetSpec, workspace: Workspace) -> PreparedData:
    """Prepares a dataset, or opens what an earlier call has prepared from the same files and settings.

    A changed file, setting or library version has another key and another folder: nothing stale is reused.

    Raises:
        UserError: files are missing or not what the config says; nothing is left half-prepared.
    """
    raw = raw_folder(spec, workspace)
    fingerprint = data_fingerprint(spec, raw_digests(spec, raw, workspace))
    folder = prepared_folder(spec, fingerprint, workspace)
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            with replacing_folder(folder) as temporary:
                counts = {split: check_raw_file(raw / spec.split_file(split), spec) for split in SPLITS}
                _fit_and_write(spec, raw, counts, temporary)
                (temporary / CARD_FILE).write_text(json.dumps(_facts(raw, counts)))
    facts = json.loads((folder / CARD_FILE).read_text())
    card = DataCard(
        fingerprint=fingerprint,
        title=spec.title,
        note=spec.note.strip(),
        published_as=spec.published_as,
        valid_is_test=spec.valid_is_test,
        synthetic=facts["bayes"] is not None,
        **facts,
    )
    return PreparedData(spec, folder, card)


def prepared_folder(spec: DatasetSpec, fingerprint: str, workspace: Workspace) -> Path:
    """Where the data of a fingerprint lie once these versions of the libraries have prepared them."""
    libraries = {name: importlib.metadata.version(name) for name in ("fuxictr", "polars")}
    return workspace.dataset_folder(spec.dataset_id) / digest([fingerprint, libraries, STORE_VERSION])[:16]


def data_fingerprint(spec: DatasetSpec, digests: dict[str, str]) -> str:
    """Names the data that models see: the bytes of the csv files and how they are preprocessed.

    It depends on no version, machine or path, so records made anywhere can be told to share their data.
    """
    preprocessing = spec.model_dump(include={"min_categr_count", "group_id"}) | {
        "feature_cols": [column.as_fuxictr() for column in spec.active_columns],
        "label_col": spec.label_col.model_dump(),
    }
    return digest({"files": digests, "preprocessing": preprocessing})


def _facts(raw: Path, counts: dict[str, RawFile]) -> dict[str, Any]:
    truth = raw / "truth.json"
    bayes = json.loads(truth.read_text()) if truth.exists() else None
    return {
        "rows": {split: count.rows for split, count in counts.items()},
        "positive_rate": {split: count.positives / count.rows for split, count in counts.items()},
        "bayes": {name: bayes[name] for name in ("AUC", "logloss")} if bayes else None,
    }


def _fit_and_write(spec: DatasetSpec, raw: Path, counts: dict[str, RawFile], folder: Path) -> None:
    from fuxictr.preprocess import FeatureProcessor  # imports Ray (without starting it), so only when needed

    processor = FeatureProcessor(
        feature_cols=[column.as_fuxictr() for column in spec.active_columns],
        label_col=spec.label_col.model_dump(),
        dataset_id=spec.dataset_id,
        data_root=str(folder / "fuxictr"),
        group_id=spec.group_id,
    )
    frames = {split: processor.preprocess(processor.read_data(str(raw / spec.split_file(split)))) for split in SPLITS}
    try:
        with reading(raw / spec.train_data):
            processor.fit(frames["train"], meta_ddf=_meta_columns(spec, frames), min_categr_count=spec.min_categr_count)
    except IndexError as error:  # FuxiCTR's tokenizer looks at the first word of an empty vocabulary
        raise UserError(
            f"{spec.dataset_id}: a categorical column has no value that occurs at least min_categr_count="
            f"{spec.min_categr_count} times in {spec.train_data}; lower it or leave the column out."
        ) from error
    columns = _column_types(spec, processor)
    for split in SPLITS:
        with (
            reading(raw / spec.split_file(split)),
            writing(folder / split, counts[split].rows, columns) as writer,
        ):
            for frame in frames[split].collect_batches(chunk_size=CHUNK_ROWS, maintain_order=True):
                encoded = processor.transform({name: frame[name].to_numpy() for name in frame.columns})
                writer.append({name: np.asarray(encoded[name]) for name in columns})
    (folder / "fuxictr" / spec.dataset_id / "feature_map.json").rename(folder / FEATURE_MAP_FILE)
    (folder / "fuxictr" / spec.dataset_id / "feature_vocab.json").rename(folder / "feature_vocab.json")
    (folder / "fuxictr" / spec.dataset_id / "feature_processor.pkl").unlink()  # a pickle is not for keeping


def _meta_columns(spec: DatasetSpec, frames: dict[str, pl.LazyFrame]) -> pl.LazyFrame | None:
    """The meta columns of all splits: group ids must not collide, so their vocabulary covers every split."""
    names = [name for column in spec.active_columns if column.type == "meta" for name in column.names]
    return pl.concat([frame.select(names) for frame in frames.values()]) if names else None


def _column_types(spec: DatasetSpec, processor: Any) -> dict[str, tuple[np.dtype, int]]:
    """Storage type and width of each column: ids as small integers, numbers and the label as float32."""
    columns = {spec.label_col.name: (np.dtype(np.float32), 0)}
    for name, feature in processor.feature_map.features.items():
        if feature["type"] == "numeric":
            columns[name] = (np.dtype(np.float32), 0)
        elif feature["type"] == "meta":
            columns[name] = (np.dtype(np.int64), 0)
        else:
            columns[name] = (smallest_integer(feature["vocab_size"] - 1), feature.get("max_len", 0))
    return columns

"""Files that FuxiCTR has encoded: numbers in the place of ids, and ``feature_map.json``, which says the columns.

Such a number is an id as good as any other, so the files are read as data with ids. What FuxiCTR gave one number, rare
values say, stays one id; 0 in a history is padding and no behaviour.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import replacing
from fuxi_plugins.datasets.copies import note_originals

MAP_NAME = "feature_map.json"
ENDINGS = (".npz", ".h5", ".parquet")  # of encoded files
_PADDING = 0
_CARRIED = ("source", "share_embedding", "max_len", "embedding_dim", "feature_encoder", "pretrain_dim")


def dataset_settings(feature_map: Path) -> dict[str, Any]:
    """``feature_cols`` and ``label_col`` of a dataset's config, as a feature map says them.

    Raises:
        UserError: not a feature map, or a column of a kind that is not read here.
    """
    try:
        content = json.loads(feature_map.read_text(encoding="utf-8"))
        columns = [_column(name, spec) for feature in content["features"] for name, spec in feature.items()]
        labels = [{"name": name, "dtype": "float"} for name in content["labels"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{feature_map} must be a feature map of FuxiCTR with features and labels: {error}.") from error
    return {"feature_cols": columns, "label_col": labels[0] if len(labels) == 1 else labels}


def as_parquet(files: Mapping[str, Path], feature_map: Path, target: Path) -> tuple[dict[str, Path], dict[str, Any]]:
    """Encoded files as parquet files that are read like any other; one without histories may be so already.

    Args:
        files: by any key, the encoded files.
        feature_map: which FuxiCTR wrote beside them.
        target: the folder for files that must be written anew.

    Returns:
        The files by the same keys, and the columns as :func:`dataset_settings` gives them, with their padding.

    Raises:
        UserError: see :func:`dataset_settings` and :func:`write_parquet`.
    """
    settings = dataset_settings(feature_map)
    columns = settings["feature_cols"]
    has_histories = any(column["type"] == "sequence" for column in columns)
    written: dict[Path, Path] = {}  # a file that is of two splits is written once
    sides: dict[str, str] = {}
    for path in files.values():
        if path.suffix == ".parquet" and not has_histories:
            written[path] = path
        elif path not in written:
            written[path] = (target / f"{path.stem}.parquet").resolve()
            sides = write_parquet(path, columns, written[path]) | sides
    if copied := [path for path, copy in written.items() if copy != path]:
        note_originals(target, [*copied, feature_map])
    for column in columns:
        if column["name"] in sides:
            column["padding"] = sides[column["name"]]
    return {key: written[path] for key, path in files.items()}, settings


def _column(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    if spec["type"] not in ("numeric", "categorical", "sequence", "embedding", "meta") or "pretrained_emb" in spec:
        raise UserError(
            f"the column {name!r} of the encoded files must be numeric, categorical, a sequence, an embedding or meta, "
            f"without a file of vectors, but is {spec['type']}. Use the files from which it was encoded."
        )
    carried = {key: spec[key] for key in _CARRIED if spec.get(key) not in (None, "")}
    dtype = "float" if spec["type"] in ("numeric", "embedding") else "str"
    return {"name": name, "type": spec["type"], "dtype": dtype, **carried}


def write_parquet(encoded: Path, columns: list[dict[str, Any]], target: Path) -> dict[str, str]:
    """Writes an encoded file as parquet with histories without their padding.

    Args:
        encoded: a file of FuxiCTR's, with one of ``ENDINGS``.
        columns: those of :func:`dataset_settings`.
        target: where to.

    Returns:
        By history, ``pre`` or ``post``: on which side its padding stood; a history that is never padded is left out.

    Raises:
        UserError: the file is none of these, or lacks a column.
    """
    histories = [column["name"] for column in columns if column["type"] == "sequence"]
    sides: dict[str, str] = {}
    target.parent.mkdir(parents=True, exist_ok=True)
    writer = None
    with replacing(target) as partial:
        for table in _tables(encoded):
            missing = [column["name"] for column in columns if column["name"] not in table]
            if missing:
                raise UserError(f"{encoded} must have the columns of its {MAP_NAME}, but lacks {', '.join(missing)}.")
            for name in histories:
                values = np.asarray(table[name])  # (rows, length)
                if (values[:, 0] == _PADDING).any() or (values[:, -1] == _PADDING).any():
                    behind = ((values[:, 0] != _PADDING) & (values[:, -1] == _PADDING)).any()
                    sides.setdefault(name, "post" if behind else "pre")
                table[name] = _without_padding(values)
            for name in (column["name"] for column in columns if column["type"] == "embedding"):
                vectors = np.asarray(table[name])
                table[name] = pa.FixedSizeListArray.from_arrays(vectors.ravel(), vectors.size // len(vectors))
            batch = pa.table(table)
            writer = writer or pq.ParquetWriter(partial, batch.schema)
            writer.write_table(batch)
        if writer is None:
            raise UserError(f"{encoded} must hold rows, but holds none.")
        writer.close()
    return sides


def _without_padding(values: np.ndarray) -> pa.ListArray:
    """(rows, length) of numbers -> a list a row, without zeros."""
    kept = values != _PADDING
    offsets = np.concatenate([[0], kept.sum(axis=1).cumsum()])
    return pa.ListArray.from_arrays(offsets.astype(np.int32), values[kept])


def _tables(encoded: Path) -> Iterator[dict[str, Any]]:
    """The rows by column, (rows,) or (rows, length); a parquet file in parts, others at once."""
    try:
        if encoded.suffix == ".npz":
            with np.load(encoded, allow_pickle=False) as arrays:
                yield {name: _flat_or_history(arrays[name]) for name in arrays.files}
        elif encoded.suffix == ".h5":
            with h5py.File(encoded) as arrays:
                yield {name: _flat_or_history(np.asarray(arrays[name])) for name in arrays}
        else:
            with pq.ParquetFile(encoded) as file:
                for batch in file.iter_batches():
                    yield {name: _stacked(batch.column(name)) for name in batch.schema.names}
    except (ValueError, OSError, pa.ArrowException) as error:
        raise UserError(f"{encoded} must be a whole {encoded.suffix[1:]} file of numbers: {error}.") from error


def _flat_or_history(values: np.ndarray) -> np.ndarray:
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def _stacked(values: pa.Array) -> np.ndarray:
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        return np.stack(values.to_numpy(zero_copy_only=False))
    return values.to_numpy(zero_copy_only=False)

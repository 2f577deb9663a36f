"""The predictions of a run on disk, read with the distrust that a contributed file deserves."""

import zlib
from pathlib import Path

import h5py
import numpy as np

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import replacing

# What is refused could not be unpacked within bounds.
_KNOWN_FILTERS = (
    (),
    (h5py.h5z.FILTER_SHUFFLE,),
    (h5py.h5z.FILTER_DEFLATE,),
    (h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE),
)
MOST_ROWS_BEYOND = 1 << 16  # a file that can grow may have parts longer than its rows
MOST_BYTES_OF_VALUE = 8


def write_predictions(path: Path, predictions: np.ndarray) -> None:
    """Test predictions as HDF5: ``row_id`` (N,), the row's place in the test file from 0, and ``y_pred`` (N,).

    Neither features nor labels of the data are stored: most licences forbid passing them on.
    """
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        row_ids = np.arange(len(predictions), dtype=np.int32)
        for name, values in (("row_id", row_ids), ("y_pred", predictions)):
            file.create_dataset(name, data=values, compression="gzip", shuffle=True, track_times=False)


def read_predictions(path: Path, rows: int) -> np.ndarray:
    """(rows,) float32 probabilities, in the order of the test file.

    HDF5 can point into other files, claim any size and hold a few bytes that unpack to gigabytes. So that is looked at
    before a value is read, and compressed parts are unpacked here, up to the size that they must have.

    Raises:
        UserError: the file is missing, is not HDF5, or does not hold one finite probability for every row, in order.
    """
    try:
        with h5py.File(path, "r") as file:
            row_ids = _column(file, path, "row_id", "iu", rows)
            scores = _column(file, path, "y_pred", "f", rows)
    except (OSError, RuntimeError, LookupError, ValueError) as error:  # as h5py passes on what HDF5 finds damaged
        raise UserError(f"{path} must be an HDF5 file of predictions, but cannot be read: {error}.") from error
    if not np.array_equal(row_ids, np.arange(rows)):
        raise UserError(f"{path}: row_id must count the test rows from 0 to {rows - 1}, each once and in order.")
    if not ((scores >= 0) & (scores <= 1)).all():  # false of NaN too
        raise UserError(f"{path}: y_pred must hold probabilities between 0 and 1, but some are not.")
    return scores


def _column(file: h5py.File, path: Path, name: str, kinds: str, rows: int) -> np.ndarray:
    if not isinstance(file.get(name, getlink=True), h5py.HardLink) or not isinstance(file[name], h5py.Dataset):
        raise UserError(f"{path} must hold the dataset {name!r} itself, but does not.")
    dataset = file[name]
    if dataset.external or dataset.is_virtual:
        raise UserError(f"{path}: {name!r} must lie in the file, but points into another.")
    if dataset.dtype.kind not in kinds or dataset.dtype.itemsize > MOST_BYTES_OF_VALUE:
        wanted = "floats" if kinds == "f" else "integers"
        raise UserError(f"{path}: {name!r} must hold {wanted}, but holds {dataset.dtype}.")
    if dataset.shape != (rows,):
        raise UserError(f"{path}: {name!r} must have one value for each of {rows} rows, but is {dataset.shape}.")
    return dataset[:] if dataset.chunks is None else _unpacked(dataset, path, rows)


def _unpacked(dataset: h5py.Dataset, path: Path, rows: int) -> np.ndarray:
    """(rows,) values of a dataset that is stored in parts, each plain or compressed by gzip with or without shuffle.

    HDF5's own gzip goes on for as long as a part goes on.
    """
    name = dataset.name.removeprefix("/")
    (length,) = dataset.chunks
    size = length * dataset.dtype.itemsize
    properties = dataset.id.get_create_plist()
    filters = tuple(properties.get_filter(i)[0] for i in range(properties.get_nfilters()))
    if filters not in _KNOWN_FILTERS:
        raise UserError(f"{path}: {name!r} must be stored plainly or compressed by gzip, with or without shuffle.")
    if length > max(rows, MOST_ROWS_BEYOND):
        raise UserError(f"{path}: {name!r} must be stored in parts of at most {rows} rows, but has parts of {length}.")
    parts = []
    for start in range(0, rows, length):
        stored = dataset.id.get_chunk_info_by_coord((start,))
        if stored.byte_offset is None or stored.size > path.stat().st_size or stored.filter_mask:
            raise UserError(f"{path}: {name!r} is damaged: the part from row {start} on is not in the file.")
        part = dataset.id.read_direct_chunk((start,))[1]
        if h5py.h5z.FILTER_DEFLATE in filters:
            part = _inflated(part, size)
        if len(part) != size:
            raise UserError(f"{path}: {name!r} is damaged: the part from row {start} on must have {size} bytes.")
        if h5py.h5z.FILTER_SHUFFLE in filters:  # the first bytes of all values, then the second, ...
            part = np.frombuffer(part, np.uint8).reshape(-1, length).T.tobytes()
        parts.append(np.frombuffer(part, dataset.dtype))
    return np.concatenate(parts)[:rows]


def _inflated(part: bytes, size: int) -> bytes:
    """The unpacked part, or one byte more than ``size`` when it is longer; nothing when it is damaged."""
    try:
        return zlib.decompressobj().decompress(part, size + 1)
    except zlib.error:
        return b""

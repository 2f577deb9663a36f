"""The predictions of a run on disk, read with the distrust that a contributed file deserves."""

from pathlib import Path

import h5py
import numpy as np

from fuxi_plugins.core.errors import UserError


def read_predictions(path: Path, rows: int) -> np.ndarray:
    """(rows,) float32 probabilities, in the order of the test file.

    HDF5 can point into other files and claim any size, so that is looked at before a value is read.

    Raises:
        UserError: the file is missing, is not HDF5, or does not hold one finite probability for every row, in order.
    """
    try:
        with h5py.File(path, "r") as file:
            row_ids = _column(file, path, "row_id", "iu", rows)
            scores = _column(file, path, "y_pred", "f", rows)
    except OSError as error:
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
    if dataset.dtype.kind not in kinds:
        wanted = "floats" if kinds == "f" else "integers"
        raise UserError(f"{path}: {name!r} must hold {wanted}, but holds {dataset.dtype}.")
    if dataset.shape != (rows,):
        raise UserError(f"{path}: {name!r} must have one value for each of {rows} rows, but is {dataset.shape}.")
    return dataset[:]

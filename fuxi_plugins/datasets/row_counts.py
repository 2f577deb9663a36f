"""About how many rows a dataset's training split has, told without preparing it."""

from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.inventory import latest_card
from fuxi_plugins.datasets.reading.files import read_blocks
from fuxi_plugins.datasets.sources.acquire import is_available, raw_folder
from fuxi_plugins.datasets.spec import DatasetSpec

_HEAD_BYTES = 4 * 2**20


def training_rows(spec: DatasetSpec, workspace: Workspace) -> int | None:
    """As published or prepared, else told from the head of the file and its size; None where there is no file yet."""
    if "train" in spec.published_rows:
        return spec.published_rows["train"]
    if card := latest_card(spec.dataset_id, workspace):
        return card["rows"]["train"]
    if spec.build:
        return next(iter(spec.build_args.get("rows", [])), None)
    if not is_available(spec, workspace):
        return None
    held_out = sum(spec.split.shares.values()) if spec.split else 0.0
    return round(_rows(spec, workspace) * (1 - held_out))


def _rows(spec: DatasetSpec, workspace: Workspace) -> float:
    path = raw_folder(spec, workspace) / spec.train_data
    rows = 0
    for block in read_blocks(path, [spec.label_col.name], spec.file_format, _HEAD_BYTES):
        rows += block.frame.height
        if block.share > 0:  # a packed file does not say how far it is
            return rows / block.share
    return rows

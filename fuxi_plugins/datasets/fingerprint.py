"""The fingerprint of a dataset: the name of the data that models see."""

from fuxi_plugins.core.files import digest
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.sources.acquire import known_digests
from fuxi_plugins.datasets.spec import DatasetSpec


def data_fingerprint(spec: DatasetSpec, digests: dict[str, str]) -> str:
    """Names the data that models see: the bytes of the csv files and how they are preprocessed.

    It depends on no version, machine or path, so records made anywhere can be told to share their data. Whose a column
    is (``source``) only some models ask, and changes no value. What a config leaves unsaid is left out, so that a
    setting that is new to the project changes no fingerprint.
    """
    preprocessing = spec.model_dump(include={"min_categr_count", "group_id"}) | {
        "feature_cols": [column.model_dump(exclude_none=True, exclude={"source"}) for column in spec.active_columns],
        "label_col": spec.label_col.model_dump(exclude_none=True),
    }
    said = {"separator", "column_names", "encoding", "quotes", "impressions", "split", "tables"}
    said |= {"weight_col", "label_missing"}
    preprocessing |= spec.model_dump(include=said, exclude_none=True)
    if spec.further_labels:
        preprocessing["further_labels"] = [column.model_dump(exclude_none=True) for column in spec.further_labels]
    if spec.weight_col:  # once they were stored, but not used
        preprocessing["weight_use"] = "loss"
    return digest({"files": digests, "preprocessing": preprocessing})


def are_other_data(spec: DatasetSpec, fingerprint: str, workspace: Workspace) -> bool:
    """Whether the config and files of today give other data than those of a fingerprint, as far as can be told quickly.

    No file is read: one of the size that it had when it was prepared is taken to be the same. ``fuxibench run`` looks
    at every byte. False where the files are not at hand, were never prepared, or are made by the harness.
    """
    known = known_digests(spec, workspace)
    return known is not None and data_fingerprint(spec, known) != fingerprint

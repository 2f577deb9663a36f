"""What was changed after a run: its config, the code of its model, or its data.

``fuxibench run`` takes no such run for finished. Whoever shows its numbers says what was changed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import load_dataset_specs
from fuxi_plugins.datasets.fingerprint import are_other_data
from fuxi_plugins.experiments.code import model_digest
from fuxi_plugins.models.registry import model_names
from fuxi_plugins.records.differences import changed_since
from fuxi_plugins.records.record import FinishedRun


def changed_after(run: FinishedRun, settings: Mapping[str, Any]) -> list[str]:
    """What was changed after a run without touching its data, a clause each.

    Args:
        settings: of its experiment's config today.
    """
    changed = changed_since(settings, run)
    found = [f"its config was changed ({'; '.join(changed)})"] if changed else []
    return [*found, *(["its model was edited"] if _is_edited(run) else [])]


def changed_data(runs: Sequence[FinishedRun], workspace: Workspace) -> bool:
    """Whether the dataset's config or files were changed after the latest of these runs, all of one dataset."""
    latest = max(runs, key=lambda run: run.started)
    if not workspace.dataset_folder(latest.dataset).exists():  # never prepared here
        return False
    spec = load_dataset_specs(workspace.all_configs).get(latest.dataset)
    if spec is None:
        return False
    labels = latest.data.learned_labels
    if not spec.has_labels(labels):
        return True
    return are_other_data(spec.with_labels(labels), latest.data.fingerprint, workspace)


def _is_edited(run: FinishedRun) -> bool:
    """Whether the model's file, or one that it imports, is another than it was; known of files and checkouts."""
    if not run.model_source or run.model not in model_names():
        return False
    return run.code.model != f"sha256:{model_digest(run.model)}"

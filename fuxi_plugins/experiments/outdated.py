"""What was changed after a run: its config, its code, or its data.

``fuxibench run`` takes no such run for finished. Whoever shows its numbers says what was changed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import load_dataset_specs
from fuxi_plugins.datasets.fingerprint import are_other_data
from fuxi_plugins.experiments.code import code_of
from fuxi_plugins.models.registry import is_native, model_names, model_source
from fuxi_plugins.records.differences import changed_code, changed_since
from fuxi_plugins.records.parts import Code
from fuxi_plugins.records.record import FinishedRun

EDITED = {"model": "its model was edited", "training": "the training code was edited"}  # by part of the code


def code_today(model: str) -> Code | None:
    """The code of a model as it is here; needs no torch.

    None where it cannot be known without executing it, as of a model that an installed package brings, or that is not
    here.
    """
    if model not in model_names() or not (is_native(model) or model_source(model)):
        return None
    return code_of(model)


def changed_after(run: FinishedRun, settings: Mapping[str, Any], code: Code | None) -> list[str]:
    """What was changed after a run without touching its data, a clause each.

    Args:
        settings: of its experiment's config today.
        code: of its model today, where that is known. The code of a run that others sent may always have been another.
    """
    changed = changed_since(settings, run)
    found = [f"its config was changed ({'; '.join(changed)})"] if changed else []
    if code is not None and not run.submitted_by:
        found += [EDITED[part] for part, _, _ in changed_code(run.code, code)]
    return found


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

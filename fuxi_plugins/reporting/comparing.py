"""Comparisons of two models, with what was changed after their runs."""

from dataclasses import replace

from fuxi_plugins.analysis.compare import Comparison
from fuxi_plugins.analysis.comparisons import comparisons
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.experiments.catalogue import load_experiment_configs
from fuxi_plugins.experiments.outdated import changed_after, changed_data, code_today
from fuxi_plugins.records.files import find_records
from fuxi_plugins.records.record import finished_runs


def comparisons_today(
    a: str, b: str, dataset: str | None, metric: str | None, workspace: Workspace
) -> list[Comparison]:
    """The comparisons of two experiments or models; a caveat says what was changed after the runs of one of them.

    Raises:
        UserError: see :func:`fuxi_plugins.analysis.comparisons.comparisons`.
    """
    return [_with_changes(one, workspace) for one in comparisons(a, b, dataset, metric, workspace)]


def _with_changes(found: Comparison, workspace: Workspace) -> Comparison:
    configs = load_experiment_configs(workspace.all_configs)
    runs = [
        next(run for run in finished_runs(find_records(workspace.results, found.dataset)) if run.experiment == name)
        for name in found.experiments
    ]
    said = []
    for name, run in zip((found.a, found.b), runs, strict=True):
        settings = configs[run.experiment].settings if run.experiment in configs else {}
        said += [
            f"{name}: {clause} after these runs." for clause in changed_after(run, settings, code_today(run.model))
        ]
    if changed_data(runs, workspace):
        said.append(f"The data of {found.dataset} were changed after these runs.")
    return replace(found, caveats=(*found.caveats, *said))

"""Names that a shell completes, read from the workspace of the current folder.

``eval "$(_FUXIBENCH_COMPLETE=bash_source fuxibench)"`` switches completion on, as for every program of click.
"""

from collections.abc import Callable, Iterable

import click

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace

Completion = Callable[[click.Context, click.Parameter, str], list[str]]


def _completing(names: Callable[[Workspace], Iterable[str]]) -> Completion:
    def complete(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
        root = context.find_root().params
        try:
            known = list(names(Workspace.locate(root.get("configs"), root.get("results"))))
        except UserError:  # the command itself will say what is wrong
            return []
        return [name for name in known if name.startswith(typed)]

    return complete


def _suites(workspace: Workspace) -> Iterable[str]:
    from fuxi_plugins.experiments.suite import suite_names

    return suite_names(workspace.all_configs)


def _models(workspace: Workspace) -> Iterable[str]:
    from fuxi_plugins.cli.model_files import use_models
    from fuxi_plugins.models.registry import model_names
    from fuxi_plugins.models.variants import VARIANTS

    use_models(workspace)
    return sorted([*model_names(), *VARIANTS])


def _datasets(workspace: Workspace) -> Iterable[str]:
    from fuxi_plugins.datasets.catalogue import load_dataset_specs

    return load_dataset_specs(workspace.all_configs)


def _suites_and_experiments(workspace: Workspace) -> Iterable[str]:
    from fuxi_plugins.experiments.catalogue import load_experiment_configs

    return [*_suites(workspace), *load_experiment_configs(workspace.all_configs)]


suites = _completing(_suites)
models = _completing(_models)
datasets = _completing(_datasets)
suites_and_experiments = _completing(_suites_and_experiments)

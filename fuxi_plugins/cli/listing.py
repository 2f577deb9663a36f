"""Tables of what there is, made without torch or FuxiCTR."""

from typing import TYPE_CHECKING

from tabulate import tabulate

from fuxi_plugins.core.workspace import Workspace

if TYPE_CHECKING:
    from fuxi_plugins.experiments.suite import Suite

HEADERS = {
    "models": ("name", "summary"),
    "datasets": ("name", "title", "state"),
    "experiments": ("name", "model", "dataset"),
    "suites": ("name", "title", "runs"),
    "metrics": ("name", "direction", "meaning"),
    "settings": ("name", "takes", "default", "meaning"),
}
KINDS = tuple(HEADERS)


def rows(kind: str, workspace: Workspace) -> list[dict[str, str]]:
    """What there is of one of :data:`KINDS`, by the names in :data:`HEADERS`."""
    makers = dict(zip(KINDS, (_models, _datasets, _experiments, _suites, _metrics, _settings), strict=True))
    return [dict(zip(HEADERS[kind], row, strict=True)) for row in makers[kind](workspace)]


def table(kind: str, workspace: Workspace) -> str:
    """One of :data:`KINDS` as text."""
    return tabulate([list(row.values()) for row in rows(kind, workspace)], tablefmt="plain", disable_numparse=True)


def _models(_: Workspace) -> list[tuple[str, ...]]:
    from fuxi_plugins.models.registry import model_names, model_summary

    return [(name, model_summary(name)) for name in model_names()]


def _datasets(workspace: Workspace) -> list[tuple[str, ...]]:
    from fuxi_plugins.datasets.catalogue import load_dataset_specs
    from fuxi_plugins.datasets.sources.acquire import is_available

    specs = load_dataset_specs(workspace.all_configs)
    return [
        (name, spec.title, "ready" if is_available(spec, workspace) else "to be imported")
        for name, spec in specs.items()
    ]


def _experiments(workspace: Workspace) -> list[tuple[str, ...]]:
    from fuxi_plugins.experiments.catalogue import load_experiment_configs

    configs = load_experiment_configs(workspace.all_configs)
    return [(name, config.model, config.dataset_id) for name, config in configs.items()]


def _suites(workspace: Workspace) -> list[tuple[str, ...]]:
    from fuxi_plugins.experiments.suite import load_suite, suite_names

    suites = [load_suite(workspace.all_configs, name) for name in suite_names(workspace.all_configs)]
    return [(suite.name, suite.title, _runs(suite)) for suite in suites]


def _metrics(_: Workspace) -> list[tuple[str, ...]]:
    from fuxi_plugins.records.metrics import all_metrics

    return [(metric.name, metric.direction, metric.meaning) for metric in all_metrics()]


def _settings(_: Workspace) -> list[tuple[str, ...]]:
    from fuxi_plugins.experiments.settings_table import settings_table

    return [(setting.name, setting.takes, setting.default, setting.meaning) for setting in settings_table()]


def _runs(suite: "Suite") -> str:
    product = f"{len(suite.experiments)} experiments x {len(suite.seeds)} seeds"
    further = sum(map(len, suite.more_seeds.values()))
    return f"{product} + {further} runs" if further else product

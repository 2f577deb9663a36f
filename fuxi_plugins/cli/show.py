"""``fuxibench show``: what an experiment is, setting by setting."""

import json
from typing import TYPE_CHECKING, Any

import click

from fuxi_plugins.cli.completion import suites_and_experiments
from fuxi_plugins.cli.console import say
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace

if TYPE_CHECKING:
    from fuxi_plugins.experiments.experiment import Experiment, ExperimentConfig


@click.command()
@click.argument("experiment", shell_complete=suites_and_experiments)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def show(workspace: Workspace, experiment: str, as_json: bool) -> None:
    """Shows every setting of an experiment and where it comes from.

    \b
    fuxibench show DCNv2_frappe_x1r
    """
    from tabulate import tabulate

    from fuxi_plugins.experiments.experiment import resolve

    config = _experiment(experiment, workspace)
    resolved = resolve(config)
    settings = _settings(config, resolved)
    facts = {
        "experiment": config.id,
        "file": str(config.file),
        "model": resolved.model,
        "dataset": resolved.dataset_id,
        "row": resolved.display_name,
        "settings from": config.hparam_source,
        "code of the model": resolved.code.model,
        "code of the training": resolved.code.training,
        "digest": resolved.digest,
    }
    if as_json:
        say(json.dumps({**facts, "settings": settings}, indent=1))
        return
    say(tabulate(list(facts.items()), tablefmt="plain", disable_numparse=True))
    say("")
    texts = [(one["part"], one["name"], json.dumps(one["value"]), one["from"]) for one in settings]
    say(tabulate(texts, headers=["", "setting", "value", "from"], tablefmt="plain", disable_numparse=True))


def _experiment(name: str, workspace: Workspace) -> "ExperimentConfig":
    """
    Raises:
        UserError: there is no such experiment, or it is a suite.
    """
    from fuxi_plugins.experiments.suite import find_suite

    configs = find_suite(name, workspace).experiments
    if [config.id for config in configs] != [name]:
        raise UserError(f"{name} is a suite; name one of {', '.join(config.id for config in configs)}.")
    return configs[0]


def _settings(config: "ExperimentConfig", resolved: "Experiment") -> list[dict[str, Any]]:
    """Every setting with its part, name, value and origin."""
    from fuxi_plugins.experiments.catalogue import RECORDED
    from fuxi_plugins.experiments.settings import default_settings
    from fuxi_plugins.models.registry import load_model_class

    usual = default_settings(load_model_class(resolved.model))
    found = []
    for part, values in resolved.params.items():
        default = f"default of {resolved.model if part == 'model' else 'the training'}"
        for name, value in values.items():
            origin = config.origins.get(name, default)
            if origin == RECORDED and usual.get(name, ...) == value:
                origin = f"{origin}, as the {default}"
            found.append({"part": part, "name": name, "value": value, "from": origin})
    return found

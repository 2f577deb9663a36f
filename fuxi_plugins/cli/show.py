"""``fuxibench show``: what an experiment is, setting by setting."""

import json
from typing import Any

import click

from fuxi_plugins.cli.completion import suites_and_experiments
from fuxi_plugins.cli.console import say
from fuxi_plugins.core.workspace import Workspace


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

    from fuxi_plugins.core.errors import UserError
    from fuxi_plugins.experiments.catalogue import RECORDED
    from fuxi_plugins.experiments.experiment import resolve
    from fuxi_plugins.experiments.settings import default_settings
    from fuxi_plugins.experiments.suite import find_suite
    from fuxi_plugins.models.registry import load_model_class

    configs = find_suite(experiment, workspace).experiments
    if [config.id for config in configs] != [experiment]:
        raise UserError(f"{experiment} is a suite; name one of {', '.join(config.id for config in configs)}.")
    (config,) = configs
    resolved = resolve(config)
    homes = {"model": resolved.model, "training": "the training"}
    usual = default_settings(load_model_class(resolved.model))

    def origin(part: str, name: str, value: Any) -> str:
        default = f"default of {homes[part]}"
        said = config.origins.get(name, default)
        return f"{said}, as the {default}" if said == RECORDED and usual.get(name, ...) == value else said

    rows = [
        (part, name, value, origin(part, name, value))
        for part, values in resolved.params.items()
        for name, value in values.items()
    ]
    facts = {
        "experiment": config.id,
        "file": str(config.file),
        "model": resolved.model,
        "dataset": resolved.dataset_id,
        "row": resolved.preset,
        "settings from": config.settings_from,
        "code of the model": resolved.code.model,
        "code of the training": resolved.code.training,
        "digest": resolved.digest,
    }
    if as_json:
        listed = [{"part": part, "name": name, "value": value, "from": origin} for part, name, value, origin in rows]
        say(json.dumps({**facts, "settings": listed}, indent=1))
        return
    say(tabulate(list(facts.items()), tablefmt="plain", disable_numparse=True))
    say("")
    texts = [(part, name, json.dumps(value), origin) for part, name, value, origin in rows]
    say(tabulate(texts, headers=["", "setting", "value", "from"], tablefmt="plain", disable_numparse=True))

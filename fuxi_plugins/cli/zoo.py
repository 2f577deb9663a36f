"""``fuxibench zoo``."""

import json
from pathlib import Path

import click

from fuxi_plugins.cli.console import say


@click.command("zoo")
@click.argument("checkout", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def zoo_(checkout: Path, as_json: bool) -> None:
    """Shows the models of a FuxiCTR checkout. It is read without executing anything."""
    from fuxi_plugins.models.checkouts import PREFIX, discover

    found = discover(checkout.resolve())
    if as_json:
        listed = sorted(found.models.items(), key=lambda item: item[0].casefold())
        say(json.dumps([{"name": f"{PREFIX}{name}", "kind": model.kind} for name, model in listed], indent=1))
        return
    for name, model in sorted(found.models.items(), key=lambda item: item[0].casefold()):
        note = {"single": "", "multitask": "  (several labels)", "long": "  (a history)"}[model.kind]
        say(f"{PREFIX}{name}{note}")
    say(f"{len(found.models)} models; {len(found.other)} files for TensorFlow are left out.")
    for path, reason in found.unreadable.items():
        say(f"not Python: {path}: {reason}")

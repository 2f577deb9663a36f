"""``fuxibench zoo``."""

from pathlib import Path

import click

from fuxi_plugins.cli.console import say


@click.command("zoo")
@click.argument("checkout", type=click.Path(path_type=Path))
def zoo_(checkout: Path) -> None:
    """Lists the models of a FuxiCTR checkout. None of its code is executed."""
    from fuxi_plugins.models.checkouts import PREFIX, discover

    found = discover(checkout.resolve())
    for name, model in sorted(found.models.items(), key=lambda item: item[0].casefold()):
        note = {"single": "", "multitask": "  (several labels)", "long": "  (a history)"}[model.kind]
        say(f"{PREFIX}{name}{note}")
    say(f"{len(found.models)} models; {len(found.other)} files for TensorFlow are left out.")
    for path, reason in found.unreadable.items():
        say(f"not Python: {path}: {reason}")

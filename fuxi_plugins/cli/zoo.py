"""``fuxibench zoo``."""

from pathlib import Path

import click


@click.command("zoo")
@click.argument("checkout", type=click.Path(path_type=Path))
def zoo_(checkout: Path) -> None:
    """Shows the models of a FuxiCTR checkout. It is read without executing anything."""
    from fuxi_plugins.models.checkouts import PREFIX, discover

    found = discover(checkout.resolve())
    for name, model in sorted(found.models.items(), key=lambda item: item[0].casefold()):
        note = {"single": "", "multitask": "  (several labels)", "long": "  (a history)"}[model.kind]
        click.echo(f"{PREFIX}{name}{note}")
    click.echo(f"{len(found.models)} models; {len(found.other)} files for TensorFlow are left out.")
    for path, reason in found.unreadable.items():
        click.echo(f"not Python: {path}: {reason}")

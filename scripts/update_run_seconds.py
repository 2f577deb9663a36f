"""Writes ``results/speed/run_seconds.csv``: how long the recorded runs took, for ``fuxibench run --dry-run``."""

from dataclasses import astuple, fields
from pathlib import Path

import click

from fuxi_plugins.analysis.run_times import Measured, measured
from fuxi_plugins.core.cleaning import csv_text
from fuxi_plugins.core.files import write_text
from fuxi_plugins.records.files import find_records

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "results" / "speed" / "run_seconds.csv"


def table() -> str:
    found = measured(find_records(ROOT / "results"))
    return csv_text([field.name for field in fields(Measured)], (astuple(one) for one in found))


@click.command(help=__doc__)
def main() -> None:
    write_text(PAGE, table())
    print(PAGE)


if __name__ == "__main__":
    main()

"""Prints what the quickstart takes beside training: evaluation, the rest of each run, and what is outside of runs.

\b
    python scripts/measure_fixed_costs.py                        all its rows, one run at a time: minutes
    python scripts/measure_fixed_costs.py --only DNN --only LR   some of its rows
    python scripts/measure_fixed_costs.py --short                one epoch of a tenth of the rows, so mostly fixed costs

The data are prepared before the clock starts. With --jobs above 1 seconds are those of all that runs at the same time.
"""

import tempfile
from pathlib import Path

import click
from measuring.whole_runs import Runs, quickstarts
from tabulate import tabulate

from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.experiments.suite import load_suite
from fuxi_plugins.records.record import FinishedRun


@click.command(help=__doc__)
@click.option("--only", multiple=True, help="A row of the quickstart; may be repeated.")
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Of each model.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Runs at a time.")
@click.option("--short", is_flag=True, help="One epoch over a tenth of the rows.")
def main(only: tuple[str, ...], seeds: int, jobs: int, short: bool) -> None:
    rows = [config.display_name for config in load_suite(Workspace.locate().all_configs, "quickstart").experiments]
    if unknown := set(only) - set(rows):
        raise click.ClickException(f"--only takes {', '.join(rows)}, but not {', '.join(sorted(unknown))}.")
    experiments = {f"{row}_measured": quickstarts(row) for row in only or rows}
    with tempfile.TemporaryDirectory() as folder:
        records, wall = Runs(Path(folder), gpu=-1, is_short=short).train(experiments, range(1, seeds + 1), jobs)
    costs = split([record for found in records.values() for record in found], wall * jobs)
    training = costs["training"]
    table = [[part, f"{seconds:.1f}", f"{seconds / training:.2f}"] for part, seconds in costs.items()]
    table.append(["all", f"{wall * jobs:.1f}", f"{wall * jobs / training:.2f}"])
    print(tabulate(table, ["part", "seconds", "of training"], "pipe", disable_numparse=True))


def split(records: list[FinishedRun], whole: float) -> dict[str, float]:
    """The seconds of each part of a command that took ``whole`` of them for these runs; the parts add up to it."""
    training, evaluation, runs = (
        sum(getattr(record.seconds, name) for record in records) for name in ("train", "evaluation", "total")
    )
    return {
        "training": training,
        "evaluation on validation": evaluation,
        "rest of the runs: model, test rows, checks, files": runs - training - evaluation,
        "outside of runs: imports, plan, processes, board": whole - runs,
    }


if __name__ == "__main__":
    main()

"""Prints where the time of a training step goes, by experiment, beside what this machine can do at best.

\b
    python scripts/profile_step.py                                  the token models and DCNv2 at Criteo's, Avazu's and
                                                                    Frappe's shape
    python scripts/profile_step.py DNN_frappe_x1r --rows 1024       other experiments, smaller batches
    python scripts/profile_step.py --page                           also writes the table of docs/speed.md
    python scripts/profile_step.py --gpu 0                          time of a GPU's kernels

Rows are random, in the shape of the experiment's dataset; what a step costs does not depend on what is learned. Shares
compare operations of one step with each other. Copies and element-wise work grow where memory is slow, so the rate of
memory is measured before and after, and shares that it moved under are not written.
"""

import os
import sys
from pathlib import Path

import click
import torch
from measuring import peers
from measuring.copy_rate import CopyRates, copy_rate
from measuring.machine import ceiling, description
from measuring.report import update_page
from measuring.shapes import load_experiment, shape_of
from measuring.where import KINDS, shares
from tabulate import tabulate

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.execution.processes import ALLOCATOR
from fuxi_plugins.models.registry import load_model_class
from fuxi_plugins.training.provenance import processor

ROOT = Path(__file__).resolve().parents[1]
USUAL = (
    "RankElastor_authors_criteo_dim_20", "RankMixer_authors_criteo_dim_20_base", "DCNv2_criteo_x1",
    "RankElastor_authors_avazu_dim_16", "RankElastor_frappe_x1r", "DCNv2_frappe_x1r",
)  # fmt: skip
FAST_TYPES = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")  # instruction sets that decide how fast products are


@click.command(help=__doc__)
@click.argument("experiments", nargs=-1)
@click.option("--rows", type=click.IntRange(min=2), default=4096, show_default=True, help="Rows a step.")
@click.option("--steps", type=click.IntRange(min=1), default=5, show_default=True, help="Steps that are profiled.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--gpu", type=int, default=-1, show_default=True, help="Number of a GPU; -1 is the CPU.")
@click.option("--page", is_flag=True, help="Write the table of docs/speed.md.")
def main(experiments: tuple[str, ...], rows: int, steps: int, threads: int, gpu: int, page: bool) -> None:
    torch.set_num_threads(threads)
    device = torch.device("cpu" if gpu < 0 else f"cuda:{gpu}")
    if gpu >= 0 and not torch.cuda.is_available():
        raise click.ClickException("--gpu was given, but torch sees no GPU here; without it the CPU is profiled.")
    before, table = copy_rate(device), []
    for name in experiments or USUAL:
        table.append([f"`{name}`", *profiled(name, rows, steps, gpu)])
        print(f"{name} is done", file=sys.stderr)
    rates = CopyRates(before, copy_rate(device))
    text = tabulate(table, ["experiment", *KINDS], tablefmt="pipe", stralign="right", disable_numparse=True)
    said = f"{text}\n\n{machine(device)}; {rates}. Batches of {rows} rows."
    print(said)
    if page and rates.moved:
        raise click.ClickException("the rate of memory moved by more than a third meanwhile; the page stays as it was.")
    if page:
        update_page(ROOT / "docs" / "speed.md", "profile", said)


def profiled(name: str, rows: int, steps: int, gpu: int) -> list[str]:
    """The cells of an experiment's row."""
    try:
        experiment = load_experiment(name)
        shape = shape_of(experiment)
    except UserError as error:
        raise click.ClickException(str(error)) from error
    model_class = load_model_class(experiment.model)
    model = peers.build(model_class, shape, fast=True, gpu=gpu, **experiment.model_params)
    found = shares(model, shape.batch(rows, model.device), steps)
    return [f"{100 * found[kind]:.0f}%" for kind in KINDS]


def machine(device: torch.device) -> str:
    """What computed, with what decides its speed."""
    best = ceiling(device)
    products = ", ".join(
        f"{name.removeprefix('matmul_').removesuffix('_gflops')} at {rate:,.0f}"
        for name, rate in best.items()
        if name.startswith("matmul")
    )
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, square products in {products} GFLOP/s"
    has = [name for name in FAST_TYPES if name in processor().instruction_sets]
    lacks = [name for name in FAST_TYPES[:2] if name not in has]
    kind = f"{description(device)['processor']} with {', '.join(has)}" + (f", without {', '.join(lacks)}" * bool(lacks))
    return f"{kind}, {torch.get_num_threads()} thread, square products in {products} GFLOP/s"


if __name__ == "__main__":
    if not set(ALLOCATOR) <= set(os.environ):  # which runs have
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALLOCATOR})
    main()

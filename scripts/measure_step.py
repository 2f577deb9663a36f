"""One training step done in two ways, in turns in one process, with the machine's copy rate before and after.

\b
    python scripts/measure_step.py RankElastor exact plain-products
    python scripts/measure_step.py RankElastor exact compiled --rounds 9
    python scripts/measure_step.py DCNv2 exact bf16 --rows 2048
    python scripts/measure_step.py RankElastor exact@ab0f34b4 exact

Of two processes one may have slower memory for minutes, so ratios of their times say little; here each round does both
ways, one after the other. Where the copy rate moved by more than a third the figures are refused: run it again. Beside
the clock's ratio stands that of processor time, which does not count waiting for a core. The models have the shape of
criteo_dim_20, RankElastor-Avazu that of avazu_dim_16. A way is one of

\b
exact             what a run does
plain-products    linear layers as torch has them
quick-dropout     dropout_bits: 16
compiled          compile: true
bf16              amp: bf16
compiled-bf16     both
bf16-products     bf16_products: true
deterministic     deterministic: true
fuxictr           FuxiCTR's step
token-loops       the same with one stack of torch's modules a token
exact@COMMIT      exact, by the code of an earlier commit; bf16@COMMIT likewise
"""

import os
import statistics
import sys
import time
from collections.abc import Callable

import click
import torch
from measuring.bytes_moved import BytesMoved, watch_compiler
from measuring.clock import seconds
from measuring.copy_rate import CopyRates, copy_rate
from measuring.ways import EARLIER, MODELS, WAYS, make

from fuxi_plugins.execution.processes import ALLOCATOR

CPU = torch.device("cpu")


class Way(click.ParamType):
    """Name of a way, or one of an earlier commit."""

    name = "way"

    def convert(self, value: str, parameter: click.Parameter | None, context: click.Context | None) -> str:
        name, at, _ = value.partition("@")
        if name not in (EARLIER if at else WAYS):
            known = [*WAYS, *(f"{earlier}@COMMIT" for earlier in EARLIER)]
            self.fail(f"must be one of {', '.join(known)}, but is {value!r}.", parameter, context)
        return value


@click.command(help=__doc__)
@click.argument("model", type=click.Choice(list(MODELS)))
@click.argument("first", type=Way())
@click.argument("second", type=Way())
@click.option("--rows", default=4096, show_default=True, help="Of a batch.")
@click.option("--rounds", default=7, show_default=True, help="Of both ways, in turns; medians count.")
@click.option("--threads", default=1, show_default=True)
def measure(model: str, first: str, second: str, rows: int, rounds: int, threads: int) -> None:
    if not set(ALLOCATOR) <= set(os.environ):  # which glibc reads at its start
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ALLOCATOR})
    torch.set_num_threads(threads)
    batch = MODELS[model].shape.batch(rows, CPU)
    watch_compiler()
    models = {way: make(way, model) for way in (first, second)}
    for way, made in models.items():
        started = seconds(lambda made=made: made.train_step(batch), CPU)
        with BytesMoved() as moved:
            made.train_step(batch)
        click.echo(
            f"{way}: first step {started:.1f} s; {moved.products / 1e9:.2f} GB moved by products and "
            f"{moved.others / 1e9:.2f} GB by all else"
        )
    before = copy_rate(CPU)
    taken = [{way: timed(lambda made=made: made.train_step(batch)) for way, made in models.items()}
             for _ in range(rounds)]  # fmt: skip
    rates = CopyRates(before, copy_rate(CPU))
    click.echo(f"{model}, {rows} rows, {threads} threads, {rounds} rounds; {rates}")
    if rates.moved:
        sys.exit("no figure: the copy rate moved by more than a third; run it again")
    for way in models:
        click.echo(f"{way}: median {statistics.median(times[way][0] for times in taken):.3f} s a step")
    by_clock, by_processor = (
        statistics.median(times[first][kind] / times[second][kind] for times in taken) for kind in (0, 1)
    )
    click.echo(
        f"{second} is {by_clock:.2f} times as fast as {first}, by processor time {by_processor:.2f} times "
        "(medians of the ratios)"
    )


def timed(step: Callable[[], object]) -> tuple[float, float]:
    """Seconds of a step by the clock, and of processor time."""
    started = time.process_time()
    elapsed = seconds(step, CPU)
    return elapsed, time.process_time() - started


if __name__ == "__main__":
    measure()

"""What is measured when a GPU is at hand, a function a section; each gives the rows of its table.

A rehearsal goes through all of it with small sizes, on a CPU too: it shows that everything runs.
"""

import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from fuxi_plugins.datasets.dataloader import ColumnLoader
from fuxi_plugins.experiments.settings import Training
from fuxi_plugins.layers import glu_ffn, mlp_ffn
from fuxi_plugins.models.rankelastor import RankElastor
from fuxi_plugins.models.rankmixer import RankMixer
from fuxi_plugins.training.devices import synchronize, use_arithmetic
from measuring import peers, sections
from measuring.clock import seconds
from measuring.copy_rate import copy_rate
from measuring.loops import PerTokenLoop
from measuring.machine import product_rate
from measuring.whole_runs import Runs, quickstarts

Row = dict[str, Any]  # of a table, by the names of its columns


@dataclass(frozen=True)
class Options:
    """Where is measured and how much."""

    device: torch.device
    folder: Path  # for data and whole runs
    is_rehearsal: bool = False
    until: float = float("inf")  # on the clock of ``time.monotonic``; whole runs that take longer are left out

    @property
    def gpu(self) -> int:
        return (self.device.index or 0) if self.device.type == "cuda" else -1

    @property
    def rows(self) -> int:
        """Of a batch."""
        return 64 if self.is_rehearsal else 4096

    @property
    def rounds(self) -> int:
        return 1 if self.is_rehearsal else 20

    @property
    def square(self) -> int:
        """Rows of the matrices whose product shows what the device can do."""
        return 256 if self.is_rehearsal else 8192


def limits(options: Options) -> Iterator[Row]:
    """What the device does at best: products of large square matrices, and copies of memory, read and written."""
    for name, dtype in [("float32", torch.float32), ("tf32", torch.float32), ("bfloat16", torch.bfloat16)]:
        use_arithmetic(Training(tf32=name == "tf32"))
        rate = product_rate(options.device, dtype, options.square)
        yield {"what": f"products in {name}", "rate": rate / 1e12, "unit": "TFLOP/s"}
    use_arithmetic(Training())
    yield {"what": "copies", "rate": copy_rate(options.device), "unit": "GB/s"}


def tokens(options: Options) -> Iterator[Row]:
    """Per-token networks, forward and backward: all tokens in batched products against one stack of modules a token."""
    for name, num_tokens, width, network in [
        ("glu FFN of RankElastor, 26 x 30", 26, 30, glu_ffn(26, 30, [64, 64], 3.0)),
        ("gelu FFN of RankMixer, 26 x 26", 26, 26, mlp_ffn(26, 26, [200, 200])),
        ("gelu FFN of RankMixer-100M, 16 x 768", 16, 768, mlp_ffn(16, 768, [64 if options.is_rehearsal else 2304])),
    ]:
        x = torch.randn(options.rows, num_tokens, width, device=options.device)
        ways = {"batched": network, "loop of modules": PerTokenLoop(network, num_tokens)}
        taken = in_turns(
            {key: partial(_forward_backward, made.to(options.device), x) for key, made in ways.items()}, options
        )
        yield {
            "network": name,
            **{f"{way}, ms": 1e3 * found for way, found in taken.items()},
            "ratio": taken["loop of modules"] / taken["batched"],
        }


def utilisation(options: Options) -> Iterator[Row]:
    """Training steps of token models at 100 million and a billion dense parameters, in batches that fill the memory.

    Achieved operations are those of products of matrices, forward and backward, by torch's counter. Their share is of
    what the device reached just before in products of large square matrices.
    """
    best = product_rate(options.device, torch.bfloat16, options.square)
    for name, model_class, settings in [
        ("RankMixer", RankMixer, {"num_tokens": 16, "token_dim": 768}),
        ("RankElastor", RankElastor, {"num_tokens": 16, "token_dim": 256}),
        ("RankMixer", RankMixer, {"num_tokens": 32, "token_dim": 1536}),
        ("RankElastor", RankElastor, {"num_tokens": 32, "token_dim": 448}),
    ]:
        if options.is_rehearsal:
            settings = {"num_tokens": 4, "token_dim": settings["num_tokens"]}
        shape = peers.Shape([1000] * 128, numeric=0, embedding_dim=16)
        settings = {**settings, "embedding_dim": 16, "num_blocks": 2}
        model = peers.build(model_class, shape, fast=True, bf16=True, gpu=options.gpu, **settings)
        operations = sections.step_operations(model, shape.batch(2, options.device)) / 2
        step = partial(_step, model, shape)
        rows = largest_batch(step, 64, most=128 if options.is_rehearsal else 65536)
        batch = shape.batch(rows, options.device)
        taken = in_turns({"step": lambda model=model, batch=batch: model.train_step(batch)}, options)["step"]
        yield {
            "model": name,
            "dense parameters": sum(p.numel() for p in model.parameters()) - 16 * 128 * 1000,
            "rows a step": rows,
            "step, ms": 1e3 * taken,
            "TFLOP/s": operations * rows / taken / 1e12,
            "of square products": operations * rows / taken / best,
        }
        del model, batch, step
        release(options.device)


def loading(options: Options) -> Iterator[Row]:
    """An epoch of shuffled batches from the store to the device, nothing done with them."""
    shape = peers.Shape(peers.CRITEO, numeric=13, embedding_dim=20)
    rows = 20_000 if options.is_rehearsal else 2_000_000
    path = peers.write_data(options.folder / "loading", shape, rows)["store"]
    for workers in (0, 1, 2):
        settings = {"batch_size": options.rows, "shuffle": True, "num_workers": workers, "device": options.device}
        loader = ColumnLoader(shape.feature_map(), path, **settings)
        for _ in range(2):  # the first pass reads the file
            taken = seconds(partial(sections.exhaust, lambda loader=loader: loader), options.device)
        yield {"threads that load": workers, "rows": rows, "million rows a second": rows / taken / 1e6}


def arithmetic(options: Options) -> Iterator[Row]:
    """Whole trainings on the quickstart's data in float32, TensorFloat-32, bfloat16 and deterministically."""
    ways = {"float32": {}, "tf32": {"tf32": True}, "bf16": {"amp": "bf16"}, "deterministic": {"deterministic": True}}
    for model in ["DCNv2"] if options.is_rehearsal else ["DCNv2", "RankElastor"]:
        experiments = {f"{model}_{how}": quickstarts(model, **changes) for how, changes in ways.items()}
        records, _ = whole_runs(options).train(experiments, seeds=[1])
        for how in ways:
            (record,) = records[f"{model}_{how}"]
            yield {
                "model": model,
                "arithmetic": how,
                "step, ms": 1e3 * record.seconds.train / record.history[-1].step,
                "epochs": record.history[-1].epoch,
                "training, s": record.seconds.train,
                "evaluation, s": record.seconds.evaluation,
                "test AUC": record.metrics["test"]["AUC"],
            }


def together(options: Options) -> Iterator[Row]:
    """The same runs, some of them at a time on the one device."""
    seeds = [1, 2] if options.is_rehearsal else [1, 2, 3, 4]
    for jobs in [2] if options.is_rehearsal else [1, 2, 4]:
        records, taken = whole_runs(options).train({"RankElastor_together": quickstarts("RankElastor")}, seeds, jobs)
        runs = records["RankElastor_together"]
        training = sum(record.seconds.train for record in runs)
        yield {"runs": len(runs), "at a time": jobs, "all of them, s": taken, "their training, s": training}


SECTIONS: dict[str, Callable[[Options], Iterator[Row]]] = {
    "limits": limits,
    "tokens": tokens,
    "utilisation": utilisation,
    "loading": loading,
    "arithmetic": arithmetic,
    "together": together,
}


def in_turns(ways: Mapping[str, Callable[[], object]], options: Options) -> dict[str, float]:
    """Seconds of each way, the median over rounds in which all take their turn, after two that warm up."""
    for _ in range(2):
        for way in ways.values():
            way()
    taken = [{name: seconds(way, options.device) for name, way in ways.items()} for _ in range(options.rounds)]
    return {name: statistics.median(times[name] for times in taken) for name in ways}


def largest_batch(step: Callable[[int], None], start: int, most: int) -> int:
    """The most rows, a power of two times the start, whose step fits into the device's memory."""
    rows = start
    while 2 * rows <= most:
        try:
            step(2 * rows)
        except torch.OutOfMemoryError:
            break
        rows *= 2
    return rows


def release(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()


def whole_runs(options: Options) -> Runs:
    return Runs(options.folder / "runs", options.gpu, options.is_rehearsal, options.until)


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def _step(model: Any, shape: peers.Shape, rows: int) -> None:
    try:
        model.train_step(shape.batch(rows, model.device))
        synchronize(model.device)
    finally:
        release(model.device)  # what a step that did not fit had taken


def _forward_backward(network: torch.nn.Module, x: torch.Tensor) -> None:
    network(x.detach().requires_grad_()).sum().backward()

"""What is measured, a function a section.

Two processes go through a section, one to do ours and one to do the peers, so each way is made ready when it is first
called.
"""

import math
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.dataloader import ColumnLoader
from fuxi_plugins.execution.processes import Forked, RunProcess, Started
from fuxi_plugins.experiments.catalogue import load_experiment_config
from fuxi_plugins.experiments.experiment import resolve
from fuxi_plugins.experiments.suite import load_suite
from fuxi_plugins.layers import glu_ffn, mlp_ffn
from fuxi_plugins.models.checkouts import PREFIX, discover
from fuxi_plugins.models.dcnv2 import DCNv2
from fuxi_plugins.models.dnn import DNN
from fuxi_plugins.models.fm import FM
from fuxi_plugins.models.lr import LR
from fuxi_plugins.models.rankelastor import RankElastor
from fuxi_plugins.models.rankmixer import RankMixer
from fuxi_plugins.models.registry import Sources, load_model_class, use_sources
from fuxi_plugins.records import metrics
from fuxi_plugins.training.checkpoint import NEVER
from measuring import peers, ways
from measuring.clock import synchronize
from measuring.loops import PerTokenLoop, with_loops
from measuring.timing import Case, Section
from measuring.ways import CRITEO

FIELDS = ("user", "item", "daytime", "weekday", "isweekend", "homework", "cost", "weather", "country", "city")
SOURCES = {name: "item" if name in ("item", "cost") else "user" for name in FIELDS}  # for DSSM
# With the board's settings FuxiCTR's classes stop: PPNet and both APGs without settings of what gates or conditions
# them, FLEN without fields of a third source.
STOP_AT_FUXICTR = ("APG_DCNv2", "APG_DeepFM", "FLEN", "PPNet")
FRAPPE = peers.Shape([540] * 10, numeric=0, embedding_dim=10, names=FIELDS, sources=SOURCES)


@dataclass(frozen=True)
class Options:
    """How much is measured and where."""

    device: torch.device
    rounds: int = 5
    rows: int = 200_000
    batch_size: int = 4096
    authors: Path | None = None  # a checkout of the RankElastor authors' code
    zoo: Path | None = None  # a checkout of FuxiCTR
    bf16: bool = False  # of our side, in the sections IN_BFLOAT16

    @property
    def gpu(self) -> int:
        return (self.device.index or 0) if self.device.type == "cuda" else -1


def loading(options: Options) -> Iterator[Case]:
    """One epoch of shuffled batches, nothing done with them, against FuxiCTR's own loaders."""
    shape = peers.Shape(peers.CRITEO, numeric=13, embedding_dim=20)
    with tempfile.TemporaryDirectory() as folder:
        paths = peers.write_data(Path(folder), shape, options.rows)
        rows = options.batch_size
        loaders = {
            "ours": lambda: ColumnLoader(shape.feature_map(), paths["store"], batch_size=rows, shuffle=True),
            "FuxiCTR Ray": lambda: peers.ray_loader(shape, paths["parquet"], rows),
            "FuxiCTR npz": lambda: peers.npz_loader(shape, paths["npz"], rows),
        }
        ways = {name: partial(exhaust, cache(make)) for name, make in loaders.items()}
        yield Case("loading", f"{options.rows:,} Criteo-shaped rows, shuffled", "an epoch", ways, options.rounds,
                   "starting Ray is left out")  # fmt: skip


def steps(options: Options) -> Iterator[Case]:
    """One training step of the token models at the shapes of the RankElastor authors."""
    cases = [
        ("RankElastor criteo_dim_20", "RankElastor", "UniMixer_criteo_dim_20"),
        ("RankMixer criteo_dim_20 base", "RankMixer", "UniMixer_criteo_dim_20_base"),
        ("RankElastor avazu_dim_16", "RankElastor-Avazu", "UniMixer_avazu_dim_16"),
    ]
    rows = options.batch_size
    for name, model, experiment in cases:
        shape = ways.MODELS[model].shape
        build = partial(ways.build, model, gpu=options.gpu)
        models = {
            "ours": partial(build, fast=True, bf16=options.bf16),
            "FuxiCTR's step, token loops": lambda build=build: recompiled(with_loops(build(fast=False)), options),
        }
        if options.authors:
            authors = partial(peers.authors_model, options.authors, experiment, shape, options.gpu)
            models["FuxiCTR's step, authors' code"] = authors
        yield Case("step", f"{name}, batch {rows}", "a step", steppers(models, shape, rows, options), options.rounds)


def utilisation(options: Options) -> Iterator[Case]:
    """One step of RankMixer at its paper's sizes, against square products of as many operations.

    The ratio is the share of the machine's rate that the step reaches, of which the paper reports 45% on its GPUs. How
    wide the networks' hidden layers are is not published; ours, three times a token, give 113 and 906 million.
    """
    on_gpu = options.device.type == "cuda"
    sizes = [("RankMixer-100M", 16, 768), ("RankMixer-1B", 32, 1536)]
    rows = options.batch_size if on_gpu else 256
    for name, num_tokens, width in sizes if on_gpu else sizes[:1]:  # a CPU of 24 GB has no room for the second
        shape = peers.Shape([1000] * 128, numeric=0, embedding_dim=16)
        settings = {"embedding_dim": 16, "num_tokens": num_tokens, "token_dim": width, "num_blocks": 2}
        build = cache(partial(peers.build, RankMixer, shape, fast=True, bf16=on_gpu, gpu=options.gpu, **settings))
        operations = rows * step_operations(build(), shape.batch(1, options.device))
        ways = {
            **steppers({"ours": build}, shape, rows, options),
            "square products of as many operations": partial(square_products, operations, options),
        }
        yield Case("utilisation", f"{name}, batch {rows}", "a step", ways, options.rounds)


def tables(options: Options) -> Iterator[Case]:
    """One step over large embedding tables, of width 20, with an L2 penalty; the largest also as sparse."""
    dnn = (DNN, {"hidden_units": [400, 400]})
    dcnv2 = (DCNv2, {"parallel_dnn_hidden_units": [400, 400]})
    for millions, sparse, (model_class, settings) in [(2, False, dnn), (2, False, dcnv2), (10, True, dnn)]:
        shape = peers.Shape([millions * 1_000_000 // 26] * 26, numeric=13, embedding_dim=20)
        settings = {**settings, "embedding_dim": 20, "embedding_regularizer": 1e-5, "gpu": options.gpu}
        build = partial(peers.build, model_class, shape, **settings)
        models = {"ours": partial(build, fast=True, sparse=sparse), "FuxiCTR's step": partial(build, fast=False)}
        ways = steppers(models, shape, options.batch_size, options)
        how = ", sparse_embeddings" if sparse else ""
        job = f"{model_class.__name__} 400-400, {millions} million ids x 20, L2, batch {options.batch_size}{how}"
        note = "not equal: another way of training" if sparse else ""
        yield Case("tables", job, "a step", ways, options.rounds, note)


def overhead(options: Options) -> Iterator[Case]:
    """One step of a small model, where what is not arithmetic counts, against a loop written by hand."""
    for model_class, settings in on_frappes_board(LR, FM, DCNv2, RankElastor):
        build = partial(peers.build, model_class, FRAPPE, gpu=options.gpu, **settings)
        models = {
            "ours": partial(build, fast=True),
            "FuxiCTR's step": partial(build, fast=False),
            "hand-written loop": lambda build=build: peers.BareLoop(build(fast=False)),
        }
        ways = steppers(models, FRAPPE, options.batch_size, options, repeats=5)
        job = f"{model_class.__name__} at Frappe's shape, batch {options.batch_size}"
        yield Case("overhead", job, "5 steps", ways, options.rounds)


def zoo(options: Options) -> Iterator[Case]:
    """One step of each model of Frappe's board that a FuxiCTR checkout has too, against its class there."""
    if options.zoo is None:
        return
    use_sources(Sources(zoo=str(options.zoo)))
    theirs = discover(options.zoo).models
    for config in load_suite(Workspace.locate().all_configs, "frappe_zoo_board").experiments:
        if config.model not in theirs or config.model in STOP_AT_FUXICTR:
            continue
        settings = {"gpu": options.gpu, **resolve(config).params["model"]}
        models = {
            "ours": partial(peers.build, load_model_class(config.model), FRAPPE, fast=True, **settings),
            "FuxiCTR's zoo": partial(
                peers.build, load_model_class(PREFIX + config.model), FRAPPE, fast=False, **settings
            ),
        }
        job = f"{config.display_name} at Frappe's shape, batch {options.batch_size}"
        yield Case("zoo", job, "a step", steppers(models, FRAPPE, options.batch_size, options), options.rounds)


def tokens(options: Options) -> Iterator[Case]:
    """Forward and backward of per-token networks alone, against one stack of modules a token."""
    for name, num_tokens, width, network in [
        ("glu FFN of RankElastor, 26 x 30", 26, 30, glu_ffn(26, 30, [64, 64], 3.0)),
        ("gelu FFN of RankMixer, 26 x 26", 26, 26, mlp_ffn(26, 26, [200, 200])),
    ]:
        x = torch.randn(options.batch_size, num_tokens, width, device=options.device)
        networks = {"ours": network, "loop of modules": PerTokenLoop(network, num_tokens)}
        ways = {key: forward_backward(made.to(options.device), x) for key, made in networks.items()}
        yield Case("tokens", f"{name}, batch {options.batch_size}", "forward and backward", ways, options.rounds)


def evaluation(options: Options) -> Iterator[Case]:
    """The metrics of a split, and metrics within groups, against FuxiCTR's ``evaluate_metrics``."""
    from fuxictr.metrics import evaluate_metrics as fuxictrs

    random = np.random.default_rng(0)
    rows = options.rows
    labels, scores = (random.random(rows) < 0.25).astype(np.float64), random.random(rows)
    yield Case("evaluation", f"AUC and logloss of {rows:,} rows", "a call", {
        "ours": lambda: metrics.evaluate_metrics(labels, scores, ["AUC", "logloss"]),
        "FuxiCTR": lambda: fuxictrs(labels, scores, ["AUC", "logloss"]),
    }, options.rounds)  # fmt: skip
    batches = np.array_split(scores.astype(np.float32), math.ceil(rows / options.batch_size))
    tensors = [torch.from_numpy(batch) for batch in batches]
    yield Case("evaluation", f"collecting {rows:,} predictions and labels", "a pass", {
        "ours": lambda: collect_arrays(tensors),
        "FuxiCTR": lambda: collect_lists(tensors),
    }, options.rounds)  # fmt: skip
    few = rows // 10  # FuxiCTR makes one task of a process pool a group
    groups = random.integers(0, few // 10, few)
    yield Case("evaluation", f"gAUC of {few:,} rows in {few // 10:,} groups", "a call", {
        "ours": lambda: metrics.evaluate_metrics(labels[:few], scores[:few], ["gAUC"], groups),
        "FuxiCTR": lambda: fuxictrs(labels[:few], scores[:few], ["gAUC"], groups),
    }, 1)  # fmt: skip


def training(options: Options) -> Iterator[Case]:
    """Two epochs with their evaluations, loading and checkpoints: our run against FuxiCTR's own loop and loader."""
    for model_class, settings in on_frappes_board(DCNv2, RankElastor):
        with tempfile.TemporaryDirectory() as folder:
            build = partial(peers.build, model_class, FRAPPE, gpu=options.gpu, root=Path(folder), **settings)
            job = f"{model_class.__name__} at Frappe's shape, {options.rows:,} rows, 2 epochs"
            ours = partial(build, fast=True, hosted=True, bf16=options.bf16)
            models = {"FuxiCTR, Ray loader": partial(build, fast=False)}
            ways = trainings(ours, models, FRAPPE, 2, Path(folder), options)
            yield Case("training", job, "a training", ways, options.rounds, "starting Ray is left out")


def training_of_authors(options: Options) -> Iterator[Case]:
    """One epoch of RankElastor at Criteo's shape: our run against the authors' own code."""
    if options.authors is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        build = partial(ways.build, "RankElastor", hosted=True, gpu=options.gpu, root=root, bf16=options.bf16)
        authors = partial(
            peers.authors_model, options.authors, "UniMixer_criteo_dim_20", CRITEO, options.gpu, str(root)
        )
        job = f"RankElastor criteo_dim_20, {options.rows:,} rows, an epoch"
        timed = trainings(build, {"FuxiCTR, authors' code": authors}, CRITEO, 1, root, options)
        yield Case("training-authors", job, "a training", timed, options.rounds, "starting Ray is left out")


def start(options: Options) -> Iterator[Case]:
    """A run's process from its start until it has imported everything and looked for its job."""
    command = [sys.executable, "-c", "import fuxi_plugins.training.preload as runs; runs.worker.main()"]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "run.log"
        log.touch()

        def live(kind: Callable[[], RunProcess]) -> None:
            process = kind()
            process.stdin.close()  # there is no job, so it ends
            process.wait(600)
            process.end()

        ways = {
            "ours": lambda: live(lambda: Forked(log, threads=1)),
            "a new interpreter": lambda: live(lambda: Started(command, log, threads=1)),
        }
        yield Case("start", "a process with torch and FuxiCTR", "a run", ways, options.rounds,
                   "starting the server that is forked is left out, once a suite", own_cpu=False)  # fmt: skip


SECTIONS: dict[str, Section] = {
    "loading": loading,
    "step": steps,
    "utilisation": utilisation,
    "tables": tables,
    "overhead": overhead,
    "zoo": zoo,
    "tokens": tokens,
    "evaluation": evaluation,
    "training": training,
    "training-authors": training_of_authors,
    "start": start,
}
IN_BFLOAT16 = {"step", "training", "training-authors"}  # those that can have our side with ``amp: bf16``
# Those of which every way is the work of one process: with one thread both sides can take turns on one core.
ON_ONE_CORE = {"step", "utilisation", "tables", "overhead", "zoo", "tokens"}


def on_frappes_board(*models: type) -> Iterator[tuple[type, dict]]:
    """Models with their settings on that board."""
    configs = Workspace.locate().all_configs
    for model_class in models:
        experiment = resolve(load_experiment_config(configs, f"{model_class.__name__}_frappe_x1r"))
        yield model_class, experiment.params["model"]


def exhaust(loader: Callable) -> None:
    for _ in loader():
        pass


def recompiled(model, options: Options):
    """A model whose weights were replaced after it was built, with an optimizer for the new ones."""
    model.to(options.device).compile("adam", "binary_crossentropy", 1e-3)
    return model


def steppers(
    models: dict[str, Callable], shape: peers.Shape, rows: int, options: Options, repeats: int = 1
) -> dict[str, Callable]:
    """A call of some training steps for each model, which is built at the first."""
    batch = shape.batch(rows, options.device)

    def step(ready: Callable) -> None:
        for _ in range(repeats):
            ready().train_step(batch)
        synchronize(options.device)

    return {name: partial(step, cache(build)) for name, build in models.items()}


def step_operations(model, batch: dict) -> int:
    """Floating-point operations of the products of matrices in one training step."""
    with FlopCounterMode(display=False) as counter:
        model.train_step(batch)
    return counter.get_total_flops()


def square_products(operations: int, options: Options) -> None:
    """As many of them as come to that many operations, in the type that models are trained in there."""
    size, dtype = (8192, torch.bfloat16) if options.device.type == "cuda" else (1024, torch.float32)
    square = torch.ones(size, size, dtype=dtype, device=options.device)
    for _ in range(round(operations / (2 * size**3))):
        square @ square
    synchronize(options.device)


def trainings(
    build: Callable, peer_models: dict[str, Callable], shape: peers.Shape, epochs: int, root: Path, options: Options
) -> dict[str, Callable]:
    """Epochs of a model of ours, and of peers by FuxiCTR's own loop and Ray loader; all files go below ``root``."""
    splits = {"train": options.rows, "valid": options.rows * 2 // 7}  # as in Frappe_x1
    paths = {split: peers.write_data(root / split, shape, rows) for split, rows in splits.items()}

    @cache
    def model(way: str):
        made = build() if way == "ours" else peer_models[way]()
        Path(made.model_dir).mkdir(parents=True, exist_ok=True)
        return made

    @cache
    def theirs(split: str):
        return peers.ray_loader(shape, paths[split]["parquet"], options.batch_size, split)

    def ours(split: str) -> ColumnLoader:
        rows = {"batch_size": options.batch_size, "shuffle": split == "train"}
        return ColumnLoader(shape.feature_map(), paths[split]["store"], split=split, device=options.device, **rows)

    def fit_ours() -> None:
        hosted = model("ours")
        hosted.watch(lambda news: None, [], NEVER)
        hosted.fit(ours("train"), epochs=epochs, validation_data=ours("valid"))

    def fit_theirs(way: str) -> None:
        model(way).fit(theirs("train"), epochs=epochs, validation_data=theirs("valid"))

    return {"ours": fit_ours, **{way: partial(fit_theirs, way) for way in peer_models}}


def forward_backward(network: nn.Module, x: torch.Tensor) -> Callable[[], None]:
    def call() -> None:
        network(x.detach().requires_grad_()).sum().backward()
        synchronize(x.device)

    return call


def collect_arrays(batches: list[torch.Tensor]) -> np.ndarray:
    return np.stack([torch.cat(batches).numpy() for _ in ("predictions", "labels")])


def collect_lists(batches: list[torch.Tensor]) -> np.ndarray:
    """As FuxiCTR's ``evaluate`` gathers them, row by row into a list."""
    columns = []
    for _ in ("predictions", "labels"):
        column: list = []
        for batch in batches:
            column.extend(batch.numpy().reshape(-1))
        columns.append(np.array(column, np.float64))
    return np.stack(columns)

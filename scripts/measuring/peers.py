"""FuxiCTR's own classes, and the RankElastor authors' code where there is a checkout, as peers to be timed."""

import importlib.util
import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.dataloaders.npz_dataloader import NpzDataLoader
from fuxictr.pytorch.dataloaders.parquet_dataloader import ParquetDataLoader
from torch import Tensor, nn

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.yaml_files import load_yaml
from fuxi_plugins.datasets.store import writing
from fuxi_plugins.experiments.training_settings import Training
from fuxi_plugins.training.distributed.ddp import DistributedMixin
from fuxi_plugins.training.distributed.sharded import ShardedMixin
from fuxi_plugins.training.distributed.sharded_table import sharded_tables
from fuxi_plugins.training.fast_step import FastStep
from fuxi_plugins.training.hosted import TrainerMixin
from fuxi_plugins.training.options import mixins
from fuxi_plugins.training.sparse_embeddings import SparseEmbeddings

GRADIENT_NORM = 10.0  # FuxiCTR's limit


@dataclass(frozen=True)
class Shape:
    """Random data in the shape of a real dataset: the cost of a step does not depend on what is learned."""

    vocabulary: Sequence[int]  # of each categorical field
    numeric: int
    embedding_dim: int
    names: Sequence[str] = ()  # of the categorical fields, for settings that name some
    sources: Mapping[str, str] = field(default_factory=dict)  # of fields by their names, for models that ask

    @property
    def sizes(self) -> dict[str, int]:
        """The vocabulary of each categorical field by its name."""
        return dict(zip(self.names or [f"C{i}" for i in range(len(self.vocabulary))], self.vocabulary, strict=True))

    def feature_map(self) -> FeatureMap:
        made = FeatureMap("measured", "")
        columns = {f"N{i}": {"source": "", "type": "numeric"} for i in range(self.numeric)}
        for name, size in self.sizes.items():
            source = self.sources.get(name, "")
            columns[name] = {"source": source, "type": "categorical", "padding_idx": 0, "vocab_size": size}
        made.features = OrderedDict(columns)
        made.labels = ["label"]
        made.default_emb_dim = self.embedding_dim
        made.num_fields = made.get_num_fields()
        made.total_features = sum(self.vocabulary)
        made.set_column_index()
        return made

    def columns(self, rows: int, seed: int = 0) -> dict[str, np.ndarray]:
        """Ids by a power law, as real ones are; a quarter of the labels is positive."""
        random = np.random.default_rng(seed)
        made = {f"N{i}": random.random(rows, dtype=np.float32) for i in range(self.numeric)}
        for name, size in self.sizes.items():
            made[name] = (1 + (size - 1) * random.random(rows) ** 3).astype(np.int32)
        made["label"] = (random.random(rows) < 0.25).astype(np.float32)
        return made

    def batch(self, rows: int, device: torch.device, seed: int = 0) -> dict[str, Tensor]:
        made = {}
        for name, values in self.columns(rows, seed).items():
            tensor = torch.from_numpy(values).to(device)
            is_numeric = name != "label" and tensor.is_floating_point()
            made[name] = tensor.unsqueeze(1) if is_numeric else tensor if name == "label" else tensor.long()
        return made


CRITEO = [1461, 558, 120_000, 90_000, 305, 20, 11_890, 633, 4, 40_000, 5000, 110_000, 3100, 27, 9000, 105_000, 11, 4500,
          2000, 5, 108_000, 18, 16, 50_000, 80, 40_000]  # fmt: skip
SMALL = [min(size, 1000) for size in CRITEO]
AVAZU = [8, 240, 1000, 1000, 27, 1000, 1000, 35, 1000, 1000, 1000, 6, 6, 1000, 9, 10, 440, 5, 69, 173, 61, 25, 8, 3]


def build(
    model_class: type,
    shape: Shape,
    /,  # models have settings of such names
    *,
    fast: bool,
    sparse: bool = False,
    hosted: bool = False,
    shared: bool = False,
    sharding: str | None = None,
    bf16: bool = False,
    quick_dropout: bool = False,
    compiled: bool = False,
    gpu: int = -1,
    root: Path | str = "unused",
    **settings: Any,
) -> Any:
    """A model ready to be stepped: FuxiCTR's own, or with our step, and what a run mixes in.

    A ``shared`` one is to be joined with those of other processes, and so is one with ``sharding``, which has a part of
    the tables; one of ``bf16`` has its products in bfloat16, as a run has them with quick dropout, and a ``compiled``
    one its forward pass through ``torch.compile``.
    """
    torch.manual_seed(0)
    step = (SparseEmbeddings,) if sparse else (FastStep,) if fast else ()
    tied = (ShardedMixin,) if sharding else (DistributedMixin,) if shared else ()
    around = (*tied, *((TrainerMixin,) if hosted else ()))
    asked = mixins(Training(amp="bf16" if bf16 else None, dropout_bits=16 if quick_dropout else None, compile=compiled))
    made = type("Measured" + model_class.__name__, (*around, *asked, *step, model_class), {})
    usual = {"optimizer": "adam", "loss": "binary_crossentropy", "metrics": ["AUC", "logloss"], "verbose": 0}
    with sharded_tables(sharding) if sharding else nullcontext():
        model = made(shape.feature_map(), gpu=gpu, model_root=str(root), **usual, **settings)
    return ready(model)


def ready(model: Any) -> Any:
    model._max_gradient_norm = GRADIENT_NORM
    return model.train()


def authors_model(checkout: Path, experiment: str, shape: Shape, gpu: int = -1, root: str = "unused") -> Any:
    """A model of the RankElastor authors' code, unmodified, by the settings of their own config file.

    Raises:
        UserError: there is no such checkout or experiment.
    """
    source, config = checkout / "src" / "__init__.py", checkout / "config" / "model_config.yaml"
    if not source.exists() or not config.exists():
        raise UserError(f"{checkout} must be a checkout of the RankElastor authors' code, with src/ and config/.")
    name = "rankelastor_authors"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, source, submodule_search_locations=[str(source.parent)])
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    settings = load_yaml(config).get(experiment)
    if settings is None:
        raise UserError(f"{config} must hold the experiment {experiment!r}, but does not.")
    torch.manual_seed(0)
    how = {"gpu": gpu, "model_root": root, "verbose": 0}
    return ready(getattr(sys.modules[name], settings["model"])(shape.feature_map(), **{**settings, **how}))


def write_data(folder: Path, shape: Shape, rows: int) -> dict[str, Path]:
    """The same rows as FuxiCTR's parquet and npz files and as our store; gives the path of each."""
    columns = shape.columns(rows)
    (folder / "parquet").mkdir(parents=True)
    pd.DataFrame(columns).to_parquet(folder / "parquet" / "part_0.parquet")
    np.savez(folder / "train.npz", **columns)
    types = {name: (values.dtype, 0) for name, values in columns.items()}
    with writing(folder / "store", rows, types) as writer:
        writer.append(columns)
    return {"parquet": folder / "parquet", "npz": folder / "train.npz", "store": folder / "store"}


def ray_loader(shape: Shape, path: Path, batch_size: int, split: str = "train") -> ParquetDataLoader:
    rows = {"batch_size": batch_size, "shuffle": split == "train"}
    return ParquetDataLoader(shape.feature_map(), str(path), split=split, **rows)


def npz_loader(shape: Shape, path: Path, batch_size: int) -> NpzDataLoader:
    return NpzDataLoader(shape.feature_map(), str(path), batch_size=batch_size, shuffle=True, num_workers=0)


class BareLoop:
    """A training loop written by hand for one model, with nothing a step does not need: the floor of overhead."""

    def __init__(self, model: nn.Module):
        self.model = model
        self.parameters = list(model.parameters())
        self.optimizer = torch.optim.Adam(self.parameters, lr=1e-3, fused=True)

    def train_step(self, batch: Mapping[str, Tensor]) -> None:
        self.optimizer.zero_grad()
        prediction = self.model(batch)["y_pred"]
        nn.functional.binary_cross_entropy(prediction, batch["label"].view(-1, 1)).backward()
        nn.utils.clip_grad_norm_(self.parameters, GRADIENT_NORM)
        self.optimizer.step()

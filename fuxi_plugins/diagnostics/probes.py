"""Effective ranks of a model's representations before, during and after training.

Two families at every stage: of a row, the rank of its (T, D) matrix of tokens, and of a token, the rank of the
(B, D) matrix of what it is in the sample's rows. A stage whose rows are vectors has the second alone, as one token.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from torch import Tensor

from fuxi_plugins.core.files import replacing
from fuxi_plugins.diagnostics.rank import MEASURES, gaussian_null, information_abundance, rank_measures, singular_values
from fuxi_plugins.diagnostics.representations import representations, table_weights
from fuxi_plugins.records.parts import RankFamily, RankSummary, StageRank

SAMPLE_ROWS = 128


def sample_of(num_rows: int, wanted: int = SAMPLE_ROWS) -> np.ndarray:
    """Evenly spaced rows of a split: the same for every model and seed, and drawn without a random number."""
    return np.unique(np.linspace(0, num_rows - 1, min(wanted, num_rows)).astype(np.int64))


@dataclass
class RankProbe:
    """Measures one model on one sample whenever it is asked to, and keeps what it found.

    Called after an evaluation it measures after the 1st, 2nd, 4th, 8th, ...: training moves fastest at its start.
    """

    rows: np.ndarray  # of the validation split
    batch: Mapping[str, Tensor]
    embedding_dim: int | None
    epochs: list[int] = field(default_factory=list)  # of each measurement; 0 before training, -1 the best weights
    seconds: float = 0.0
    evaluations: int = 0
    _found: list[dict[str, "Measured"]] = field(default_factory=list)
    _tables: list[dict[str, tuple[int, float]]] = field(default_factory=list)

    def __call__(self, model: Any, epoch: int) -> None:
        self.evaluations += 1
        if self.evaluations & (self.evaluations - 1) == 0:
            self.measure(model, epoch)

    def measure(self, model: Any, epoch: int) -> None:
        with self._timed():
            read = representations(model, self.batch, self.embedding_dim)
            self._found.append({name: measure_stage(value) for name, value in read.items()})
            self._tables.append({name: (len(t), abundance(t)) for name, t in table_weights(model).items()})
            self.epochs.append(epoch)

    def summary(self) -> RankSummary:
        """What goes into the record: the means of the first and the last measurement, with both null lines."""
        first, last = self._found[0], self._found[-1]
        stages = {}
        for name in first:
            families = {}
            for family, (rows, columns) in last[name].shapes.items():
                families[family] = RankFamily(
                    rows=rows,
                    columns=columns,
                    untrained=_means(first[name].values[family]),
                    trained=_means(last[name].values[family]),
                    gaussian=_gaussian(rows, columns),
                )
            stages[name] = StageRank(**families)
        return RankSummary(sample=len(self.rows), seconds=self.seconds, stages=stages)

    def write(self, path: Path) -> None:
        """Everything as HDF5.

        ``epoch`` (M,) says when each measurement was made: 0 before training, -1 with the best weights at the end.
        ``<stage>/<family>/<measure>`` is (M, members) float32; the members of ``row`` are the sample's rows, those of
        ``token`` the tokens. ``tables/<field>`` is (M,), the information abundance of an embedding table.
        """
        with self._timed(), replacing(path) as temporary, h5py.File(temporary, "w") as file:
            file["epoch"] = np.array(self.epochs, np.int32)
            file["validation_rows"] = self.rows
            for order, stage in enumerate(self._found[0]):
                group = file.create_group(stage)
                group.attrs["order"] = order
                for family, (rows, columns) in self._found[0][stage].shapes.items():
                    part = group.create_group(family)
                    part.attrs["shape"] = (rows, columns)
                    for name, value in _gaussian(rows, columns).items():
                        part.attrs[f"gaussian_{name}"] = value
                    for name in MEASURES:
                        values = np.stack([found[stage].values[family][name] for found in self._found])
                        part.create_dataset(name, data=values, compression="gzip", shuffle=True, track_times=False)
            for name, (vocabulary, _) in self._tables[0].items():
                values = np.array([tables[name][1] for tables in self._tables], np.float32)
                file.create_dataset(f"tables/{name}", data=values, track_times=False)
                file[f"tables/{name}"].attrs["vocabulary"] = vocabulary

    @contextmanager
    def _timed(self) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - started


@dataclass(frozen=True)
class Measured:
    """A stage at one moment."""

    shapes: dict[str, tuple[int, int]]  # family -> shape of its matrices
    values: dict[str, dict[str, np.ndarray]]  # family -> measure -> (members,) float32


def measure_stage(value: Tensor) -> Measured:
    """Both families of a stage, (B, T, D) or (B, width)."""
    families = {"token": value.transpose(0, 1) if value.dim() == 3 else value.unsqueeze(0)}
    if value.dim() == 3:
        families["row"] = value
    return Measured(
        shapes={name: (matrices.shape[-2], matrices.shape[-1]) for name, matrices in families.items()},
        values={
            name: {measure: found.float().cpu().numpy() for measure, found in rank_measures(matrices).items()}
            for name, matrices in families.items()
        },
    )


def abundance(table: Tensor) -> float:
    """Information abundance of an embedding table, (vocabulary, k); 0 for an empty one."""
    return float(information_abundance(singular_values(table))) if table.numel() else 0.0


def _means(values: Mapping[str, np.ndarray]) -> dict[str, float]:
    return {name: float(np.mean(found, dtype=np.float64)) for name, found in values.items()}


@cache
def _gaussian(rows: int, columns: int) -> dict[str, float]:
    return gaussian_null(rows, columns, draws=64)

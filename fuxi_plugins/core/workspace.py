"""Where a benchmark lives: its configs, its results, and the cache that may be deleted at any time."""

import os
from dataclasses import dataclass
from pathlib import Path

from fuxi_plugins.core.errors import UserError

CACHE_VARIABLE = "FUXIBENCH_CACHE"


@dataclass(frozen=True)
class Workspace:
    """Three folders. ``cache`` holds raw and prepared data and checkpoints; ``results`` holds what matters."""

    configs: Path
    results: Path
    cache: Path

    @classmethod
    def locate(cls, configs: Path | None = None, results: Path | None = None) -> "Workspace":
        """The workspace of the current folder, or of the checkout that this package runs from.

        Raises:
            UserError: no folder with benchmark configs is to be found.
        """
        here = Path.cwd()
        root = here if (here / "benchmark_configs").is_dir() else Path(__file__).resolve().parents[2]
        configs = (configs or root / "benchmark_configs").resolve()
        if not configs.is_dir():
            raise UserError(f"a folder of benchmark configs is needed, but {configs} does not exist.")
        cache = Path(os.environ.get(CACHE_VARIABLE) or root / ".cache")
        return cls(configs=configs, results=(results or root / "results").resolve(), cache=cache.resolve())

    def dataset_folder(self, dataset_id: str) -> Path:
        return self.cache / "datasets" / dataset_id

    def run_folder(self, dataset_id: str, experiment_id: str, seed: int) -> Path:
        return self.results / "runs" / dataset_id / experiment_id / f"seed-{seed}"

    def checkpoint_folder(self, dataset_id: str, experiment_id: str, seed: int) -> Path:
        return self.cache / "checkpoints" / dataset_id / experiment_id / f"seed-{seed}"

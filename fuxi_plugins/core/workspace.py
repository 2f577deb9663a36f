"""Where a benchmark lives: its configs, its results, and the cache that may be deleted at any time."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from fuxi_plugins.core.configs import Configs
from fuxi_plugins.core.errors import UserError

CACHE_VARIABLE = "FUXIBENCH_CACHE"
CONFIGS_FOLDER = "benchmark_configs"
RUNS_FOLDER = "runs"  # in the results
_PACKAGE = Path(__file__).resolve().parents[1]
# What the package brings: configs, templates, published results and measured times. A wheel holds them within the
# package; a checkout has them beside it.
CATALOGUE = _PACKAGE / "catalogue" if (_PACKAGE / "catalogue").is_dir() else _PACKAGE.parent


@dataclass(frozen=True)
class Workspace:
    """Three places. ``cache`` holds raw and prepared data and checkpoints; ``results`` holds what matters."""

    configs: Path  # one's own, which need not exist
    results: Path
    cache: Path
    catalogue: Path | None = None  # the shipped configs, where they are used as well

    @classmethod
    def locate(cls, configs: Path | None = None, results: Path | None = None) -> "Workspace":
        """The workspace of the current folder, which may be empty: its own configs stand over the shipped catalogue.

        Args:
            configs: a folder of configs to use alone, without the catalogue.
            results: a folder of results, instead of the workspace's own.

        Raises:
            UserError: the folder of configs does not exist.
        """
        root = Path.cwd()
        if configs and not configs.is_dir():
            raise UserError(f"a folder of benchmark configs is needed, but {configs} does not exist.")
        own, shipped = (configs or root / CONFIGS_FOLDER).resolve(), CATALOGUE / CONFIGS_FOLDER
        return cls(
            configs=own,
            results=(results or root / "results").resolve(),
            cache=Path(os.environ.get(CACHE_VARIABLE) or root / ".cache").resolve(),
            catalogue=None if configs or own == shipped else shipped,
        )

    @property
    def all_configs(self) -> Configs:
        """Where configs are read from."""
        return Configs(self.configs, self.catalogue)

    @property
    def unverified(self) -> "Workspace":
        """The same workspace with the results that others sent and nobody has verified."""
        return replace(self, results=self.results / "unverified")

    @property
    def boards_folder(self) -> Path:
        """Holds the leaderboards in every format, and the evidence that they rest on."""
        return self.results / "leaderboards"

    @property
    def compiled_folder(self) -> Path:
        """Holds compiled code of models, for the next run."""
        return self.cache / "compiled"

    def dataset_folder(self, dataset_id: str) -> Path:
        return self.cache / "datasets" / dataset_id

    def decoded_folder(self, dataset_id: str) -> Path:
        """Holds files that were written anew from encoded ones. Configs name them, so they do not lie in the cache."""
        return self.configs.parent / "decoded" / dataset_id

    def run_folder(self, dataset_id: str, experiment_id: str, seed: int) -> Path:
        return run_folder(self.results, dataset_id, experiment_id, seed)

    def checkpoint_folder(self, dataset_id: str, experiment_id: str, seed: int) -> Path:
        return self.cache / "checkpoints" / dataset_id / experiment_id / f"seed-{seed}"


def run_folder(results: Path, dataset_id: str, experiment_id: str, seed: int) -> Path:
    """Where a run leaves its record, predictions and log."""
    return results / RUNS_FOLDER / dataset_id / experiment_id / f"seed-{seed}"

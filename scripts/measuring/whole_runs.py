"""Whole runs on the quickstart's data by the command that users give, in a folder that is thrown away."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fuxi_plugins.core.files import write_text
from fuxi_plugins.core.workspace import CACHE_VARIABLE, Workspace
from fuxi_plugins.core.yaml_files import load_yaml
from fuxi_plugins.experiments.catalogue import load_experiment_config
from fuxi_plugins.records.files import find_records
from fuxi_plugins.records.record import FinishedRun, finished_runs

CONFIGS = Path(__file__).resolve().parents[2] / "benchmark_configs"
DATASET = "synthetic"
SUITE = "measured"


@dataclass(frozen=True)
class Runs:
    """A folder for runs, on a GPU by its number or, with -1, on the CPU.

    Args:
        folder: of configs, results and data; may hold those of earlier runs, whose data are used again.
        is_short: whether a training is one epoch over a tenth of the rows.
        until: on the clock of ``time.monotonic``, when whatever runs is stopped.
    """

    folder: Path
    gpu: int
    is_short: bool
    until: float = float("inf")

    def train(
        self, experiments: Mapping[str, Mapping[str, Any]], seeds: Sequence[int], jobs: int = 1
    ) -> tuple[dict[str, list[FinishedRun]], float]:
        """Runs experiments on the quickstart's data, each anew.

        Args:
            experiments: by a name, the model and its settings, as of :func:`quickstarts`.
            seeds: of each.
            jobs: runs at a time.

        Returns:
            The records of each experiment, and the seconds of the whole command, preparation of the data left out.

        Raises:
            RuntimeError: a run failed; what the command printed is in the message.
            TimeoutError: there was no time left.
        """
        self._write(experiments)
        if not (self.folder / "cache").exists():
            self._command("data", "prepare", DATASET)
        start = time.perf_counter()
        where = ["--gpu", str(self.gpu), "--jobs", str(jobs), "--seeds", ",".join(map(str, seeds))]
        self._command("run", SUITE, "--force", *where)
        taken = time.perf_counter() - start
        found = finished_runs(find_records(self.folder / "results"))
        return {name: [record for record in found if record.experiment == name] for name in experiments}, taken

    def _write(self, experiments: Mapping[str, Mapping[str, Any]]) -> None:
        short = {"epochs": 1} if self.is_short else {}
        entries = {name: {"dataset_id": DATASET, **settings, **short} for name, settings in experiments.items()}
        suite = {"title": "Measured", "experiments": list(entries), "seeds": [1]}
        dataset = load_yaml(CONFIGS / "dataset_config" / f"{DATASET}.yaml")
        if self.is_short:
            dataset[DATASET]["build_args"]["rows"] = [10_000, 2000, 2000]
        for kind, content in {"dataset_config": dataset, "model_config": entries, "suites": suite}.items():
            write_text(self.folder / "configs" / kind / f"{SUITE}.yaml", yaml.safe_dump(content, sort_keys=False))

    def _command(self, *words: str) -> None:
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("there is no time left")
        where = ["--configs", str(self.folder / "configs"), "--results", str(self.folder / "results")]
        try:
            done = subprocess.run(
                [sys.executable, "-m", "fuxi_plugins", *where, *words],
                env={**os.environ, CACHE_VARIABLE: str(self.folder / "cache")},
                capture_output=True,
                text=True,
                timeout=left if left < float("inf") else None,
            )
        except subprocess.TimeoutExpired as error:
            raise TimeoutError("there is no time left") from error
        if done.returncode:
            raise RuntimeError(f"fuxibench {' '.join(words)} failed:\n{done.stdout}{done.stderr}")


def quickstarts(row: str, **changes: Any) -> dict[str, Any]:
    """Model and settings of a row of the quickstart, as ``AutoInt+``, with some settings changed."""
    config = load_experiment_config(Workspace.locate().all_configs, f"{row}_{DATASET}")
    return {"model": config.model, **config.settings, **changes}

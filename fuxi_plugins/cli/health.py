"""Looks for what is wrong with this machine, the prepared data, records and boards."""

import importlib.metadata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from fuxi_plugins.analysis.evidence import read_evidence
from fuxi_plugins.analysis.find_evidence import evidence_files, find_evidence, predictions_digest
from fuxi_plugins.analysis.ranking import own_key
from fuxi_plugins.analysis.run_warnings import warnings_of
from fuxi_plugins.analysis.same_predictions import same_predictions
from fuxi_plugins.analysis.training_steps import FEW, few_steps
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import load_dataset_specs
from fuxi_plugins.datasets.inventory import latest_card
from fuxi_plugins.datasets.prepare import PreparedData, prepare_dataset
from fuxi_plugins.datasets.row_codes import row_codes
from fuxi_plugins.datasets.spec import SPLITS
from fuxi_plugins.datasets.unknown_ids import warnings as unknown_warnings
from fuxi_plugins.records.files import LeftOut, find_records
from fuxi_plugins.records.record import FinishedRun, Record, finished_runs

MOST_SHARED = 0.5  # of the test rows; more than that, with equal labels, is no new data


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    about: str
    text: str
    well: bool = True
    note: bool = False  # worth knowing, though nothing is wrong here


def examine(workspace: Workspace, pins: Path | None) -> Iterator[Finding]:
    """Looks at versions, devices, prepared datasets, records and boards.

    A warning that a run has given is a property of that result, and boards show it; so it is a note here.
    """
    yield from versions(pins)
    yield devices()
    for spec in load_dataset_specs(workspace.all_configs).values():
        if latest_card(spec.dataset_id, workspace):
            try:
                yield from splits(prepare_dataset(spec, workspace))
            except UserError as error:  # files that were moved or changed since they were prepared
                yield Finding(spec.dataset_id, str(error), well=False)
    left_out: list[LeftOut] = []
    records = find_records(workspace.results, left_out=left_out.append)
    for one in left_out:
        yield Finding("records", one.reason, well=False)
    for record in records:
        steps = few_steps(record)
        short = [f"trained for {steps} steps only, fewer than {FEW}: too few to compare models by"] if steps else []
        for text in [*warnings_of(record), *short]:
            yield Finding(f"{record.experiment} seed {record.seed}", text, note=True)
    yield from seeds(records, workspace)
    yield from evidence(records, workspace)


def seeds(records: Sequence[Record], workspace: Workspace) -> Iterator[Finding]:
    """Seeds of an experiment that predict the same; a run that was copied to another seed is wrong."""
    experiments: dict[tuple[str, str], list[FinishedRun]] = {}
    for record in finished_runs(records):
        experiments.setdefault((record.dataset, record.experiment), []).append(record)
    for runs in experiments.values():
        for same in same_predictions(runs, partial(predictions_digest, workspace=workspace)):
            yield Finding(same.experiment, same.sentence, well=not same.copied, note=not same.copied)


def evidence(records: Sequence[Record], workspace: Workspace) -> Iterator[Finding]:
    """Whether records and predictions are those that boards measured; measured anew where the data are prepared."""
    finished = finished_runs(records)
    wrong: set[str] = set()
    outdated = []
    for path in evidence_files(workspace):
        kept = read_evidence(path)
        if kept is None:
            outdated.append(path.name)
            continue
        runs: dict[str, list[FinishedRun]] = {}
        for record in finished:
            for key in (record.experiment, own_key(record)):
                if record.dataset == kept.dataset and record.seed in kept.runs.get(key, ()):
                    runs.setdefault(key, []).append(record)
        if runs:
            wrong |= set(find_evidence([path], runs, workspace).problems.values())
    for text in sorted(wrong):
        yield Finding("records", text, well=False)
    if outdated:
        yield Finding(
            "boards",
            f"measured by an older method: {', '.join(outdated)}; 'fuxibench leaderboard' measures anew from the data",
            well=False,
        )
    if not wrong:
        said = f"{len(records):,}, all as boards measured them" if records else "none in this workspace yet"
        yield Finding("records", said)


def versions(pins: Path | None) -> Iterator[Finding]:
    """Installed versions against those that the release was tested with."""
    if pins is None or not pins.exists():
        return
    differing = []
    for line in pins.read_text(encoding="utf-8").splitlines():
        name, exact, version = line.partition("==")
        if exact:
            try:
                installed = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                installed = "none"
            if installed.partition("+")[0] != version:
                differing.append(f"{name} {installed} (tested with {version})")
    yield Finding("versions", "; ".join(differing) or "all as tested by this release", well=not differing)


def devices() -> Finding:
    import torch

    gpus = (
        [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    )
    return Finding("devices", f"{torch.get_num_threads()} CPU threads, {', '.join(gpus) or 'no GPU'}")


def splits(data: PreparedData) -> Iterator[Finding]:
    """Whether test is new: not the validation rows, and not rows that train has already, labels included."""
    about = data.spec.dataset_id
    codes = {split: row_codes(data.split_folder(split)) for split in SPLITS}
    if data.card.valid_is_test or np.array_equal(np.sort(codes["valid"]), np.sort(codes["test"])):
        yield Finding(about, "validation is the test set, so early stopping and tuning see the test labels", well=False)
    else:
        yield Finding(about, "validation is not the test set")
    for split in ("train", "valid"):
        shared = float(np.isin(codes["test"], codes[split]).mean())
        yield Finding(about, f"{shared:.2%} of the test rows are also in {split}", well=shared <= MOST_SHARED)
    for warning in unknown_warnings(data.unknown):
        yield Finding(about, warning, well=False)

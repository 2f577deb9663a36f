"""The forms in which BARS and FuxiCTR publish results: a leaderboard csv, a folder a model, FuxiCTR's result line."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import yaml
from tabulate import tabulate

try:
    from yaml import CSafeDumper as SafeDumper  # libyaml's writer, where PyYAML was built with it
except ImportError:
    from yaml import SafeDumper

from fuxi_plugins.analysis.leaderboard import Leaderboard
from fuxi_plugins.core.cleaning import csv_text, markdown, visible
from fuxi_plugins.records.metrics import find_metric
from fuxi_plugins.records.record import FinishedRun, Record

NAMES = {"logloss": "Logloss"}  # of metrics that BARS's columns call otherwise


@dataclass(frozen=True)
class Origin:
    """Where a model comes from, for the columns about it."""

    year: str = ""
    publication: str = ""
    url: str = ""


def leaderboard_csv(board: Leaderboard, origins: Mapping[str, Origin], contributor: str) -> str:
    """BARS's leaderboard: one row a model with its mean over seeds, six digits; what has not finished is left out.

    Args:
        origins: by model.
        contributor: who ran it.
    """
    metrics = sorted(board.metrics, key=lambda metric: not find_metric(metric).per_group)  # as BARS has them
    header = ["Year", "Publication", "Model", "Paper URL", *(NAMES.get(metric, metric) for metric in metrics)]
    rows = []
    for row in board.rows:
        if row.rank:
            origin = origins.get(row.model, Origin())
            values = [f"{row.test[metric].mean:.6f}" for metric in metrics]
            about = [origin.year, origin.publication, row.display_name, origin.url]
            rows.append([*about, *values, f"{folder_name(row.display_name, board.dataset)}/README.md", contributor])
    return csv_text([*header, "Running Steps", "Contributor"], rows)


def result_line(record: FinishedRun, configs: str = "benchmark_configs") -> str:
    """The line that FuxiCTR's ``run_expid.py`` appends to its csv of results.

    Args:
        configs: the folder of configs that the run was started with.
    """
    time = datetime.fromisoformat(record.started).strftime("%Y%m%d-%H%M%S")
    gpu = 0 if record.machine and record.machine.device.startswith("cuda") else -1
    command = f"python scripts/run_expid.py --config {configs} --expid {record.experiment} --gpu {gpu}"
    return visible(
        f" {time},[command] {command},[exp_id] {record.experiment},[dataset_id] {record.dataset},[train] N.A.,"
        f"[val] {_metrics(_of_all_labels(record, 'valid'))},[test] {_metrics(_of_all_labels(record, 'test'))}"
    )


def result_folder(records: Sequence[FinishedRun]) -> dict[str, str]:
    """BARS's folder of one model on one dataset: its files by name.

    Args:
        records: the finished runs of one experiment.
    """
    first = records[0]
    name = folder_name(first.display_name, first.dataset)
    return {
        "README.md": _readme(name, records),
        "environments.txt": _environments(first),
        "results.csv": "".join(f"seed={record.seed},{result_line(record)}\n" for record in records),
        "model_config.yaml": model_config(first),
    }


def folder_name(display_name: str, dataset: str) -> str:
    return "".join(c if c.isalnum() or c in "_.+-" else "_" for c in f"{display_name}_{dataset}")


def _readme(name: str, records: Sequence[FinishedRun]) -> str:
    first = records[0]
    metrics = list(first.metrics["test"])
    values = {metric: [record.metrics["test"][metric] for record in records] for metric in metrics}
    rows = [[number, *(f"{values[m][number - 1]:.6f}" for m in metrics)] for number in range(1, len(records) + 1)]
    rows.append(["Avg", *(f"{statistics.fmean(values[m]):.6f}" for m in metrics)])
    if len(records) > 1:
        rows.append(["Std", *(f"{statistics.stdev(values[m]):.8f}" for m in metrics)])
    header = ["Runs", *(NAMES.get(m, m) for m in metrics)]
    table = tabulate(rows, headers=header, tablefmt="github", disable_numparse=True)
    seeds = ",".join(str(record.seed) for record in records)
    dataset = first.data.published_as or first.dataset
    sections = {
        "Environments": f"```\n{_environments(first)}```",
        "Dataset": f"Dataset ID: {dataset}; data fingerprint {first.data.fingerprint}.",
        "Code": f"fuxibench at commit {first.commit}:\n\n    fuxibench run {first.experiment} --seeds {seeds}",
        "Results": table,
        "Logs": "One record a run, with every epoch: results/runs.",
    }
    said = "".join(f"\n### {heading}\n\n{text}\n" for heading, text in sections.items())
    return f"## {name}\n\nThe {markdown(first.display_name)} model on the {first.dataset} dataset.\n{said}"


def _environments(record: FinishedRun) -> str:
    machine = record.machine
    if machine is None:
        return ""
    software = "".join(f"{name}: {version}\n" for name, version in machine.versions.items())
    hardware = f"device: {machine.device}\nCPU: {machine.processor}\nthreads: {machine.threads}\n"
    return f"[Hardware]\n{hardware}\n[Software]\n{software}"


def model_config(record: Record) -> str:
    """A run's whole configuration, as an experiment of FuxiCTR's ``model_config.yaml``."""
    settings = {name: value for part in record.params.values() for name, value in part.items()}
    own = {"model": record.model, "dataset_id": record.dataset, "seed": record.seed}
    return yaml.dump({record.experiment: {**own, **settings}}, Dumper=SafeDumper, sort_keys=False)


def _of_all_labels(record: FinishedRun, split: str) -> dict[str, float]:
    """Of a run that learns several labels the metrics of each, and under the metric's own name their mean."""
    if not record.further_metrics or record.data is None:
        return record.metrics[split]
    by_label = {record.data.label: record.metrics[split]}
    by_label |= {label: metrics[split] for label, metrics in record.further_metrics.items()}
    of_each = {f"{label}_{name}": value for label, metrics in by_label.items() for name, value in metrics.items()}
    means = {name: statistics.fmean(one[name] for one in by_label.values()) for name in record.metrics[split]}
    return of_each | means


def _metrics(metrics: Mapping[str, float]) -> str:
    return " - ".join(f"{name}: {value:.6f}" for name, value in metrics.items())

"""A run as the line that FuxiCTR's ``run_expid.py`` appends to its result file."""

from datetime import datetime

from fuxi_plugins.records import Metrics, Record


def result_line(record: Record, command: str, now: datetime) -> str:
    """One line without its end, in FuxiCTR's format, leading blank included; the commas in it quote nothing."""
    parts = [
        f" {now:%Y%m%d-%H%M%S}",
        f"[command] {command}",
        f"[exp_id] {record.experiment}",
        f"[dataset_id] {record.dataset}",
        "[train] N.A.",
        f"[val] {_listed(record.metrics['valid'])}",
        f"[test] {_listed(record.metrics['test'])}",
    ]
    return ",".join(parts)


def _listed(metrics: Metrics) -> str:
    return " - ".join(f"{name}: {value:.6f}" for name, value in metrics.items())

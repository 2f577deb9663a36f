"""The reproduction ledger as Markdown, CSV or JSON."""

import json
from collections.abc import Sequence

from tabulate import tabulate

from fuxi_plugins.analysis.ledger import Agreement, Entry, agreements
from fuxi_plugins.core.cleaning import csv_text, json_value, markdown
from fuxi_plugins.records.metrics import Metric, find_metric, main_metric

LEDGER_FORMATS = ("md", "csv", "json")


def render_ledger(entries: Sequence[Entry], form: str) -> str:
    """The ledger in one of :data:`LEDGER_FORMATS`."""
    if form == "md":
        return _markdown(entries)
    flat = [flat_entry(entry) for entry in entries]
    if form == "csv":
        return csv_text(list(flat[0]) if flat else [], (row.values() for row in flat))
    if form == "json":
        return json.dumps(json_value(flat), indent=1) + "\n"
    raise ValueError(f"the formats are {', '.join(LEDGER_FORMATS)}, not {form!r}")


def flat_entry(entry: Entry) -> dict[str, object]:
    """One plain value a field, full precision."""
    ours, interval = entry.ours, entry.ours.interval if entry.ours else None
    return {
        "dataset": entry.dataset,
        "model": entry.model,
        "metric": entry.metric,
        "paper": entry.paper,
        "bars": entry.bars,
        "bars_mean": entry.bars_mean,
        "bars_best": entry.bars_best,
        "bars_runs": entry.bars_runs,
        "valid_is_test": entry.valid_is_test,
        "our_dataset": ours.dataset if ours else None,
        "our_experiment": ours.experiment if ours else None,
        "ours": ours.mean if ours else None,
        "our_std": ours.std if ours else None,
        "our_seeds": ours.seeds if ours else None,
        "our_low": interval.low if interval else None,
        "our_high": interval.high if interval else None,
        "gap": entry.gap,
        "verdict": entry.verdict.word,
        "reason": entry.verdict.reason,
        "source": entry.source,
    }


def _markdown(entries: Sequence[Entry]) -> str:
    metric = find_metric(entries[0].metric if entries else main_metric())
    header = ["dataset", "model", "paper", "BARS", "BARS mean", "BARS best", "runs", "ours", "95% of seeds", "gap"]
    header += ["verdict", "reason"]
    rows = [
        [
            entry.dataset + (" (valid = test)" if entry.valid_is_test else ""),
            entry.model,
            *(_value(value, metric) for value in (entry.paper, entry.bars, entry.bars_mean, entry.bars_best)),
            str(entry.bars_runs or "–"),
            _value(entry.ours.mean if entry.ours else None, metric),
            f"{metric.show_end(interval.low)}–{metric.show_end(interval.high)}"
            if entry.ours and (interval := entry.ours.interval)
            else "–",
            "–" if entry.gap is None else metric.show_difference(entry.gap),
            entry.verdict.word,
            entry.verdict.reason or "–",
        ]
        for entry in entries
    ]
    table = tabulate([[markdown(cell) for cell in row] for row in rows], headers=header, tablefmt="pipe",
                     disable_numparse=True)  # fmt: skip
    parts = [f"# Reproduction ledger, test {metric.name}", *map(agreement_sentence, agreements(entries)), table]
    return "\n\n".join(parts) + "\n"


def agreement_sentence(agreement: Agreement) -> str:
    return (
        f"{agreement.dataset}: {agreement.models} models have both a published value and ours. The median absolute gap "
        f"is {agreement.median_gap:.4f}, Spearman's correlation of the two orders {agreement.spearman:.2f}."
    )


def _value(value: float | None, metric: Metric) -> str:
    return "–" if value is None else metric.show(value)

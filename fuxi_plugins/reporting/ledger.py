"""The reproduction ledger as Markdown, CSV or JSON."""

import csv
import io
import json
from collections.abc import Sequence

from tabulate import tabulate

from fuxi_plugins.analysis.ledger import Agreement, Entry, agreements
from fuxi_plugins.reporting.formats import markdown

LEDGER_FORMATS = ("md", "csv", "json")


def render_ledger(entries: Sequence[Entry], form: str) -> str:
    """The ledger in one of :data:`LEDGER_FORMATS`."""
    if form == "md":
        return _markdown(entries)
    flat = [flat_entry(entry) for entry in entries]
    if form == "csv":
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, fieldnames=list(flat[0]) if flat else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(flat)
        return buffer.getvalue()
    if form == "json":
        return json.dumps(flat, indent=1) + "\n"
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
    metric = entries[0].metric if entries else "AUC"
    header = ["dataset", "model", "paper", "BARS", "BARS mean", "BARS best", "runs", "ours", "95% of seeds", "gap"]
    header += ["verdict", "reason"]
    rows = [
        [
            entry.dataset + (" (valid = test)" if entry.valid_is_test else ""),
            entry.model,
            *map(_value, (entry.paper, entry.bars, entry.bars_mean, entry.bars_best)),
            str(entry.bars_runs or "–"),
            _value(entry.ours and entry.ours.mean),
            f"{interval.low:.4f}–{interval.high:.4f}" if entry.ours and (interval := entry.ours.interval) else "–",
            "–" if entry.gap is None else f"{entry.gap:+.5f}",
            entry.verdict.word,
            entry.verdict.reason or "–",
        ]
        for entry in entries
    ]
    table = tabulate([[markdown(cell) for cell in row] for row in rows], headers=header, tablefmt="pipe",
                     disable_numparse=True)  # fmt: skip
    parts = [f"# Reproduction ledger, test {metric}", *map(agreement_sentence, agreements(entries)), table]
    return "\n\n".join(parts) + "\n"


def agreement_sentence(agreement: Agreement) -> str:
    return (
        f"{agreement.dataset}: {agreement.models} models have both a published value and ours. The median absolute gap "
        f"is {agreement.median_gap:.4f}, Spearman's correlation of the two orders {agreement.spearman:.2f}."
    )


def _value(value: float | None) -> str:
    return "–" if value is None else f"{value:.5f}"

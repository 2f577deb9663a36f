"""Models across datasets: sentences, csv files and figures."""

import itertools
from collections.abc import Mapping
from pathlib import Path

from fuxi_plugins.analysis.across import Across, smallest_p, units_needed
from fuxi_plugins.analysis.statistics.noise import Interval
from fuxi_plugins.analysis.tradeoff import COSTS, Tradeoff
from fuxi_plugins.core.cleaning import csv_text
from fuxi_plugins.core.files import write_text
from fuxi_plugins.reporting.across_figures import figures


def write_across(found: Across, costs: Tradeoff, folder: Path) -> list[Path]:
    """Writes ``models.csv``, ``pairs.csv``, ``datasets.csv``, ``summary.md``, and each figure as PNG and SVG."""
    texts = {
        "models.csv": models_csv(found, costs),
        "pairs.csv": pairs_csv(found),
        "datasets.csv": csv_text(["dataset", "log"], zip(found.datasets, found.logs, strict=True)),
        "summary.md": summary(found, costs),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    drawn = [path for drawing in figures(found, costs) for path in drawing.save(folder)]
    return [*(folder / name for name in texts), *drawn]


def summary(found: Across, costs: Tradeoff) -> str:
    """What the datasets say, and what so few of them cannot."""
    best = found.models[0]
    front = [model for model, on in zip(found.models, costs.front, strict=True) if on]
    between = "; " if found.unit == "log" else ", "
    listed = between.join(", ".join(datasets) for datasets in found.datasets_by_log)
    lines = [
        f"{len(found.models)} models on {found.how_many} ({listed}), by test {found.metric.name}; {found.unit}s are "
        "the independent units.",
        *about_logs(found),
        f"Best average rank: {best}, {found.average_ranks[0]:.2f}{_in_brackets(found.rank_intervals[0])}.",
        *limits(found),
        *(["What is significant on each dataset by itself is in pairs.csv."] if limits(found) else []),
        *(
            [f"Friedman's test that all models are equal: p = {found.friedman_p:.2g}."]
            if found.friedman_p is not None
            else []
        ),
        f"Significant differences over {found.unit}s by {TESTS[found.test]}: {_significant_pairs(found)} of "
        f"{_pairs(found)} pairs.",
        f"Nemenyi's critical difference of average ranks: {found.critical_difference:.2f}.",
        f"On the front of {found.metric.name} and {COSTS[costs.cost_name]}, by the means: {', '.join(front)}.",
        *([costs.caveat] if costs.caveat else []),
        *sentences_of_left_out(found.left_out),
        *(f"⚠ {sentence}" for sentence in found.outdated),
    ]
    return "\n".join(f"- {line}" for line in lines) + "\n"


def sentences_of_left_out(left_out: Mapping[str, str]) -> list[str]:
    """One sentence a reason, of models with the reasons why they are left out."""
    models: dict[str, list[str]] = {}
    for model, reason in left_out.items():
        models.setdefault(reason, []).append(model)
    return [f"Left out: {', '.join(named)} ({reason})." for reason, named in models.items()]


TESTS = {
    "wilcoxon": "Wilcoxon's signed-rank test and Holm's procedure",
    "nemenyi": "Nemenyi's test of average ranks",
}


def about_logs(found: Across) -> list[str]:
    """What it means that several datasets are of one log, where some are."""
    if found.unit == "dataset":
        return []
    return [
        "Splits of one log share rows, users and items: a model's ranks, wins, values and costs are averaged within "
        "each log first."
    ]


def limits(found: Across) -> list[str]:
    """What this number of logs allows Wilcoxon's test to find."""
    units, pairs = found.units, _pairs(found)
    needed = units_needed(pairs)
    if units >= needed:
        return []
    return [
        f"{units} {found.unit}s are too few for Wilcoxon's test of all {pairs:,} pairs, which needs {needed}: "
        f"its p is at least {smallest_p(units):.2g}. One planned comparison needs {units_needed(1)}."
    ]


def models_csv(found: Across, costs: Tradeoff) -> str:
    """A line a model: average rank, gap to the best, cost, each with its interval; and its rank on each dataset."""
    gaps, name = found.gaps, found.metric.name
    header = ["model", "average_rank", "average_rank_low", "average_rank_high", "letters", "mean_win_rate"]
    header += [f"mean_{name}_gap_to_best", "gap_low", "gap_high", costs.cost_name, "cost_low", "cost_high", "on_front"]
    header += [f"{what}_{dataset}" for dataset in found.datasets for what in (name, "rank", "gap")]
    rows = []
    for m, model in enumerate(found.models):
        others = [found.wins[m, other] for other in range(len(found.models)) if other != m]
        rows.append(
            [
                model, float(found.average_ranks[m]), *_ends(found.rank_intervals[m]), found.letters[m],
                float(sum(others) / len(others)),
                float(costs.quality[m]), *_ends(costs.quality_intervals[m]),
                float(costs.cost[m]), *_ends(costs.cost_intervals[m]), bool(costs.front[m]),
                *(float(table[d, m]) for d in range(len(gaps)) for table in (found.values, found.ranks, gaps)),
            ]
        )  # fmt: skip
    return csv_text(header, rows)


def pairs_csv(found: Across) -> str:
    """A line a pair, the one with the better average rank first."""
    header = ["a", "b", "datasets", "logs", "win_rate_of_a", "significantly_better_a", "significantly_better_b",
              "wilcoxon_p", "wilcoxon_p_holm"]  # fmt: skip
    rows = [
        [found.models[a], found.models[b], len(found.datasets), found.units, float(found.wins[a, b]),
         int(found.significant_wins[a, b]), int(found.significant_wins[b, a]),
         float(found.p_values[a, b]), float(found.adjusted[a, b])]
        for a, b in itertools.combinations(range(len(found.models)), 2)
    ]  # fmt: skip
    return csv_text(header, rows)


def _pairs(found: Across) -> int:
    return len(found.models) * (len(found.models) - 1) // 2


def _significant_pairs(found: Across) -> int:
    return sum(not set(a) & set(b) for a, b in itertools.combinations(found.letters, 2))


def _in_brackets(interval: Interval | None) -> str:
    return f" (95% {interval.low:.2f} to {interval.high:.2f})" if interval else ""


def _ends(interval: Interval | None) -> tuple[float | None, float | None]:
    return (interval.low, interval.high) if interval else (None, None)

"""Two boards of the same models beside each other, as text and as JSON."""

import math
from typing import Any

from tabulate import tabulate

from fuxi_plugins.analysis.splits import Agreement, Pair, Splits
from fuxi_plugins.analysis.statistics.noise import LEVEL
from fuxi_plugins.analysis.suite_board import SuiteBoard
from fuxi_plugins.reporting.across import sentences_of_left_out
from fuxi_plugins.reporting.notes import outdated_notes

MOST_PAIRS = 30  # that the text shows of a kind


def render_splits(found: Splits) -> str:
    """Both orders in one table, Kendall's tau-b, the winners, and the pairs that the boards decide differently."""
    first, second = (board.suite for board in found.boards)
    agreement = found.agreement
    lines = [f"{first} and {second}: {len(agreement.models)} models by test {found.metric.name}.", "", _orders(found)]
    lines += ["", _tau(agreement), *_counted(found), "", *_winners(found), "", _counts(found)]
    reversed_pairs = [pair for pair in agreement.pairs if pair.is_reversed]
    if reversed_pairs:
        lines += ["", "Reversed, significantly on both boards:", "", _pairs(found, reversed_pairs)]
    once = [pair for pair in agreement.pairs if pair.is_decided_once]
    if once:
        lines += ["", "Significant on one board alone (*):", "", _pairs(found, once)]
    if found.left_out:
        lines += ["", *sentences_of_left_out(found.left_out)]
    if outdated := [note for board in found.boards for note in outdated_notes(board.board)]:
        lines += ["", *outdated]
    return "\n".join(lines) + "\n"


def splits_to_json(found: Splits) -> dict[str, Any]:
    """The same; NaN of a pair that a board does not compare becomes None."""
    agreement = found.agreement
    return {
        "metric": found.metric.name,
        "boards": [
            {
                "suite": board.suite,
                "dataset": board.board.dataset,
                "counts_test_rows": _counts_test_rows(board, found.metric.name),
                "best": agreement.best(place)[0],
                "not_significantly_worse": agreement.best(place)[1:],
            }
            for place, board in enumerate(found.boards)
        ],
        "models": [
            {
                "model": model,
                "ranks": [int(order.ranks[place]) for order in agreement.orders],
                "means": [row.test[found.metric.name].mean for row in found.rows[model]],
            }
            for place, model in enumerate(agreement.models)
        ],
        "tau_b": _number(agreement.tau),
        "tau_b_interval": [agreement.interval.low, agreement.interval.high],
        "p_of_unrelated_orders": _number(agreement.unrelated_p),
        "best_on_both": agreement.best_on_both,
        "pairs": len(agreement.pairs),
        "same_on_both": sum(pair.is_same for pair in agreement.pairs),
        "reversed": [_pair_to_json(pair) for pair in agreement.pairs if pair.is_reversed],
        "significant_on_one": [_pair_to_json(pair) for pair in agreement.pairs if pair.is_decided_once],
        "left_out": found.left_out,
    }


def _orders(found: Splits) -> str:
    metric, agreement = found.metric, found.agreement
    rows = []
    for place, model in enumerate(agreement.models):
        cells = [model]
        for order, row in zip(agreement.orders, found.rows[model], strict=True):
            cells += [str(order.ranks[place]), metric.show(row.test[metric.name].mean)]
        rows.append(cells)
    header = ["model"]
    for board in found.boards:
        header += [f"rank on {board.suite}", metric.name]
    return tabulate(rows, header, "pipe", disable_numparse=True, colalign=["left"] + ["right"] * 4)


def _tau(agreement: Agreement) -> str:
    models, pairs = len(agreement.models), len(agreement.pairs)
    interval = agreement.interval
    return (
        f"Kendall's tau-b of the two orders: {agreement.tau:.2f} (95%: {interval.low:.2f} to {interval.high:.2f}). "
        f"With {models} models one pair is worth {2 / pairs:.2g} of tau, and two unrelated orders are at least as far "
        f"from 0 with probability {agreement.unrelated_p:.2g}."
    )


def _counted(found: Splits) -> list[str]:
    """What the interval counts."""
    without = [board.suite for board in found.boards if not _counts_test_rows(board, found.metric.name)]
    sampling = " and the sampling of test rows"
    if without:
        sampling = f", but not the sampling of test rows on {' and '.join(without)}, where it has not been measured"
    counted = [
        f"The interval counts the noise between seeds{sampling}. A pair whose difference is not significant on a board "
        "may stand there in either order."
    ]
    for board in found.boards:
        unknown = set(board.board.inference.not_compared()) if board.board.inference else set()
        models = [name for name, rows in found.rows.items() if unknown & {row.key for row in rows}]
        if models:
            counted.append(f"{board.suite} compares {', '.join(models)} with no other model: one seed, unknown noise.")
    return counted


def _counts_test_rows(board: SuiteBoard, metric: str) -> bool:
    return bool(board.board.evidence and metric in board.board.evidence.sampling)


def _winners(found: Splits) -> list[str]:
    agreement = found.agreement
    lines = []
    for place, board in enumerate(found.boards):
        best, *alike = agreement.best(place)
        others = f"; not significantly worse: {', '.join(alike)}" if alike else "; all others are significantly worse"
        lines.append(f"Best on {board.suite}: {best}{others}.")
    both = agreement.best_on_both
    if both:
        lines.append(f"Not significantly worse than the best on either board: {', '.join(both)}.")
    else:
        lines.append("No model is among the best of both boards: here the split chooses the winner.")
    return lines


def _counts(found: Splits) -> str:
    pairs = found.agreement.pairs
    same, turned = sum(pair.is_same for pair in pairs), sum(pair.is_reversed for pair in pairs)
    once = sum(pair.is_decided_once for pair in pairs)
    return (
        f"Of {len(pairs):,} pairs {same + turned:,} are significant on both boards ({same:,} in the same order, "
        f"{turned:,} reversed), {once:,} on one alone, {len(pairs) - same - turned - once:,} on neither. Significance "
        f"is that of each board: all its pairs, Holm's procedure, level {LEVEL:.0%}."
    )


def _pairs(found: Splits, pairs: list[Pair]) -> str:
    """One line a pair: the first model less the second on each board, with a star where it is significant."""
    more = len(pairs) - MOST_PAIRS
    show = found.metric.show_difference
    rows = [
        [f"{pair.a} - {pair.b}"]
        + [show(effect) + ("*" if decided else " ") for effect, decided in zip(pair.effects, pair.decided, strict=True)]
        for pair in pairs[:MOST_PAIRS]
    ]
    header = [f"difference in {found.metric.compared_name}", *(board.suite for board in found.boards)]
    table = tabulate(rows, header, "pipe", disable_numparse=True, colalign=["left", "right", "right"])
    return f"{table}\n\n{more:,} more pairs are in --json." if more > 0 else table


def _pair_to_json(pair: Pair) -> dict[str, Any]:
    return {
        "a": pair.a,
        "b": pair.b,
        "a_less_b": list(pair.effects),
        "adjusted_p": [_number(p) for p in pair.adjusted],
        "significant": [bool(decided) for decided in pair.decided],
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None

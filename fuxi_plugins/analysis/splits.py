"""Whether two boards of the same models, as on two splits of one dataset, order them alike.

Kendall's tau-b compares the two orders pair by pair. Its interval follows from the boards' own tests, which count the
noise between seeds and the sampling of test rows. A pair that a board decides keeps its order; any other pair may stand
either way, so that tau lies between the two values in which all of these disagree or all agree.

A bootstrap of the means would be narrower and wrong. Noise lowers the agreement of two orders, and a bootstrap adds
noise to means that are noisy already: where both boards have the same true order and close models, its interval lies
below tau = 1. No interval can do without the undecided pairs, because data do not tell the sign of a difference near 0.
Confidence sets of ranks are built from tests of pairs in the same way (Mogstad, Romano, Shaikh and Wilhelm, Review of
Economic Studies 91, 2024).
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from fuxi_plugins.analysis.leaderboard import Row
from fuxi_plugins.analysis.statistics.inference import Inference
from fuxi_plugins.analysis.statistics.noise import Interval
from fuxi_plugins.analysis.suite_board import SuiteBoard, whole_rows
from fuxi_plugins.analysis.uncertainty import ranked_by
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.metrics import Metric, find_metric, main_metric

FEWEST_MODELS = 3


@dataclass(frozen=True)
class Order:
    """M models by their means on one board.

    Args:
        effects: (M, M), the row less the column, in the numbers by which the metric compares.
        better: (M, M), 1 where the row has the better mean than the column, -1 where the worse, 0 where they are equal.
        adjusted: (M, M) p values by Holm's procedure over all pairs of the board; NaN where not compared.
        decided: (M, M), ``better`` where the difference is significant, else 0.
    """

    effects: np.ndarray
    better: np.ndarray
    adjusted: np.ndarray
    decided: np.ndarray

    @classmethod
    def of(cls, inference: Inference, names: Sequence[str] | None = None) -> "Order":
        """The rows ``names`` of a board, in this order; the tests remain those of the whole board. Default: all."""
        places = [inference.names.index(name) for name in (inference.names if names is None else names)]
        square = np.ix_(places, places)
        effects = inference.effects[square]
        better = np.sign(effects).astype(int) * (1 if inference.higher_is_better else -1)
        return cls(effects, better, inference.adjusted[square], better * inference.significant[square])

    @property
    def ranks(self) -> np.ndarray:
        """(M,) among these models; equal ones share the best of their ranks."""
        return 1 + (self.better < 0).sum(1)

    @property
    def best(self) -> int:
        """The place of the model with the best mean."""
        return int(np.argmin(self.ranks))

    @property
    def like_the_best(self) -> list[int]:
        """Places of the models that are not significantly worse than the best, without that one, best first."""
        by_rank = np.argsort(self.ranks, kind="stable").tolist()
        return [place for place in by_rank if place != self.best and not self.decided[self.best, place]]


@dataclass(frozen=True)
class Pair:
    """Two models on both boards; ``a`` has the better mean on the first.

    Args:
        effects: of each board, ``a`` less ``b``.
        adjusted: p of each board; NaN where it does not compare the two.
        decided: of each board: 1 if ``a`` is significantly better, -1 if ``b`` is, 0 if neither.
    """

    a: str
    b: str
    effects: tuple[float, float]
    adjusted: tuple[float, float]
    decided: tuple[int, int]

    @property
    def is_reversed(self) -> bool:
        """Significant on both boards, in opposite orders."""
        return self.decided[0] * self.decided[1] < 0

    @property
    def is_same(self) -> bool:
        """Significant on both boards, in the same order."""
        return self.decided[0] * self.decided[1] > 0

    @property
    def is_decided_once(self) -> bool:
        """Significant on one board alone."""
        return bool(self.decided[0]) != bool(self.decided[1])


@dataclass(frozen=True)
class Agreement:
    """How far two boards order the same M models alike.

    Args:
        models: their names, in the order of the rows of ``orders``.
    """

    models: list[str]
    orders: tuple[Order, Order]

    @property
    def tau(self) -> float:
        """Kendall's tau-b of the mean metrics (Kendall, Biometrika 33, 1945); NaN if all means of a board are equal."""
        return self._kendall()[0]

    @property
    def unrelated_p(self) -> float:
        """How often two unrelated orders of so many models have a tau at least as far from 0."""
        return self._kendall()[1]

    def _kendall(self) -> tuple[float, float]:
        """Tau-b and its two-sided p, which is exact for few models without ties."""
        first, second = (order.ranks for order in self.orders)
        found = stats.kendalltau(first, second, variant="b")
        return float(found.statistic), float(found.pvalue)

    @property
    def interval(self) -> Interval:
        """95%, of tau between the orders expected over seeds and test rows, which have no ties.

        Each board's tests have level 5% for all its pairs together. They err on either side of a difference, so that a
        board shows some pair in the wrong order about half as often, and the two boards together in 5% of cases.
        """
        first, second = (order.decided for order in self.orders)
        agreed = first * second
        pairs = len(self.models) * (len(self.models) - 1)  # each twice, as in the matrices
        undecided = pairs - np.count_nonzero(agreed)
        return Interval(float((agreed.sum() - undecided) / pairs), float((agreed.sum() + undecided) / pairs))

    @property
    def pairs(self) -> list[Pair]:
        """All pairs, in the order of the first board's ranks."""
        by_rank = np.argsort(self.orders[0].ranks, kind="stable").tolist()
        return [self._pair(a, b) for a, b in itertools.combinations(by_rank, 2)]

    def _pair(self, a: int, b: int) -> Pair:
        first, second = self.orders
        return Pair(
            self.models[a],
            self.models[b],
            (float(first.effects[a, b]), float(second.effects[a, b])),
            (float(first.adjusted[a, b]), float(second.adjusted[a, b])),
            (int(first.decided[a, b]), int(second.decided[a, b])),
        )

    def best(self, board: int) -> list[str]:
        """The best model of a board, 0 or 1, and then those that are not significantly worse."""
        order = self.orders[board]
        return [self.models[place] for place in (order.best, *order.like_the_best)]

    @property
    def best_on_both(self) -> list[str]:
        """Models that neither board tells from its best."""
        return [name for name in self.best(0) if name in self.best(1)]


@dataclass(frozen=True)
class Splits:
    """Two boards and how far they agree.

    Args:
        rows: of each model that both boards have, one row a board; in the order of the first board's ranks.
        left_out: models without a result on both boards, with the reason.
    """

    boards: tuple[SuiteBoard, SuiteBoard]
    metric: Metric
    rows: dict[str, list[Row]]
    agreement: Agreement
    left_out: dict[str, str]


def compare_splits(first: SuiteBoard, second: SuiteBoard, metric: str | None = None) -> Splits:
    """
    Args:
        first, second: with their uncertainty.
        metric: None: the first of the table of metrics that both boards have.

    Raises:
        UserError: a board lacks the metric, or the boards share fewer than ``FEWEST_MODELS`` models.
    """
    shared = _shared_metric(first, second, metric)
    boards = _ranked_by(first, shared), _ranked_by(second, shared)
    rows, left_out = whole_rows(boards, list(dict.fromkeys(boards[0].models + boards[1].models)), shared)
    if len(rows) < FEWEST_MODELS:
        raise UserError(
            f"two orders are compared by at least {FEWEST_MODELS} models with results on both boards, but "
            f"{first.suite} and {second.suite} share {', '.join(rows) or 'none'}. 'fuxibench leaderboard' shows which "
            "runs a board lacks."
        )
    firsts, seconds = zip(*rows.values(), strict=True)
    orders = _order(boards[0], firsts), _order(boards[1], seconds)
    return Splits(boards, shared, rows, Agreement(list(rows), orders), left_out)


def _ranked_by(board: SuiteBoard, metric: Metric) -> SuiteBoard:
    return SuiteBoard(board.suite, ranked_by(board.board, metric.name))


def _order(board: SuiteBoard, rows: Sequence[Row]) -> Order:
    if board.board.inference is None:
        raise ValueError(f"the board of {board.suite} was made without its uncertainty")
    return Order.of(board.board.inference, [row.key for row in rows])


def _shared_metric(first: SuiteBoard, second: SuiteBoard, asked: str | None) -> Metric:
    shared = [name for name in first.board.metrics if name in second.board.metrics]
    wanted = find_metric(asked).name if asked else None
    if not shared or (wanted and wanted not in shared):
        listed = "; ".join(f"{one.suite} has {', '.join(one.board.metrics)}" for one in (first, second))
        raise UserError(
            f"both boards must have {f'the metric {wanted}' if wanted else 'a metric in common'}: {listed}."
        )
    return find_metric(wanted or main_metric(shared))

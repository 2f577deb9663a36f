"""Boards of several suites beside each other, and the rows of a model on all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from fuxi_plugins.analysis.leaderboard import Leaderboard, Row
from fuxi_plugins.core.errors import UserError, did_you_mean
from fuxi_plugins.records.metrics import Metric


@dataclass(frozen=True)
class SuiteBoard:
    """A board with the name of its suite."""

    suite: str
    board: Leaderboard

    def row(self, model: str) -> Row | None:
        """The model's row; runs with other settings or code than most of an experiment's are none of it."""
        return next((row for row in self.board.rows if row.preset == model and row.key == row.experiment), None)

    @property
    def models(self) -> list[str]:
        return [row.preset for row in self.board.rows if row.key == row.experiment]

    def hole(self, model: str, metric: Metric) -> str:
        """Why the model has no value of a metric here; "" where it has one."""
        row = self.row(model)
        if row is None:
            return f"not on the board {self.suite}"
        if metric.name in row.test:
            return ""
        return _problems(row) or f"{metric.name} was not measured"


def _problems(row: Row) -> str:
    """What is wrong with a row's runs; seeds with the same reason stand together."""
    seeds: dict[str, list[str]] = {}
    for text in row.problems:
        seed, _, reason = text.partition(": ")
        seeds.setdefault(reason, []).append(seed)
    return "; ".join(", ".join(named) + (f": {reason}" if reason else "") for reason, named in seeds.items())


def whole_rows(
    boards: Sequence[SuiteBoard], models: Sequence[str], metric: Metric
) -> tuple[dict[str, list[Row]], dict[str, str]]:
    """The rows, one a board, of each model with a value on every board; and why the others have none."""
    rows, left_out = {}, {}
    for model in models:
        holes = [f"on {board.board.dataset}: {text}" for board in boards if (text := board.hole(model, metric))]
        if holes:
            left_out[model] = "; ".join(holes)
        else:
            rows[model] = [row for board in boards if (row := board.row(model))]
    return rows, left_out


def require_each_dataset_once(boards: Sequence[SuiteBoard]) -> None:
    """
    Raises:
        UserError: two boards of one dataset.
    """
    seen: dict[str, str] = {}
    for board in boards:
        dataset = board.board.dataset
        if dataset in seen:
            raise UserError(
                f"each dataset may stand once, but {dataset} is that of {seen[dataset]} and of {board.suite}; "
                "name one of the two."
            )
        seen[dataset] = board.suite


def require_models(boards: Sequence[SuiteBoard], models: Sequence[str]) -> None:
    """
    Raises:
        UserError: a name that no row of the boards has.
    """
    known = {name for board in boards for name in board.models}
    for name in models:
        if name not in known:
            listed = ", ".join(board.suite for board in boards)
            raise UserError(f"no model {name!r} stands on {listed}{did_you_mean(name, known) or '.'}")

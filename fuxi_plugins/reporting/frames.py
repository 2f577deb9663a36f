"""Records and boards as pandas tables, and a board as a figure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from fuxi_plugins.analysis.leaderboard import Leaderboard
from fuxi_plugins.records.metrics import find_metric
from fuxi_plugins.records.record import Record
from fuxi_plugins.reporting.formats import plain_rows, render

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def runs_frame(records: Iterable[Record]) -> pd.DataFrame:
    """One row a run: names, status, ``test_AUC`` and the like, cost, and every resolved setting as ``set_NAME``."""
    return pd.DataFrame([_run(record) for record in records])


def _run(record: Record) -> dict[str, object]:
    settings = {**record.params.get("model", {}), **record.params.get("training", {})}
    return {
        "dataset": record.dataset,
        "experiment": record.experiment,
        "model": record.model,
        "preset": record.preset,
        "suite": record.suite,
        "role": record.role,
        "variant": record.variant,
        "seed": record.seed,
        "status": record.status,
        "reason": record.reason,
        **{f"{split}_{name}": v for split, values in sorted(record.metrics.items()) for name, v in values.items()},
        "best_epoch": record.best_epoch,
        "dense_parameters": record.parameters.dense if record.parameters else None,
        "embedding_parameters": record.parameters.embedding if record.parameters else None,
        "seconds": record.seconds.total if record.seconds else None,
        "started": record.started,
        "digest": record.digest,
        "fingerprint": record.data.fingerprint if record.data else None,
        **{f"set_{name}": value for name, value in settings.items()},
    }


@dataclass(frozen=True)
class Board:
    """A leaderboard to look at from Python; in a notebook it shows itself as a table."""

    leaderboard: Leaderboard
    title: str

    def to_pandas(self) -> pd.DataFrame:
        """One row a model in the order of the ranks, in full precision, with the columns of the board's csv file."""
        return pd.DataFrame(plain_rows(self.leaderboard))

    def to_latex(self, baselines: Sequence[str] = ()) -> str:
        """A table of booktabs; ``baselines`` are rows, and what is better than the best of them gets a star."""
        return render(self.leaderboard, self.title, "tex", baselines)

    def to_markdown(self) -> str:
        return render(self.leaderboard, self.title, "md")

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Mean of each ranked row on test with its 95% interval, the best at the top.

        Args:
            ax: axes of matplotlib to draw in; new ones unless given.
        """
        import matplotlib.pyplot as plt

        board, metric = self.leaderboard, find_metric(self.leaderboard.rank_by)
        rows = board.ranked()
        ax = ax or plt.subplots(figsize=(6, 0.35 * len(rows) + 1), layout="constrained")[1]
        for place, row in enumerate(rows):
            mean, interval = row.test[metric.name].mean, row.intervals.get(metric.name)
            if interval:
                ax.hlines(place, interval.low, interval.high, color="tab:blue", alpha=0.5, linewidth=3)
            ax.plot(mean, place, "o", color="tab:blue")
        ax.set_yticks(range(len(rows)), [row.preset for row in rows])
        ax.invert_yaxis()
        ax.set_xlabel(f"test {metric.name}: mean over seeds, 95% interval")
        ax.set_title(f"{self.title} ({board.dataset})")
        return ax

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

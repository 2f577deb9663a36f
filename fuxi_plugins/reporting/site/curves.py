"""Curves of runs: a validation metric over epochs, and effective ranks along a model's depth."""

from collections.abc import Sequence
from statistics import mean
from typing import Any

from markupsafe import Markup

from fuxi_plugins.records.metrics import main_metric
from fuxi_plugins.records.record import FinishedRun, Record
from fuxi_plugins.reporting.site.charts import Line, lines

DRAWN_MEASURE = "entropy"  # of the effective ranks that a probed run has


def training_curves(runs: Sequence[Record]) -> Markup:
    """The monitored metric by epoch, a line a seed; nothing where every run ended after its first evaluation."""
    metric = monitored(runs[0])
    series = [
        Line(f"seed {r.seed}", [(e.epoch, e.valid[metric]) for e in r.history if metric in e.valid]) for r in runs
    ]
    return lines(series, "epoch", f"valid {metric}")


def loss_curves(record: Record) -> tuple[list[str], Markup]:
    """Names and drawing of training loss and validation logloss by epoch.

    The training loss is the mean over an epoch's steps, regularisation included.
    """
    series = [
        Line("train loss, with regularisation", [(e.epoch, e.train_loss) for e in record.history]),
        Line("valid logloss", [(e.epoch, e.valid["logloss"]) for e in record.history if "logloss" in e.valid]),
    ]
    return [line.label for line in series if line.points], lines(series, "epoch", "loss")


def monitored(record: Record) -> str:
    monitor = record.params.get("training", {}).get("monitor", main_metric())
    return monitor if isinstance(monitor, str) else next(iter(monitor))


def rank_dynamics(experiment: str, runs: Sequence[FinishedRun]) -> dict[str, Any]:
    """Effective ranks along the depth of an experiment's model, mean over its probed seeds, with their null lines."""
    stages = list(runs[0].ranks.stages)
    series = [
        Line(
            state,
            [
                (depth, mean(getattr(run.ranks.stages[stage].token, state)[DRAWN_MEASURE] for run in runs))
                for depth, stage in enumerate(stages, start=1)
            ],
        )
        for state in ("trained", "untrained", "gaussian")
    ]
    return {
        "experiment": experiment,
        "seeds": len(runs),
        "measure": DRAWN_MEASURE,
        "stages": stages,
        "names": [line.label for line in series],
        "chart": lines(series, "stage", f"effective rank ({DRAWN_MEASURE})"),
    }

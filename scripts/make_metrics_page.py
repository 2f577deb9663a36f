"""Writes docs/metrics.md from the table of metrics."""

from pathlib import Path

import click

from fuxi_plugins.core.files import write_text
from fuxi_plugins.records.metrics import Metric, all_metrics

PAGE = Path(__file__).resolve().parents[1] / "docs" / "metrics.md"
HEAD = """\
# The metrics

Made by `python scripts/make_metrics_page.py` from `fuxi_plugins/records/metrics/table.py`; do not edit. An experiment
names its metrics in `metrics`, and every command that ranks or compares takes them by `--by`:

    metrics: [AUC, logloss, NDCG(k=10), field-RCE(user_id)]

    fuxibench leaderboard ml100k_board --by logloss
    fuxibench compare RankElastor DCNv2 --by gAUC

`fuxibench list metrics` shows the same table.

"""
TAIL = """
## What is needed

Most metrics need labels and predictions only. Those **within groups** need the dataset's `group_id`, a user or a
session (docs/datasets.md), and are defined as in FuxiCTR: a group of one class has no AUC and does not count in
gAUC and avgAUC, and counts 0 in MRR and NDCG if it has no positive row. `k` in `NDCG(k=...)` may be any number;
places beyond the largest group do not exist. `field-RCE(...)` needs the categorical column that stands in its
brackets.

## Choosing epochs by a metric

`monitor` takes any metric that the experiment measures and of which more or less is better. `monitor_mode` follows
from the metric and need not be given; one that contradicts it is refused. PCOC is best at 1, so neither its highest
nor its lowest value can be monitored. A board by PCOC ranks models by how far their mean is from 1, and `compare`
says the same of two of them.

## How sure a value is

Every metric brings an influence function: what each row, or each group, of the test set adds to its sampling error.
From these numbers follow the intervals and comparisons of [statistics](statistics.md), for all metrics alike. Where
rows are not independent, as those of one user, they are summed by user first.

- AUC: the structural components of DeLong, DeLong and Clarke-Pearson (1988).
- Metrics within groups: whole groups are sampled. The value is a ratio of two sums over groups, so that the
  influence of a group is its weight times its distance from the value.
- logloss is a mean of rows. NE, RIG and PCOC are functions of such means (the delta method).
- ECE and field-RCE: the delta method with the bins, or the values of the field, and the sign of each one's gap held
  fixed. The interval is one of the expected value on a test set of this size, which is above 0 even for a perfectly
  calibrated model, because noise makes gaps. Where gaps are noise alone the interval is too wide, never too narrow.
  A bootstrap would not do better, since drawing rows again adds the same noise to the gaps once more.

`tests/records/test_influence.py` holds them against definitions, the jackknife, the bootstrap and simulated test
sets.

## Adding a metric

A metric is one entry of `TABLE`. Settings, boards, comparisons, the site and this page know it from then on:

```python
from fuxi_plugins.records.metrics import TABLE, Metric
from fuxi_plugins.records.metrics.probability import influence_of_mean

TABLE["Brier"] = Metric(
    name="Brier",
    meaning="Mean squared difference of the predicted probability and the label.",
    better="lower",
    bounds=(0.0, 1.0),
    value=lambda data: float(((data.scores - data.labels) ** 2).mean()),
    influence=lambda data: influence_of_mean((data.scores - data.labels) ** 2),
    source="Brier, Monthly Weather Review 1950",
)
```
"""


def page() -> str:
    """The text of the page."""
    rows = ["| metric | meaning | better | range | needs | definition |", "| --- | --- | --- | --- | --- | --- |"]
    rows += [_row(metric) for metric in all_metrics()]
    return HEAD + "\n".join(rows) + "\n" + TAIL


def _row(metric: Metric) -> str:
    needs = "group_id" if metric.per_group else f"column {metric.field}" if metric.field else "–"
    better = metric.direction.removesuffix(" is better").removesuffix(" is best")
    cells = [f"`{metric.name}`", metric.meaning, better, metric.show_bounds(), needs, metric.source]
    return f"| {' | '.join(cells)} |"


@click.command(help=__doc__)
def main() -> None:
    write_text(PAGE, page())
    print(PAGE)


if __name__ == "__main__":
    main()

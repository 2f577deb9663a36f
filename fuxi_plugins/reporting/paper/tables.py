"""Tables of the report: published, ours, difference, verdict."""

import csv
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fuxi_plugins.analysis.published import load_published
from fuxi_plugins.analysis.rank_auc import Correlation
from fuxi_plugins.records.record import FinishedRun
from fuxi_plugins.reporting.paper.numbers import Effect, auc, auc_effect
from fuxi_plugins.reporting.paper.study import Study, short_stage

ABLATION_FILE = "published/paper_ablation.csv"
REFERENCE = "RankElastor"
FIRST_OF = {"paper_sequence": "KuaiVideo_x1"}  # the published data set to print beside data that it does not have


@dataclass(frozen=True)
class Table:
    header: list[str]
    rows: list[list[str]]


def published_auc(results: Path, suite: str, dataset: str) -> tuple[str, dict[str, float]]:
    """The paper's AUC by variant, on the data set that ours is or stands in for; and that data set's name."""
    rows = [
        (r.dataset, "MLP" if r.model == "DNN" else r.model, r.metrics["AUC"])
        for r in load_published(results)
        if "arXiv:2605" in r.source
    ]
    if suite == "paper_ablation":
        with (results / ABLATION_FILE).open(newline="") as file:
            rows = [(row["dataset"], row["variant"], float(row["AUC"])) for row in csv.DictReader(file)]
    names = dict.fromkeys(name for name, _, _ in rows)
    standing_for = [name for name in names if dataset.startswith(name.casefold())]
    chosen = standing_for[0] if standing_for else FIRST_OF.get(suite, "Criteo_x1")
    return chosen, {variant: auc for name, variant, auc in rows if name == chosen}


def scores(study: Study, published: str, values: dict[str, float]) -> Table:
    """Every variant: the paper's AUC and ours, each with its distance from RankElastor's, and whether they agree."""
    same_data = study.dataset == published.casefold()
    header = ["variant", f"paper, {published}", "ours, test AUC", "ours − paper", f"paper, − {REFERENCE}",
              f"ours, − {REFERENCE} [95%]", "same sign as the paper", "dense parameters"]  # fmt: skip
    rows = []
    for variant in study.variants:
        records = study.records.get(variant, [])
        paper = values.get(variant)
        mean = statistics.fmean(map(auc, records)) if records else None
        gap = paper - values[REFERENCE] if paper is not None and REFERENCE in values and variant != REFERENCE else None
        effect = auc_effect(study, variant, REFERENCE) if variant != REFERENCE else None
        rows.append(
            [
                variant,
                f"{paper:.5f}" if paper is not None else "–",
                spread(records) if records else "; ".join(study.failed.get(variant, ["not run"])),
                f"{mean - paper:+.5f}" if same_data and paper is not None and mean is not None else "–",
                f"{gap:+.5f}" if gap is not None else "–",
                str(effect) if effect else "–",
                agreement(gap, effect),
                f"{records[0].parameters.dense:,}" if records else "–",
            ]
        )
    return Table(header, rows)


def agreement(gap: float | None, effect: Effect | None) -> str:
    """Whether ours has the sign of the paper's effect, where ours is significant."""
    if gap is None or effect is None:
        return "–"
    same = gap * effect.mean > 0
    if not effect.significant:
        why = effect.needed.phrase(effect.test_rows) if effect.needed else "one seed"
        return f"undecided ({'same' if same else 'opposite'} sign; {why})"
    return "agrees" if same else "contradicts"


def separation(study: Study) -> Table:
    """At every stage: RankElastor less RankMixer in entropy rank, trained and before any training."""
    ours, theirs = study.probed()[REFERENCE], study.probed()["RankMixer"]
    header = ["stage", "RankElastor", "untrained", "RankMixer", "untrained", "Gaussian", "cap",
              "difference", "before training", "share before training"]  # fmt: skip
    rows = []
    for stage in ours[0].ranks.row_families:
        a, b = ([r.ranks.row_families[stage] for r in records] for records in (ours, theirs))
        means = [statistics.fmean(getattr(f, moment)["entropy"] for f in families)
                 for families in (a, b) for moment in ("trained", "untrained")]  # fmt: skip
        trained, untrained = means[0] - means[2], means[1] - means[3]
        share = f"{untrained / trained:.0%}" if abs(trained) > 0.25 else "no separation"
        rows.append([short_stage(stage), *(f"{m:.2f}" for m in means), f"{a[0].gaussian['entropy']:.2f}",
                     str(a[0].cap), f"{trained:+.2f}", f"{untrained:+.2f}", share])  # fmt: skip
    return Table(header, rows)


def sizes(study: Study) -> Table:
    """A scaling suite: each size, both variants."""
    header = ["variant and size", "dense parameters", "test AUC", "test logloss"]
    rows = []
    for variant in study.variants:
        if records := study.records.get(variant):
            loss = statistics.fmean(r.metrics["test"]["logloss"] for r in records)
            rows.append([variant, f"{records[0].parameters.dense:,}", spread(records), f"{loss:.5f}"])
        else:
            rows.append([variant, "–", "; ".join(study.failed.get(variant, ["not run"])), "–"])
    return Table(header, rows)


def costs(study: Study) -> Table:
    """Every variant: parameters, operations where they were counted, and median seconds of training an epoch.

    Seconds are a record of what was run, not a comparison: runs follow one another on a machine that does other work.
    """
    rows = []
    for variant in study.variants:
        if records := study.records.get(variant):
            parameters = records[0].parameters
            cost = next((record.cost for record in records if record.cost), None)
            seconds = statistics.median(record.seconds.per_epoch for record in records)
            operations = f"{cost.flops_per_row / 1e3:,.0f}" if cost else "–"
            rows.append([variant, f"{parameters.dense:,}", f"{parameters.embedding:,}", operations, f"{seconds:.2f}"])
        else:
            rows.append([variant, "–", "–", "–", "; ".join(study.failed.get(variant, ["not run"]))])
    return Table(["variant", "dense parameters", "embedding parameters", "kFLOP per row", "seconds per epoch"], rows)


def correlations(found: Mapping[str, Correlation]) -> Table:
    """Rank and AUC, by dataset."""
    rows = [
        [
            name,
            str(one.runs),
            str(one.models),
            "–" if math.isnan(one.rho) else f"{one.rho:+.2f}",
            f"{one.interval.low:+.2f} to {one.interval.high:+.2f}" if one.interval else "too few models",
        ]
        for name, one in found.items()
    ]
    return Table(["data", "runs", "models", "Spearman's correlation", "95%, by models"], rows)


def bounds(path: Path) -> Table:
    """The statements on algebraic rank, each over all shapes and ranks of its input."""
    with path.open(newline="") as file:
        outcomes = list(csv.DictReader(file))
    rows = []
    for name in dict.fromkeys(row["statement"] for row in outcomes):
        own = [row for row in outcomes if row["statement"] == name]
        verdicts = [row["verdict"] for row in own]
        counted = "; ".join(f"{verdicts.count(v)} of {len(own)} {v}" for v in dict.fromkeys(verdicts))
        rows.append([name, own[0]["bound_text"], own[0]["assumption"], counted])
    return Table(["map of X", "bound on its rank", "assumption", "observed"], rows)


def spread(records: Sequence[FinishedRun]) -> str:
    values = [auc(record) for record in records]
    deviation = f" ± {statistics.stdev(values):.5f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.5f}{deviation} ({len(values)})"

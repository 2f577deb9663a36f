"""The paper's four claims, each on every dataset in one line: RankElastor beside RankMixer."""

import statistics
from collections.abc import Iterator, Sequence

from fuxi_plugins.records.record import Record
from fuxi_plugins.reporting.paper.numbers import PowerLaw, auc, fit_power_law, paired_effect
from fuxi_plugins.reporting.paper.study import Study
from fuxi_plugins.reporting.paper.tables import Table

MORE_TIME = 1.15  # that RankElastor may take of RankMixer's, by the paper's "10-15%"
EXPLAINED = (
    "One line for every dataset on which the suites have run. A claim holds, or does not, where the 95% interval over "
    "seeds leaves no doubt of the sign. Rank: the lowest that the entropy rank of a row's tokens falls from the first "
    "mixing on, as a share of what independent normal numbers have; a share near 100% is no collapse, and what the "
    "untrained models differ by, training did not bring. Scaling: the exponent b of test logloss = c N^b in dense "
    "parameters N, below 0 where larger is better. Cost: seconds of training an epoch, which the paper puts 10 to 15% "
    "above RankMixer's; it has no interval and is judged by the medians."
)


def at_a_glance(studies: Sequence[Study]) -> Table:
    """Claim by claim, dataset by dataset; studies without both models say nothing here."""
    both = [study for study in studies if _runs(study, "RankElastor") and _runs(study, "RankMixer")]
    lines = [*_more_auc(both), *_less_collapse(both), *_scaling(both), *_little_cost(both)]
    return Table(["claim", "data", "RankElastor", "RankMixer", "difference [95%]", "verdict"], lines)


def verdict(low: float | None, high: float | None) -> str:
    """Whether a claim of "more" holds, by the interval over seeds; None where there is one seed."""
    if low is None or high is None:
        return "undecided (one seed)"
    if low <= 0 <= high:
        return "undecided (interval holds 0)"
    return "holds" if low > 0 else "does not hold"


def lowest_share(record: Record, moment: str = "trained") -> float:
    """The lowest entropy rank of a row's tokens from the first mixing on, over that of normal numbers."""
    families = [
        stage.row
        for name, stage in record.rank.stages.items()
        if stage.row and name.partition("_")[0] in ("mixing", "ffn")
    ]
    return min(getattr(family, moment)["entropy"] / family.gaussian["entropy"] for family in families)


def _more_auc(studies: Sequence[Study]) -> Iterator[list[str]]:
    for study in studies:
        if study.suite == "paper_main":
            ours, theirs = _runs(study, "RankElastor"), _runs(study, "RankMixer")
            if effect := paired_effect(ours, theirs, auc):
                means = (f"{statistics.fmean(map(auc, records)):.5f}" for records in (ours, theirs))
                yield ["more test AUC", _where(study), *means, str(effect), verdict(effect.low, effect.high)]


def _less_collapse(studies: Sequence[Study]) -> Iterator[list[str]]:
    for study in studies:
        probed = study.probed()
        if study.suite == "paper_rank" and {"RankElastor", "RankMixer"} <= set(probed):
            ours, theirs = probed["RankElastor"], probed["RankMixer"]
            effect = paired_effect(ours, theirs, lowest_share)
            before = paired_effect(ours, theirs, lambda record: lowest_share(record, "untrained"))
            if effect and before:
                means = (f"{statistics.fmean(map(lowest_share, records)):.1%}" for records in (ours, theirs))
                difference = f"{effect:+.1%}, of which {before.mean:+.1%} untrained"
                yield ["less collapse of rank", _where(study), *means, difference, verdict(effect.low, effect.high)]


def _scaling(studies: Sequence[Study]) -> Iterator[list[str]]:
    for study in studies:
        if study.suite.startswith("paper_scaling"):
            fits = [_fit(study, arm) for arm in ("RankElastor", "RankMixer")]
            if all(fits):
                ours, theirs = fits
                shown = (f"{fit.exponent:+.4f} [{fit.low:+.4f}, {fit.high:+.4f}]" for fit in fits)
                several = all(len(records) > 1 for records in study.records.values())
                said = verdict(-ours.high, -ours.low) if several else verdict(None, None)
                how = study.suite.removeprefix("paper_scaling_")
                difference = f"{ours.exponent - theirs.exponent:+.4f}"
                yield [f"better with size ({how})", _where(study), *shown, difference, said]


def _little_cost(studies: Sequence[Study]) -> Iterator[list[str]]:
    for study in studies:
        if study.suite == "paper_efficiency":
            ours, theirs = (_seconds(_runs(study, arm)) for arm in ("RankElastor", "RankMixer"))
            said = "holds" if ours / theirs <= MORE_TIME else "does not hold"
            yield ["little cost", _where(study), f"{ours:.2f} s", f"{theirs:.2f} s", f"{ours / theirs - 1:+.0%}", said]


def _runs(study: Study, arm: str) -> list[Record]:
    """Of an arm, at whatever size."""
    return [r for preset, records in study.records.items() if preset.split(" ")[0] == arm for r in records]


def _fit(study: Study, arm: str) -> PowerLaw | None:
    runs = _runs(study, arm)
    return fit_power_law([r.parameters.dense for r in runs], [r.metrics["test"]["logloss"] for r in runs])


def _seconds(records: Sequence[Record]) -> float:
    return statistics.median(record.seconds.per_epoch for record in records)


def _where(study: Study) -> str:
    return f"{study.dataset}, {study.profile}, {study.seeds}"
